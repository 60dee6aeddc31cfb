//! `/api/v1/admin/events`

use axum::extract::{Request, State};
use axum::response::Response;
use domain::event::{Event, EventStore};
use domain::id::EventId;
use domain::problem::{Problem, ProblemKind};
use serde_json::{Value, json};

use super::admin;
use super::envelope::{Page, failure, success};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::Shared;

const PAGE: u32 = 100;

/// `GET /api/v1/admin/events`: what happened that operators want to hear of, newest first.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    let page = async {
        let (parts, _) = request.into_parts();
        admin::operator(&app, &parts, &arrival)?;
        let before = admin::cursor(&parts).map(str::parse::<EventId>).transpose();
        let before = before
            .map_err(|error| Problem::new(ProblemKind::NotFound, format!("No event: {error}.")))?;
        let events = app.store.list_events(before, PAGE).await;
        let events = events.map_err(IntoProblem::into_problem)?;
        let is_full = events.len() == PAGE as usize;
        let last = events.last().filter(|_| is_full);
        Ok::<_, Problem>(Page {
            next_cursor: last.map(|event| event.id.to_string()),
            items: events.iter().map(view).collect(),
        })
    };
    match page.await {
        Ok(page) => success(&arrival, &page),
        Err(problem) => failure(&arrival, &problem),
    }
}

/// An event as it is shown.
pub fn view(event: &Event) -> Value {
    json!({
        "id": event.id,
        "at": event.at,
        "kind": event.kind.as_str(),
        "organization_id": event.organization_id,
        "project_id": event.project_id,
        "detail": event.detail,
    })
}
