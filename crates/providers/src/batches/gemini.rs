//! Gemini's batches: a file of lines is uploaded, and a batch of one model is made of it; how far it has come
//! is told as a long-running operation. <https://ai.google.dev/api/batch-api>

use bytes::Bytes;
use domain::batch::LineFault;
use http::{HeaderName, HeaderValue, Method, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{
    BatchApi, Beginning, Bounds, Handing, LineOutcome, Listed, Mark, Page, Progress, ResultLine,
    Work, bare, read, write_head, write_on_one_line,
};
use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::outgoing;
use crate::url;

/// Gemini's batches.
#[derive(Debug, Clone, Copy, Default)]
pub struct GeminiBatches;

/// How a file is sent: everything in one request
/// (<https://ai.google.dev/api/files#method:-media.upload>).
const PROTOCOL: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-goog-upload-protocol"),
    HeaderValue::from_static("multipart"),
);
/// Separates the parts of an upload; lines cannot hold it, since none of them is plain text.
const BOUNDARY: &str = "trunkline-upload-8d0e5a2f71c94b36";
/// How many batches a page of the list has.
const PAGE: &str = "100";

impl BatchApi for GeminiBatches {
    /// <https://ai.google.dev/gemini-api/docs/rate-limits#batch-api>
    fn bounds(&self) -> Bounds {
        Bounds {
            least: 1,
            lines: 1_000_000,
            bytes: 2_000_000_000,
        }
    }

    fn takes(&self, work: Work) -> bool {
        work == Work::Chat(Format::Gemini)
    }

    fn write_line(&self, name: &str, _: Work, body: &[u8], lines: &mut Vec<u8>) {
        write_head(&json!({ "key": name }), "request", lines);
        write_on_one_line(body, lines);
        lines.extend_from_slice(b"}\n");
    }

    fn begin(&self, handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal> {
        let told = json!({ "file": {
            "displayName": format!("{}.jsonl", handing.name), "mimeType": "application/jsonl",
        } });
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Type: application/json; charset=utf-8\r\n\r\n{told}\r\n\
             --{BOUNDARY}\r\nContent-Type: application/jsonl\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&lines);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let url = format!("{}/upload/v1beta/files", handing.target.base_url);
        let content_type = format!("multipart/related; boundary={BOUNDARY}");
        let content_type = HeaderValue::try_from(content_type).map_err(|error| Refusal {
            detail: format!("The upload has no media type: {error}."),
            param: None,
        })?;
        let mut upload = outgoing::post(&url, &content_type, "application/json", body.into())?;
        upload.headers_mut().extend([PROTOCOL]);
        Ok(Beginning::Upload(upload))
    }

    fn uploaded(&self, _: &Handing<'_>, uploaded: &[u8]) -> Result<String, DecodeError> {
        let uploaded: Uploaded = read(uploaded, "a file")?;
        Ok(uploaded.file.name)
    }

    fn create(&self, handing: &Handing<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let target = handing.target;
        let model = url::segment(target.model)?;
        let url = format!(
            "{}/v1beta/models/{model}:batchGenerateContent",
            target.base_url
        );
        let body = json!({ "batch": {
            "displayName": handing.name,
            "inputConfig": { "fileName": file },
        } });
        outgoing::post_json(&url, "application/json", &body)
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        bare(Method::GET, &address(target, "batches", id, "")?)
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        bare(Method::POST, &address(target, "batches", id, ":cancel")?)
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let operation: Operation = read(body, "a batch")?;
        let (id, batch) = (operation.name, operation.metadata.unwrap_or_default());
        let fault = operation.error.filter(|error| !is_unreached(error.code));
        let faults = fault.into_iter().map(LineFault::from).collect();
        // The vendor's own SDK takes both kinds of words.
        let state = batch.state.as_deref().unwrap_or_default();
        let state = state.trim_start_matches("BATCH_STATE_");
        let output = batch.output.or(operation.response);
        let ended = |is_cut_short| Progress::Ended {
            id: id.clone(),
            places: output.and_then(|output| output.file).into_iter().collect(),
            faults,
            is_cut_short,
        };
        match state.trim_start_matches("JOB_STATE_") {
            "SUCCEEDED" => Ok(ended(false)),
            "FAILED" | "CANCELLED" | "EXPIRED" => Ok(ended(true)),
            _ if operation.done => Ok(ended(true)),
            "" | "UNSPECIFIED" | "QUEUED" | "PENDING" | "RUNNING" | "CANCELLING" => {
                Ok(Progress::Working { id })
            }
            other => Err(DecodeError::Malformed(format!(
                "the batch has the state {other:?}, which is not known"
            ))),
        }
    }

