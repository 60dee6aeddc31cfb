//! The models that a key may ask for, in the shape of the API that asks.

use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, body::Body};
use domain::caller::Caller;
use domain::problem::{Problem, ProblemKind};
use gateway::routes::ServedModel;
use http::HeaderMap;
use jiff::Timestamp;
use providers::anthropic::AnthropicMessages;
use providers::gemini::Gemini;
use providers::openai::OpenaiChat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::caller_of;
use super::call::render;
use super::faces::Api;
use super::request::Arrival;
use crate::app::{App, Shared};

/// The most models of one page, for the APIs that have pages: both vendors' own bound.
const MAX_PAGE: usize = 1_000;

/// The API in whose shape models are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// <https://platform.openai.com/docs/api-reference/models/list>
    Openai,
    /// <https://platform.claude.com/docs/en/api/models-list>
    Anthropic,
    /// <https://ai.google.dev/api/models>
    Gemini,
}

/// Where a page begins and how long it is, in either vendor's words.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are called as the vendors call them"
)]
pub struct Page {
    limit: Option<usize>,
    after_id: Option<String>,
    before_id: Option<String>,
    #[serde(rename = "pageSize")]
    page_size: Option<usize>,
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
}

/// `GET /v1/models` and its like: in Anthropic's shape when `anthropic-version` is sent, in Gemini's when
/// the key comes in `x-goog-api-key` or the path is Gemini's, else in OpenAI's.
pub async fn list(
    State(app): State<Shared>,
    Query(page): Query<Page>,
    request: Request,
) -> Response {
    let shape = Shape::of(&request);
    let arrival = Arrival::of(&request);
    match caller_of(&app, request, &arrival) {
        Err(problem) => render(shape.api(), &problem, &arrival).map(Body::new),
        Ok(caller) => {
            let models: Vec<ServedModel> = served(&app, &caller).collect();
            Json(shape.page(&app, &models, &page)).into_response()
        }
    }
}

/// `GET /v1/models/{model}` and its like: one of them. Its name may hold slashes.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let shape = Shape::of(&request);
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
        Ok(model) => Json(shape.view(&app, &model)).into_response(),
        Err(problem) => render(shape.api(), &problem, &arrival).map(Body::new),
    }
}

fn served(app: &App, caller: &Caller) -> impl Iterator<Item = ServedModel> {
    app.gateway
        .routes()
        .models()
        .into_iter()
        .filter(|model| caller.may_use(&model.name))
}

impl Shape {
    fn of(request: &Request) -> Self {
        Self::told_by(request.uri().path(), request.headers())
    }

    fn told_by(path: &str, headers: &HeaderMap) -> Self {
        if path.starts_with("/anthropic/") || headers.contains_key("anthropic-version") {
            Self::Anthropic
        } else if path.starts_with("/v1beta/")
            || path.starts_with("/gemini/")
            || headers.contains_key("x-goog-api-key")
        {
            Self::Gemini
        } else {
            Self::Openai
        }
    }

    fn api(self) -> Api {
        match self {
            Self::Openai => Api::Chat(&OpenaiChat),
            Self::Anthropic => Api::Chat(&AnthropicMessages),
            Self::Gemini => Api::Chat(&Gemini),
        }
    }

    fn page(self, app: &App, models: &[ServedModel], page: &Page) -> Value {
        let view = |model: &ServedModel| self.view(app, model);
        match self {
            Self::Openai => {
                let data: Vec<Value> = models.iter().map(view).collect();
                json!({ "object": "list", "data": data })
            }
            Self::Anthropic => {
                let (shown, has_more) = anthropic_page(models, page);
                json!({
                    "data": shown.iter().map(view).collect::<Vec<_>>(),
                    "first_id": shown.first().map(|model| &model.name),
                    "last_id": shown.last().map(|model| &model.name),
                    "has_more": has_more,
                })
            }
            Self::Gemini => {
                let size = page.page_size.unwrap_or(50).clamp(1, MAX_PAGE);
                let start = page
                    .page_token
                    .as_deref()
                    .and_then(|token| place(models, token));
                let rest = models.get(start.map_or(0, |place| place + 1)..);
                let rest = rest.unwrap_or_default();
                let shown = rest.get(..size).unwrap_or(rest);
                let mut body = json!({ "models": shown.iter().map(view).collect::<Vec<_>>() });
                if let Some(last) = shown.last().filter(|_| rest.len() > shown.len()) {
                    body["nextPageToken"] = json!(last.name);
                }
                body
            }
        }
    }

