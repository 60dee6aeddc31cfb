//! OpenAI's batches: a file of lines is uploaded, and a batch is made of it.
//! <https://platform.openai.com/docs/api-reference/batch>

use bytes::Bytes;
use domain::batch::LineFault;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{
    BatchApi, Beginning, Bounds, Handing, LineOutcome, Listed, Mark, Page, Progress, ResultLine,
    Work, at_second, bare, read, write_head, write_on_one_line,
};
use crate::azure;
use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::multipart::NewForm;
use crate::outgoing;
use crate::url;

/// OpenAI's batches, as one of those serves them who have them.
#[derive(Debug, Clone, Copy)]
pub enum OpenaiBatches {
    /// OpenAI, and hosts that have the same endpoints (Groq: <https://console.groq.com/docs/batch>).
    Own,
    /// Azure: the model is a deployment of the kind that takes batches and nothing else
    /// (<https://learn.microsoft.com/en-us/azure/ai-foundry/openai/how-to/batch>).
    Azure,
}

/// Who a batch belongs to, among the metadata that the vendor keeps of it.
pub(super) const NAME: &str = "trunkline_batch";
/// How many batches a page of the list has.
const PAGE: &str = "100";

impl OpenaiBatches {
    fn url(self, target: &Target<'_>, endpoint: &str) -> Result<String, Refusal> {
        match self {
            Self::Own => Ok(format!("{}/{endpoint}", target.base_url)),
            Self::Azure => azure::endpoint(target, endpoint),
        }
    }

    /// What a line says that it asks.
    fn path(self, work: Work) -> &'static str {
        match (self, work) {
            (Self::Azure, Work::Chat(Format::OpenaiChat)) => "/chat/completions",
            (_, Work::Chat(Format::OpenaiResponses)) => "/v1/responses",
            (_, Work::Chat(Format::OpenaiCompletions)) => "/v1/completions",
            (_, Work::Chat(_)) => "/v1/chat/completions",
            (_, Work::Embeddings) => "/v1/embeddings",
        }
    }
}

impl BatchApi for OpenaiBatches {
    /// <https://platform.openai.com/docs/guides/batch#rate-limits>; Azure allows twice the lines.
    fn bounds(&self) -> Bounds {
        Bounds {
            least: 1,
            lines: 50_000,
            bytes: 200 * 1024 * 1024,
        }
    }

    fn takes(&self, work: Work) -> bool {
        match work {
            Work::Chat(Format::OpenaiChat | Format::OpenaiResponses) => true,
            Work::Chat(Format::OpenaiCompletions) | Work::Embeddings => matches!(self, Self::Own),
            Work::Chat(_) => false,
        }
    }

    fn write_line(&self, name: &str, work: Work, body: &[u8], lines: &mut Vec<u8>) {
        let url = self.path(work);
        write_head(
            &json!({ "custom_id": name, "method": "POST", "url": url }),
            "body",
            lines,
        );
        write_on_one_line(body, lines);
        lines.extend_from_slice(b"}\n");
    }

