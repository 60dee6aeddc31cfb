//! Batch prediction jobs, which are really run: lines are read from Cloud Storage, each is asked of this provider itself,
//! and results are written there.
//! See <https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs>.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::clock::written;
use crate::escape::{decoded, encoded};
use crate::route::query;
use crate::sim::Sim;
use crate::tasks::again::{ask, visible};
use crate::tasks::storage::{object, put};
use crate::tasks::{Asked, Output};
use crate::vendor::Failure;

/// The last segment of the collection's path.
pub(crate) const COLLECTION: &str = "/batchPredictionJobs";
/// What tells jobs from other batches that are kept.
const KIND: &str = "_vertex";
/// The most lines of a job.
const MOST: usize = 1_000;

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(400, "INVALID_ARGUMENT", message)
}

/// `POST /v1/projects/{project}/locations/{location}/batchPredictionJobs`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    let body = asked.json()?;
    let known = [
        "displayName",
        "model",
        "inputConfig",
        "outputConfig",
        "labels",
    ];
    for (name, _) in body.as_object().into_iter().flatten() {
        if !known.contains(&name.as_str()) {
            return Err(invalid(format!(
                "Invalid JSON payload received. Unknown name \"{name}\" at 'batch_prediction_job': Cannot find field."
            )));
        }
    }
    let text = |value: &Value, name: &str| {
        let text = value.as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| invalid(format!("{name} is required.")))
    };
    text(&body["displayName"], "displayName")?;
    let model = text(&body["model"], "model")?;
    let is_publishers = |model: &str| {
        let rest = model.strip_prefix("publishers/");
        rest.is_some_and(|rest| rest.contains("/models/"))
    };
    if !is_publishers(&model) {
        return Err(invalid(format!("Invalid model resource name: {model}.")));
    }
    let (input, output) = (&body["inputConfig"], &body["outputConfig"]);
    if input["instancesFormat"] != "jsonl" || output["predictionsFormat"] != "jsonl" {
        return Err(invalid("Only the format jsonl is simulated."));
    }
    let uri = text(&input["gcsSource"]["uris"][0], "inputConfig.gcsSource.uris")?;
    let prefix = &output["gcsDestination"]["outputUriPrefix"];
    let prefix = text(prefix, "outputConfig.gcsDestination.outputUriPrefix")?;
    if !uri.starts_with("gs://") || !prefix.starts_with("gs://") {
        return Err(invalid("A Cloud Storage URI begins with gs://."));
    }
    let id = asked.shelf.number();
    let parent = asked.path().trim_start_matches("/v1/");
    let name = format!("{parent}/{id}");
    let mut job = body.clone();
    for (field, value) in [
        ("id", json!(name)),
        ("name", json!(name)),
        ("state", json!("JOB_STATE_PENDING")),
        ("createTime", json!(written(asked.now))),
        ("updateTime", json!(written(asked.now))),
        (KIND, json!(true)),
    ] {
        job[field] = value;
    }
    asked.shelf.put_batch(job.clone());
    Ok(shown(job))
}

/// `GET …/batchPredictionJobs`: newest first, of those that `filter` wants, which names a time.
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let size = query(asked.head, "pageSize").map_or(Ok(100), str::parse::<usize>);
    let size = size.map_err(|_| invalid("Invalid value at 'page_size' (TYPE_INT32)."))?;
    let skipped = query(asked.head, "pageToken").map_or(Ok(0), str::parse::<usize>);
    let skipped = skipped.map_err(|_| invalid("Page token is invalid."))?;
    if let Some(filter) = query(asked.head, "filter").map(decoded)
        && !(filter.starts_with("create_time>=\"") && filter.ends_with("Z\""))
    {
        return Err(invalid(format!("Invalid filter: {filter}")));
    }
    let all = asked.shelf.batches();
    let all: Vec<Value> = all.into_iter().filter(|job| job[KIND] == true).collect();
    let has_more = all.len() > skipped + size;
    let page = all.into_iter().skip(skipped).take(size).map(bare);
    let mut list = json!({ "batchPredictionJobs": page.collect::<Vec<_>>() });
    if has_more {
        list["nextPageToken"] = json!((skipped + size).to_string());
    }
    Ok(Output::Json(list))
}

/// `POST …/batchPredictionJobs/{id}:cancel`
pub(crate) fn cancel(asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut job = find(asked)?;
    if job["endTime"].is_null() {
        end(asked, &mut job, "JOB_STATE_CANCELLED");
        asked.shelf.put_batch(job);
    }
    Ok(Output::Json(json!({})))
}

