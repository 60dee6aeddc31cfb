//! Message batches, which are really run: each request is asked of this provider itself.
//! See <https://platform.claude.com/docs/en/api/creating-message-batches>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::check::{INVALID, plain};
use crate::clock::written;
use crate::route::query;
use crate::sim::Sim;
use crate::tasks::again::{self, visible};
use crate::tasks::{Asked, Output};
use crate::vendor::{Failure, field};

/// The most requests of a message batch.
const MOST: usize = 1_000;
/// What is kept of a batch and not shown.
const REQUESTS: &str = "_requests";
const RESULTS: &str = "_results";

/// `POST /v1/messages/batches`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    versioned(asked)?;
    let body = asked.json()?;
    let fields = body.as_object().into_iter().flatten();
    if let Some((name, _)) = fields.into_iter().find(|(name, _)| *name != "requests") {
        return Err(plain(format!("{name}: Extra inputs are not permitted")));
    }
    let requests = body["requests"]
        .as_array()
        .ok_or_else(|| plain("requests: Field required"))?;
    if requests.is_empty() || requests.len() > MOST {
        return Err(plain(format!(
            "requests: List should have 1 to {MOST} items"
        )));
    }
    let mut seen: Vec<&str> = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let id = request["custom_id"]
            .as_str()
            .ok_or_else(|| plain(format!("requests.{index}.custom_id: Field required")))?;
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(is_allowed) {
            return Err(plain(format!(
                "requests.{index}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
            )));
        }
        if seen.contains(&id) {
            return Err(plain(format!(
                "requests.{index}.custom_id: custom_id must be unique"
            )));
        }
        if !request["params"].is_object() {
            return Err(plain(format!(
                "requests.{index}.params: Input should be an object"
            )));
        }
        seen.push(id);
    }
    let batch = json!({
        "id": format!("msgbatch_sim{:016x}", asked.shelf.number()),
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {"processing": requests.len(), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0},
        "ended_at": null,
        "created_at": written(asked.now),
        "expires_at": written(asked.now + 86_400),
        "archived_at": null,
        "cancel_initiated_at": null,
        "results_url": null,
        REQUESTS: requests,
        RESULTS: "",
    });
    asked.shelf.put_batch(batch.clone());
    Ok(shown(batch))
}

/// `GET /v1/messages/batches`: newest first.
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    versioned(asked)?;
    let limit = query(asked.head, "limit").map_or(Ok(20), str::parse::<usize>);
    let limit = limit.ok().filter(|limit| (1..=1_000).contains(limit));
    let limit =
        limit.ok_or_else(|| plain("limit: Input should be a valid integer from 1 to 1000"))?;
    let is_message_batch = |batch: &Value| batch["type"] == "message_batch";
    let all: Vec<Value> = asked
        .shelf
        .batches()
        .into_iter()
        .filter(is_message_batch)
        .collect();
    let place = |after: &str| all.iter().position(|batch| batch["id"] == after);
    let skipped = match query(asked.head, "after_id") {
        None => 0,
        Some(after) => place(after).ok_or_else(|| plain("after_id: not found"))? + 1,
    };
    let data: Vec<Value> = all
        .iter()
        .skip(skipped)
        .take(limit)
        .map(|batch| visible(batch.clone()))
        .collect();
    Ok(Output::Json(json!({
        "first_id": data.first().map(|batch| batch["id"].clone()),
        "last_id": data.last().map(|batch| batch["id"].clone()),
        "has_more": all.len() > skipped + limit,
        "data": data,
    })))
}

/// `POST /v1/messages/batches/{id}/cancel`: requests that nobody has looked for yet are canceled.
pub(crate) fn cancel(asked: &Asked<'_>) -> Result<Output, Failure> {
    versioned(asked)?;
    let mut batch = find(asked)?;
    if batch["processing_status"] == "ended" {
        return Err(plain("Batch has already ended and cannot be canceled."));
    }
    let lines = batch[REQUESTS].as_array().cloned().unwrap_or_default();
    let lines: Vec<String> = lines
        .iter()
        .map(|request| {
            json!({"custom_id": request["custom_id"], "result": {"type": "canceled"}}).to_string()
        })
        .collect();
    batch["cancel_initiated_at"] = json!(written(asked.now));
    end(asked, &mut batch, &lines, [0, 0, lines.len()]);
    asked.shelf.put_batch(batch.clone());
    Ok(shown(batch))
}

