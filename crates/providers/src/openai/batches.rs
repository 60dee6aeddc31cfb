//! OpenAI's batches: a file of lines is uploaded, and a batch is made of it.
//! <https://platform.openai.com/docs/api-reference/batch>

use bytes::Bytes;
use domain::batch::LineFault;
use http::header::ACCEPT;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::completions::OpenaiCompletions;
use super::responses::OpenaiResponses;
use super::{OpenaiChat, usage};
use crate::batches::{BatchApi, Beginning, Bounds, LineOutcome, Progress, ResultLine};
use crate::dialect::{DecodeError, Dialect, Refusal, Target};
use crate::exchange::Exchange;
use crate::multipart::NewForm;
use crate::outgoing;
use crate::tap::Observed;
use crate::url;

/// OpenAI's batches.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenaiBatches;

/// Who a batch belongs to, among the metadata that the vendor keeps of it.
const NAME: &str = "trunkline_batch";

impl BatchApi for OpenaiBatches {
    /// <https://platform.openai.com/docs/guides/batch#rate-limits>; a file may ask for one model only.
    fn bounds(&self) -> Bounds {
        Bounds {
            lines: 50_000,
            bytes: 200 * 1024 * 1024,
            mixes_models: false,
        }
    }

    fn takes(&self, endpoint: &str) -> bool {
        matches!(
            endpoint,
            "/v1/chat/completions" | "/v1/responses" | "/v1/completions" | "/v1/embeddings"
        )
    }

    fn write_line(&self, custom_id: &str, endpoint: &str, body: &[u8], lines: &mut Vec<u8>) {
        let head = json!({ "custom_id": custom_id, "method": "POST", "url": endpoint }).to_string();
        // The closing brace comes after the body.
        lines.extend_from_slice(head.trim_end_matches('}').as_bytes());
        lines.extend_from_slice(b",\"body\":");
        lines.extend(body.iter().map(|byte| match byte {
            // Between values only: inside a text they are escaped.
            b'\n' | b'\r' => b' ',
            other => *other,
        }));
        lines.extend_from_slice(b"}\n");
    }

    fn begin(
        &self,
        target: &Target<'_>,
        _: &str,
        name: &str,
        lines: Vec<u8>,
    ) -> Result<Beginning, Refusal> {
        let (content_type, body) = NewForm::default()
            .text("purpose", "batch")
            .file(
                "file",
                &format!("{name}.jsonl"),
                "application/jsonl",
                &lines,
            )
            .finish();
        let url = format!("{}/files", target.base_url);
        outgoing::post(&url, &content_type, "application/json", body).map(Beginning::Upload)
    }

    fn create(
        &self,
        target: &Target<'_>,
        endpoint: &str,
        name: &str,
        uploaded: &[u8],
    ) -> Result<Request<Bytes>, DecodeError> {
        let file: Identified = read(uploaded, "a file")?;
        let body = json!({
            "input_file_id": file.id,
            "endpoint": endpoint,
            "completion_window": "24h",
            "metadata": { NAME: name },
        });
        let url = format!("{}/batches", target.base_url);
        outgoing::post_json(&url, "application/json", &body)
            .map_err(|refusal| DecodeError::Malformed(refusal.detail))
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let url = format!("{}/batches/{}", target.base_url, url::segment(id)?);
        get(&url)
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let url = format!("{}/batches/{}/cancel", target.base_url, url::segment(id)?);
        outgoing::post_json(&url, "application/json", &json!({}))
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let batch: Batch = read(body, "a batch")?;
        let id = batch.id;
        match batch.status.as_str() {
            "validating" | "in_progress" | "finalizing" | "cancelling" => {
                Ok(Progress::Working { id })
            }
            "completed" | "failed" | "expired" | "cancelled" => Ok(Progress::Ended {
                id,
                places: [batch.output_file_id, batch.error_file_id]
                    .into_iter()
                    .flatten()
                    .collect(),
                faults: batch.errors.map(|errors| errors.data).unwrap_or_default(),
            }),
            other => Err(DecodeError::Malformed(format!(
                "the batch has the status {other:?}, which is not known"
            ))),
        }
    }

    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal> {
        let file = url::segment(place)?;
        get(&format!("{}/files/{file}/content", target.base_url))
    }

    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError> {
        let line: Line = read(line, "a line of results")?;
        let outcome = match (line.response, line.error) {
            (Some(response), _) => LineOutcome::Answered {
                status: response.status_code,
                body: Bytes::copy_from_slice(response.body.get().as_bytes()),
            },
            (None, Some(error)) if is_unreached(&error.code) => LineOutcome::Unreached,
            (None, Some(error)) => LineOutcome::Answered {
                status: StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
                body: json!({ "error": {
                    "message": error.message, "type": "server_error", "param": null, "code": error.code,
                } })
                .to_string()
                .into(),
            },
            (None, None) => {
                let what = "a line of results has neither a response nor an error";
                return Err(DecodeError::Malformed(what.to_owned()));
            }
        };
        Ok(ResultLine {
            custom_id: line.custom_id,
            outcome,
        })
    }

