//! Whatever bytes come, nothing panics; and a vector that is asked for is a vector that is answered.

use std::time::Duration;

use bolero::check;
use bytes::Bytes;

use super::{CohereEmbeddings, GeminiEmbeddings, OpenaiEmbeddings};
use crate::dialect::Target;
use crate::face::Asked;
use crate::host::Host;
use crate::kind::ProviderKind;
use crate::task::Task;

const KINDS: [ProviderKind; 3] = [
    ProviderKind::Openai,
    ProviderKind::Gemini,
    ProviderKind::Cohere,
];

const TASKS: [&dyn Task; 4] = [
    &OpenaiEmbeddings,
    &GeminiEmbeddings::Single,
    &GeminiEmbeddings::Batch,
    &CohereEmbeddings,
];

#[test]
fn no_request_and_no_answer_makes_anything_panic() {
    let requests = [
        br#"{"model":"m","input":["a","b"],"encoding_format":"base64"}"#.as_slice(),
        br#"{"content":{"parts":[{"text":"a"}]}}"#,
        br#"{"requests":[{"model":"m","content":{"parts":[{"text":"a"}]}}]}"#,
        br#"{"model":"m","texts":["a"],"input_type":"search_query"}"#,
    ];
    let capabilities = domain::model::Capabilities::default();
    let host = Host::NONE;
    let target = Target {
        model: "m",
        base_url: "https://example.com",
        capabilities: &capabilities,
        host: &host,
    };
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|input: &[u8]| {
            let head = http::Response::new(()).into_parts().0;
            let asked = Asked {
                model: Some("m".parse().unwrap()),
                ..Asked::default()
            };
            let body = Bytes::copy_from_slice(input);
            for (task, request) in TASKS.iter().zip(requests) {
                drop(task.envelope(&asked, &body));
                for kind in KINDS {
                    drop(task.prepare(&asked, &body, kind, &target));
                    let request = Bytes::from_static(request);
                    let prepared = task.prepare(&asked, &request, kind, &target).unwrap();
                    drop(prepared.reader.read(&head, body.clone()));
                }
            }
        });
}
