//! Short ways to prepare a task and to answer it, for the tests of pictures and sound.

use std::collections::VecDeque;

use bytes::Bytes;
use domain::model::Capabilities;
use http::response::Parts;
use http::{HeaderMap, Request, Response};
use serde_json::Value;

use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::Asked;
use crate::host::Host;
use crate::kind::ProviderKind;
use crate::multipart::{Form, NewForm};
use crate::task::{PreparedTask, Task, TaskAnswer, TaskReader, TaskStep};

/// The first bytes of a picture, and enough of them.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0123456789";

/// What a caller sends.
pub(crate) struct Sent {
    pub(crate) asked: Asked,
    pub(crate) body: Bytes,
}

impl Sent {
    pub(crate) fn json(body: &Value) -> Self {
        Self::of("application/json", body.to_string().into())
    }

    pub(crate) fn of_text(json: &str) -> Self {
        Self::of("application/json", Bytes::copy_from_slice(json.as_bytes()))
    }

    pub(crate) fn form(form: NewForm<'_>) -> Self {
        let (content_type, body) = form.finish();
        Self::of(content_type.to_str().unwrap(), body)
    }

    fn of(content_type: &str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        let asked = Asked {
            headers,
            ..Asked::default()
        };
        Self { asked, body }
    }

    /// Prepares it for a model at the vendor's own address.
    pub(crate) fn to(
        &self,
        task: &dyn Task,
        kind: ProviderKind,
        model: &str,
    ) -> Result<PreparedTask, Refusal> {
        let target = Target {
            model,
            base_url: kind.default_base_url(),
            capabilities: &Capabilities::default(),
            host: &Host::NONE,
        };
        task.prepare(&self.asked, &self.body, kind, &target)
    }
}

/// The body of a request as JSON.
pub(crate) fn json_of(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap()
}

/// The texts of a request's form, by name; of a file its first bytes.
pub(crate) fn form_of(request: &Request<Bytes>) -> Vec<(String, String)> {
    let form = Form::read(request.headers(), request.body()).unwrap();
    let text = |part| {
        let content = form.content(part);
        String::from_utf8_lossy(content.get(..24).unwrap_or(content)).into_owned()
    };
    form.parts()
        .iter()
        .map(|part| (part.name.clone(), text(part)))
        .collect()
}

/// What was carried, changed and dropped, by name.
pub(crate) fn report_of(prepared: &PreparedTask) -> [Vec<&str>; 3] {
    let report = prepared.report.as_ref().unwrap();
    [
        report.carried.iter().map(AsRef::as_ref).collect(),
        report
            .changed
            .iter()
            .map(|change| change.field.as_ref())
            .collect(),
        report
            .dropped
            .iter()
            .map(|loss| loss.field.as_ref())
            .collect(),
    ]
}

/// The head of an answer of this media type, made at noon.
pub(crate) fn head(content_type: &str) -> Parts {
    let response = Response::builder()
        .header("content-type", content_type)
        .header("date", "Thu, 05 Nov 2026 12:00:00 GMT")
        .body(())
        .unwrap();
    response.into_parts().0
}

/// An answer to one of a task's requests.
pub(crate) type Reply = (&'static str, Vec<u8>);

pub(crate) fn reply(json: &Value) -> Reply {
    ("application/json", json.to_string().into_bytes())
}

/// Answers a task's requests one after another; gives back what was asked after the first, and the end.
pub(crate) fn follow(
    reader: Box<dyn TaskReader>,
    replies: impl IntoIterator<Item = Reply>,
) -> (Vec<String>, Result<TaskAnswer, DecodeError>) {
    let mut replies: VecDeque<Reply> = replies.into_iter().collect();
    let (mut reader, mut asked) = (reader, Vec::new());
    loop {
        let (content_type, body) = replies
            .pop_front()
            .expect("the task asks no more than this");
        match reader.read(&head(content_type), body.into()) {
            Ok(TaskStep::Done(answer)) => {
                assert!(replies.is_empty(), "the task asks less than this");
                return (asked, Ok(answer));
            }
            Ok(TaskStep::Again {
                request,
                reader: next,
                ..
            }) => {
                asked.push(format!("{} {}", request.method(), request.uri()));
                reader = next;
            }
            Err(error) => return (asked, Err(error)),
        }
    }
}
