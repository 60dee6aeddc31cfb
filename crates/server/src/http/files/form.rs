//! The form that a file is uploaded with. Its parts may come in any order, so the bytes go to the media
//! store before it is known what they are for.

use std::time::Duration;

use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use domain::caller::Caller;
use domain::file::{FileName, FilePurpose, StoredFile};
use domain::media::MediaType;
use domain::problem::{Problem, ProblemKind};
use gateway::files::{Label, Upload};
use http::StatusCode;

use super::shape::Shape;
use crate::app::App;
use crate::http::problem::IntoProblem;

/// How long the next bytes of a form may take to arrive: whoever is silent keeps others from writing.
pub(super) const SILENCE: Duration = Duration::from_mins(1);
/// The longest value of a part that is not the file, in bytes.
const MAX_VALUE: usize = 256;
/// The most parts of one form.
const MAX_PARTS: usize = 16;
/// How soon a file may end at the earliest and at the latest
/// (<https://platform.openai.com/docs/api-reference/files/create#files_create-expires_after>).
const EXPIRES_AFTER: std::ops::RangeInclusive<u64> = 3_600..=2_592_000;

/// What a form says beside the bytes.
#[derive(Default)]
struct Said {
    purpose: Option<String>,
    anchor: Option<String>,
    seconds: Option<String>,
}

/// Reads a form and keeps its file for the caller.
pub(super) async fn keep(
    app: &App,
    caller: &Caller,
    shape: Shape,
    mut form: Multipart,
) -> Result<StoredFile, Problem> {
    let mut said = Said::default();
    let mut file = None;
    for _ in 0..MAX_PARTS {
        let Some(part) = in_time(form.next_field()).await? else {
            return finish(said, file, shape).await;
        };
        match (part.name().unwrap_or_default(), shape) {
            ("file", _) if file.is_some() => {
                let detail = "`file` is there twice; one file is taken at a time.";
                return Err(invalid(Some("file"), detail.to_owned()));
            }
            ("file", _) => file = Some(receive(app, caller, part).await?),
            ("purpose", Shape::Openai) => said.purpose = Some(value("purpose", part).await?),
            ("expires_after[anchor]", Shape::Openai) => {
                said.anchor = Some(value("expires_after[anchor]", part).await?);
            }
            ("expires_after[seconds]", Shape::Openai) => {
                said.seconds = Some(value("expires_after[seconds]", part).await?);
            }
            (other, _) => {
                let name: String = other.chars().take(64).collect();
                let detail = format!("`{name}` is not a part of this form.");
                return Err(invalid(Some(&name), detail));
            }
        }
    }
    let detail = format!("The form has more than {MAX_PARTS} parts.");
    Err(invalid(None, detail))
}

/// A file that has arrived, and what its part said of it.
struct Received<'f> {
    upload: Upload<'f>,
    filename: FileName,
    media_type: MediaType,
}

async fn receive<'f>(
    app: &'f App,
    caller: &Caller,
    mut part: Field<'_>,
) -> Result<Received<'f>, Problem> {
    let filename = filename(&part)?;
    let media_type = media_type(&part, &filename);
    let begun = app.files.begin(caller.owner()).await;
    let mut upload = begun.map_err(IntoProblem::into_problem)?;
    while let Some(piece) = in_time(part.chunk()).await? {
        let written = upload.write(piece).await;
        written.map_err(IntoProblem::into_problem)?;
    }
    Ok(Received {
        upload,
        filename,
        media_type,
    })
}

/// The last segment of what the client calls the file: some send the whole path.
fn filename(part: &Field<'_>) -> Result<FileName, Problem> {
    let Some(said) = part.file_name() else {
        let detail = "`file` must be a file, with a `filename` in its `Content-Disposition`.";
        return Err(invalid(Some("file"), detail.to_owned()));
    };
    let last = said.rsplit(['/', '\\']).next().unwrap_or(said);
    last.parse()
        .map_err(|error: domain::file::InvalidFileName| {
            invalid(
                Some("file"),
                format!("The file cannot be called that: {error}."),
            )
        })
}

/// What the client says, or where it says nothing, what the name says.
fn media_type(part: &Field<'_>, filename: &FileName) -> MediaType {
    let unknown = MediaType::octet_stream();
    let said = part.content_type().and_then(|text| text.parse().ok());
    said.filter(|said: &MediaType| said.essence() != unknown.as_str())
        .or_else(|| MediaType::of_file(filename))
        .unwrap_or(unknown)
}

