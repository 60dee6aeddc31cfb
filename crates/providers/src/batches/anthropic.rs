//! Anthropic's message batches: the requests are handed over in one body.
//! <https://platform.claude.com/docs/en/api/creating-message-batches>

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{
    BatchApi, Beginning, Bounds, Handing, LineOutcome, Listed, Mark, Page, Progress, ResultLine,
    Work, read, write_head,
};
use crate::anthropic::{VERSION_FIELD, VERSION_WITH_SAMPLING};
use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::url;

/// Anthropic's message batches.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnthropicBatches;

impl BatchApi for AnthropicBatches {
    /// <https://platform.claude.com/docs/en/build-with-claude/batch-processing#batch-limitations>
    fn bounds(&self) -> Bounds {
        Bounds {
            least: 1,
            lines: 100_000,
            bytes: 256 * 1024 * 1024,
        }
    }

    fn takes(&self, work: Work) -> bool {
        work == Work::Chat(Format::AnthropicMessages)
    }

    /// The version is that of the whole batch; beta features are a line's own.
    fn takes_beside(&self, fields: &HeaderMap) -> bool {
        fields.keys().all(|name| name == VERSION_FIELD)
    }

    fn write_line(&self, name: &str, _: Work, body: &[u8], lines: &mut Vec<u8>) {
        let before: &[u8] = if lines.is_empty() {
            br#"{"requests":["#
        } else {
            b","
        };
        lines.extend_from_slice(before);
        write_head(&json!({ "custom_id": name }), "params", lines);
        lines.extend_from_slice(&without_stream(body));
        lines.push(b'}');
    }

    fn begin(&self, handing: &Handing<'_>, mut lines: Vec<u8>) -> Result<Beginning, Refusal> {
        lines.extend_from_slice(b"]}");
        let url = format!("{}/v1/messages/batches", handing.target.base_url);
        request(Method::POST, &url, lines.into()).map(Beginning::Create)
    }

    fn uploaded(&self, _: &Handing<'_>, _: &[u8]) -> Result<String, DecodeError> {
        Err(DecodeError::Malformed(NO_UPLOAD.to_owned()))
    }

    fn create(&self, _: &Handing<'_>, _: &str) -> Result<Request<Bytes>, Refusal> {
        Err(no_upload())
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        request(Method::GET, &address(target, id, "")?, Bytes::new())
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        request(Method::POST, &address(target, id, "/cancel")?, Bytes::new())
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let batch: Batch = read(body, "a message batch")?;
        let id = batch.id;
        match batch.processing_status.as_str() {
            "in_progress" | "canceling" => Ok(Progress::Working { id }),
            "ended" => Ok(Progress::Ended {
                places: vec![id.clone()],
                id,
                faults: Vec::new(),
                is_cut_short: batch.cancel_initiated_at.is_some(),
            }),
            other => Err(DecodeError::Malformed(format!(
                "the message batch has the status {other:?}, which is not known"
            ))),
        }
    }

