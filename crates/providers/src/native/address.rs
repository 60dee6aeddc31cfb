//! Where a request goes that names its own path: below the provider's base URL and nowhere else.

use http::Uri;

use super::Refused;
use crate::dialect::Refusal;
use crate::face::InvalidRequest;
use crate::url;

/// How often a path is decoded to see what it means: a server may decode what a proxy in front of it has
/// decoded already.
const DECODINGS: usize = 3;
/// Where vendors hand out what opens sessions with them past the gateway, which could neither meter nor end them:
/// OpenAI's and xAI's realtime API and Gemini's live one.
const PAST_THE_GATEWAY: [&str; 5] = [
    "realtime/client_secrets",
    "realtime/sessions",
    "realtime/transcription_sessions",
    "realtime/calls",
    "auth_tokens",
];

/// Parameters of a query that carry a credential: the caller's own, which is for us, or one for the
/// provider, which is the operator's to choose.
const CREDENTIALS: [&str; 5] = ["key", "api_key", "api-key", "access_token", "sig"];

/// The address of `path` below `root`, with the caller's query but for credentials in it. `path` is as the
/// caller wrote it, percent-encoded and without a slash at its beginning. Where `root` ends with a version
/// and `path` begins with the same (`/v1`), it stands there once, so that clients work with it or without.
pub fn below(root: &str, path: &str, query: Option<&str>) -> Result<Uri, Refused> {
    check(path)?;
    let strange = |error: &dyn std::fmt::Display| Refusal {
        detail: format!("The provider's base URL makes no request target: {error}."),
        param: None,
    };
    let base: Uri = root.parse().map_err(|error| strange(&error))?;
    let path = without_version_of(base.path(), path);
    let root = root.trim_end_matches('/');
    let mut address = if path.is_empty() {
        root.to_owned()
    } else {
        format!("{root}/{path}")
    };
    if let Some(query) = query.and_then(onward) {
        address.push('?');
        address.push_str(&query);
    }
    let uri: Uri = address.parse().map_err(|error| strange(&error))?;
    if uri.authority() != base.authority() || uri.scheme() != base.scheme() {
        return Err(leaves().into());
    }
    Ok(uri)
}

/// Refuses what could lead out of the base URL's path, however the provider reads it.
fn check(path: &str) -> Result<(), InvalidRequest> {
    let mut meant = path.to_owned();
    for _ in 0..=DECODINGS {
        let climbs = meant
            .split(['/', '\\'])
            // What follows a `;` are parameters, which some servers take away first.
            .filter_map(|segment| segment.split(';').next())
            .any(|segment| matches!(segment, "." | ".."));
        if climbs || meant.contains(char::is_control) {
            return Err(leaves());
        }
        if !meant.contains('%') {
            break;
        }
        meant = match url::decoded(&meant) {
            Some(decoded) => decoded,
            // The caller's own encoding must be one; what a `%25` stands for need not.
            None if meant == path => return Err(leaves()),
            None => break,
        };
    }
    if PAST_THE_GATEWAY.iter().any(|place| meant.contains(place)) {
        let detail = "What is handed out there opens sessions with the provider past the gateway. Make a client \
                      secret of the gateway's own by POST /v1/realtime/client_secrets.";
        return Err(InvalidRequest {
            detail: detail.to_owned(),
            param: None,
        });
    }
    // An empty segment says nothing, but that some code joined two paths; the last one ends a folder.
    let inner = path.strip_suffix('/').unwrap_or(path);
    if inner.split('/').any(str::is_empty) && !inner.is_empty() {
        let detail = "The path has an empty segment (`//`); leave one of the slashes out.";
        return Err(InvalidRequest {
            detail: detail.to_owned(),
            param: None,
        });
    }
    Ok(())
}

fn leaves() -> InvalidRequest {
    InvalidRequest {
        detail: "The path must stay below the provider's base URL: no `.` and `..` segments, encoded or \
                 not, and no control characters."
            .to_owned(),
        param: None,
    }
}

/// The path without its first segment, where that is the version that `base` ends with.
fn without_version_of<'p>(base: &str, path: &'p str) -> &'p str {
    let version = base.trim_end_matches('/').rsplit('/').next();
    let is_version = |segment: &str| {
        let digits = segment.strip_prefix('v').unwrap_or_default();
        digits.starts_with(|c: char| c.is_ascii_digit())
    };
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if is_version(first) && version == Some(first) {
        rest
    } else {
        path
    }
}

/// The query without the parameters that carry a credential; `None` where nothing is left.
fn onward(query: &str) -> Option<String> {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !is_credential(pair))
        .collect();
    Some(kept.join("&")).filter(|query| !query.is_empty())
}

fn is_credential(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    let name = url::decoded(name).unwrap_or_default().to_ascii_lowercase();
    CREDENTIALS.contains(&&*name) || name.starts_with("x-amz-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(root: &str, path: &str, query: Option<&str>) -> String {
        below(root, path, query).unwrap().to_string()
    }

    #[test]
    fn a_path_goes_below_the_base_url() {
        const ANTHROPIC: &str = "https://api.anthropic.com";
        assert_eq!(
            at(ANTHROPIC, "v1/messages", None),
            "https://api.anthropic.com/v1/messages"
        );
        assert_eq!(
            at("http://[::1]:9/root/", "a%2Fb/c:run/", Some("x=1")),
            "http://[::1]:9/root/a%2Fb/c:run/?x=1"
        );
    }

    #[test]
    fn a_version_stands_there_once() {
        const OPENAI: &str = "https://api.openai.com/v1";
        for path in ["files/f-1", "v1/files/f-1"] {
            assert_eq!(
                at(OPENAI, path, None),
                "https://api.openai.com/v1/files/f-1"
            );
        }
        assert_eq!(at(OPENAI, "v1", None), "https://api.openai.com/v1");
        assert_eq!(at(OPENAI, "v2/x", None), "https://api.openai.com/v1/v2/x");
        assert_eq!(at("https://h/api", "api/x", None), "https://h/api/api/x");
    }

    #[test]
    fn nothing_leads_out_of_the_base_url() {
        for path in [
            "../admin",
            "a/../../b",
            "a/./b",
            "a/..",
            "%2e%2e/admin",
            "%252e%252e/admin",
            "a%2f..%2f..%2fb",
            "a\\..\\b",
            "a%5c..%5cb",
            "..;/admin",
            "a//b",
            "/evil.example/x",
            "a%0d%0aHost:%20evil",
            "a%00b",
            "a%zz",
            "realtime/client_secrets",
            "v1/realtime%2Fsessions/",
            "realtime/calls/rtc_1/accept",
        ] {
            let refused = below("https://h/v1", path, None);
            assert!(
                matches!(refused, Err(Refused::Path(_))),
                "{path}: {refused:?}"
            );
        }
    }

    #[test]
    fn no_credential_is_in_the_query() {
        let query = "alt=sse&key=tl_1&Access_Token=x&api%5Fkey=y&X-Amz-Signature=z&keys=2";
        assert_eq!(
            at("https://h", "x", Some(query)),
            "https://h/x?alt=sse&keys=2"
        );
        assert_eq!(at("https://h", "x", Some("key=tl_1")), "https://h/x");
    }

    proptest! {
        #[test]
        fn whatever_passes_stays_at_the_provider(path in "[a-z./%0-9:@;=#?\\\\-]{0,24}") {
            if let Ok(uri) = below("https://api.example/v1", &path, None) {
                prop_assert_eq!(uri.host(), Some("api.example"));
                prop_assert!(uri.path().starts_with("/v1"), "{}", uri);
            }
        }
    }
}