    fn begin(&self, handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal> {
        let url = self.url(handing.target, "files")?;
        upload(&url, handing.name, &lines).map(Beginning::Upload)
    }

    fn uploaded(&self, _: &Handing<'_>, uploaded: &[u8]) -> Result<String, DecodeError> {
        read_uploaded(uploaded)
    }

    fn create(&self, handing: &Handing<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let body = json!({
            "input_file_id": file,
            "endpoint": self.path(handing.work),
            "completion_window": "24h",
            "metadata": { NAME: handing.name },
        });
        let url = self.url(handing.target, "batches")?;
        outgoing::post_json(&url, "application/json", &body)
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let endpoint = format!("batches/{}", url::segment(id)?);
        bare(Method::GET, &self.url(target, &endpoint)?)
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let endpoint = format!("batches/{}/cancel", url::segment(id)?);
        outgoing::post_json(
            &self.url(target, &endpoint)?,
            "application/json",
            &json!({}),
        )
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let batch: Batch = read(body, "a batch")?;
        let id = batch.id;
        match batch.status.as_str() {
            "validating" | "in_progress" | "finalizing" | "cancelling" => {
                Ok(Progress::Working { id })
            }
            status @ ("completed" | "failed" | "expired" | "cancelled") => Ok(Progress::Ended {
                id,
                places: [batch.output_file_id, batch.error_file_id]
                    .into_iter()
                    .flatten()
                    // Azure says that there is no file by an empty name.
                    .filter(|file| !file.is_empty())
                    .collect(),
                faults: batch.errors.map(|errors| errors.data).unwrap_or_default(),
                is_cut_short: status != "completed",
            }),
            other => Err(DecodeError::Malformed(format!(
                "the batch has the status {other:?}, which is not known"
            ))),
        }
    }

    fn list(
        &self,
        target: &Target<'_>,
        _: Timestamp,
        page: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal> {
        let mut fields = vec![("limit", PAGE)];
        fields.extend(page.map(|after| ("after", after)));
        let url = self.url(target, "batches")?;
        // Azure's has a query already.
        let mark = if url.contains('?') { '&' } else { '?' };
        bare(Method::GET, &format!("{url}{mark}{}", url::form(&fields)))
    }

    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError> {
        let list: List = read(body, "a list of batches")?;
        let batches: Vec<Listed> = list.data.into_iter().map(Listed::from).collect();
        let next = batches.last().map(|batch| batch.id.clone());
        Ok(Page {
            next: next.filter(|_| list.has_more),
            batches,
        })
    }

    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal> {
        let endpoint = format!("files/{}/content", url::segment(place)?);
        bare(Method::GET, &self.url(target, &endpoint)?)
    }

    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError> {
        read_result(line)
    }

    fn discard(&self, target: &Target<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let endpoint = format!("files/{}", url::segment(file)?);
        bare(Method::DELETE, &self.url(target, &endpoint)?)
    }
}

/// Uploads lines as a file for batches.
pub(super) fn upload(url: &str, name: &str, lines: &[u8]) -> Result<Request<Bytes>, Refusal> {
    let file_name = format!("{name}.jsonl");
    let (content_type, body) = NewForm::default()
        .text("purpose", "batch")
        .file("file", &file_name, "application/jsonl", lines)
        .finish();
    outgoing::post(url, &content_type, "application/json", body)
}

/// What a file is called that was uploaded.
pub(super) fn read_uploaded(uploaded: &[u8]) -> Result<String, DecodeError> {
    let file: Identified = read(uploaded, "a file")?;
    Ok(file.id)
}

/// Reads a line of results.
pub(super) fn read_result(line: &[u8]) -> Result<ResultLine, DecodeError> {
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
        name: line.custom_id,
        outcome,
    })
}

/// The codes of lines that the end of a batch came before
/// (<https://platform.openai.com/docs/api-reference/batch/request-output>).
fn is_unreached(code: &str) -> bool {
    matches!(code, "batch_expired" | "batch_cancelled")
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
struct List {
    data: Vec<InList>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct InList {
    id: String,
    created_at: Option<i64>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "trunkline_batch")]
    name: Option<String>,
}

