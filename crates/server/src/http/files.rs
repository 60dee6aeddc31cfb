//! `/v1/files`: what callers upload and refer to, in OpenAI's shape or, for those who speak its API,
//! Anthropic's or Gemini's. Bytes go to the media store as they arrive and are never held as a whole.

mod form;
mod resumable;
mod shape;

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use domain::caller::Caller;
use domain::file::{FileOrder, FilePurpose, FileQuery, StoredFile};
use domain::problem::{Problem, ProblemKind};
use gateway::files::FileError;
use serde::Deserialize;

use super::auth::{authenticate, caller_of};
use super::call::render;
use super::media::content_of;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};
pub use resumable::{Uploads, upload};
use shape::{Shape, View};

/// Which files are wanted, in either vendor's words.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    limit: Option<String>,
    order: Option<String>,
    purpose: Option<String>,
    after: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
    #[serde(alias = "pageSize")]
    page_size: Option<String>,
    #[serde(alias = "pageToken")]
    page_token: Option<String>,
}

/// `POST /v1/files`: keeps a file, sent as a form.
pub async fn create(State(app): State<Shared>, request: Request) -> Response {
    let shape = Shape::of(&request);
    let view = View::of(shape, &app, request.headers());
    let arrival = Arrival::of(&request);
    let kept = async {
        let (parts, body) = request.into_parts();
        let caller = authenticate(&app, &parts, &arrival)?;
        let request = Request::from_parts(parts, body);
        count(&app, &caller).await?;
        let form = Multipart::from_request(request, &()).await;
        let form = form.map_err(|refused| form::invalid(None, refused.body_text()))?;
        form::keep(&app, &caller, shape, form).await
    };
    let kept = kept.await.map(|file| view.file(&file));
    respond(shape, kept, &arrival)
}

/// `GET /v1/files`: the caller's files.
pub async fn list(
    State(app): State<Shared>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Response {
    let shape = Shape::of(&request);
    let view = View::of(shape, &app, request.headers());
    let arrival = Arrival::of(&request);
    let listed = async {
        let caller = caller_of(&app, request, &arrival)?;
        let page = wanted.page(shape)?;
        let found = app
            .files
            .list(caller.owner(), &page.query, page.from.as_deref())
            .await;
        let (mut files, has_more) = found.map_err(IntoProblem::into_problem)?;
        if page.is_backwards {
            files.reverse();
        }
        Ok(view.page(&files, has_more))
    };
    respond(shape, listed.await, &arrival)
}

/// `GET /v1/files/{id}`: what is known of a file.
pub async fn retrieve(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    if let Some(id) = id.strip_suffix(":download") {
        return content(State(app), Path(id.to_owned()), request).await;
    }
    let shape = Shape::of(&request);
    let view = View::of(shape, &app, request.headers());
    let arrival = Arrival::of(&request);
    let found = async {
        let caller = caller_of(&app, request, &arrival)?;
        Ok(view.file(&find(&app, &caller, &id).await?))
    };
    respond(shape, found.await, &arrival)
}

/// `DELETE /v1/files/{id}`: forgets a file.
pub async fn delete(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let shape = Shape::of(&request);
    let view = View::of(shape, &app, request.headers());
    let arrival = Arrival::of(&request);
    let deleted = async {
        let caller = caller_of(&app, request, &arrival)?;
        let deleted = app.files.delete(caller.owner(), &id).await;
        let file = deleted.map_err(IntoProblem::into_problem)?;
        Ok(view.deleted(&file))
    };
    respond(shape, deleted.await, &arrival)
}

/// `GET /v1/files/{id}/content`: a file's bytes.
pub async fn content(
    State(app): State<Shared>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let shape = Shape::of(&request);
    let arrival = Arrival::of(&request);
    let read = async {
        let (parts, _) = request.into_parts();
        let caller = authenticate(&app, &parts, &arrival)?;
        let file = find(&app, &caller, &id).await?;
        content_of(&app, &file, &parts.headers).await
    };
    match read.await {
        Ok(response) => response,
        Err(problem) => failure(shape, &problem, &arrival),
    }
}

/// A page of the list, as it is looked up.
struct Page {
    query: FileQuery,
    /// The file after which it begins.
    from: Option<String>,
    /// Whether it is looked up from its end.
    is_backwards: bool,
}

impl Wanted {
    fn page(self, shape: Shape) -> Result<Page, Problem> {
        let (default, max) = shape.page_sizes();
        let name = shape.page_size_name();
        let limit = match self.limit.or(self.page_size) {
            None => default,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=max).contains(limit))
                .ok_or_else(|| {
                    let detail = format!("`{name}` must be an integer from 1 to {max}.");
                    form::invalid(Some(name), detail)
                })?,
        };
        let order = match self.order.as_deref() {
            None | Some("desc") => FileOrder::Newest,
            Some("asc") => FileOrder::Oldest,
            Some(other) => {
                let detail = format!("`order` must be `asc` or `desc`, not `{other}`.");
                return Err(form::invalid(Some("order"), detail));
            }
        };
        let purpose = match self.purpose.as_deref() {
            None => None,
            Some(text) => Some(
                text.parse::<FilePurpose>()
                    .map_err(|_| form::unknown_purpose(text, |_| true))?,
            ),
        };
        let (from, order, is_backwards) = match (
            self.after.or(self.after_id).or(self.page_token),
            self.before_id,
        ) {
            (Some(_), Some(_)) => {
                let detail = "Only one of `after_id` and `before_id` can be meant.";
                return Err(form::invalid(Some("before_id"), detail.to_owned()));
            }
            (None, Some(before)) => (Some(before), FileOrder::Oldest, true),
            (after, None) => (after, order, false),
        };
        Ok(Page {
            query: FileQuery {
                purpose,
                order,
                after: None,
                limit,
            },
            from,
            is_backwards,
        })
    }
}