async fn finish(
    said: Said,
    received: Option<Received<'_>>,
    shape: Shape,
) -> Result<StoredFile, Problem> {
    let received = received.ok_or_else(|| {
        let detail = "`file` is missing: the form needs a part with the file.";
        invalid(Some("file"), detail.to_owned())
    })?;
    let label = Label {
        purpose: match shape {
            Shape::Openai => purpose(said.purpose.as_deref())?,
            Shape::Anthropic | Shape::Gemini => FilePurpose::UserData,
        },
        filename: received.filename,
        media_type: received.media_type,
        keep_for: keep_for(said.anchor.as_deref(), said.seconds.as_deref())?,
    };
    let kept = received.upload.finish(label).await;
    kept.map_err(IntoProblem::into_problem)
}

fn purpose(said: Option<&str>) -> Result<FilePurpose, Problem> {
    let text = said.ok_or_else(|| {
        let detail =
            "`purpose` is missing: say what the file is for, such as `user_data` or `batch`.";
        invalid(Some("purpose"), detail.to_owned())
    })?;
    let known = text.parse().ok();
    known
        .filter(|purpose: &FilePurpose| purpose.is_uploaded())
        .ok_or_else(|| unknown_purpose(text, FilePurpose::is_uploaded))
}

/// Says which purposes there are among those that `fit`.
pub(super) fn unknown_purpose(text: &str, fit: impl Fn(FilePurpose) -> bool) -> Problem {
    let known = FilePurpose::ALL
        .into_iter()
        .filter(|purpose| *purpose != FilePurpose::Generated && fit(*purpose));
    let known: Vec<String> = known
        .map(|purpose| format!("`{}`", purpose.as_str()))
        .collect();
    let shown: String = text.chars().take(64).collect();
    let detail = format!(
        "`purpose` is `{shown}`; it must be one of {}.",
        known.join(", ")
    );
    invalid(Some("purpose"), detail)
}

fn keep_for(anchor: Option<&str>, seconds: Option<&str>) -> Result<Option<Duration>, Problem> {
    match (anchor, seconds) {
        (None, None) => return Ok(None),
        (Some("created_at"), Some(_)) => {}
        _ => {
            let detail =
                "`expires_after` needs both `anchor`, which is `created_at`, and `seconds`.";
            return Err(invalid(Some("expires_after[anchor]"), detail.to_owned()));
        }
    }
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    let seconds = seconds.filter(|seconds| EXPIRES_AFTER.contains(seconds));
    seconds.map(Duration::from_secs).map(Some).ok_or_else(|| {
        let (least, most) = EXPIRES_AFTER.into_inner();
        let detail = format!("`seconds` must be an integer from {least} to {most}.");
        invalid(Some("expires_after[seconds]"), detail)
    })
}

/// The short text of a part.
async fn value(name: &str, mut part: Field<'_>) -> Result<String, Problem> {
    let mut value = Vec::new();
    while let Some(piece) = in_time(part.chunk()).await? {
        value.extend_from_slice(&piece);
        if value.len() > MAX_VALUE {
            let detail = format!("`{name}` has more than {MAX_VALUE} bytes.");
            return Err(invalid(Some(name), detail));
        }
    }
    String::from_utf8(value)
        .map_err(|_| invalid(Some(name), format!("`{name}` must be UTF-8 text.")))
}

/// What comes next of a form, unless it is too long in coming.
async fn in_time<T>(coming: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    let came = tokio::time::timeout(SILENCE, coming).await.map_err(|_| {
        let seconds = SILENCE.as_secs();
        let detail = format!("The form stopped arriving: nothing came for {seconds} s.");
        invalid(None, detail)
    })?;
    came.map_err(|error| unreadable(&error))
}

fn unreadable(error: &MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(ProblemKind::TooLarge, error.body_text());
    }
    invalid(
        None,
        format!("The form cannot be read: {}.", error.body_text()),
    )
}

/// What is wrong with a request.
pub(super) fn invalid(param: Option<&str>, detail: String) -> Problem {
    let problem = Problem::new(ProblemKind::InvalidRequest, detail);
    match param {
        Some(param) => problem.with_param(param),
        None => problem,
    }
}