    fn list(
        &self,
        target: &Target<'_>,
        _: Timestamp,
        page: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal> {
        let mut fields = vec![("pageSize", PAGE)];
        fields.extend(page.map(|token| ("pageToken", token)));
        let query = url::form(&fields);
        bare(
            Method::GET,
            &format!("{}/v1beta/batches?{query}", target.base_url),
        )
    }

    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError> {
        let list: List = read(body, "a list of batches")?;
        Ok(Page {
            batches: list.operations.into_iter().map(Listed::from).collect(),
            next: list.next.filter(|token| !token.is_empty()),
        })
    }

    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal> {
        let file = last_segment("files", place)?;
        let url = format!(
            "{}/download/v1beta/files/{file}:download?alt=media",
            target.base_url
        );
        bare(Method::GET, &url)
    }

    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError> {
        let line: Line<'_> = read(line, "a line of results")?;
        let outcome = match (line.response, line.error) {
            (Some(response), _) => LineOutcome::Answered {
                status: 200,
                body: Bytes::copy_from_slice(response.get().as_bytes()),
            },
            (None, Some(error)) => {
                let status: Status = read(error.get().as_bytes(), "an error")?;
                if is_unreached(status.code) {
                    LineOutcome::Unreached
                } else {
                    LineOutcome::Answered {
                        status: status_of(status.code),
                        body: format!("{{\"error\":{error}}}").into(),
                    }
                }
            }
            (None, None) => {
                let what = "a line of results has neither a response nor an error";
                return Err(DecodeError::Malformed(what.to_owned()));
            }
        };
        Ok(ResultLine {
            name: line.key,
            outcome,
        })
    }

    fn discard(&self, target: &Target<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        bare(Method::DELETE, &address(target, "files", file, "")?)
    }
}

/// The address of something that the vendor calls `collection/name`.
fn address(
    target: &Target<'_>,
    collection: &str,
    name: &str,
    rest: &str,
) -> Result<String, Refusal> {
    let name = last_segment(collection, name)?;
    Ok(format!(
        "{}/v1beta/{collection}/{name}{rest}",
        target.base_url
    ))
}

fn last_segment(collection: &str, name: &str) -> Result<String, Refusal> {
    let name = name.strip_prefix(collection).unwrap_or(name);
    url::segment(name.strip_prefix('/').unwrap_or(name))
}

/// Whether the line was given up before it was its turn: `CANCELLED`, or `DEADLINE_EXCEEDED`
/// (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
fn is_unreached(code: u16) -> bool {
    matches!(code, 1 | 4)
}

/// The status code of an answer of its own: the vendor writes either that or one of `google.rpc.Code`.
pub(super) fn status_of(code: u16) -> u16 {
    match code {
        400..600 => code,
        3 | 9 | 11 => 400,
        16 => 401,
        7 => 403,
        5 => 404,
        6 | 10 => 409,
        8 => 429,
        12 => 501,
        14 => 503,
        _ => 500,
    }
}

#[derive(Deserialize)]
struct Uploaded {
    file: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Operation {
    name: String,
    metadata: Option<Metadata>,
    #[serde(default)]
    done: bool,
    error: Option<Status>,
    response: Option<Output>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    state: Option<String>,
    display_name: Option<String>,
    create_time: Option<String>,
    output: Option<Output>,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "responsesFile")]
    file: Option<String>,
}

