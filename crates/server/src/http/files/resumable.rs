//! Gemini's uploads: begun with what the file is called, then sent in pieces to an address that the answer names
//! (<https://ai.google.dev/gemini-api/docs/files>). Clients show no key with the pieces: whoever knows the address
//! may write to it.
//!
//! What is uploaded stands in this process: a piece that comes to another replica finds nothing there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use domain::clock::Moment;
use domain::entropy::Entropy;
use domain::file::{FileName, FilePurpose, StoredFile};
use domain::media::MediaType;
use domain::problem::{Problem, ProblemKind};
use gateway::files::{Arriving, Files, Label};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::json;

use super::form::{SILENCE, invalid};
use super::shape::{Shape, View};
use super::{FileError, count, failure};
use crate::app::{App, Shared};
use crate::http::auth::authenticate;
use crate::http::call::read;
use crate::http::problem::IntoProblem;
use crate::http::request::Arrival;

/// The most uploads at a time; each holds one of the places of [`Files::begin`].
const MAX_UPLOADS: usize = 32;
/// How long nothing may come before an upload is given up.
const PATIENCE: Duration = Duration::from_mins(10);
/// The largest description of a file, in bytes.
const MAX_DESCRIPTION: usize = 16 * 1024;
/// Pieces but the last are to be multiples of this, as at the vendor, and need not be.
const GRANULARITY: HeaderValue = HeaderValue::from_static("262144");

const COMMAND: HeaderName = HeaderName::from_static("x-goog-upload-command");
const OFFSET: HeaderName = HeaderName::from_static("x-goog-upload-offset");
const PROTOCOL: HeaderName = HeaderName::from_static("x-goog-upload-protocol");
const STATUS: HeaderName = HeaderName::from_static("x-goog-upload-status");
const RECEIVED: HeaderName = HeaderName::from_static("x-goog-upload-size-received");

/// Uploads that have begun.
#[derive(Default)]
pub struct Uploads(Mutex<HashMap<String, Arc<Place>>>);

/// One upload. Whoever holds its state writes to it.
struct Place {
    last: Mutex<Moment>,
    state: tokio::sync::Mutex<Option<Begun>>,
}

/// A file on its way.
struct Begun {
    upload: Arriving<Arc<Files>>,
    label: Label,
    received: u64,
}

impl Uploads {
    /// Gives up what nobody writes to any more.
    pub fn tidy(&self, now: Moment) {
        self.all().retain(|_, place| {
            let last = *place.last.lock().unwrap_or_else(PoisonError::into_inner);
            now.since(last) < PATIENCE
        });
    }

    fn begin(&self, begun: Begun, now: Moment, entropy: &dyn Entropy) -> Result<String, FileError> {
        self.tidy(now);
        let mut all = self.all();
        if all.len() >= MAX_UPLOADS {
            return Err(FileError::Busy);
        }
        let mut random = [[0; 16]; 2];
        for half in &mut random {
            entropy.fill(half);
        }
        let [first, second] = random.map(u128::from_be_bytes);
        let id = format!("{first:032x}{second:032x}");
        let place = Place {
            last: Mutex::new(now),
            state: tokio::sync::Mutex::new(Some(begun)),
        };
        all.insert(id.clone(), Arc::new(place));
        Ok(id)
    }

    fn find(&self, id: &str, now: Moment) -> Option<Arc<Place>> {
        let place = self.all().get(id).cloned()?;
        *place.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Some(place)
    }

