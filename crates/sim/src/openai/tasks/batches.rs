//! Batches, which are really run: each line is asked of this provider itself.
//! See <https://platform.openai.com/docs/api-reference/batch>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::check::{INVALID, one_of, required, text};
use super::files::{lines, page};
use super::{known, plain};
use crate::node::Node;
use crate::sim::Sim;
use crate::tasks::shelf::File;
use crate::tasks::{Asked, Output, again};
use crate::vendor::Failure;

/// The endpoints that batches may ask.
const ENDPOINTS: [&str; 6] = [
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
];
/// The most lines of a batch.
const MOST: usize = 1_000;

/// `POST /v1/batches`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(
        &root,
        &[
            "input_file_id",
            "endpoint",
            "completion_window",
            "metadata",
            "output_expires_after",
        ],
    )?;
    let endpoint = required(&root, "endpoint")?;
    let endpoint = one_of(&endpoint, &ENDPOINTS)?;
    one_of(&required(&root, "completion_window")?, &["24h"])?;
    let id = required(&root, "input_file_id")?;
    let id = text(&id)?;
    let file = asked.shelf.file(id).ok_or_else(|| {
        Failure::new(404, INVALID, format!("No such File object: {id}")).at("input_file_id")
    })?;
    if file.purpose != "batch" {
        return Err(plain(format!(
            "Expected file purpose 'batch', but got '{}'.",
            file.purpose
        ))
        .at("input_file_id"));
    }
    let errors = faults(&file.bytes, endpoint);
    let status = if errors.is_empty() {
        "validating"
    } else {
        "failed"
    };
    let batch = json!({
        "id": format!("batch_sim{:016x}", asked.shelf.number()),
        "object": "batch",
        "endpoint": endpoint,
        "errors": if errors.is_empty() { Value::Null } else { json!({"object": "list", "data": errors}) },
        "input_file_id": id,
        "completion_window": "24h",
        "status": status,
        "output_file_id": null,
        "error_file_id": null,
        "created_at": asked.now,
        "in_progress_at": null,
        "expires_at": asked.now + 86_400,
        "finalizing_at": null,
        "completed_at": null,
        "failed_at": if status == "failed" { json!(asked.now) } else { Value::Null },
        "expired_at": null,
        "cancelling_at": null,
        "cancelled_at": null,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body["metadata"],
    });
    asked.shelf.put_batch(batch.clone());
    Ok(Output::Json(batch))
}

/// What is wrong with the lines.
fn faults(file: &[u8], endpoint: &str) -> Vec<Value> {
    let fault = |line: usize, code: &str, message: &str| json!({"code": code, "message": message, "line": line, "param": null});
    let lines = match lines(file) {
        Ok(lines) => lines,
        Err(sentence) => return vec![fault(1, "invalid_json_line", &sentence)],
    };
    if lines.len() > MOST {
        return vec![fault(
            MOST + 1,
            "too_many_requests",
            "The batch has too many lines for the simulated provider.",
        )];
    }
    let mut seen: Vec<&Value> = Vec::new();
    let mut faults = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line["url"] != endpoint {
            faults.push(fault(
                number + 1,
                "invalid_url",
                "The URL provided for this request does not match the batch endpoint.",
            ));
        }
        if line["method"] != "POST" {
            faults.push(fault(
                number + 1,
                "invalid_method",
                "The method must be POST.",
            ));
        }
        if seen.contains(&&line["custom_id"]) {
            faults.push(fault(
                number + 1,
                "duplicate_custom_id",
                "The custom_id for this request is a duplicate of another request.",
            ));
        }
        seen.push(&line["custom_id"]);
        if line["body"]["model"] != lines[0]["body"]["model"] {
            faults.push(fault(
                number + 1,
                "mismatched_model",
                "The provided model does not match the model of the lines before: a batch has one model.",
            ));
        }
    }
    faults
}

/// `GET /v1/batches`
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let is_openai = |batch: &Value| batch["object"] == "batch";
    let batches = asked.shelf.batches().into_iter().filter(is_openai);
    page(asked, batches.collect(), 100)
}