/// `GET …/batchPredictionJobs/{id}`: a job runs when it is looked at first, and is done when it is looked at again.
pub(crate) async fn look(sim: &Sim, asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut job = find(asked)?;
    match job["state"].as_str() {
        Some("JOB_STATE_PENDING") => job["state"] = json!("JOB_STATE_RUNNING"),
        Some("JOB_STATE_RUNNING") => run(sim, asked, &mut job).await,
        _ => return Ok(shown(job)),
    }
    asked.shelf.put_batch(job.clone());
    Ok(shown(job))
}

async fn run(sim: &Sim, asked: &Asked<'_>, job: &mut Value) {
    let uri = job["inputConfig"]["gcsSource"]["uris"][0].as_str();
    let found = uri.and_then(|uri| object(asked.shelf, uri));
    let lines = found.ok_or_else(|| (5, "The input file was not found.".to_owned()));
    let lines = lines.and_then(|bytes| read(&bytes));
    let lines = match lines {
        Ok(lines) => lines,
        Err((code, message)) => {
            job["error"] = json!({ "code": code, "message": message });
            return end(asked, job, "JOB_STATE_FAILED");
        }
    };
    let parent = asked.path().split(COLLECTION).next().unwrap_or_default();
    let model = job["model"].as_str().unwrap_or_default();
    let verb = if model.starts_with("publishers/anthropic/") {
        "rawPredict"
    } else {
        "generateContent"
    };
    let path = format!("{parent}/{}:{verb}", encoded(model, b"/@"));
    let (mut results, mut good) = (Vec::new(), 0);
    for line in &lines {
        let (head, answer) = ask(sim, asked, &path, &["authorization"], &line["request"]).await;
        let mut result = json!({ "status": "", "processed_time": written(asked.now) });
        if let Some(id) = line.get("custom_id") {
            result["custom_id"] = id.clone();
        }
        result["request"] = line["request"].clone();
        if head.status.is_success() {
            good += 1;
            result["response"] = answer;
        } else {
            let reason = head.status.canonical_reason().unwrap_or_default();
            result["status"] = json!(format!("{reason}: {answer}"));
            result["response"] = json!({});
        }
        results.push(result.to_string());
    }
    // The order is not that of the requests.
    results.reverse();
    let prefix = job["outputConfig"]["gcsDestination"]["outputUriPrefix"].as_str();
    let prefix = prefix.unwrap_or_default().trim_end_matches('/');
    let folder = format!("{prefix}/prediction-model-{}", written(asked.now));
    let results_uri = format!("{folder}/predictions.jsonl");
    put(asked, &results_uri, Bytes::from(results.join("\n") + "\n"));
    job["outputInfo"] = json!({ "gcsOutputDirectory": folder });
    job["completionStats"] = json!({
        "successfulCount": good.to_string(), "failedCount": (results.len() - good).to_string(),
    });
    end(asked, job, "JOB_STATE_SUCCEEDED");
}

/// The lines of a file: each has a request, and may have a name.
fn read(bytes: &[u8]) -> Result<Vec<Value>, (u16, String)> {
    let refused = |message: String| (3, message);
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refused("The input file is not UTF-8.".to_owned()))?;
    let mut read = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line: Value = serde_json::from_str(line)
            .map_err(|_| refused(format!("Line {} is not valid JSON.", index + 1)))?;
        if !line["request"].is_object() {
            return Err(refused(format!("Line {} has no `request`.", index + 1)));
        }
        read.push(line);
    }
    if read.is_empty() || read.len() > MOST {
        return Err(refused(format!("A job has 1 to {MOST} lines.")));
    }
    Ok(read)
}

fn end(asked: &Asked<'_>, job: &mut Value, state: &str) {
    job["state"] = json!(state);
    job["endTime"] = json!(written(asked.now));
    job["updateTime"] = json!(written(asked.now));
}

fn find(asked: &Asked<'_>) -> Result<Value, Failure> {
    let name = asked.path().trim_start_matches("/v1/");
    let name = name.trim_end_matches(":cancel");
    let found = asked.shelf.batch(name).filter(|job| job[KIND] == true);
    found.ok_or_else(|| {
        let message = format!("The BatchPredictionJob \"{name}\" does not exist.");
        Failure::new(404, "NOT_FOUND", message)
    })
}

fn shown(job: Value) -> Output {
    Output::Json(bare(job))
}

fn bare(job: Value) -> Value {
    let mut job = visible(job);
    if let Some(fields) = job.as_object_mut() {
        fields.shift_remove("id");
    }
    job
}