    fn forget(&self, id: &str) {
        self.all().remove(id);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Place>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which upload is meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Meant {
    upload_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Described {
    file: Description,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Description {
    name: Option<String>,
    #[serde(alias = "display_name")]
    display_name: Option<String>,
    #[serde(alias = "mime_type")]
    mime_type: Option<String>,
}

/// `POST /upload/v1beta/files`: begins an upload, or takes a piece of one.
pub async fn upload(
    State(app): State<Shared>,
    Query(meant): Query<Meant>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let answered = match meant.upload_id {
        None => begin(&app, request, &arrival).await,
        Some(id) => go_on(&app, &id, request).await,
    };
    answered.unwrap_or_else(|problem| failure(Shape::Gemini, &problem, &arrival))
}

async fn begin(app: &Shared, request: Request, arrival: &Arrival) -> Result<Response, Problem> {
    let path = request.uri().path().to_owned();
    let base = app.files.base_of(request.headers()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let caller = authenticate(app, &parts, arrival)?;
    let is_resumable = text(&parts.headers, &PROTOCOL)
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case("resumable"));
    if !is_resumable || commands(&parts.headers) != ["start"] {
        let detail = "Uploads are resumable: begin with `X-Goog-Upload-Protocol: resumable` and \
                      `X-Goog-Upload-Command: start`, then send the bytes to the address in `X-Goog-Upload-Url`.";
        return Err(invalid(Some("X-Goog-Upload-Protocol"), detail.to_owned()));
    }
    let max = app.files.rules().max_file;
    let promised = HeaderName::from_static("x-goog-upload-header-content-length");
    let promised = text(&parts.headers, &promised).and_then(|length| length.parse::<u64>().ok());
    if promised.is_some_and(|length| length > max) {
        return Err(FileError::TooLarge { max }.into_problem());
    }
    count(app, &caller).await?;
    let described = read(body, MAX_DESCRIPTION).await?;
    let label = label(&parts.headers, &described)?;
    let upload = Files::begin_lasting(&app.files, caller.owner()).await;
    let begun = Begun {
        upload: upload.map_err(IntoProblem::into_problem)?,
        label,
        received: 0,
    };
    let begun = app.uploads.begin(begun, app.clock.moment(), &*app.entropy);
    let id = begun.map_err(IntoProblem::into_problem)?;
    let address = format!("{base}{path}?upload_id={id}&upload_protocol=resumable");
    let mut response = axum::Json(json!({})).into_response();
    let fields = response.headers_mut();
    if let Ok(address) = HeaderValue::try_from(address) {
        fields.insert("x-goog-upload-url", address);
    }
    fields.insert("x-goog-upload-chunk-granularity", GRANULARITY);
    fields.insert(STATUS, HeaderValue::from_static("active"));
    Ok(response)
}

/// What the file is to be called.
fn label(headers: &HeaderMap, described: &[u8]) -> Result<Label, Problem> {
    let described: Described = match described {
        [] => Described::default(),
        described => serde_json::from_slice(described).map_err(|error| {
            invalid(
                Some("file"),
                format!("The body describes no file: {error}."),
            )
        })?,
    };
    let file = described.file;
    if file.name.is_some() {
        let detail = "`file.name` is given by the gateway; `file.displayName` is yours to choose.";
        return Err(invalid(Some("file.name"), detail.to_owned()));
    }
    let filename = match file.display_name.filter(|name| !name.is_empty()) {
        None => FileName::unnamed(),
        Some(name) => name
            .parse()
            .map_err(|error: domain::file::InvalidFileName| {
                let detail = format!("The file cannot be called that: {error}.");
                invalid(Some("file.displayName"), detail)
            })?,
    };
    let declared = HeaderName::from_static("x-goog-upload-header-content-type");
    let declared = text(headers, &declared).map(str::to_owned);
    let media_type = file
        .mime_type
        .or(declared)
        .and_then(|kind| kind.parse().ok())
        .or_else(|| MediaType::of_file(&filename))
        .unwrap_or(MediaType::octet_stream());
    Ok(Label {
        purpose: FilePurpose::UserData,
        filename,
        media_type,
        keep_for: None,
    })
}

/// Does with an upload what its caller orders.
async fn go_on(app: &App, id: &str, request: Request) -> Result<Response, Problem> {
    let view = View::of(Shape::Gemini, app, request.headers());
    let gone = || {
        let detail = "There is no upload at this address: it was completed, given up, or begun at another replica.";
        Problem::new(ProblemKind::NotFound, detail)
    };
    let place = app.uploads.find(id, app.clock.moment()).ok_or_else(gone)?;
    let Ok(mut state) = place.state.try_lock() else {
        let detail = "Another piece of this upload is still arriving.";
        return Err(Problem::new(ProblemKind::Conflict, detail));
    };
    let begun = state.as_mut().ok_or_else(gone)?;
    let orders = commands(request.headers());
    if let Some(unknown) = orders
        .iter()
        .find(|order| !["upload", "finalize", "query", "cancel"].contains(&order.as_str()))
    {
        let detail = format!(
            "`{unknown}` is no command of an upload: `upload`, `finalize`, `query` or `cancel`."
        );
        return Err(invalid(Some("X-Goog-Upload-Command"), detail));
    }
    let is_ordered = |order: &str| orders.iter().any(|it| it == order);
    if is_ordered("cancel") {
        *state = None;
        app.uploads.forget(id);
        return Ok(told("cancelled", 0));
    }
    if is_ordered("upload") {
        let offset =
            text(request.headers(), &OFFSET).map_or(Some(begun.received), |it| it.parse().ok());
        if offset != Some(begun.received) {
            let detail = format!("The upload has {} bytes; go on from there.", begun.received);
            return Err(invalid(Some("X-Goog-Upload-Offset"), detail));
        }
        if let Err(problem) = receive(begun, request.into_body()).await {
            // Nobody knows how much of the piece was written: the upload begins anew.
            *state = None;
            app.uploads.forget(id);
            return Err(problem);
        }
    }
    if !is_ordered("finalize") {
        return Ok(told("active", begun.received));
    }
    let received = begun.received;
    let Some(begun) = state.take() else {
        return Err(gone());
    };
    app.uploads.forget(id);
    let file: StoredFile = begun
        .upload
        .finish(begun.label)
        .await
        .map_err(IntoProblem::into_problem)?;
    let mut response = axum::Json(json!({ "file": view.file(&file) })).into_response();
    response.headers_mut().extend(fields("final", received));
    Ok(response)
}

/// Writes a piece as it arrives.
async fn receive(begun: &mut Begun, mut body: Body) -> Result<(), Problem> {
    loop {
        let Ok(frame) = tokio::time::timeout(SILENCE, body.frame()).await else {
            let detail = "Nothing arrived for too long; the upload was given up.";
            return Err(invalid(None, detail.to_owned()));
        };
        let Some(frame) = frame else { return Ok(()) };
        let frame =
            frame.map_err(|error| invalid(None, format!("The piece broke off: {error}.")))?;
        if let Ok(piece) = frame.into_data() {
            begun.received += piece.len() as u64;
            let written = begun.upload.write(piece).await;
            written.map_err(IntoProblem::into_problem)?;
        }
    }
}

fn told(status: &'static str, received: u64) -> Response {
    let mut response = Response::new(Body::empty());
    response.headers_mut().extend(fields(status, received));
    response
}

fn fields(status: &'static str, received: u64) -> [(HeaderName, HeaderValue); 2] {
    [
        (STATUS, HeaderValue::from_static(status)),
        (RECEIVED, HeaderValue::from(received)),
    ]
}

fn commands(headers: &HeaderMap) -> Vec<String> {
    let told = text(headers, &COMMAND).unwrap_or_default().split(',');
    let told = told.map(|order| order.trim().to_ascii_lowercase());
    told.filter(|order| !order.is_empty()).collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