/// `POST /v1/batches/{id}/cancel`
pub(crate) fn cancel(asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut batch = find(asked)?;
    let is_open = matches!(batch["status"].as_str(), Some("validating" | "in_progress"));
    if !is_open {
        let status = batch["status"].as_str().unwrap_or_default();
        return Err(Failure::new(
            409,
            INVALID,
            format!("Cannot cancel a batch with status '{status}'."),
        ));
    }
    batch["status"] = json!("cancelled");
    batch["cancelling_at"] = json!(asked.now);
    batch["cancelled_at"] = json!(asked.now);
    asked.shelf.put_batch(batch.clone());
    Ok(Output::Json(batch))
}

/// `GET /v1/batches/{id}`: a batch is found in progress when it is looked at first, and done when it is looked at again.
pub(crate) async fn look(sim: &Sim, asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut batch = find(asked)?;
    match batch["status"].as_str() {
        Some("validating") => {
            batch["status"] = json!("in_progress");
            batch["in_progress_at"] = json!(asked.now);
        }
        Some("in_progress") => run(sim, asked, &mut batch).await,
        _ => return Ok(Output::Json(batch)),
    }
    asked.shelf.put_batch(batch.clone());
    Ok(Output::Json(batch))
}

fn find(asked: &Asked<'_>) -> Result<Value, Failure> {
    let rest = asked
        .path()
        .strip_prefix("/v1/batches/")
        .unwrap_or_default();
    let id = rest.split('/').next().unwrap_or_default();
    let found = asked
        .shelf
        .batch(id)
        .filter(|batch| batch["object"] == "batch");
    found.ok_or_else(|| {
        Failure::new(404, INVALID, format!("No batch found with id '{id}'.")).at("id")
    })
}

async fn run(sim: &Sim, asked: &Asked<'_>, batch: &mut Value) {
    let input = batch["input_file_id"]
        .as_str()
        .and_then(|id| asked.shelf.file(id));
    let lines = input
        .and_then(|file| lines(&file.bytes).ok())
        .unwrap_or_default();
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for line in &lines {
        let answer = ask(sim, asked, line).await;
        let is_good = answer["response"]["status_code"] == 200;
        if is_good { &mut done } else { &mut failed }.push(answer.to_string());
    }
    batch["status"] = json!("completed");
    batch["finalizing_at"] = json!(asked.now);
    batch["completed_at"] = json!(asked.now);
    batch["request_counts"] =
        json!({"total": lines.len(), "completed": done.len(), "failed": failed.len()});
    put_results(
        asked,
        batch,
        [("output_file_id", done), ("error_file_id", failed)],
    );
}

/// Keeps lines of results as files, and names them in these fields of their batch.
pub(super) fn put_results(asked: &Asked<'_>, batch: &mut Value, results: [(&str, Vec<String>); 2]) {
    for (field, lines) in results {
        if lines.is_empty() {
            continue;
        }
        let file = File {
            id: format!("file-sim{:016x}", asked.shelf.number()),
            name: format!("{}_{field}.jsonl", batch["id"].as_str().unwrap_or_default()),
            purpose: "batch_output".to_owned(),
            created: asked.now,
            bytes: Bytes::from(lines.join("\n") + "\n"),
        };
        batch[field] = json!(file.id);
        asked.shelf.put_file(file);
    }
}

/// Asks this provider itself, with the credential of who looks.
pub(super) async fn ask(sim: &Sim, asked: &Asked<'_>, line: &Value) -> Value {
    let path = line["url"].as_str().unwrap_or_default();
    let (head, body) = again::ask(sim, asked, path, &["authorization"], &line["body"]).await;
    let request_id = head
        .headers
        .get("x-request-id")
        .and_then(|id| id.to_str().ok());
    json!({
        "id": format!("batch_req_sim{:016x}", asked.shelf.number()),
        "custom_id": line["custom_id"],
        "response": {"status_code": head.status.as_u16(), "request_id": request_id, "body": body},
        "error": null,
    })
}