    /// <https://platform.claude.com/docs/en/api/listing-message-batches>
    fn list(
        &self,
        target: &Target<'_>,
        _: Timestamp,
        page: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal> {
        let mut fields = vec![("limit", "100")];
        fields.extend(page.map(|after| ("after_id", after)));
        let query = url::form(&fields);
        let url = format!("{}/v1/messages/batches?{query}", target.base_url);
        request(Method::GET, &url, Bytes::new())
    }

    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError> {
        let list: List = read(body, "a list of message batches")?;
        Ok(Page {
            next: list.last_id.filter(|_| list.has_more),
            batches: list.data.into_iter().map(Listed::from).collect(),
        })
    }

    /// The place is the batch itself: the address that the vendor names is made of it, and none that an
    /// answer names is shown the credential.
    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal> {
        request(
            Method::GET,
            &address(target, place, "/results")?,
            Bytes::new(),
        )
    }

    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError> {
        let line: Line<'_> = read(line, "a line of results")?;
        let LineResult {
            kind,
            message,
            error,
        } = line.result;
        let outcome = match (kind.as_str(), message, error) {
            ("succeeded", Some(message), _) => answered(200, message),
            ("errored", _, Some(error)) => {
                let kind: ErrorBody = read(error.get().as_bytes(), "an error")?;
                answered(status_of(&kind.error.kind), error)
            }
            ("canceled" | "expired", ..) => LineOutcome::Unreached,
            (other, ..) => {
                let what = format!("a result of type {other:?} is not what it must be");
                return Err(DecodeError::Malformed(what));
            }
        };
        Ok(ResultLine {
            name: line.custom_id,
            outcome,
        })
    }

    fn discard(&self, _: &Target<'_>, _: &str) -> Result<Request<Bytes>, Refusal> {
        Err(no_upload())
    }
}

const NO_UPLOAD: &str = "message batches are made without an upload";

fn no_upload() -> Refusal {
    Refusal {
        detail: NO_UPLOAD.to_owned(),
        param: None,
    }
}

/// A translation asks for long answers as streams; a request of a batch has no say in that.
fn without_stream(body: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memmem::find(body, b"\"stream\"").is_none() {
        return Cow::Borrowed(body);
    }
    match serde_json::from_slice::<Map<String, Value>>(body) {
        Ok(mut fields) => {
            fields.shift_remove("stream");
            Cow::Owned(Value::Object(fields).to_string().into_bytes())
        }
        Err(_) => Cow::Borrowed(body),
    }
}

fn answered(status: u16, body: &RawValue) -> LineOutcome {
    LineOutcome::Answered {
        status,
        body: Bytes::copy_from_slice(body.get().as_bytes()),
    }
}

/// The status code with which the vendor answers errors of a type
/// (<https://platform.claude.com/docs/en/api/errors>).
fn status_of(kind: &str) -> u16 {
    match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => 500,
    }
}

fn address(target: &Target<'_>, id: &str, rest: &str) -> Result<String, Refusal> {
    let id = url::segment(id)?;
    Ok(format!(
        "{}/v1/messages/batches/{id}{rest}",
        target.base_url
    ))
}

/// A request in the version that takes every parameter: the lines may hold any.
fn request(method: Method, url: &str, body: Bytes) -> Result<Request<Bytes>, Refusal> {
    Request::builder()
        .method(method)
        .uri(url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "*/*")
        .header(VERSION_FIELD, VERSION_WITH_SAMPLING)
        .body(body)
        .map_err(|error| Refusal {
            detail: format!("The provider's base URL makes no request target: {error}."),
            param: None,
        })
}

#[derive(Deserialize)]
struct Batch {
    id: String,
    processing_status: String,
    cancel_initiated_at: Option<String>,
}

#[derive(Deserialize)]
struct List {
    data: Vec<InList>,
    #[serde(default)]
    has_more: bool,
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct InList {
    id: String,
    created_at: String,
    request_counts: Counts,
}

/// All of them together are the requests of the batch.
#[derive(Deserialize)]
struct Counts {
    processing: u32,
    succeeded: u32,
    errored: u32,
    canceled: u32,
    expired: u32,
}

impl From<InList> for Listed {
    fn from(batch: InList) -> Self {
        let counts = batch.request_counts;
        let lines = [
            counts.processing,
            counts.succeeded,
            counts.errored,
            counts.canceled,
            counts.expired,
        ];
        Self {
            id: batch.id,
            mark: Mark::Lines(lines.into_iter().fold(0, u32::saturating_add)),
            made_at: batch.created_at.parse::<Timestamp>().ok(),
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    custom_id: String,
    #[serde(borrow)]
    result: LineResult<'a>,
}

#[derive(Deserialize)]
struct LineResult<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorKind,
}

#[derive(Deserialize)]
struct ErrorKind {
    #[serde(rename = "type")]
    kind: String,
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

