//! Whatever bytes come, nothing panics.

use std::time::Duration;

use bolero::check;
use bytes::Bytes;

use super::{CohereRerank, JinaRerank};
use crate::dialect::Target;
use crate::face::Asked;
use crate::host::Host;
use crate::kind::ProviderKind;
use crate::task::Task;

#[test]
fn no_request_and_no_answer_makes_anything_panic() {
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
            let asked = Asked::default();
            let request =
                Bytes::from_static(br#"{"model":"m","query":"q","documents":["a",{"text":"b"}]}"#);
            let body = Bytes::copy_from_slice(input);
            let tasks: [&dyn Task; 2] = [&CohereRerank, &JinaRerank];
            for task in tasks {
                drop(task.envelope(&asked, &body));
                for kind in [ProviderKind::Openai, ProviderKind::Cohere] {
                    drop(task.prepare(&asked, &body, kind, &target));
                    let prepared = task.prepare(&asked, &request, kind, &target).unwrap();
                    drop(prepared.reader.read(&head, body.clone()));
                }
            }
        });
}
