//! Whatever bytes come, nothing panics, and what passes stays JSON.

use std::time::Duration;

use bolero::check;
use bytes::Bytes;
use serde::de::IgnoredAny;

use super::OpenaiModeration;
use crate::dialect::Target;
use crate::face::Asked;
use crate::host::Host;
use crate::kind::ProviderKind;
use crate::task::{Task, TaskStep};

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
            let body = Bytes::copy_from_slice(input);
            if OpenaiModeration.envelope(&asked, &body).is_ok() {
                let prepared =
                    OpenaiModeration.prepare(&asked, &body, ProviderKind::Openai, &target);
                let sent = prepared.unwrap().request.into_body();
                assert!(serde_json::from_slice::<IgnoredAny>(&sent).is_ok());
            }
            let request = Bytes::from_static(br#"{"input":"a"}"#);
            let prepared =
                OpenaiModeration.prepare(&asked, &request, ProviderKind::Openai, &target);
            if let Ok(TaskStep::Done(answer)) = prepared.unwrap().reader.read(&head, body) {
                assert!(serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok());
            }
        });
}