    fn view(self, app: &App, model: &ServedModel) -> Value {
        match self {
            Self::Openai => json!({
                "id": model.name,
                "object": "model",
                "created": app.started_at.as_second(),
                "owned_by": model.provider,
            }),
            Self::Anthropic => json!({
                "type": "model",
                "id": model.name,
                "display_name": model.name,
                "created_at": started(app).to_string(),
            }),
            Self::Gemini => gemini_view(app, model),
        }
    }
}

fn gemini_view(app: &App, model: &ServedModel) -> Value {
    let known = model.name.parse().ok();
    let plan = known.and_then(|name| app.gateway.routes().plan(&name).ok());
    let capabilities = plan.map(|plan| plan.target().capabilities.clone());
    let mut view = json!({
        "name": format!("models/{}", model.name),
        "baseModelId": model.name,
        "version": "1",
        "displayName": model.name,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    });
    if let Some(capabilities) = capabilities {
        let bounds = [
            ("inputTokenLimit", capabilities.context_window),
            ("outputTokenLimit", capabilities.max_output_tokens),
        ];
        for (name, bound) in bounds {
            if let Some(bound) = bound {
                view[name] = json!(bound);
            }
        }
    }
    view
}

/// One page and whether there are more in its direction.
fn anthropic_page<'m>(models: &'m [ServedModel], page: &Page) -> (&'m [ServedModel], bool) {
    let limit = page.limit.unwrap_or(20).clamp(1, MAX_PAGE);
    if let Some(end) = page.before_id.as_deref().and_then(|id| place(models, id)) {
        let before = models.get(..end).unwrap_or_default();
        let start = before.len().saturating_sub(limit);
        return (before.get(start..).unwrap_or_default(), start > 0);
    }
    let start = page.after_id.as_deref().and_then(|id| place(models, id));
    let rest = models.get(start.map_or(0, |place| place + 1)..);
    let rest = rest.unwrap_or_default();
    let shown = rest.get(..limit).unwrap_or(rest);
    (shown, rest.len() > shown.len())
}

fn place(models: &[ServedModel], name: &str) -> Option<usize> {
    models.iter().position(|model| model.name == name)
}

/// When the process started, to the second.
fn started(app: &App) -> Timestamp {
    Timestamp::from_second(app.started_at.as_second()).unwrap_or(app.started_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(names: &[&str]) -> Vec<ServedModel> {
        let model = |name: &&str| ServedModel {
            name: (*name).to_owned(),
            provider: "sim".parse().unwrap(),
        };
        names.iter().map(model).collect()
    }

    fn names(page: &[ServedModel]) -> String {
        page.iter().map(|model| model.name.as_str()).collect()
    }

    #[test]
    fn pages_go_forth_and_back_and_say_whether_there_is_more() {
        let models = models(&["a", "b", "c", "d", "e"]);
        let page = |limit, after: Option<&str>, before: Option<&str>| {
            let page = Page {
                limit: Some(limit),
                after_id: after.map(str::to_owned),
                before_id: before.map(str::to_owned),
                ..Page::default()
            };
            let (shown, has_more) = anthropic_page(&models, &page);
            (names(shown), has_more)
        };
        assert_eq!(page(2, None, None), ("ab".to_owned(), true));
        assert_eq!(page(2, Some("b"), None), ("cd".to_owned(), true));
        assert_eq!(page(2, Some("d"), None), ("e".to_owned(), false));
        assert_eq!(page(2, None, Some("d")), ("bc".to_owned(), true));
        assert_eq!(page(9, None, Some("c")), ("ab".to_owned(), false));
    }

    #[test]
    fn the_shape_follows_who_asks() {
        let shape = |path, field: &'static str| {
            let mut headers = HeaderMap::new();
            if !field.is_empty() {
                headers.insert(field, "x".parse().unwrap());
            }
            Shape::told_by(path, &headers)
        };
        assert!(shape("/v1/models", "authorization") == Shape::Openai);
        assert!(shape("/v1/models", "anthropic-version") == Shape::Anthropic);
        assert!(shape("/v1/models", "x-goog-api-key") == Shape::Gemini);
        assert!(shape("/v1beta/models", "") == Shape::Gemini);
    }
}
