//! Mistral's batch jobs, at a host that speaks OpenAI's chats: a job of one model is made of files, and really run.
//! See <https://docs.mistral.ai/api/endpoint/batch>.

use serde_json::{Value, json};

use super::super::check::INVALID;
use super::batches::{ask, put_results};
use super::plain;
use crate::route::query;
use crate::sim::Sim;
use crate::tasks::{Asked, Output};
use crate::vendor::Failure;

/// Where jobs are.
pub(crate) const PREFIX: &str = "/v1/batch/jobs";
const ENDPOINTS: [&str; 3] = ["/v1/chat/completions", "/v1/embeddings", "/v1/moderations"];

/// `POST /v1/batch/jobs`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    let body = asked.json()?;
    let known = [
        "input_files",
        "model",
        "endpoint",
        "metadata",
        "timeout_hours",
    ];
    let mut fields = body.as_object().into_iter().flatten();
    if let Some((name, _)) = fields.find(|(name, _)| !known.contains(&name.as_str())) {
        return Err(plain(format!("Extra inputs are not permitted: {name}")).at("body"));
    }
    let endpoint = body["endpoint"].as_str().unwrap_or_default();
    if !ENDPOINTS.contains(&endpoint) {
        return Err(plain(format!("Invalid endpoint: {endpoint}")).at("endpoint"));
    }
    let model = body["model"].as_str().filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| plain("Field required").at("model"))?;
    let files = body["input_files"].as_array().cloned().unwrap_or_default();
    let ids: Vec<&str> = files.iter().filter_map(Value::as_str).collect();
    let [id] = ids[..] else {
        return Err(plain("List should have one item").at("input_files"));
    };
    let file = asked.shelf.file(id).filter(|file| file.purpose == "batch");
    let file = file.ok_or_else(|| {
        Failure::new(404, INVALID, format!("No such file: {id}")).at("input_files")
    })?;
    let lines = read(&file.bytes).map_err(plain)?;
    let job = json!({
        "id": format!("job-sim{:016x}", asked.shelf.number()),
        "object": "batch", "input_files": [id], "endpoint": endpoint, "model": model,
        "metadata": body["metadata"], "status": "QUEUED", "output_file": null, "error_file": null, "errors": [],
        "created_at": asked.now, "started_at": null, "completed_at": null,
        "total_requests": lines.len(), "completed_requests": 0, "succeeded_requests": 0, "failed_requests": 0,
    });
    asked.shelf.put_batch(job.clone());
    Ok(Output::Json(job))
}

/// The lines of a job: each has an id and a body, and nothing else.
fn read(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "The file is not UTF-8.")?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = index + 1;
        let line: Value =
            serde_json::from_str(line).map_err(|_| format!("Line {place} is not valid JSON."))?;
        let mut fields = line.as_object().into_iter().flatten();
        let is_known = fields.all(|(name, _)| name == "custom_id" || name == "body");
        if !is_known || !line["custom_id"].is_string() || !line["body"].is_object() {
            return Err(format!(
                "Line {place} needs `custom_id` and `body`, and nothing else."
            ));
        }
        if !line["body"]["model"].is_null() {
            return Err(format!("Line {place}: the model is the job's."));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// `GET /v1/batch/jobs`
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let number = |name: &str, default| query(asked.head, name).map_or(Ok(default), str::parse);
    let sizes: (Result<usize, _>, Result<usize, _>) = (number("page", 0), number("page_size", 100));
    let (Ok(page), Ok(size)) = sizes else {
        return Err(plain("Input should be a valid integer").at("page"));
    };
    let jobs: Vec<Value> = asked.shelf.batches().into_iter().filter(is_job).collect();
    let total = jobs.len();
    let shown: Vec<Value> = jobs
        .into_iter()
        .skip(page.saturating_mul(size))
        .take(size)
        .collect();
    Ok(Output::Json(
        json!({"object": "list", "total": total, "data": shown}),
    ))
}

/// `POST /v1/batch/jobs/{id}/cancel`
pub(crate) fn cancel(asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut job = find(asked)?;
    if matches!(job["status"].as_str(), Some("QUEUED" | "RUNNING")) {
        job["status"] = json!("CANCELLED");
        job["completed_at"] = json!(asked.now);
        asked.shelf.put_batch(job.clone());
    }
    Ok(Output::Json(job))
}

/// `GET /v1/batch/jobs/{id}`: a job runs when it is looked at first, and is done when it is looked at again.
pub(crate) async fn look(sim: &Sim, asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut job = find(asked)?;
    match job["status"].as_str() {
        Some("QUEUED") => {
            job["status"] = json!("RUNNING");
            job["started_at"] = json!(asked.now);
        }
        Some("RUNNING") => run(sim, asked, &mut job).await,
        _ => return Ok(Output::Json(job)),
    }
    asked.shelf.put_batch(job.clone());
    Ok(Output::Json(job))
}

async fn run(sim: &Sim, asked: &Asked<'_>, job: &mut Value) {
    let input = job["input_files"][0].as_str();
    let input = input.and_then(|id| asked.shelf.file(id));
    let lines = input.and_then(|file| read(&file.bytes).ok());
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for line in lines.unwrap_or_default() {
        let mut line = line;
        line["body"]["model"] = job["model"].clone();
        line["url"] = job["endpoint"].clone();
        let answer = ask(sim, asked, &line).await;
        let is_good = answer["response"]["status_code"] == 200;
        if is_good { &mut done } else { &mut failed }.push(answer.to_string());
    }
    job["status"] = json!("SUCCESS");
    job["completed_at"] = json!(asked.now);
    job["completed_requests"] = json!(done.len() + failed.len());
    job["succeeded_requests"] = json!(done.len());
    job["failed_requests"] = json!(failed.len());
    put_results(asked, job, [("output_file", done), ("error_file", failed)]);
}

fn is_job(batch: &Value) -> bool {
    batch["input_files"].is_array()
}

fn find(asked: &Asked<'_>) -> Result<Value, Failure> {
    let rest = asked.path().strip_prefix(PREFIX).unwrap_or_default();
    let id = rest.trim_start_matches('/').split('/').next();
    let found = asked.shelf.batch(id.unwrap_or_default()).filter(is_job);
    found.ok_or_else(|| Failure::new(404, INVALID, "No such job."))
}
