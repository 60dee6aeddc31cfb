//! Answers that are kept for callers who refer to them, in OpenAI's shape
//! (<https://platform.openai.com/docs/api-reference/responses>).

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::call::Face as Recorded;
use domain::caller::Caller;
use domain::problem::{Problem, ProblemKind};
use futures_util::StreamExt;
use gateway::native::NativeRequest;
use gateway::responses::Events;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use providers::face::Face;
use providers::openai::responses::OpenaiResponses;
use providers::openai::responses::state;
use serde::Deserialize;

use super::auth::authenticate;
use super::call::{inbound, render};
use super::faces::{Api, Spoken};
use super::passing::hand_on;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

/// How an answer is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manner {
    stream: Option<String>,
    starting_after: Option<String>,
}

/// Which items are wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Items {
    limit: Option<String>,
    order: Option<String>,
    after: Option<String>,
    before: Option<String>,
}

/// `GET /v1/responses/{id}`: an answer that is kept, as it was given or as far as it is; with `stream`, as
/// events.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(manner): Query<Manner>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let (caller, parts) = caller_of(&app, request, &arrival)?;
        if let Some(passed) = at_provider(&app, &caller, &id, &parts, &arrival).await? {
            return Ok(passed);
        }
        let gateway = &app.gateway;
        if manner.stream.as_deref().is_some_and(is_true) {
            let after = manner.starting_after.as_deref().map(number).transpose()?;
            let events = gateway
                .response_events(&caller, &id, after, arrival.at)
                .await
                .map_err(IntoProblem::into_problem)?;
            return Ok(streamed(events));
        }
        let answer = gateway.response(&caller, &id, arrival.at).await;
        Ok(whole(answer.map_err(IntoProblem::into_problem)?))
    };
    respond(found.await, &arrival)
}

/// `DELETE /v1/responses/{id}`: forgets an answer that is kept.
pub async fn forget(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let forgotten = async {
        let (caller, parts) = caller_of(&app, request, &arrival)?;
        if let Some(passed) = at_provider(&app, &caller, &id, &parts, &arrival).await? {
            return Ok(passed);
        }
        let forgotten = app.gateway.forget_response(&caller, &id).await;
        Ok(whole(forgotten.map_err(IntoProblem::into_problem)?))
    };
    respond(forgotten.await, &arrival)
}

/// `GET /v1/responses/{id}/input_items`: what an answer that is kept was asked with.
pub async fn input_items(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(items): Query<Items>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let listed = async {
        let (caller, parts) = caller_of(&app, request, &arrival)?;
        if let Some(passed) = at_provider(&app, &caller, &id, &parts, &arrival).await? {
            return Ok(passed);
        }
        let page = items.page()?;
        let listed = app
            .responses
            .input_items(&caller, &id, &page, arrival.at)
            .await;
        Ok(whole(listed.map_err(IntoProblem::into_problem)?))
    };
    respond(listed.await, &arrival)
}

/// `POST /v1/responses/{id}/cancel`: has an answer end that is made in the background.
pub async fn cancel(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let cancelled = async {
        let (caller, parts) = caller_of(&app, request, &arrival)?;
        if let Some(passed) = at_provider(&app, &caller, &id, &parts, &arrival).await? {
            return Ok(passed);
        }
        let cancelled = app.gateway.cancel_response(&caller, &id, arrival.at).await;
        Ok(whole(cancelled.map_err(IntoProblem::into_problem)?))
    };
    respond(cancelled.await, &arrival)
}

impl Items {
    fn page(self) -> Result<state::Page, Problem> {
        if self.before.is_some() {
            let detail = "`before` is not taken; use `after` with `order`.";
            return Err(invalid("before", detail.to_owned()));
        }
        let ascending = match self.order.as_deref() {
            None | Some("desc") => false,
            Some("asc") => true,
            Some(other) => {
                let detail = format!("`order` must be `asc` or `desc`, not `{other}`.");
                return Err(invalid("order", detail));
            }
        };
        let limit = self.limit.map(|limit| limit.parse()).transpose();
        let limit = limit.map_err(|_| {
            let detail = format!("`limit` must be an integer from 1 to {}.", state::MAX_PAGE);
            invalid("limit", detail)
        })?;
        Ok(state::Page {
            ascending,
            after: self.after,
            limit,
        })
    }
}

fn invalid(param: &str, detail: String) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail).with_param(param)
}

fn caller_of(app: &App, request: Request, arrival: &Arrival) -> Result<(Caller, Parts), Problem> {
    let (parts, _) = request.into_parts();
    Ok((authenticate(app, &parts, arrival)?, parts))
}

/// What the provider says of an answer that only it has; `None` where this is none of those.
async fn at_provider(
    app: &App,
    caller: &Caller,
    id: &str,
    parts: &Parts,
    arrival: &Arrival,
) -> Result<Option<Response>, Problem> {
    let holder = app.gateway.holder_of(caller, id, arrival.at).await;
    let Some(provider) = holder.map_err(IntoProblem::into_problem)? else {
        return Ok(None);
    };
    let path = parts.uri.path();
    let asked = NativeRequest {
        provider,
        method: parts.method.clone(),
        path: path.strip_prefix("/v1/").unwrap_or(path).to_owned(),
        query: parts.uri.query().map(str::to_owned),
    };
    let spoken = Spoken {
        api: Api::Chat(&OpenaiResponses),
        name: Recorded::OpenaiResponses,
        model: None,
        stream: None,
    };
    let face: &'static dyn Face = &OpenaiResponses;
    let inbound = inbound(face, spoken, arrival, parts.clone(), Bytes::new());
    let reply = app.gateway.ask_holder(caller, inbound, asked, id).await;
    let reply = reply.map_err(IntoProblem::into_problem)?;
    Ok(Some(
        hand_on(reply, Recorded::OpenaiResponses, arrival).map(Body::new),
    ))
}

fn respond(outcome: Result<Response, Problem>, arrival: &Arrival) -> Response {
    outcome.unwrap_or_else(|problem| {
        render(Api::Chat(&OpenaiResponses), &problem, arrival).map(Body::new)
    })
}

fn whole(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn streamed(events: Events) -> Response {
    let fields = [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
    ];
    let events = events.map(Ok::<_, Infallible>);
    (fields, Body::from_stream(events)).into_response()
}

fn is_true(word: &str) -> bool {
    matches!(word, "true" | "True" | "1")
}

fn number(word: &str) -> Result<u64, Problem> {
    word.parse().map_err(|_| {
        let detail = "`starting_after` must be the `sequence_number` of an event.";
        invalid("starting_after", detail.to_owned())
    })
}
