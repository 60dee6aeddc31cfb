//! `/v1/batches`: many requests in one file, in OpenAI's shape
//! (<https://platform.openai.com/docs/api-reference/batch>).

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::batch::{Batch, BatchCursor, BatchFace, BatchState};
use domain::problem::{Problem, ProblemKind};
use domain::usage::Usage;
use gateway::batches::{Batches, NewBatch};
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use providers::openai::OpenaiChat;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::auth::{authenticate, caller_of};
use super::call::{read, render};
use super::faces::Api;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::Shared;

/// How long results can be asked to be kept, in seconds
/// (<https://platform.openai.com/docs/api-reference/batch/create#batch-create-output_expires_after>).
const OUTPUT_SECONDS: std::ops::RangeInclusive<u64> = 3_600..=2_592_000;
/// The most batches of one page.
const MAX_PAGE: u32 = 100;
/// How many batches a page has when nobody says.
const PAGE: u32 = 20;

/// Which batches are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    limit: Option<String>,
    after: Option<String>,
}

/// What a batch is asked for with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    input_file_id: String,
    endpoint: String,
    completion_window: String,
    metadata: Option<Map<String, Value>>,
    output_expires_after: Option<Expiry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expiry {
    anchor: String,
    seconds: u64,
}

/// `POST /v1/batches`: makes a batch of a file.
pub async fn create(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let made = async {
        let (parts, body) = request.into_parts();
        let caller = authenticate(&app, &parts, &arrival)?;
        let new = wanted(&read(body, app.max_body).await?)?;
        let made = app.batches.create(&app.gateway, &caller, new).await;
        made.map(|batch| view(&batch))
            .map_err(IntoProblem::into_problem)
    };
    respond(made.await, &arrival)
}

/// `GET /v1/batches`: the caller's batches, newest first.
pub async fn list(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let listed = async {
        let caller = caller_of(&app, request, &arrival)?;
        let limit = limit(wanted.limit.as_deref(), PAGE, MAX_PAGE)?;
        let face = BatchFace::Openai;
        let after = wanted.after.as_deref();
        let after = after.map(|id| Batches::place(face, id)).transpose();
        let after = after.map_err(|error| error.into_problem().with_param("after"))?;
        let cursor = after.map(BatchCursor::After);
        let listed = app.batches.list(&caller, face, cursor, limit).await;
        let (batches, has_more) = listed.map_err(IntoProblem::into_problem)?;
        Ok(json!({
            "object": "list",
            "data": batches.iter().map(view).collect::<Vec<_>>(),
            "first_id": batches.first().map(|batch| batch.id),
            "last_id": batches.last().map(|batch| batch.id),
            "has_more": has_more,
        }))
    };
    respond(listed.await, &arrival)
}

/// `GET /v1/batches/{id}`: how far a batch has come.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let caller = caller_of(&app, request, &arrival)?;
        let found = app.batches.find(&caller, BatchFace::Openai, &id).await;
        found
            .map(|batch| view(&batch))
            .map_err(IntoProblem::into_problem)
    };
    respond(found.await, &arrival)
}

/// `POST /v1/batches/{id}/cancel`: ends a batch.
pub async fn cancel(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let cancelled = async {
        let caller = caller_of(&app, request, &arrival)?;
        let cancelled = app.batches.cancel(&caller, BatchFace::Openai, &id).await;
        cancelled
            .map(|batch| view(&batch))
            .map_err(IntoProblem::into_problem)
    };
    respond(cancelled.await, &arrival)
}

fn wanted(body: &[u8]) -> Result<NewBatch, Problem> {
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("The body does not say what batch is wanted: {error}.");
        Problem::new(ProblemKind::InvalidRequest, detail)
    })?;
    if asked.completion_window != "24h" {
        let detail = format!(
            "Invalid value: '{}'. Value must be '24h'.",
            asked.completion_window
        );
        return Err(invalid("completion_window", detail));
    }
    if let Some(metadata) = &asked.metadata {
        let is_good = |(key, value): (&String, &Value)| {
            let value = value.as_str().map(|text| text.chars().count());
            key.chars().count() <= 64 && value.is_some_and(|length| length <= 512)
        };
        if metadata.len() > 16 || !metadata.iter().all(is_good) {
            let detail = "`metadata` takes at most 16 pairs: keys of at most 64 characters, and texts of \
                          at most 512.";
            return Err(invalid("metadata", detail.to_owned()));
        }
    }
    let output_for = match asked.output_expires_after {
        None => None,
        Some(Expiry { anchor, .. }) if anchor != "created_at" => {
            let detail = format!("Invalid value: '{anchor}'. Value must be 'created_at'.");
            return Err(invalid("output_expires_after.anchor", detail));
        }
        Some(Expiry { seconds, .. }) if !OUTPUT_SECONDS.contains(&seconds) => {
            let (least, most) = (OUTPUT_SECONDS.start(), OUTPUT_SECONDS.end());
            let detail = format!("Invalid value: {seconds}. It must be {least} to {most}.");
            return Err(invalid("output_expires_after.seconds", detail));
        }
        Some(Expiry { seconds, .. }) => Some(Duration::from_secs(seconds)),
    };
    Ok(NewBatch {
        input: asked.input_file_id,
        endpoint: asked.endpoint,
        metadata: asked.metadata.map(Value::Object),
        output_for,
    })
}

