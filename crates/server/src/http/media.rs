//! The bytes of files: by a signed link (`GET /media/{id}`), and as `/v1/files/{id}/content` gives them.

use std::ops::Range;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use domain::file::StoredFile;
use domain::problem::Problem;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::envelope;
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::{App, Shared};

/// What makes a link hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Signature {
    expires: String,
    signature: String,
}

/// `GET /media/{id}`: a file for whoever holds a link to it.
pub async fn read(
    State(app): State<Shared>,
    Path(id): Path<String>,
    Query(link): Query<Signature>,
    request: Request,
) -> Response {
    let arrival = Arrival::of(&request);
    let (parts, _) = request.into_parts();
    let read = async {
        let linked = app.files.linked(&id, &link.expires, &link.signature).await;
        let file = linked.map_err(IntoProblem::into_problem)?;
        content_of(&app, &file, &parts.headers).await
    };
    match read.await {
        Ok(response) => response,
        Err(problem) => envelope::failure(&arrival, &problem),
    }
}

/// A file's bytes, or the range of them that is asked for (RFC 9110 §14). What a browser could run is
/// handed out as a download only.
pub(super) async fn content_of(
    app: &App,
    file: &StoredFile,
    asked: &HeaderMap,
) -> Result<Response, Problem> {
    let whole = 0..file.bytes;
    let (status, range) = match asked_range(asked, file.bytes) {
        Asked::Whole => (StatusCode::OK, whole),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::Beyond => return Ok(unsatisfiable(file)),
    };
    let body = app.files.content(file, range.clone()).await;
    let body = body.map_err(IntoProblem::into_problem)?;
    let mut response = Response::new(Body::from_stream(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    insert(headers, CONTENT_TYPE, file.media_type.as_str());
    insert(headers, CONTENT_DISPOSITION, &disposition(file));
    headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = range.end.saturating_sub(1);
        let part = format!("bytes {}-{last}/{}", range.start, file.bytes);
        insert(headers, CONTENT_RANGE, &part);
    }
    Ok(response)
}

fn unsatisfiable(file: &StoredFile) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    let all = format!("bytes */{}", file.bytes);
    insert(response.headers_mut(), CONTENT_RANGE, &all);
    response
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// What is asked for of a file.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Beyond,
}

/// One range of bytes. Several, and what is no range of bytes, are answered with the whole, as
/// RFC 9110 §14.2 allows.
fn asked_range(headers: &HeaderMap, length: u64) -> Asked {
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let Some((first, last)) = range
        .and_then(|range| range.strip_prefix("bytes="))
        .filter(|range| !range.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Asked::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(last)) if first.is_empty() => length.saturating_sub(last)..length,
        _ => return Asked::Whole,
    };
    if range.start >= range.end {
        return Asked::Beyond;
    }
    Asked::Part(range)
}

/// How a browser is to treat the file (RFC 6266): pictures, sound and films are shown, all else is saved.
fn disposition(file: &StoredFile) -> String {
    let kind = file.media_type.essence();
    let is_shown = kind != "image/svg+xml"
        && ["image/", "audio/", "video/"]
            .iter()
            .any(|prefix| kind.starts_with(prefix));
    let manner = if is_shown { "inline" } else { "attachment" };
    let name = file.filename.as_str();
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            '"' | '\\' | '%' => '_',
            ' '..='~' => letter,
            _ => '_',
        })
        .collect();
    if plain == name {
        return format!("{manner}; filename=\"{plain}\"");
    }
    format!(
        "{manner}; filename=\"{plain}\"; filename*=UTF-8''{}",
        encoded(name)
    )
}

/// `ext-value` of RFC 8187 §3.2.1.
fn encoded(name: &str) -> String {
    let letter = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &'static str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_static(range));
        asked_range(&headers, 10)
    }

    #[test]
    fn one_range_of_bytes_is_answered_and_all_else_with_the_whole() {
        assert_eq!(asked_range(&HeaderMap::new(), 10), Asked::Whole);
        assert_eq!(asked("bytes=0-0"), Asked::Part(0..1));
        assert_eq!(asked("bytes=2-5"), Asked::Part(2..6));
        assert_eq!(asked("bytes=2-99"), Asked::Part(2..10));
        assert_eq!(asked("bytes=2-"), Asked::Part(2..10));
        assert_eq!(asked("bytes=-3"), Asked::Part(7..10));
        assert_eq!(asked("bytes=-99"), Asked::Part(0..10));
        for whole in [
            "bytes=5-2",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=a-b",
            "bytes=-",
        ] {
            assert_eq!(asked(whole), Asked::Whole, "{whole}");
        }
        for beyond in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(asked(beyond), Asked::Beyond, "{beyond}");
        }
    }

    fn file(filename: &str, media_type: &str) -> StoredFile {
        use domain::file::{FilePurpose, FileStatus};
        use domain::id::{KeyId, OrganizationId, ProjectId};
        StoredFile {
            id: "file-00000000000000000000000000000001".parse().unwrap(),
            organization_id: OrganizationId::DEFAULT,
            project_id: ProjectId::DEFAULT,
            key_id: KeyId::of_configured([1; 16]),
            purpose: FilePurpose::UserData,
            filename: filename.parse().unwrap(),
            media_type: media_type.parse().unwrap(),
            bytes: 1,
            object: "a".parse().unwrap(),
            status: FileStatus::Ready,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: None,
        }
    }

    #[test]
    fn what_a_browser_could_run_is_saved_and_never_shown() {
        let of = |name, kind| disposition(&file(name, kind));
        assert_eq!(of("a.png", "image/png"), "inline; filename=\"a.png\"");
        for kind in [
            "text/html",
            "image/svg+xml",
            "application/pdf; x=1",
            "text/plain",
        ] {
            assert_eq!(of("a", kind), "attachment; filename=\"a\"");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(
            disposition(&file("a\"; x=\"é.txt", "text/plain")),
            "attachment; filename=\"a_; x=__.txt\"; filename*=UTF-8''a%22%3B%20x%3D%22%C3%A9.txt"
        );
    }
}