    fn observe(&self, endpoint: &str, body: &[u8]) -> Result<Observed, DecodeError> {
        let dialect: &dyn Dialect = match endpoint {
            "/v1/chat/completions" => &OpenaiChat,
            "/v1/responses" => &OpenaiResponses,
            "/v1/completions" => &OpenaiCompletions,
            _ => return observe_task(body),
        };
        let (head, ()) = http::Response::new(()).into_parts();
        dialect.observe(&Exchange::default(), &head, body)
    }
}

/// What an answer says that is no text: its usage and its model.
fn observe_task(body: &[u8]) -> Result<Observed, DecodeError> {
    let answer: Answer<'_> = read(body, "an answer")?;
    let usage = match answer.usage {
        Some(native) => usage::read(native.get().as_bytes())?,
        None => None,
    };
    Ok(Observed {
        response_model: answer.model,
        usage,
        has_content: true,
        ..Observed::default()
    })
}

/// The codes of lines that the end of a batch came before
/// (<https://platform.openai.com/docs/api-reference/batch/request-output>).
fn is_unreached(code: &str) -> bool {
    matches!(code, "batch_expired" | "batch_cancelled")
}

fn get(url: &str) -> Result<Request<Bytes>, Refusal> {
    Request::get(url)
        .header(ACCEPT, "*/*")
        .body(Bytes::new())
        .map_err(|error| Refusal {
            detail: format!("The provider's base URL makes no request target: {error}."),
            param: None,
        })
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8], what: &str) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes)
        .map_err(|error| DecodeError::Malformed(format!("this is not {what}: {error}")))
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

#[derive(Deserialize)]
struct Batch {
    id: String,
    status: String,
    errors: Option<Faults>,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
}

#[derive(Deserialize)]
struct Faults {
    #[serde(default)]
    data: Vec<LineFault>,
}

#[derive(Deserialize)]
struct Line {
    custom_id: String,
    response: Option<Response>,
    error: Option<LineError>,
}

#[derive(Deserialize)]
struct Response {
    status_code: u16,
    body: Box<RawValue>,
}