impl From<InList> for Listed {
    fn from(batch: InList) -> Self {
        Self {
            id: batch.id,
            mark: Mark::Name(batch.metadata.and_then(|metadata| metadata.name)),
            made_at: at_second(batch.created_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

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
        OpenaiBatches::Own.write_line("\"one\" 東京", EMBED, body, &mut lines);
        OpenaiBatches::Own.write_line("two", EMBED, b"{}", &mut lines);
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

    const EMBED: Work = Work::Embeddings;

    #[test]
    fn a_batch_is_made_of_the_file_that_was_uploaded() {
        with_target(|target| {
            let handing = Handing {
                target,
                work: EMBED,
                name: "batch_1",
            };
            let begun = OpenaiBatches::Own.begin(&handing, b"{}\n".to_vec());
            let Ok(Beginning::Upload(upload)) = begun else {
                panic!("{begun:?}")
            };
            assert_eq!(upload.uri(), "https://api.openai.com/v1/files");
            let body = String::from_utf8_lossy(upload.body());
            assert!(body.contains("name=\"purpose\"\r\n\r\nbatch\r\n"), "{body}");
            let uploaded =
                OpenaiBatches::Own.uploaded(&handing, br#"{"id":"file-9","object":"file"}"#);
            let create = OpenaiBatches::Own.create(&handing, &uploaded.unwrap());
            let create = create.unwrap();
            assert_eq!(create.uri(), "https://api.openai.com/v1/batches");
            let body: serde_json::Value = serde_json::from_slice(create.body()).unwrap();
            assert_eq!(body["input_file_id"], "file-9");
            assert_eq!(body["endpoint"], "/v1/embeddings");
            assert_eq!(body["metadata"]["trunkline_batch"], "batch_1");
            assert!(OpenaiBatches::Own.uploaded(&handing, b"<html>").is_err());
        });
    }

    #[test]
    fn azure_has_its_own_addresses_and_names_the_endpoint_otherwise() {
        let target = Target {
            model: "gpt-batch",
            base_url: "https://eu.openai.azure.com",
            capabilities: &Capabilities::default(),
            host: &Host {
                api_version: Some("2024-10-21".into()),
                ..Host::NONE
            },
        };
        let azure = OpenaiBatches::Azure;
        let list = azure
            .list(&target, Timestamp::UNIX_EPOCH, Some("batch_1"))
            .unwrap();
        let expected = "https://eu.openai.azure.com/openai/batches?api-version=2024-10-21&limit=100&after=batch_1";
        assert_eq!(list.uri(), expected);
        let mut lines = Vec::new();
        azure.write_line("a", Work::Chat(Format::OpenaiChat), b"{}", &mut lines);
        let line: serde_json::Value = serde_json::from_slice(&lines).unwrap();
        assert_eq!(line["url"], "/chat/completions");
        assert!(!azure.takes(EMBED));
    }

    #[test]
    fn a_list_tells_whose_batches_are_and_where_it_goes_on() {
        let list = json!({"object": "list", "has_more": true, "data": [
            {"id": "b2", "created_at": 1_790_000_000, "metadata": {"trunkline_batch": "ours", "x": "y"}},
            {"id": "b1", "created_at": 1, "metadata": null},
        ]});
        let page = OpenaiBatches::Own.read_list(list.to_string().as_bytes());
        let page = page.unwrap();
        assert_eq!(page.next.as_deref(), Some("b1"));
        assert_eq!(page.batches[0].mark, Mark::Name(Some("ours".to_owned())));
        assert_eq!(page.batches[1].mark, Mark::Name(None));
        let second = page.batches[0].made_at.map(jiff::Timestamp::as_second);
        assert_eq!(second, Some(1_790_000_000));
    }

    #[test]
    fn an_identifier_leads_nowhere_else() {
        with_target(|target| {
            let look = OpenaiBatches::Own.look(target, "../files/x?y").unwrap();
            let path = look.uri().path();
            assert_eq!(path, "/v1/batches/..%2Ffiles%2Fx%3Fy");
            assert!(OpenaiBatches::Own.fetch(target, "..").is_err());
            assert!(OpenaiBatches::Own.discard(target, "..").is_err());
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
            OpenaiBatches::Own.read(body.to_string().as_bytes())
        };
        for status in ["validating", "in_progress", "finalizing", "cancelling"] {
            let id = "batch_7".to_owned();
            assert_eq!(batch(status), Ok(Progress::Working { id }));
        }
        for status in ["completed", "failed", "expired", "cancelled"] {
            let Ok(Progress::Ended {
                places,
                faults,
                is_cut_short,
                ..
            }) = batch(status)
            else {
                panic!("{status} is an end")
            };
            assert_eq!(places, ["file-o"]);
            assert_eq!(is_cut_short, status != "completed");
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
            OpenaiBatches::Own
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
        assert!(
            OpenaiBatches::Own
                .read_line(br#"{"custom_id":"a"}"#)
                .is_err()
        );
        assert!(OpenaiBatches::Own.read_line(b"").is_err());
    }
}
