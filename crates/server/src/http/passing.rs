//! Requests that pass to a vendor's own API: `/passthrough/{provider}/…` in any method, and those of
//! OpenAI's paths that have no face of their own (`/v1/fine_tuning/…`).

use axum::BoxError;
use bytes::Bytes;
use domain::call::Face as Recorded;
use domain::problem::Problem;
use gateway::ChatError;
use gateway::native::{self, NativeReply, NativeRequest};
use gateway::routes::Routes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use providers::face::Face;
use providers::native::meter::Native;
use providers::openai::OpenaiChat;

use super::answer::Answer;
use super::auth::authenticate;
use super::call::{self, failed, read, render, respond};
use super::faces::{Api, Spoken};
use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::App;

const PREFIX: &str = "/passthrough/";
const OPENAI: &str = "/v1/";
/// OpenAI's paths below [`OPENAI`] that pass.
const FINE_TUNING: &str = "fine_tuning/";

/// Whether a request to `path` passes.
pub fn is_meant(path: &str) -> bool {
    path.starts_with(PREFIX)
        || path
            .strip_prefix(OPENAI)
            .is_some_and(|rest| rest.starts_with(FINE_TUNING))
}

/// Answers a request that passes, with what the vendor says.
pub async fn answer<B>(app: &App, arrival: &Arrival, request: Request<B>) -> Response<Answer>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let (parts, body) = request.into_parts();
    let routes = app.gateway.routes();
    let face = face(&routes, &parts);
    let api = Api::Chat(face);
    let refuse = |problem: &Problem| {
        app.telemetry.refused(problem.kind);
        render(api, problem, arrival)
    };
    let caller = match authenticate(app, &parts, arrival) {
        Ok(caller) => caller,
        Err(problem) => return refuse(&problem),
    };
    let body = match read(body, app.max_body).await {
        Ok(body) => body,
        Err(problem) => return refuse(&problem),
    };
    let (asked, name, body) = match asked(&routes, &parts, body) {
        Ok(asked) => asked,
        Err(error) => return refuse(&error.into_problem()),
    };
    let spoken = Spoken {
        api,
        name,
        model: None,
        stream: None,
    };
    let name = spoken.name;
    let inbound = call::inbound(face, spoken, arrival, parts, body);
    match Box::pin(app.gateway.pass(&caller, inbound, asked)).await {
        Ok(reply) => hand_on(reply, name, arrival),
        Err(error @ ChatError::Failed { .. }) => failed(api, error, arrival),
        Err(error) => refuse(&error.into_problem()),
    }
}

/// The vendor's answer, with what is said of the call beside it.
pub(super) fn hand_on(
    answered: NativeReply,
    face: Recorded,
    arrival: &Arrival,
) -> Response<Answer> {
    let mut response = respond(answered.reply, face, arrival);
    *response.status_mut() = answered.status;
    response.headers_mut().extend(answered.fields);
    response
}

/// The API in whose words problems are told: that of the path's vendor, or OpenAI's.
fn face(routes: &Routes, parts: &Parts) -> &'static dyn Face {
    let Some((name, path)) = below(parts.uri.path()) else {
        return &OpenaiChat;
    };
    match routes.provider(name) {
        Some(provider) => {
            let kind = provider.kind.answering_at(path);
            Native::read(kind, &parts.method, path, b"").face
        }
        None => &OpenaiChat,
    }
}

/// The provider and the path below it.
fn below(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// What is asked of whom, how the API is recorded, and the body as it is sent.
fn asked(
    routes: &Routes,
    parts: &Parts,
    body: Bytes,
) -> Result<(NativeRequest, Recorded, Bytes), ChatError> {
    let path = parts.uri.path();
    let query = parts.uri.query();
    let Some((name, rest)) = below(path) else {
        let path = path.trim_start_matches('/');
        let (asked, body) = native::of_openai(routes, &parts.method, path, query, body)?;
        return Ok((asked, Recorded::Openai, body));
    };
    let provider = name.parse().map_err(|_| ChatError::UnknownProvider {
        detail: "The path is `/passthrough/{provider}/…`, with a provider's name from the configuration."
            .to_owned(),
    })?;
    let asked = NativeRequest {
        provider,
        method: parts.method.clone(),
        path: rest.to_owned(),
        query: query.map(str::to_owned),
    };
    Ok((asked, Recorded::PassThrough, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_no_face_of_its_own_passes() {
        for path in [
            "/passthrough/openai/files",
            "/passthrough/openai",
            "/v1/fine_tuning/jobs",
        ] {
            assert!(is_meant(path), "{path}");
        }
        for path in [
            "/v1/chat/completions",
            "/v1/fine_tuning",
            "/passthrough",
            "/x/v1/fine_tuning/jobs",
        ] {
            assert!(!is_meant(path), "{path}");
        }
    }

    #[test]
    fn the_provider_is_the_first_segment() {
        assert_eq!(below("/passthrough/a/b/c"), Some(("a", "b/c")));
        assert_eq!(below("/passthrough/a"), Some(("a", "")));
        assert_eq!(below("/v1/fine_tuning/jobs"), None);
    }
}
