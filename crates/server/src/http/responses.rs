//! Answers that are kept for callers who refer to them, in OpenAI's shape
//! (<https://platform.openai.com/docs/api-reference/responses>).

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::caller::Caller;
use domain::problem::{Problem, ProblemKind};
use http::header::CONTENT_TYPE;
use providers::openai::responses::OpenaiResponses;
use providers::openai::responses::state;
use serde::Deserialize;

use super::auth::authenticate;
use super::call::render;
use super::faces::Api;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

/// How an answer is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manner {
    stream: Option<String>,
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

/// `GET /v1/responses/{id}`: an answer that is kept, as it was given.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(manner): Query<Manner>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = async {
        let caller = caller_of(&app, request, &arrival)?;
        if manner.stream.is_some_and(|stream| stream == "true") {
            let detail =
                "`stream` is not taken here: an answer that is kept comes whole. Leave it out.";
            return Err(invalid("stream", detail.to_owned()));
        }
        let answer = app.responses.retrieve(&caller, &id, arrival.at).await;
        answer.map_err(IntoProblem::into_problem)
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
        let caller = caller_of(&app, request, &arrival)?;
        let forgotten = app.responses.forget(&caller, &id).await;
        forgotten.map_err(IntoProblem::into_problem)
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
        let caller = caller_of(&app, request, &arrival)?;
        let page = items.page()?;
        let listed = app
            .responses
            .input_items(&caller, &id, &page, arrival.at)
            .await;
        listed.map_err(IntoProblem::into_problem)
    };
    respond(listed.await, &arrival)
}

/// `POST /v1/responses/{id}/cancel`: only answers made in the background can be cancelled, and there are
/// none.
pub async fn cancel(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let refused = caller_of(&app, request, &arrival).and_then(|_| {
        let detail = "Only an answer that is made in the background can be cancelled, and `background` is \
                      not taken. Close the connection to cancel an answer.";
        Err(Problem::new(ProblemKind::InvalidRequest, detail))
    });
    respond(refused, &arrival)
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

fn caller_of(app: &App, request: Request, arrival: &Arrival) -> Result<Caller, Problem> {
    let (parts, _) = request.into_parts();
    authenticate(app, &parts, arrival)
}

fn respond(outcome: Result<Bytes, Problem>, arrival: &Arrival) -> Response {
    match outcome {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(problem) => render(Api::Chat(&OpenaiResponses), &problem, arrival).map(Body::new),
    }
}
