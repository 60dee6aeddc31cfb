//! Batch inference, which is really run: lines are read from S3, each is asked of this provider itself, and results are
//! written there.
//! See <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_CreateModelInvocationJob.html>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::invalid;
use crate::clock::written;
use crate::escape::{decoded, encoded};
use crate::route::query;
use crate::sim::Sim;
use crate::tasks::again::{ask_unsigned, visible};
use crate::tasks::storage::{object, put};
use crate::tasks::{Asked, Output};
use crate::vendor::Failure;

/// Where a job is made, and below which one is looked at.
pub(crate) const JOB: &str = "/model-invocation-job";
/// Where jobs are listed.
pub(crate) const LIST: &str = "/model-invocation-jobs";
/// What tells jobs from other batches that are kept.
const KIND: &str = "_bedrock";
/// How many records a job has at least and at most, as the quotas of an account begin.
const LEAST: usize = 100;
const MOST: usize = 50_000;

/// `POST /model-invocation-job`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    let body = asked.json()?;
    let known = [
        "clientRequestToken",
        "inputDataConfig",
        "jobName",
        "modelId",
        "modelInvocationType",
        "outputDataConfig",
        "roleArn",
        "tags",
        "timeoutDurationInHours",
        "vpcConfig",
    ];
    let fields = body.as_object().into_iter().flatten();
    if let Some((name, _)) = fields
        .into_iter()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        return Err(invalid(format!("Unknown field {name}.")));
    }
    let text = |value: &Value, name: &str| {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| {
            invalid(format!(
                "1 validation error detected: Value at '{name}' must not be null"
            ))
        })
    };
    let name = text(&body["jobName"], "jobName")?;
    let token = body["clientRequestToken"].as_str().unwrap_or(&name);
    for (value, field) in [(name.as_str(), "jobName"), (token, "clientRequestToken")] {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-+.".contains(&byte);
        if value.len() > 63 || !value.bytes().all(is_of_name) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: [a-zA-Z0-9]{{1,63}}(-*[a-zA-Z0-9\\+\\-\\.]){{0,63}}"
            )));
        }
    }
    let role = text(&body["roleArn"], "roleArn")?;
    if !(role.starts_with("arn:aws") && role.contains(":role/")) {
        return Err(invalid("The role is no ARN of a service role."));
    }
    text(&body["modelId"], "modelId")?;
    if !matches!(
        body["modelInvocationType"].as_str(),
        None | Some("InvokeModel" | "Converse")
    ) {
        return Err(invalid("modelInvocationType is InvokeModel or Converse."));
    }
    if !body["timeoutDurationInHours"]
        .as_u64()
        .is_none_or(|hours| (24..=168).contains(&hours))
    {
        return Err(invalid("timeoutDurationInHours is 24 to 168."));
    }
    for place in [
        &body["inputDataConfig"]["s3InputDataConfig"]["s3Uri"],
        &body["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"],
    ] {
        if !text(place, "s3Uri")?.starts_with("s3://") {
            return Err(invalid("An S3 URI begins with s3://."));
        }
    }
    // A token that was shown before is the same request.
    let jobs = asked.shelf.batches();
    let again = jobs
        .iter()
        .find(|job| job[KIND] == true && job["clientRequestToken"] == token);
    if let Some(job) = again {
        return Ok(Output::Json(json!({ "jobArn": job["id"] })));
    }
    if jobs
        .iter()
        .any(|job| job[KIND] == true && job["jobName"] == name)
    {
        return Err(Failure::new(
            409,
            "ConflictException",
            "A job of this name is there.",
        ));
    }
    let id = asked.shelf.number();
    let arn = format!("arn:aws:bedrock:us-east-1:123456789012:model-invocation-job/sim{id:09}");
    let mut job = body.clone();
    for (field, value) in [
        ("id", json!(arn)),
        ("jobArn", json!(arn)),
        ("status", json!("Submitted")),
        ("submitTime", json!(written(asked.now))),
        ("lastModifiedTime", json!(written(asked.now))),
        (KIND, json!(true)),
    ] {
        job[field] = value;
    }
    asked.shelf.put_batch(job);
    Ok(Output::Json(json!({ "jobArn": arn })))
}

/// `GET /model-invocation-jobs`
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let size = query(asked.head, "maxResults").map_or(Ok(100), str::parse::<usize>);
    let size = size.ok().filter(|size| (1..=1_000).contains(size));
    let size = size.ok_or_else(|| invalid("maxResults is 1 to 1000."))?;
    let skipped = query(asked.head, "nextToken").map_or(Ok(0), str::parse::<usize>);
    let skipped = skipped.map_err(|_| invalid("The token is not known."))?;
    let jobs = asked.shelf.batches();
    let jobs: Vec<Value> = jobs.into_iter().filter(|job| job[KIND] == true).collect();
    let has_more = jobs.len() > skipped + size;
    let page: Vec<Value> = jobs
        .into_iter()
        .skip(skipped)
        .take(size)
        .map(bare)
        .collect();
    let mut list = json!({ "invocationJobSummaries": page });
    if has_more {
        list["nextToken"] = json!((skipped + size).to_string());
    }
    Ok(Output::Json(list))
}