/// A batch as the vendor shows it.
fn view(batch: &Batch) -> Value {
    let details = &batch.details;
    let seconds = |time: Option<Timestamp>| time.map(Timestamp::as_second);
    let ended = |state: BatchState| seconds(details.ended_at.filter(|_| batch.state == state));
    let is_cancelling = batch.cancelling_at.is_some() && !batch.has_ended();
    let faults =
        (!details.faults.is_empty()).then(|| json!({ "object": "list", "data": details.faults }));
    json!({
        "id": batch.id,
        "object": "batch",
        "endpoint": details.endpoint,
        "model": details.model,
        "errors": faults,
        "input_file_id": details.input,
        "completion_window": "24h",
        "status": if is_cancelling { "cancelling" } else { batch.state.as_str() },
        "output_file_id": details.output,
        "error_file_id": details.errors,
        "created_at": batch.created_at.as_second(),
        "in_progress_at": seconds(details.in_progress_at),
        "expires_at": batch.expires_at.as_second(),
        "finalizing_at": seconds(details.finalizing_at),
        "completed_at": ended(BatchState::Completed),
        "failed_at": ended(BatchState::Failed),
        "expired_at": ended(BatchState::Expired),
        "cancelling_at": seconds(batch.cancelling_at),
        "cancelled_at": ended(BatchState::Cancelled),
        "request_counts": {
            "total": details.lines,
            "completed": batch.ended.succeeded,
            "failed": batch.ended.failed,
        },
        "usage": details.usage.as_ref().map(usage),
        "metadata": details.metadata,
    })
}

/// What all answers took, in the words of the vendor's responses.
fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": { "cached_tokens": usage.cached_input_tokens },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
        "total_tokens": usage.total_tokens(),
    })
}

/// How many items a page is to have.
pub(super) fn limit(text: Option<&str>, default: u32, max: u32) -> Result<u32, Problem> {
    let Some(text) = text else {
        return Ok(default);
    };
    let limit = text.parse().ok().filter(|limit| (1..=max).contains(limit));
    limit.ok_or_else(|| {
        invalid(
            "limit",
            format!("`limit` must be an integer from 1 to {max}."),
        )
    })
}

pub(super) fn invalid(param: &str, detail: String) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}

fn respond(outcome: Result<Value, Problem>, arrival: &Arrival) -> Response {
    match outcome {
        Ok(body) => json_response(&body),
        Err(problem) => render(Api::Chat(&OpenaiChat), &problem, arrival).map(Body::new),
    }
}

pub(super) fn json_response(body: &Value) -> Response {
    let body = Bytes::from(body.to_string());
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &Value) -> String {
        wanted(body.to_string().as_bytes())
            .unwrap_err()
            .param
            .unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = json!({
            "input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h",
            "metadata": {"a": "b"}, "output_expires_after": {"anchor": "created_at", "seconds": 3600},
        });
        let new = wanted(good.to_string().as_bytes()).unwrap();
        assert_eq!(new.output_for, Some(Duration::from_hours(1)));
        for (pointer, value, param) in [
            ("completion_window", json!("1h"), "completion_window"),
            ("metadata", json!({"a": 1}), "metadata"),
            ("metadata", json!({"k".repeat(65): "v"}), "metadata"),
            (
                "output_expires_after",
                json!({"anchor": "now", "seconds": 3600}),
                "output_expires_after.anchor",
            ),
            (
                "output_expires_after",
                json!({"anchor": "created_at", "seconds": 1}),
                "output_expires_after.seconds",
            ),
            ("model", json!("gpt"), ""),
        ] {
            let mut body = good.clone();
            body[pointer] = value;
            assert_eq!(refused(&body), param, "{pointer}");
        }
        assert!(wanted(b"{}").is_err());
    }
}