#[derive(Deserialize)]
struct LineError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Answer<'a> {
    model: Option<String>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use domain::usage::Usage;

    use super::*;
    use crate::host::Host;

    fn with_target<T>(test: impl FnOnce(&Target<'_>) -> T) -> T {
        test(&Target {
            model: "gpt-5.4",
            base_url: "https://api.openai.com/v1",
            capabilities: &Capabilities::default(),
            host: &Host::NONE,
        })
    }

    #[test]
    fn a_line_keeps_its_identifier_and_its_body_on_one_line() {
        let mut lines = Vec::new();
        let body = b"{\n  \"model\": \"m\", \"text\": \"a\\nb}\"\r\n}";
        OpenaiBatches.write_line("\"one\" 東京", "/v1/embeddings", body, &mut lines);
        OpenaiBatches.write_line("two", "/v1/embeddings", b"{}", &mut lines);
        let text = String::from_utf8(lines).unwrap();
        let read: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0]["custom_id"], "\"one\" 東京");
        assert_eq!(read[0]["method"], "POST");
        assert_eq!(read[0]["url"], "/v1/embeddings");
        assert_eq!(read[0]["body"], json!({"model": "m", "text": "a\nb}"}));
    }

    #[test]
    fn a_batch_is_made_of_the_file_that_was_uploaded() {
        with_target(|target| {
            let begun = OpenaiBatches.begin(target, "/v1/embeddings", "batch_1", b"{}\n".to_vec());
            let Ok(Beginning::Upload(upload)) = begun else {
                panic!("{begun:?}")
            };
            assert_eq!(upload.uri(), "https://api.openai.com/v1/files");
            let body = String::from_utf8_lossy(upload.body());
            assert!(body.contains("name=\"purpose\"\r\n\r\nbatch\r\n"), "{body}");
            let uploaded = br#"{"id":"file-9","object":"file"}"#;
            let create = OpenaiBatches
                .create(target, "/v1/embeddings", "batch_1", uploaded)
                .unwrap();
            assert_eq!(create.uri(), "https://api.openai.com/v1/batches");
            let body: serde_json::Value = serde_json::from_slice(create.body()).unwrap();
            assert_eq!(body["input_file_id"], "file-9");
            assert_eq!(body["endpoint"], "/v1/embeddings");
            let nothing = OpenaiBatches.create(target, "/v1/embeddings", "b", b"<html>");
            assert!(nothing.is_err());
        });
    }

    #[test]
    fn an_identifier_leads_nowhere_else() {
        with_target(|target| {
            let look = OpenaiBatches.look(target, "../files/x?y").unwrap();
            let path = look.uri().path();
            assert_eq!(path, "/v1/batches/..%2Ffiles%2Fx%3Fy");
            assert!(OpenaiBatches.fetch(target, "..").is_err());
        });
    }

    #[test]
    fn every_status_of_the_vendor_is_known_and_no_other() {
        let batch = |status: &str| {
            let body = json!({
                "id": "batch_7", "status": status, "output_file_id": "file-o", "error_file_id": null,
                "errors": {"object": "list", "data": [
                    {"code": "invalid_json_line", "message": "No.", "param": null, "line": 3},
                ]},
            });
            OpenaiBatches.read(body.to_string().as_bytes())
        };
        for status in ["validating", "in_progress", "finalizing", "cancelling"] {
            let id = "batch_7".to_owned();
            assert_eq!(batch(status), Ok(Progress::Working { id }));
        }
        for status in ["completed", "failed", "expired", "cancelled"] {
            let Ok(Progress::Ended { places, faults, .. }) = batch(status) else {
                panic!("{status} is an end")
            };
            assert_eq!(places, ["file-o"]);
            assert_eq!(
                (faults[0].line, faults[0].code.as_str()),
                (Some(3), "invalid_json_line")
            );
        }
        assert!(batch("resting").is_err());
    }

    #[test]
    fn a_result_is_an_answer_an_error_or_not_reached() {
        let line = |line: serde_json::Value| {
            OpenaiBatches
                .read_line(line.to_string().as_bytes())
                .unwrap()
                .outcome
        };
        let answered = line(json!({"id": "r", "custom_id": "a", "error": null,
            "response": {"status_code": 400, "request_id": "q", "body": {"error": {}}}}));
        let body = Bytes::from_static(br#"{"error":{}}"#);
        assert_eq!(answered, LineOutcome::Answered { status: 400, body });
        for code in ["batch_expired", "batch_cancelled"] {
            let error = json!({"code": code, "message": "Too late."});
            let unreached = line(json!({"custom_id": "a", "response": null, "error": error}));
            assert_eq!(unreached, LineOutcome::Unreached);
        }
        let error = json!({"code": "request_timeout", "message": "Too slow."});
        let failed = line(json!({"custom_id": "a", "response": null, "error": error}));
        assert!(
            matches!(failed, LineOutcome::Answered { status: 500, .. }),
            "{failed:?}"
        );
        assert!(OpenaiBatches.read_line(br#"{"custom_id":"a"}"#).is_err());
        assert!(OpenaiBatches.read_line(b"").is_err());
    }

    #[test]
    fn usage_is_read_of_chats_and_of_vectors() {
        let chat = br#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
        let observed = OpenaiBatches.observe("/v1/chat/completions", chat).unwrap();
        assert_eq!(observed.usage, Some(Usage::text(9, 2)));
        let vectors = br#"{"object":"list","data":[],"model":"e","usage":{"prompt_tokens":5,"total_tokens":5}}"#;
        let observed = OpenaiBatches.observe("/v1/embeddings", vectors).unwrap();
        assert_eq!(observed.usage, Some(Usage::text(5, 0)));
        assert_eq!(observed.response_model.as_deref(), Some("e"));
    }
}
