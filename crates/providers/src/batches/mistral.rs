//! Mistral's batch jobs: files as OpenAI has them, and jobs of one model that are made of them.
//! <https://docs.mistral.ai/api/endpoint/batch>

use bytes::Bytes;
use domain::batch::LineFault;
use http::{Method, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::openai::{NAME, read_result, read_uploaded, upload};
use super::{
    BatchApi, Beginning, Bounds, Handing, Listed, Mark, Page, Progress, ResultLine, Work,
    at_second, bare, read, write_head, write_on_one_line,
};
use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::outgoing;
use crate::url;

/// Mistral's batch jobs.
#[derive(Debug, Clone, Copy, Default)]
pub struct MistralBatches;

/// How many jobs a page of the list has.
const PAGE: &str = "100";

impl BatchApi for MistralBatches {
    /// A million requests in all jobs that have not ended; a file has at most 512 MB
    /// (<https://docs.mistral.ai/capabilities/batch>).
    fn bounds(&self) -> Bounds {
        Bounds {
            least: 1,
            lines: 1_000_000,
            bytes: 512_000_000,
        }
    }

    fn takes(&self, work: Work) -> bool {
        matches!(work, Work::Chat(Format::OpenaiChat) | Work::Embeddings)
    }

    /// The job names the model, and a line does not.
    fn write_line(&self, name: &str, _: Work, body: &[u8], lines: &mut Vec<u8>) {
        write_head(&json!({ "custom_id": name }), "body", lines);
        match serde_json::from_slice::<Map<String, Value>>(body) {
            Ok(mut fields) => {
                fields.shift_remove("model");
                lines.extend_from_slice(Value::Object(fields).to_string().as_bytes());
            }
            Err(_) => write_on_one_line(body, lines),
        }
        lines.extend_from_slice(b"}\n");
    }

    fn begin(&self, handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal> {
        let url = format!("{}/files", handing.target.base_url);
        upload(&url, handing.name, &lines).map(Beginning::Upload)
    }

    fn uploaded(&self, _: &Handing<'_>, uploaded: &[u8]) -> Result<String, DecodeError> {
        read_uploaded(uploaded)
    }

    fn create(&self, handing: &Handing<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let endpoint = match handing.work {
            Work::Chat(_) => "/v1/chat/completions",
            Work::Embeddings => "/v1/embeddings",
        };
        let body = json!({
            "input_files": [file],
            "model": handing.target.model,
            "endpoint": endpoint,
            "metadata": { NAME: handing.name },
            "timeout_hours": 24,
        });
        let url = format!("{}/batch/jobs", handing.target.base_url);
        outgoing::post_json(&url, "application/json", &body)
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let id = url::segment(id)?;
        bare(Method::GET, &format!("{}/batch/jobs/{id}", target.base_url))
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let id = url::segment(id)?;
        bare(
            Method::POST,
            &format!("{}/batch/jobs/{id}/cancel", target.base_url),
        )
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let job: Job = read(body, "a batch job")?;
        match job.status.as_str() {
            "QUEUED" | "RUNNING" | "CANCELLATION_REQUESTED" => Ok(Progress::Working { id: job.id }),
            status @ ("SUCCESS" | "FAILED" | "TIMEOUT_EXCEEDED" | "CANCELLED") => {
                Ok(Progress::Ended {
                    id: job.id,
                    places: [job.output_file, job.error_file]
                        .into_iter()
                        .flatten()
                        .collect(),
                    faults: if status == "FAILED" {
                        job.errors.into_iter().map(LineFault::from).collect()
                    } else {
                        Vec::new()
                    },
                    is_cut_short: status != "SUCCESS",
                })
            }
            other => Err(DecodeError::Malformed(format!(
                "the batch job has the status {other:?}, which is not known"
            ))),
        }
    }

    /// One page: it is asked for those that were made since, and a page can hold that many.
    fn list(
        &self,
        target: &Target<'_>,
        since: Timestamp,
        _: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal> {
        let since = since.to_string();
        let fields = [
            ("page", "0"),
            ("page_size", PAGE),
            ("created_after", &since),
        ];
        let query = url::form(&fields);
        let url = format!("{}/batch/jobs?{query}", target.base_url);
        bare(Method::GET, &url)
    }

    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError> {
        let list: List = read(body, "a list of batch jobs")?;
        Ok(Page {
            batches: list.data.into_iter().map(Listed::from).collect(),
            next: None,
        })
    }

    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal> {
        let file = url::segment(place)?;
        let url = format!("{}/files/{file}/content", target.base_url);
        bare(Method::GET, &url)
    }

    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError> {
        read_result(line)
    }

    fn discard(&self, target: &Target<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let file = url::segment(file)?;
        bare(Method::DELETE, &format!("{}/files/{file}", target.base_url))
    }
}

#[derive(Deserialize)]
struct Job {
    id: String,
    status: String,
    output_file: Option<String>,
    error_file: Option<String>,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    message: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    data: Vec<InList>,
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

impl From<Fault> for LineFault {
    fn from(fault: Fault) -> Self {
        Self::of_batch("provider_error", fault.message)
    }
}

impl From<InList> for Listed {
    fn from(job: InList) -> Self {
        Self {
            id: job.id,
            mark: Mark::Name(job.metadata.and_then(|metadata| metadata.name)),
            made_at: at_second(job.created_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

    const CHAT: Work = Work::Chat(Format::OpenaiChat);

    fn with_target<T>(test: impl FnOnce(&Target<'_>) -> T) -> T {
        test(&Target {
            model: "mistral-small-latest",
            base_url: "https://api.mistral.ai/v1",
            capabilities: &Capabilities::default(),
            host: &Host::NONE,
        })
    }

    #[test]
    fn the_job_names_the_model_and_its_lines_do_not() {
        let mut lines = Vec::new();
        let body = br#"{"model":"mistral-small-latest","messages":[],"temperature":0.3}"#;
        MistralBatches.write_line("one", CHAT, body, &mut lines);
        let expected = "{\"custom_id\":\"one\",\"body\":{\"messages\":[],\"temperature\":0.3}}\n";
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
        with_target(|target| {
            let handing = Handing {
                target,
                work: CHAT,
                name: "batch_1",
            };
            let create = MistralBatches.create(&handing, "f1").unwrap();
            assert_eq!(create.uri(), "https://api.mistral.ai/v1/batch/jobs");
            let body: Value = serde_json::from_slice(create.body()).unwrap();
            let expected = json!({
                "input_files": ["f1"], "model": "mistral-small-latest", "endpoint": "/v1/chat/completions",
                "metadata": {"trunkline_batch": "batch_1"}, "timeout_hours": 24,
            });
            assert_eq!(body, expected);
        });
    }

    #[test]
    fn every_status_of_the_vendor_is_known_and_no_other() {
        let job = |status: &str| {
            let body = json!({"id": "j1", "status": status, "output_file": "o", "error_file": null,
                "errors": [{"message": "No.", "count": 2}]});
            MistralBatches.read(body.to_string().as_bytes())
        };
        for status in ["QUEUED", "RUNNING", "CANCELLATION_REQUESTED"] {
            let id = "j1".to_owned();
            assert_eq!(job(status), Ok(Progress::Working { id }));
        }
        for status in ["SUCCESS", "FAILED", "TIMEOUT_EXCEEDED", "CANCELLED"] {
            let Ok(Progress::Ended {
                places,
                faults,
                is_cut_short,
                ..
            }) = job(status)
            else {
                panic!("{status} is an end")
            };
            assert_eq!(
                (places, is_cut_short),
                (vec!["o".to_owned()], status != "SUCCESS")
            );
            assert_eq!(faults.len(), usize::from(status == "FAILED"));
        }
        assert!(job("RESTING").is_err());
    }

    #[test]
    fn jobs_are_looked_for_since_a_time() {
        with_target(|target| {
            let list = MistralBatches.list(target, Timestamp::UNIX_EPOCH, None);
            let query = list.unwrap().uri().query().unwrap().to_owned();
            let expected = "page=0&page_size=100&created_after=1970-01-01T00%3A00%3A00Z";
            assert_eq!(query, expected);
        });
        let list = json!({"object": "list", "total": 1, "data": [
            {"id": "j1", "created_at": 1_790_000_000, "metadata": {"trunkline_batch": "ours"}},
        ]});
        let page = MistralBatches
            .read_list(list.to_string().as_bytes())
            .unwrap();
        assert_eq!(page.batches[0].mark, Mark::Name(Some("ours".to_owned())));
    }
}