    fn with_target<T>(test: impl FnOnce(&Target<'_>) -> T) -> T {
        test(&Target {
            model: "claude-sonnet-4-5",
            base_url: "https://api.anthropic.com",
            capabilities: &Capabilities::default(),
            host: &Host::NONE,
        })
    }

    #[test]
    fn the_lines_make_one_body() {
        let mut lines = Vec::new();
        let work = Work::Chat(Format::AnthropicMessages);
        AnthropicBatches.write_line("one", work, br#"{"model":"a"}"#, &mut lines);
        AnthropicBatches.write_line("two", work, br#"{"model":"b","stream":true}"#, &mut lines);
        with_target(|target| {
            let handing = Handing {
                target,
                work,
                name: "batch_1",
            };
            let begun = AnthropicBatches.begin(&handing, lines);
            let Ok(Beginning::Create(create)) = begun else {
                panic!("{begun:?}")
            };
            assert_eq!(
                create.uri(),
                "https://api.anthropic.com/v1/messages/batches"
            );
            assert_eq!(create.headers()["anthropic-version"], "2023-06-01");
            let body: serde_json::Value = serde_json::from_slice(create.body()).unwrap();
            let expected = json!({"requests": [
                {"custom_id": "one", "params": {"model": "a"}},
                {"custom_id": "two", "params": {"model": "b"}},
            ]});
            assert_eq!(body, expected);
        });
    }

    #[test]
    fn the_results_are_fetched_where_we_ask_and_not_where_the_answer_says() {
        let ended = br#"{"id":"msgbatch_1","processing_status":"ended","results_url":"https://evil.example/x"}"#;
        let Ok(Progress::Ended { places, .. }) = AnthropicBatches.read(ended) else {
            panic!("it has ended")
        };
        with_target(|target| {
            let fetch = AnthropicBatches.fetch(target, &places[0]).unwrap();
            let expected = "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results";
            assert_eq!(fetch.uri(), expected);
        });
    }

    #[test]
    fn every_status_of_the_vendor_is_known_and_no_other() {
        let batch = |status: &str| {
            let body = json!({"id": "msgbatch_7", "processing_status": status});
            AnthropicBatches.read(body.to_string().as_bytes())
        };
        for status in ["in_progress", "canceling"] {
            let id = "msgbatch_7".to_owned();
            assert_eq!(batch(status), Ok(Progress::Working { id }));
        }
        assert!(matches!(batch("ended"), Ok(Progress::Ended { .. })));
        assert!(batch("resting").is_err());
    }

    #[test]
    fn every_type_of_result_is_read() {
        let line = |result: serde_json::Value| {
            let line = json!({"custom_id": "a", "result": result}).to_string();
            AnthropicBatches
                .read_line(line.as_bytes())
                .map(|line| line.outcome)
        };
        let message = line(json!({"type": "succeeded", "message": {"id": "m"}}));
        let body = Bytes::from_static(br#"{"id":"m"}"#);
        assert_eq!(message, Ok(LineOutcome::Answered { status: 200, body }));
        for (kind, expected) in [("invalid_request_error", 400), ("overloaded_error", 529)] {
            let error = json!({"type": "error", "error": {"type": kind, "message": "No."}});
            let errored = line(json!({"type": "errored", "error": error}));
            let Ok(LineOutcome::Answered { status, body }) = errored else {
                panic!("{errored:?}")
            };
            assert_eq!(status, expected);
            assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&body).unwrap(),
                error
            );
        }
        for kind in ["canceled", "expired"] {
            assert_eq!(line(json!({"type": kind})), Ok(LineOutcome::Unreached));
        }
        assert!(line(json!({"type": "succeeded"})).is_err());
        assert!(line(json!({"type": "lost"})).is_err());
    }

    #[test]
    fn a_list_tells_how_many_requests_each_has_and_when_it_was_made() {
        let counts =
            json!({"processing": 1, "succeeded": 2, "errored": 3, "canceled": 4, "expired": 5});
        let list = json!({"has_more": true, "first_id": "msgbatch_2", "last_id": "msgbatch_1", "data": [
            {"id": "msgbatch_2", "created_at": "2026-11-21T15:00:00.5+00:00", "request_counts": counts},
        ]});
        let page = AnthropicBatches.read_list(list.to_string().as_bytes());
        let page = page.unwrap();
        assert_eq!(page.next.as_deref(), Some("msgbatch_1"));
        assert_eq!(page.batches[0].mark, Mark::Lines(15));
        let expected = "2026-11-21T15:00:00.5Z".parse().ok();
        assert_eq!(page.batches[0].made_at, expected);
        with_target(|target| {
            let list = AnthropicBatches
                .list(target, Timestamp::UNIX_EPOCH, Some("msgbatch_1"))
                .unwrap();
            let expected =
                "https://api.anthropic.com/v1/messages/batches?limit=100&after_id=msgbatch_1";
            assert_eq!(list.uri(), expected);
        });
    }
}