/// An error as Google tells it: `google.rpc.Status`, or with the status code of HTTP.
#[derive(Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    operations: Vec<Operation>,
    #[serde(rename = "nextPageToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    key: String,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl From<Status> for LineFault {
    fn from(status: Status) -> Self {
        Self::of_batch(&format!("provider_error_{}", status.code), status.message)
    }
}

impl From<Operation> for Listed {
    fn from(operation: Operation) -> Self {
        let batch = operation.metadata.unwrap_or_default();
        let made_at = batch.create_time.as_deref().map(str::parse::<Timestamp>);
        Self {
            id: operation.name,
            mark: Mark::Name(batch.display_name),
            made_at: made_at.and_then(Result::ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use serde_json::Value;

    use super::*;
    use crate::host::Host;

    const CHAT: Work = Work::Chat(Format::Gemini);

    fn with_target<T>(test: impl FnOnce(&Target<'_>) -> T) -> T {
        test(&Target {
            model: "gemini-2.5-flash",
            base_url: "https://generativelanguage.googleapis.com",
            capabilities: &Capabilities::default(),
            host: &Host::NONE,
        })
    }

    fn operation(metadata: &Value, done: bool) -> Result<Progress, DecodeError> {
        let body = json!({"name": "batches/b1", "metadata": metadata, "done": done});
        GeminiBatches.read(body.to_string().as_bytes())
    }

    #[test]
    fn a_batch_is_made_of_lines_that_are_sent_in_one_request() {
        with_target(|target| {
            let handing = Handing {
                target,
                work: CHAT,
                name: "batch_1",
            };
            let mut lines = Vec::new();
            GeminiBatches.write_line("one", CHAT, b"{\n\"contents\": []}", &mut lines);
            let line: Value = serde_json::from_slice(&lines).unwrap();
            assert_eq!(line, json!({"key": "one", "request": {"contents": []}}));
            let Ok(Beginning::Upload(upload)) = GeminiBatches.begin(&handing, lines) else {
                panic!("it is uploaded")
            };
            let base = "https://generativelanguage.googleapis.com";
            assert_eq!(upload.uri(), format!("{base}/upload/v1beta/files").as_str());
            assert_eq!(upload.headers()["x-goog-upload-protocol"], "multipart");
            let text = String::from_utf8_lossy(upload.body());
            assert_eq!(text.matches(BOUNDARY).count(), 3, "{text}");
            assert!(text.contains("\r\n\r\n{\"key\":\"one\""), "{text}");
            let file = GeminiBatches.uploaded(&handing, br#"{"file":{"name":"files/f1"}}"#);
            let create = GeminiBatches.create(&handing, &file.unwrap()).unwrap();
            let expected = format!("{base}/v1beta/models/gemini-2.5-flash:batchGenerateContent");
            assert_eq!(create.uri(), expected.as_str());
            let body: Value = serde_json::from_slice(create.body()).unwrap();
            assert_eq!(body["batch"]["displayName"], "batch_1");
            assert_eq!(body["batch"]["inputConfig"]["fileName"], "files/f1");
        });
    }

    #[test]
    fn names_lead_to_their_own_collection_only() {
        with_target(|target| {
            let path = |request: Result<Request<Bytes>, Refusal>| {
                request.unwrap().uri().path_and_query().unwrap().to_string()
            };
            let look = path(GeminiBatches.look(target, "batches/b1"));
            assert_eq!(look, "/v1beta/batches/b1");
            let cancel = path(GeminiBatches.cancel(target, "batches/b1"));
            assert_eq!(cancel, "/v1beta/batches/b1:cancel");
            let fetch = path(GeminiBatches.fetch(target, "files/batch-b1"));
            assert_eq!(fetch, "/download/v1beta/files/batch-b1:download?alt=media");
            let discard = path(GeminiBatches.discard(target, "files/../batches/b1"));
            assert_eq!(discard, "/v1beta/files/..%2Fbatches%2Fb1");
        });
    }

    #[test]
    fn every_state_of_the_vendor_is_known_and_no_other() {
        for state in [
            "BATCH_STATE_PENDING",
            "BATCH_STATE_RUNNING",
            "JOB_STATE_QUEUED",
        ] {
            let id = "batches/b1".to_owned();
            let progress = operation(&json!({"state": state}), false);
            assert_eq!(progress, Ok(Progress::Working { id }));
        }
        let output = json!({"responsesFile": "files/batch-b1"});
        for (state, cut) in [
            ("BATCH_STATE_SUCCEEDED", false),
            ("BATCH_STATE_CANCELLED", true),
            ("BATCH_STATE_EXPIRED", true),
            ("BATCH_STATE_FAILED", true),
        ] {
            let progress = operation(&json!({"state": state, "output": output}), true);
            let Ok(Progress::Ended {
                places,
                is_cut_short,
                ..
            }) = progress
            else {
                panic!("{state} is an end")
            };
            assert_eq!(
                (places, is_cut_short),
                (vec!["files/batch-b1".to_owned()], cut)
            );
        }
        assert!(operation(&json!({"state": "BATCH_STATE_ASLEEP"}), false).is_err());
        let failed =
            json!({"name": "batches/b1", "done": true, "error": {"code": 3, "message": "No."}});
        let Ok(Progress::Ended { faults, .. }) = GeminiBatches.read(failed.to_string().as_bytes())
        else {
            panic!("an error is an end")
        };
        assert_eq!(faults[0].message, "No.");
        let cancelled = json!({"name": "batches/b1", "done": true, "error": {"code": 1, "message": "Cancelled."},
            "metadata": {"state": "BATCH_STATE_CANCELLED"}});
        let cancelled = GeminiBatches.read(cancelled.to_string().as_bytes());
        let Ok(Progress::Ended { faults, .. }) = cancelled else {
            panic!("it is an end")
        };
        assert_eq!(faults, [], "it was wanted");
    }

    #[test]
    fn a_result_is_an_answer_an_error_or_not_reached() {
        let line = |line: Value| GeminiBatches.read_line(line.to_string().as_bytes());
        let answered = line(json!({"key": "a", "response": {"candidates": []}})).unwrap();
        let body = Bytes::from_static(br#"{"candidates":[]}"#);
        let expected = LineOutcome::Answered { status: 200, body };
        assert_eq!((answered.name.as_str(), answered.outcome), ("a", expected));
        for (code, status) in [(3, 400), (8, 429), (13, 500), (404, 404)] {
            let failed = line(json!({"key": "a", "error": {"code": code, "message": "No."}}));
            let Ok(LineOutcome::Answered {
                status: found,
                body,
            }) = failed.map(|line| line.outcome)
            else {
                panic!("{code} is an answer")
            };
            assert_eq!(found, status);
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["message"], "No.");
        }
        let late = line(json!({"key": "a", "error": {"code": 1, "message": "Cancelled."}}));
        assert_eq!(late.unwrap().outcome, LineOutcome::Unreached);
        assert!(line(json!({"key": "a"})).is_err());
    }

    #[test]
    fn a_list_tells_whose_batches_are_and_where_it_goes_on() {
        let list = json!({"operations": [
            {"name": "batches/b1", "metadata": {"displayName": "ours", "createTime": "2026-11-21T15:00:00Z"}},
        ], "nextPageToken": "t"});
        let page = GeminiBatches
            .read_list(list.to_string().as_bytes())
            .unwrap();
        assert_eq!(page.next.as_deref(), Some("t"));
        assert_eq!(page.batches[0].mark, Mark::Name(Some("ours".to_owned())));
        assert_eq!(page.batches[0].made_at, "2026-11-21T15:00:00Z".parse().ok());
        assert_eq!(GeminiBatches.read_list(b"{}"), Ok(Page::default()));
    }
}
