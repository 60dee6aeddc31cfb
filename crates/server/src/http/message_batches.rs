//! `/v1/messages/batches`: many messages in one request, in Anthropic's shape
//! (<https://platform.claude.com/docs/en/api/creating-message-batches>).

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::batch::{Batch, BatchCursor, BatchFace, BatchState};
use domain::problem::{Problem, ProblemKind};
use gateway::batches::{Batches, NewMessage};
use http::header::CONTENT_TYPE;
use providers::anthropic::AnthropicMessages;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::auth::{authenticate, caller_of};
use super::batches::{json_response, limit};
use super::call::{read, render};
use super::faces::Api;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::Shared;

/// The most message batches of one page.
const MAX_PAGE: u32 = 1_000;
/// How many message batches a page has when nobody says.
const PAGE: u32 = 20;
const FACE: BatchFace = BatchFace::Anthropic;

/// Which message batches are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    limit: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked<'a> {
    #[serde(borrow)]
    requests: Vec<AskedMessage<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskedMessage<'a> {
    custom_id: String,
    #[serde(borrow)]
    params: &'a RawValue,
}

/// `POST /v1/messages/batches`: makes a message batch.
pub async fn create(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let made = async {
        let (parts, body) = request.into_parts();
        let caller = authenticate(&app, &parts, &arrival)?;
        let body = read(body, app.max_body).await?;
        let requests = wanted(&body)?;
        let made = app
            .batches
            .create_messages(&app.gateway, &caller, requests)
            .await;
        made.map(|batch| view(&batch))
            .map_err(IntoProblem::into_problem)
    };
    respond(made.await, &arrival)
}

/// `GET /v1/messages/batches`: the caller's message batches, newest first.
pub async fn list(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let listed = async {
        let caller = caller_of(&app, request, &arrival)?;
        let limit = limit(wanted.limit.as_deref(), PAGE, MAX_PAGE)?;
        let place = |param: &str, id: &str| {
            let place = Batches::place(FACE, id);
            place.map_err(|error| error.into_problem().with_param(param))
        };
        let cursor = match (wanted.after_id.as_deref(), wanted.before_id.as_deref()) {
            (Some(id), _) => Some(BatchCursor::After(place("after_id", id)?)),
            (None, Some(id)) => Some(BatchCursor::Before(place("before_id", id)?)),
            (None, None) => None,
        };
        let listed = app.batches.list(&caller, FACE, cursor, limit).await;
        let (batches, has_more) = listed.map_err(IntoProblem::into_problem)?;
        Ok(json!({
            "data": batches.iter().map(view).collect::<Vec<_>>(),
            "first_id": batches.first().map(id_of),
            "last_id": batches.last().map(id_of),
            "has_more": has_more,
        }))
    };
    respond(listed.await, &arrival)
}

/// `GET /v1/messages/batches/{id}`: how far a message batch has come.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let caller = caller_of(&app, request, &arrival)?;
        let found = app.batches.find(&caller, FACE, &id).await;
        found
            .map(|batch| view(&batch))
            .map_err(IntoProblem::into_problem)
    };
    respond(found.await, &arrival)
}

/// `GET /v1/messages/batches/{id}/results`: what became of each request, one JSON object a line.
pub async fn results(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let caller = caller_of(&app, request, &arrival)?;
        let found = app.batches.results(&app.gateway, &caller, &id).await;
        found.map_err(IntoProblem::into_problem)
    };
    match found.await {
        Ok(body) => {
            let body = Body::from_stream(body);
            ([(CONTENT_TYPE, "application/x-jsonl")], body).into_response()
        }
        Err(problem) => failure(&problem, &arrival),
    }
}

/// `POST /v1/messages/batches/{id}/cancel`: ends a message batch.
pub async fn cancel(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let cancelled = async {
        let caller = caller_of(&app, request, &arrival)?;
        let cancelled = app.batches.cancel(&caller, FACE, &id).await;
        cancelled
            .map(|batch| view(&batch))
            .map_err(IntoProblem::into_problem)
    };
    respond(cancelled.await, &arrival)
}

/// `DELETE /v1/messages/batches/{id}`: forgets a message batch that has ended.
pub async fn delete(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let deleted = async {
        let caller = caller_of(&app, request, &arrival)?;
        let deleted = app.batches.forget(&app.gateway, &caller, FACE, &id).await;
        let batch = deleted.map_err(IntoProblem::into_problem)?;
        Ok(json!({ "id": id_of(&batch), "type": "message_batch_deleted" }))
    };
    respond(deleted.await, &arrival)
}

fn wanted(body: &Bytes) -> Result<Vec<NewMessage>, Problem> {
    let asked: Asked<'_> = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("The body does not say which requests are wanted: {error}.");
        Problem::new(ProblemKind::InvalidRequest, detail).with_param("requests")
    })?;
    let requests = asked.requests.into_iter().enumerate();
    requests
        .map(|(index, request)| {
            if !request.params.get().starts_with('{') {
                let param = format!("requests.{index}.params");
                let detail = format!("{param}: Input should be an object");
                return Err(Problem::new(ProblemKind::InvalidRequest, detail).with_param(param));
            }
            Ok(NewMessage {
                custom_id: request.custom_id,
                params: body.slice_ref(request.params.get().as_bytes()),
            })
        })
        .collect()
}

fn id_of(batch: &Batch) -> String {
    format!("msg{}", batch.id)
}

/// A message batch as the vendor shows it. Its counts are those of requests that are being worked on until
/// all of it has ended.
fn view(batch: &Batch) -> Value {
    let details = &batch.details;
    let id = id_of(batch);
    let has_ended = batch.has_ended();
    let rest = details.lines.saturating_sub(batch.ended.total());
    let of = |is_so: bool, count: u32| if is_so { count } else { 0 };
    let status = match (has_ended, batch.cancelling_at) {
        (true, _) => "ended",
        (false, Some(_)) => "canceling",
        (false, None) => "in_progress",
    };
    // Below the address by which the caller came, whatever that is.
    let results_url = details
        .output
        .filter(|_| has_ended)
        .map(|_| format!("/v1/messages/batches/{id}/results"));
    json!({
        "id": id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {
            "processing": of(!has_ended, details.lines),
            "succeeded": of(has_ended, batch.ended.succeeded),
            "errored": of(has_ended, batch.ended.failed),
            "canceled": of(batch.state == BatchState::Cancelled, rest),
            "expired": of(batch.state == BatchState::Expired, rest),
        },
        "created_at": batch.created_at.to_string(),
        "expires_at": batch.expires_at.to_string(),
        "ended_at": details.ended_at.map(|time| time.to_string()),
        "cancel_initiated_at": batch.cancelling_at.map(|time| time.to_string()),
        "archived_at": null,
        "results_url": results_url,
    })
}

fn respond(outcome: Result<Value, Problem>, arrival: &Arrival) -> Response {
    match outcome {
        Ok(body) => json_response(&body),
        Err(problem) => failure(&problem, arrival),
    }
}

fn failure(problem: &Problem, arrival: &Arrival) -> Response {
    render(Api::Chat(&AnthropicMessages), problem, arrival).map(Body::new)
}
