//! Amazon Bedrock's batch inference: jobs that read lines from a bucket of S3 and write results into it.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html> and
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob.html>

use bytes::Bytes;
use domain::batch::LineFault;
use http::{HeaderMap, Method, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::bucket::{self, bucket_of};
use super::{
    BatchApi, Beginning, Bounds, Handing, LineOutcome, Listed, Mark, Page, Progress, ResultLine,
    Work, bare, read, spliced, write_head, write_on_one_line,
};
use crate::anthropic::VERSION_FIELD;
use crate::bedrock::{ANTHROPIC_VERSION, endpoint};
use crate::dialect::{DecodeError, Format, Refusal, Target};
use crate::outgoing;
use crate::url;

/// Amazon Bedrock's batch inference.
#[derive(Debug, Clone, Copy, Default)]
pub struct BedrockBatches;

/// How many jobs a page of the list has.
const PAGE: &str = "100";

impl BatchApi for BedrockBatches {
    /// Accounts may have other quotas: these are what every account begins with
    /// (<https://docs.aws.amazon.com/general/latest/gr/bedrock.html#limits_bedrock>).
    fn bounds(&self) -> Bounds {
        Bounds {
            least: 100,
            lines: 50_000,
            bytes: 1_000_000_000,
        }
    }

    fn takes(&self, work: Work) -> bool {
        matches!(
            work,
            Work::Chat(Format::AnthropicMessages | Format::BedrockConverse)
        )
    }

    /// Anthropic's version stands in the line; what else is said beside a body has no place there.
    fn takes_beside(&self, fields: &HeaderMap) -> bool {
        fields.keys().all(|name| name == VERSION_FIELD)
    }

    fn write_line(&self, name: &str, work: Work, body: &[u8], lines: &mut Vec<u8>) {
        write_head(&json!({ "recordId": name }), "modelInput", lines);
        let input = match work {
            // A batch has a class of service of its own.
            Work::Chat(Format::AnthropicMessages) => spliced(
                body,
                &["model", "stream", "service_tier", "anthropic_version"],
                &[("anthropic_version", ANTHROPIC_VERSION)],
            ),
            _ => spliced(body, &["serviceTier"], &[]),
        };
        write_on_one_line(&input, lines);
        lines.extend_from_slice(b"}\n");
    }

    fn begin(&self, handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal> {
        bucket::begin(handing, lines)
    }

    /// The bucket's answer says nothing that is not known.
    fn uploaded(&self, handing: &Handing<'_>, _: &[u8]) -> Result<String, DecodeError> {
        bucket::uploaded(handing)
    }

    /// The token makes the same job of the same request, should it arrive twice.
    fn create(&self, handing: &Handing<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        let target = handing.target;
        let bucket = bucket_of(target)?;
        let name = job_name(handing.name);
        let kind = match handing.work {
            Work::Chat(Format::BedrockConverse) => "Converse",
            _ => "InvokeModel",
        };
        let body = json!({
            "jobName": name,
            "clientRequestToken": name,
            "roleArn": bucket.role_arn,
            "modelId": target.model,
            "modelInvocationType": kind,
            "inputDataConfig": { "s3InputDataConfig": { "s3Uri": file, "s3InputFormat": "JSONL" } },
            "outputDataConfig": { "s3OutputDataConfig": { "s3Uri": bucket.uri("") } },
            "timeoutDurationInHours": 24,
        });
        let url = format!("{}/model-invocation-job", endpoint::control(target)?);
        outgoing::post_json(&url, "application/json", &body)
    }

    fn look(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        bare(Method::GET, &job(target, id)?)
    }

    fn cancel(&self, target: &Target<'_>, id: &str) -> Result<Request<Bytes>, Refusal> {
        bare(Method::POST, &format!("{}/stop", job(target, id)?))
    }

    fn read(&self, body: &[u8]) -> Result<Progress, DecodeError> {
        let job: Job = read(body, "a model invocation job")?;
        let place = job.results();
        let id = job.arn;
        let ended = |is_cut_short| {
            Ok(Progress::Ended {
                id: id.clone(),
                places: place.into_iter().collect(),
                faults: Vec::new(),
                is_cut_short,
            })
        };
        match job.status.as_deref() {
            // One that was just made says its name only.
            None | Some("Submitted" | "Validating" | "Scheduled" | "InProgress" | "Stopping") => {
                Ok(Progress::Working { id })
            }
            Some("Completed" | "PartiallyCompleted") => ended(false),
            Some("Stopped" | "Expired") => ended(true),
            Some("Failed") => {
                let message = job.message.unwrap_or_else(|| "The job failed.".to_owned());
                Ok(Progress::Ended {
                    id,
                    places: Vec::new(),
                    faults: vec![LineFault::of_batch("job_failed", message)],
                    is_cut_short: true,
                })
            }
            Some(other) => Err(DecodeError::Malformed(format!(
                "the model invocation job has the status {other:?}, which is not known"
            ))),
        }
    }

    fn list(
        &self,
        target: &Target<'_>,
        since: Timestamp,
        page: Option<&str>,
    ) -> Result<Request<Bytes>, Refusal> {
        let since = since.to_string();
        let mut fields = vec![
            ("maxResults", PAGE),
            ("sortBy", "CreationTime"),
            ("sortOrder", "Descending"),
            ("submitTimeAfter", &since),
        ];
        fields.extend(page.map(|token| ("nextToken", token)));
        let (control, query) = (endpoint::control(target)?, url::form(&fields));
        bare(
            Method::GET,
            &format!("{control}/model-invocation-jobs?{query}"),
        )
    }

    fn read_list(&self, body: &[u8]) -> Result<Page, DecodeError> {
        let list: List = read(body, "a list of model invocation jobs")?;
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
        let outcome = match (line.output, line.error) {
            (_, Some(error)) => LineOutcome::Answered {
                status: error.code,
                body: json!({ "message": error.message }).to_string().into(),
            },
            (Some(output), None) => LineOutcome::Answered {
                status: 200,
                body: Bytes::copy_from_slice(output.get().as_bytes()),
            },
            (None, None) => {
                let what = "a line of results has neither an output nor an error";
                return Err(DecodeError::Malformed(what.to_owned()));
            }
        };
        Ok(ResultLine {
            name: line.id,
            outcome,
        })
    }

    fn discard(&self, target: &Target<'_>, file: &str) -> Result<Request<Bytes>, Refusal> {
        bucket_of(target)?.delete(target, file)
    }
}

/// A job's name: it may not have the `_` of ours, which stands behind the first word only.
fn job_name(name: &str) -> String {
    name.replacen('_', "-", 1)
}

fn job(target: &Target<'_>, arn: &str) -> Result<String, Refusal> {
    let (control, arn) = (endpoint::control(target)?, url::segment(arn)?);
    Ok(format!("{control}/model-invocation-job/{arn}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    #[serde(rename = "jobArn")]
    arn: String,
    #[serde(rename = "jobName")]
    name: Option<String>,
    status: Option<String>,
    message: Option<String>,
    submit_time: Option<String>,
    input_data_config: Option<Input>,
    output_data_config: Option<Output>,
}

impl Job {
    /// Where the results are: below the configured place in a folder that is called as the job is, under the name
    /// of the lines and `.out`
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html>).
    fn results(&self) -> Option<String> {
        let lines = &self.input_data_config.as_ref()?.place.uri;
        let place = &self.output_data_config.as_ref()?.place.uri;
        let (_, file) = lines.rsplit_once('/')?;
        let (_, id) = self.arn.rsplit_once('/')?;
        Some(format!("{}/{id}/{file}.out", place.trim_end_matches('/')))
    }
}

#[derive(Deserialize)]
struct Input {
    #[serde(rename = "s3InputDataConfig")]
    place: Place,
}

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "s3OutputDataConfig")]
    place: Place,
}

#[derive(Deserialize)]
struct Place {
    #[serde(rename = "s3Uri")]
    uri: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default, rename = "invocationJobSummaries")]
    jobs: Vec<Job>,
    #[serde(rename = "nextToken")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "recordId")]
    id: String,
    #[serde(rename = "modelOutput", borrow)]
    output: Option<&'a RawValue>,
    error: Option<LineError>,
}

#[derive(Deserialize)]
struct LineError {
    #[serde(default = "unknown", rename = "errorCode")]
    code: u16,
    #[serde(default, rename = "errorMessage")]
    message: String,
}

/// The status code of an error that has none.
fn unknown() -> u16 {
    500
}

impl From<Job> for Listed {
    fn from(job: Job) -> Self {
        Self {
            made_at: job.submit_time.and_then(|time| time.parse().ok()),
            mark: Mark::Name(job.name.map(|name| name.replacen('-', "_", 1))),
            id: job.arn,
        }
    }
}

#[cfg(test)]
mod tests;
