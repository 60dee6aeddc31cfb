//! `GET /v1/models`

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::caller::Caller;
use domain::problem::{Problem, ProblemKind};
use gateway::routes::ServedModel;
use providers::openai::OpenaiChat;
use serde_json::{Value, json};

use super::auth::authenticate;
use super::chat::render;
use super::request::Arrival;
use crate::app::{App, Shared};

/// `GET /v1/models`: the names that the caller may ask for, in OpenAI's shape.
pub async fn list(State(app): State<Shared>, request: Request) -> Response {
    let arrival = Arrival::of(&request);
    match caller_of(&app, request, &arrival) {
        Err(problem) => render(&OpenaiChat, &problem, &arrival).map(Body::new),
        Ok(caller) => {
            let data: Vec<Value> = served(&app, &caller)
                .map(|model| view(&app, &model))
                .collect();
            Json(json!({ "object": "list", "data": data })).into_response()
        }
    }
}

/// `GET /v1/models/{model}`: one of them. Its name may hold slashes.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let found = caller_of(&app, request, &arrival).and_then(|caller| {
        served(&app, &caller).find(|model| model.name == name).ok_or_else(|| {
            let detail = format!(
                "The model '{name}' is not served here. GET /v1/models lists the models that are."
            );
            Problem::new(ProblemKind::UnknownModel, detail).with_param("model")
        })
    });
    match found {
        Ok(model) => Json(view(&app, &model)).into_response(),
        Err(problem) => render(&OpenaiChat, &problem, &arrival).map(Body::new),
    }
}

fn caller_of(app: &App, request: Request, arrival: &Arrival) -> Result<Caller, Problem> {
    let (parts, _) = request.into_parts();
    authenticate(app, &parts, arrival)
}

fn served(app: &App, caller: &Caller) -> impl Iterator<Item = ServedModel> {
    app.gateway
        .routes()
        .models()
        .into_iter()
        .filter(|model| caller.may_use(&model.name))
}

fn view(app: &App, model: &ServedModel) -> Value {
    json!({
        "id": model.name,
        "object": "model",
        "created": app.started_at.as_second(),
        "owned_by": model.provider,
    })
}
