//! Vertex AI's batch prediction jobs, which read lines from a bucket of Cloud Storage and write results into it.
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage> and
//! <https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs>

use std::borrow::Cow;

use bytes::Bytes;
use domain::batch::LineFault;
use http::{HeaderMap, Method, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::bucket::{self, bucket_of};
use super::gemini::{Status, status_of};
use super::{
    BatchApi, Beginning, Bounds, Handing, LineOutcome, Listed, Mark, Page, Progress, ResultLine,
    Work, bare, read, spliced, write_head, write_on_one_line,
};
use crate::anthropic::VERSION_FIELD;
use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::outgoing;
use crate::url;
use crate::vertex::{self, ANTHROPIC_VERSION};

/// Vertex AI's batch prediction jobs.
#[derive(Debug, Clone, Copy, Default)]
pub struct VertexBatches;

/// How many jobs a page of the list has.
const PAGE: &str = "100";
/// The label by which a line of Gemini's is told from others: its results hold the request that they answer.
/// Labels are lower-case letters, digits, `_` and `-`, at most 63 of them.
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/add-labels-to-api-calls>
const LABEL: &str = "trunkline_line";
/// What the results of a job are called, in a folder of their own.
const RESULTS: &str = "predictions.jsonl";

impl BatchApi for VertexBatches {
    /// <https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-gemini#limitations>
    fn bounds(&self) -> Bounds {
        Bounds {
            least: 1,
            lines: 200_000,
            bytes: 1_000_000_000,
        }
    }

    fn takes(&self, work: Work) -> bool {
        matches!(work, Work::Chat(Format::Gemini | Format::AnthropicMessages))
    }

    /// Anthropic's version stands in the line; beta features have no place there.
    fn takes_beside(&self, fields: &HeaderMap) -> bool {
        fields.keys().all(|name| name == VERSION_FIELD)
    }

    fn write_line(&self, name: &str, work: Work, body: &[u8], lines: &mut Vec<u8>) {
        if work == Work::Chat(Format::Gemini) {
            lines.extend_from_slice(b"{\"request\":");
            write_on_one_line(&labelled(name, body), lines);
        } else {
            write_head(&json!({ "custom_id": name }), "request", lines);
            let removed = ["model", "stream", "anthropic_version"];
            let added = [("anthropic_version", ANTHROPIC_VERSION)];
            write_on_one_line(&spliced(body, &removed, &added), lines);
        }
        lines.extend_from_slice(b"}\n");
    }

    fn begin(&self, handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal> {
        bucket::begin(handing, lines)
    }

    /// The bucket's answer says nothing that is not known.
    fn uploaded(&self, handing: &Handing<'_>, _: &[u8]) -> Result<String, DecodeError> {
        bucket::uploaded(handing)
    }

    fn create(&self, handing: &Handing<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let target = handing.target;
        let results = bucket_of(target)?.uri(handing.name);
        let body = json!({
            "displayName": handing.name,
            "model": vertex::resource(target.model)?,
            "inputConfig": { "instancesFormat": "jsonl", "gcsSource": { "uris": [file] } },
            "outputConfig": {
                "predictionsFormat": "jsonl", "gcsDestination": { "outputUriPrefix": results },
            },
        });
        outgoing::post_json(&jobs(target)?, "application/json", &body)
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        bare(Method::GET, &job(target, id)?)
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        let url = format!("{}:cancel", job(target, id)?);
        outgoing::post_json(&url, "application/json", &json!({}))
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let job: Job = read(body, "a batch prediction job")?;
        let id = job.name;
        let folder = job.output_info.and_then(|output| output.folder);
        let places = || {
            let folder = folder.iter();
            folder
                .map(|folder| format!("{}/{RESULTS}", folder.trim_end_matches('/')))
                .collect()
        };
        match job.state.trim_start_matches("JOB_STATE_") {
            "SUCCEEDED" | "PARTIALLY_SUCCEEDED" => Ok(Progress::Ended {
                places: places(),
                id,
                faults: Vec::new(),
                is_cut_short: false,
            }),
            state @ ("FAILED" | "CANCELLED" | "EXPIRED") => {
                let stats = job.completion_stats.unwrap_or_default();
                // One that failed before its first line names a folder in which there is nothing.
                let is_empty = state == "FAILED" && !stats.has_any();
                let fault = job.error.filter(|_| state == "FAILED");
                Ok(Progress::Ended {
                    places: if is_empty { Vec::new() } else { places() },
                    id,
                    faults: fault.map(LineFault::from).into_iter().collect(),
                    is_cut_short: true,
                })
            }
            "" | "UNSPECIFIED" | "QUEUED" | "PENDING" | "RUNNING" | "CANCELLING" | "PAUSED"
            | "UPDATING" => Ok(Progress::Working { id }),
            other => Err(DecodeError::Malformed(format!(
                "the batch prediction job has the state {other:?}, which is not known"
            ))),
        }
    }

    fn list(
        &self,
        target: &Target<'_>,
        since: Timestamp,
        page: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal> {
        let since = format!("create_time>=\"{since}\"");
        let mut fields = vec![("pageSize", PAGE), ("filter", since.as_str())];
        fields.extend(page.map(|token| ("pageToken", token)));
        let url = format!("{}?{}", jobs(target)?, url::form(&fields));
        bare(Method::GET, &url)
    }

    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError> {
        let list: List = read(body, "a list of batch prediction jobs")?;
        Ok(Page {
            batches: list.jobs.into_iter().map(Listed::from).collect(),
            next: list.next.filter(|token| !token.is_empty()),
        })
    }

    fn fetch(&self, target: &Target<'_>, place: &str) -> Result<Request<Bytes>, Refusal> {
        bucket_of(target)?.fetch(target, place)
    }

    fn names_places_early(&self) -> bool {
        true
    }

    fn read_line(&self, line: &[u8]) -> Result<ResultLine, DecodeError> {
        let line: Line<'_> = read(line, "a line of results")?;
        let of_request = || line.request.and_then(|request| request.labels?.name);
        let Some(name) = line.custom_id.or_else(of_request) else {
            let what = "a line of results does not say which request it answers";
            return Err(DecodeError::Malformed(what.to_owned()));
        };
        let outcome = match (line.status.as_ref(), line.response) {
            ("", Some(response)) => LineOutcome::Answered {
                status: 200,
                body: Bytes::copy_from_slice(response.get().as_bytes()),
            },
            (said, _) => failed(said),
        };
        Ok(ResultLine { name, outcome })
    }

    fn discard(&self, target: &Target<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        bucket_of(target)?.delete(target, file)
    }
}

/// Where jobs are.
fn jobs(target: &Target<'_>) -> Result<String, Refusal> {
    Ok(format!("{}/batchPredictionJobs", vertex::parent(target)?))
}

/// The address of a job that the vendor calls `projects/…/batchPredictionJobs/ID`.
fn job(target: &Target<'_>, name: &str) -> Result<String, Refusal> {
    let id = name.rsplit('/').next().unwrap_or_default();
    Ok(format!("{}/{}", jobs(target)?, url::segment(id)?))
}

/// A request with the label that tells it from others, beside those of its own.
fn labelled<'b>(name: &str, body: &'b [u8]) -> Cow<'b, [u8]> {
    let own: Labelled = serde_json::from_slice(body).unwrap_or_default();
    let mut labels = own.labels.unwrap_or_default();
    labels.insert(LABEL.to_owned(), name.into());
    spliced(
        body,
        &["labels"],
        &[("labels", &Value::Object(labels).to_string())],
    )
}

/// A line that was not answered. Its status is a sentence, mostly with the error of a request of its own in it:
/// `Bad Request: {"error": {"code": 400, …}}`.
fn failed(said: &str) -> LineOutcome {
    let told = said.find('{').and_then(|at| said.get(at..));
    let error = told.and_then(|told| serde_json::from_str::<ErrorBody>(told).ok());
    match (error, told) {
        (Some(error), Some(told)) => LineOutcome::Answered {
            status: status_of(error.error.code),
            body: Bytes::copy_from_slice(told.as_bytes()),
        },
        _ => LineOutcome::Answered {
            status: 500,
            body: json!({ "error": { "code": 500, "message": said, "status": "INTERNAL" } })
                .to_string()
                .into(),
        },
    }
}

#[derive(Deserialize, Default)]
struct Labelled {
    labels: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    name: String,
    #[serde(default)]
    state: String,
    display_name: Option<String>,
    create_time: Option<String>,
    error: Option<Status>,
    output_info: Option<OutputInfo>,
    completion_stats: Option<CompletionStats>,
}

#[derive(Deserialize)]
struct OutputInfo {
    #[serde(rename = "gcsOutputDirectory")]
    folder: Option<String>,
}

/// Counts, which are 64-bit integers and so written as text.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct CompletionStats {
    #[serde(default)]
    successful_count: String,
    #[serde(default)]
    failed_count: String,
}

impl CompletionStats {
    fn has_any(&self) -> bool {
        let is_some = |count: &str| !matches!(count, "" | "0");
        is_some(&self.successful_count) || is_some(&self.failed_count)
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default, rename = "batchPredictionJobs")]
    jobs: Vec<Job>,
    #[serde(rename = "nextPageToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    custom_id: Option<String>,
    request: Option<LineRequest>,
    #[serde(default, borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LineRequest {
    labels: Option<LineLabels>,
}

#[derive(Deserialize)]
struct LineLabels {
    #[serde(rename = "trunkline_line")]
    name: Option<String>,
}

impl From<Job> for Listed {
    fn from(job: Job) -> Self {
        Self {
            made_at: job.create_time.and_then(|time| time.parse().ok()),
            mark: Mark::Name(job.display_name),
            id: job.name,
        }
    }
}

#[cfg(test)]
mod tests;
