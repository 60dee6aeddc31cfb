//! Who is calling: finds the key in a request and asks the ring.

use domain::caller::Caller;
use domain::problem::{Problem, ProblemKind};
use http::request::Parts;
use http::{HeaderMap, Uri};
use identity::client_secret::is_client_secret;
use identity::ring::Unrecognised;
use providers::openai::realtime::offered_key;

use super::problem::IntoProblem;
use super::request::Arrival;
use crate::app::App;

/// The caller of a request.
pub fn authenticate(app: &App, parts: &Parts, arrival: &Arrival) -> Result<Caller, Problem> {
    let text = shown_key(&parts.headers, &parts.uri).ok_or_else(|| {
        Problem::new(
            ProblemKind::Unauthenticated,
            "No API key was sent. Send a Trunkline key as 'Authorization: Bearer tl_…' (or in x-api-key \
             or x-goog-api-key). The first start prints an admin key and writes it to admin.key in the \
             data directory.",
        )
    })?;
    let recognised = app.ring.recognise(text, arrival.address, arrival.at);
    recognised.map_err(|error| {
        if error == Unrecognised::Unknown && is_client_secret(text) {
            let detail =
                "A client secret opens realtime sessions at /v1/realtime and nothing else.";
            return Problem::new(ProblemKind::Unauthenticated, detail);
        }
        error.into_problem()
    })
}

/// The caller of a request of which nothing else is wanted.
pub fn caller_of<B>(
    app: &App,
    request: http::Request<B>,
    arrival: &Arrival,
) -> Result<Caller, Problem> {
    let (parts, _) = request.into_parts();
    authenticate(app, &parts, arrival)
}

/// The caller of a request, who must be an administrator of the whole installation. What an organisation's
/// administrator may do as well begins with [`super::admin::administrator`].
pub fn authenticate_admin(app: &App, parts: &Parts, arrival: &Arrival) -> Result<Caller, Problem> {
    let caller = authenticate(app, parts, arrival)?;
    if caller.is_operator() {
        return Ok(caller);
    }
    let detail = "This needs a key with the role 'admin' of the default organization.";
    Err(Problem::new(ProblemKind::PermissionDenied, detail))
}

/// The key's text, wherever the vendors' SDKs put it.
pub fn shown_key<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = field("authorization").and_then(|value| {
        let (scheme, text) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(text.trim())
    });
    bearer
        .or_else(|| field("x-api-key"))
        .or_else(|| field("x-goog-api-key"))
        .or_else(|| offered_key(headers))
        .or_else(|| {
            uri.query()?
                .split('&')
                .find_map(|pair| pair.strip_prefix("key="))
        })
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &'static str, value: &'static str, uri: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !name.is_empty() {
            headers.insert(name, value.parse().unwrap());
        }
        shown_key(&headers, &uri.parse().unwrap()).map(str::to_owned)
    }

    #[test]
    fn a_key_is_found_where_every_sdk_puts_it() {
        let key = Some("tl_1".to_owned());
        assert_eq!(shown("authorization", "Bearer tl_1", "/"), key);
        assert_eq!(shown("authorization", "bearer tl_1", "/"), key);
        assert_eq!(shown("x-api-key", "tl_1", "/"), key);
        assert_eq!(shown("x-goog-api-key", "tl_1", "/"), key);
        let offered = "realtime, openai-insecure-api-key.tl_1";
        assert_eq!(shown("sec-websocket-protocol", offered, "/"), key);
        assert_eq!(shown("", "", "/?a=b&key=tl_1"), key);
    }

    #[test]
    fn no_key_is_none() {
        assert_eq!(shown("", "", "/"), None);
        assert_eq!(shown("authorization", "Basic abc", "/"), None);
        assert_eq!(shown("authorization", "Bearer ", "/"), None);
    }
}