/// `POST /model-invocation-job/{arn}/stop`
pub(crate) fn stop(asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut job = find(asked)?;
    if !job["endTime"].is_null() {
        return Err(Failure::new(409, "ConflictException", "The job has ended."));
    }
    end(asked, &mut job, "Stopped");
    asked.shelf.put_batch(job);
    Ok(Output::Json(json!({})))
}

/// `GET /model-invocation-job/{arn}`: a job runs when it is looked at first, and is done when it is looked at again.
pub(crate) async fn look(sim: &Sim, asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut job = find(asked)?;
    match job["status"].as_str() {
        Some("Submitted") => job["status"] = json!("InProgress"),
        Some("InProgress") => run(sim, asked, &mut job).await,
        _ => return Ok(Output::Json(bare(job))),
    }
    asked.shelf.put_batch(job.clone());
    Ok(Output::Json(bare(job)))
}

async fn run(sim: &Sim, asked: &Asked<'_>, job: &mut Value) {
    let input = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].as_str();
    let input = input.unwrap_or_default().to_owned();
    let found = object(asked.shelf, &input);
    let records = found.ok_or_else(|| "The input file was not found.".to_owned());
    let records = match records.and_then(|bytes| read(&bytes)) {
        Ok(records) => records,
        Err(message) => {
            job["message"] = json!(message);
            return end(asked, job, "Failed");
        }
    };
    let model = encoded(job["modelId"].as_str().unwrap_or_default(), b"");
    let operation = match job["modelInvocationType"].as_str() {
        Some("Converse") => "converse",
        _ => "invoke",
    };
    let path = format!("/model/{model}/{operation}");
    let mut results = Vec::new();
    for record in &records {
        let (head, answer) = ask_unsigned(sim, &path, &record["modelInput"]).await;
        let mut result =
            json!({ "recordId": record["recordId"], "modelInput": record["modelInput"] });
        if head.status.is_success() {
            result["modelOutput"] = answer;
        } else {
            result["error"] = json!({
                "errorCode": head.status.as_u16(), "errorMessage": answer["message"],
            });
        }
        results.push(result.to_string());
    }
    // The order is not that of the records.
    results.reverse();
    let place = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].as_str();
    let place = place.unwrap_or_default().trim_end_matches('/');
    let id = job["jobArn"].as_str().unwrap_or_default();
    let id = id.rsplit('/').next().unwrap_or_default();
    let file = input.rsplit('/').next().unwrap_or_default();
    let results_uri = format!("{place}/{id}/{file}.out");
    put(asked, &results_uri, Bytes::from(results.join("\n") + "\n"));
    end(asked, job, "Completed");
}

/// The records of a file: each has an input, and may have a name.
fn read(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "The input file is not UTF-8.".to_owned())?;
    let mut read = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let record: Value = serde_json::from_str(line)
            .map_err(|_| format!("Record {} is not valid JSON.", index + 1))?;
        if !record["recordId"].is_string() || !record["modelInput"].is_object() {
            let place = index + 1;
            return Err(format!(
                "Record {place} needs a `recordId` and a `modelInput`."
            ));
        }
        read.push(record);
    }
    if !(LEAST..=MOST).contains(&read.len()) {
        return Err(format!(
            "A job has {LEAST} to {MOST} records; there are {}.",
            read.len()
        ));
    }
    Ok(read)
}

fn end(asked: &Asked<'_>, job: &mut Value, status: &str) {
    job["status"] = json!(status);
    job["endTime"] = json!(written(asked.now));
    job["lastModifiedTime"] = json!(written(asked.now));
}

fn find(asked: &Asked<'_>) -> Result<Value, Failure> {
    let rest = asked.path().strip_prefix(JOB).unwrap_or_default();
    let named = rest.trim_start_matches('/').trim_end_matches("/stop");
    let arn = decoded(named);
    let found = asked.shelf.batch(&arn).filter(|job| job[KIND] == true);
    let gone = || Failure::new(404, "ResourceNotFoundException", "The job is not known.");
    found.ok_or_else(gone)
}

fn bare(job: Value) -> Value {
    let mut job = visible(job);
    if let Some(fields) = job.as_object_mut() {
        fields.shift_remove("id");
    }
    job
}