/// `GET /v1/messages/batches/{id}/results`
pub(crate) fn results(asked: &Asked<'_>) -> Result<Output, Failure> {
    versioned(asked)?;
    let batch = find(asked)?;
    if batch["processing_status"] != "ended" {
        return Err(Failure::new(
            404,
            "not_found_error",
            "The batch has not ended: there are no results.",
        ));
    }
    let text = batch[RESULTS].as_str().unwrap_or_default().to_owned();
    Ok(Output::Bytes("application/x-jsonl", Bytes::from(text)))
}

/// `GET /v1/messages/batches/{id}`: a batch is in progress when it is looked at first, and has ended when it is
/// looked at again.
pub(crate) async fn look(sim: &Sim, asked: &Asked<'_>) -> Result<Output, Failure> {
    versioned(asked)?;
    let mut batch = find(asked)?;
    if batch["processing_status"] == "in_progress" {
        if batch["_seen"].as_bool() == Some(true) {
            run(sim, asked, &mut batch).await;
        }
        batch["_seen"] = json!(true);
        asked.shelf.put_batch(batch.clone());
    }
    Ok(shown(batch))
}

fn versioned(asked: &Asked<'_>) -> Result<(), Failure> {
    match field(asked.head, "anthropic-version") {
        Some("2023-06-01" | "2026-10-21") => Ok(()),
        Some(other) => Err(plain(format!(
            "anthropic-version: \"{other}\" is not a valid version"
        ))),
        None => Err(plain("anthropic-version: header is required")),
    }
}

fn find(asked: &Asked<'_>) -> Result<Value, Failure> {
    let rest = asked.path().strip_prefix("/v1/messages/batches/");
    let id = rest
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default();
    let found = asked
        .shelf
        .batch(id)
        .filter(|batch| batch["type"] == "message_batch");
    found.ok_or_else(|| Failure::new(404, "not_found_error", format!("Batch not found: {id}")))
}

fn shown(batch: Value) -> Output {
    Output::Json(visible(batch))
}

async fn run(sim: &Sim, asked: &Asked<'_>, batch: &mut Value) {
    let requests = batch[REQUESTS].as_array().cloned().unwrap_or_default();
    let (mut lines, mut succeeded) = (Vec::new(), 0);
    for request in &requests {
        let result = ask(sim, asked, &request["params"]).await;
        succeeded += usize::from(result["type"] == "succeeded");
        lines.push(json!({"custom_id": request["custom_id"], "result": result}).to_string());
    }
    let errored = lines.len() - succeeded;
    // The order is not that of the requests, as the vendor warns.
    lines.reverse();
    end(asked, batch, &lines, [succeeded, errored, 0]);
}

fn end(asked: &Asked<'_>, batch: &mut Value, lines: &[String], counts: [usize; 3]) {
    let [succeeded, errored, canceled] = counts;
    batch["processing_status"] = json!("ended");
    batch["ended_at"] = json!(written(asked.now));
    batch["request_counts"] = json!({
        "processing": 0, "succeeded": succeeded, "errored": errored, "canceled": canceled, "expired": 0,
    });
    let id = batch["id"].as_str().unwrap_or_default();
    batch["results_url"] = json!(format!(
        "{}/v1/messages/batches/{id}/results",
        asked.origin()
    ));
    batch[RESULTS] = json!(lines.join("\n") + "\n");
}

/// Asks this provider itself, with the credential of who looks.
async fn ask(sim: &Sim, asked: &Asked<'_>, params: &Value) -> Value {
    if params["stream"] == true {
        let error = json!({"type": "error", "error": {"type": INVALID, "message": "stream: not supported in batches"}});
        return json!({"type": "errored", "error": error});
    }
    let fields = ["x-api-key", "authorization", "anthropic-version"];
    let (head, mut answer) = again::ask(sim, asked, "/v1/messages", &fields, params).await;
    if head.status.is_success() {
        answer["usage"]["service_tier"] = json!("batch");
        json!({"type": "succeeded", "message": answer})
    } else {
        json!({"type": "errored", "error": answer})
    }
}