/// Counts an upload towards the caller's rates, as any request: it is no call, and costs nothing.
async fn count(app: &App, caller: &Caller) -> Result<(), Problem> {
    let counted = app.limits.count_request(caller).await;
    counted.map_err(IntoProblem::into_problem)
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<StoredFile, Problem> {
    let found = app.files.file(caller.owner(), id).await;
    found.map_err(IntoProblem::into_problem)
}

fn respond(
    shape: Shape,
    outcome: Result<serde_json::Value, Problem>,
    arrival: &Arrival,
) -> Response {
    match outcome {
        Ok(body) => axum::Json(body).into_response(),
        Err(problem) => failure(shape, &problem, arrival),
    }
}

fn failure(shape: Shape, problem: &Problem, arrival: &Arrival) -> Response {
    render(shape.api(), problem, arrival).map(Body::new)
}

impl IntoProblem for FileError {
    fn into_problem(self) -> Problem {
        match self {
            Self::Unknown(id) => {
                let detail = format!("There is no file '{id}' here that is yours.");
                Problem::new(ProblemKind::NotFound, detail).with_param("file_id")
            }
            Self::TooLarge { max } => {
                let detail = format!("The file has more than {max} bytes (media.max_file).");
                Problem::new(ProblemKind::TooLarge, detail).with_param("file")
            }
            Self::Full { max } => {
                tracing::error!(
                    max,
                    "no more files are taken: all together would be too large"
                );
                let detail = "There is no room for the file (media.max_total). Delete files that are no \
                              longer needed, or ask the operator for more room.";
                Problem::new(ProblemKind::Unavailable, detail)
            }
            Self::FullOfYours { max } => {
                let detail = format!(
                    "The files of your organization may have {max} bytes together (media.max_organization). \
                     Delete files that are no longer needed, or ask the operator for more room."
                );
                Problem::new(ProblemKind::InvalidRequest, detail).with_param("file")
            }
            Self::Busy => {
                let detail = "Too many files are written at the moment. Try again shortly.";
                let wait = std::time::Duration::from_secs(1);
                Problem::new(ProblemKind::Unavailable, detail).with_retry_after(wait)
            }
            Self::GivenUp => {
                let detail = "The file took too long to arrive and was given up.";
                Problem::new(ProblemKind::InvalidRequest, detail).with_param("file")
            }
            Self::Link(invalid) => {
                let detail = format!("There is nothing here: {invalid}.");
                Problem::new(ProblemKind::NotFound, detail)
            }
            Self::Store(error) => error.into_problem(),
            Self::Media(error) => {
                tracing::error!(
                    error = %crate::telemetry::Causes(&error),
                    "the media store did not answer"
                );
                let detail = "The media store cannot be reached at the moment. Try again later.";
                Problem::new(ProblemKind::Unavailable, detail)
            }
        }
    }
}
