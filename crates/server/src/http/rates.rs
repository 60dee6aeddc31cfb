//! How much is left of a caller's rates, in the header fields of the API that it speaks.

use std::time::Duration;

use domain::call::Face;
use gateway::ChatError;
use gateway::limits::{Meter, Standing};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};

use super::value::Values;

/// Says what is left of requests and of tokens, of the tightest limit of each: to OpenAI's clients and to
/// Anthropic's as their vendors do, to all others as the IETF's draft has it. What the vendor said of its own
/// limits is not the caller's, and makes room.
pub(super) fn tell(
    face: Face,
    standing: Option<Standing>,
    now: Timestamp,
    values: &mut Values,
    headers: &mut HeaderMap,
) {
    let Some(standing) = standing else { return };
    match face {
        Face::OpenaiChat | Face::OpenaiResponses | Face::Openai => {
            openai(&standing, values, headers);
        }
        Face::Anthropic => anthropic(&standing, now, values, headers),
        Face::Gemini | Face::Cohere | Face::Application | Face::PassThrough => {
            draft(&standing, headers);
        }
    }
}

/// What is said of a request that was turned away for a rate.
pub fn of_refusal(error: &ChatError) -> Option<Standing> {
    match error {
        ChatError::LimitReached(reached) => reached.standing.as_deref().copied(),
        _ => None,
    }
}

/// The fields of one meter.
struct Fields {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

/// <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>
const OPENAI: [Fields; 2] = [
    Fields {
        limit: HeaderName::from_static("x-ratelimit-limit-requests"),
        remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
        reset: HeaderName::from_static("x-ratelimit-reset-requests"),
    },
    Fields {
        limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
        remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
        reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
    },
];

/// <https://docs.claude.com/en/api/rate-limits#response-headers>
const ANTHROPIC: [Fields; 2] = [
    Fields {
        limit: HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        remaining: HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        reset: HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    },
    Fields {
        limit: HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        remaining: HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        reset: HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    },
];

/// A field for what may be taken, one for what is left of it, and one for when it is whole again, of each meter that
/// there is.
fn each(
    fields: [Fields; 2],
    standing: &Standing,
    values: &mut Values,
    headers: &mut HeaderMap,
    reset: impl Fn(Meter, &mut Values) -> Option<HeaderValue>,
) {
    for (fields, meter) in fields.into_iter().zip([standing.requests, standing.tokens]) {
        let Some(meter) = meter else { continue };
        for (name, value) in [
            (fields.limit, values.number(meter.limit)),
            (fields.remaining, values.number(meter.remaining)),
            (fields.reset, reset(meter, values)),
        ] {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

fn openai(standing: &Standing, values: &mut Values, headers: &mut HeaderMap) {
    each(OPENAI, standing, values, headers, |meter, _| {
        Some(HeaderValue::from_static(if is_untouched(meter) {
            "0s"
        } else {
            match meter.per.length().as_secs() {
                60 => "1m0s",
                3_600 => "1h0m0s",
                _ => "24h0m0s",
            }
        }))
    });
}

fn anthropic(standing: &Standing, now: Timestamp, values: &mut Values, headers: &mut HeaderMap) {
    each(ANTHROPIC, standing, values, headers, |meter, values| {
        let wait = if is_untouched(meter) {
            Duration::ZERO
        } else {
            meter.per.length()
        };
        let at = SignedDuration::try_from(wait).ok();
        let at = at
            .and_then(|wait| now.checked_add(wait).ok())
            .unwrap_or(now);
        // Whole seconds (RFC 3339), as the vendor writes them.
        values.shown(Timestamp::from_second(at.as_second()).unwrap_or(at))
    });
}

/// <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>: a policy for each limit, and what is
/// left of it.
fn draft(standing: &Standing, headers: &mut HeaderMap) {
    let mut policies = Vec::new();
    let mut limits = Vec::new();
    for (name, meter) in [("requests", standing.requests), ("tokens", standing.tokens)] {
        let Some(meter) = meter else { continue };
        let window = meter.per.length().as_secs();
        let reset = if is_untouched(meter) { 0 } else { window };
        policies.push(format!("\"{name}\";q={};w={window}", meter.limit));
        limits.push(format!("\"{name}\";r={};t={reset}", meter.remaining));
    }
    for (name, items) in [("ratelimit-policy", policies), ("ratelimit", limits)] {
        if let Ok(value) = HeaderValue::try_from(items.join(", ")) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

fn is_untouched(meter: Meter) -> bool {
    meter.remaining >= meter.limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limit::Window;

    fn told(face: Face) -> Vec<(String, String)> {
        let meter = |limit, remaining, per| {
            Some(Meter {
                limit,
                remaining,
                per,
            })
        };
        let standing = Standing {
            requests: meter(600, 599, Window::Minute),
            tokens: meter(1_000, 1_000, Window::Hour),
        };
        let mut headers = HeaderMap::new();
        let now = Timestamp::from_millisecond(1_700_000_000_500).unwrap();
        tell(face, Some(standing), now, &mut Values::new(), &mut headers);
        let pairs = headers.iter();
        pairs
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect()
    }

    fn has(told: &[(String, String)], name: &str, value: &str) -> bool {
        told.contains(&(name.to_owned(), value.to_owned()))
    }

    #[test]
    fn openais_clients_read_what_is_left_as_openai_says_it() {
        let told = told(Face::OpenaiChat);
        assert!(has(&told, "x-ratelimit-limit-requests", "600"));
        assert!(has(&told, "x-ratelimit-remaining-requests", "599"));
        assert!(has(&told, "x-ratelimit-reset-requests", "1m0s"));
        assert!(has(&told, "x-ratelimit-remaining-tokens", "1000"));
        assert!(has(&told, "x-ratelimit-reset-tokens", "0s"));
        assert_eq!(told.len(), 6);
    }

    #[test]
    fn anthropics_clients_read_when_it_is_whole_again() {
        let told = told(Face::Anthropic);
        assert!(has(&told, "anthropic-ratelimit-requests-remaining", "599"));
        let reset = "2023-11-14T22:14:20Z";
        assert!(has(&told, "anthropic-ratelimit-requests-reset", reset));
        assert_eq!(told.len(), 6);
    }

    #[test]
    fn others_read_the_draft() {
        let told = told(Face::Gemini);
        let policy = "\"requests\";q=600;w=60, \"tokens\";q=1000;w=3600";
        assert!(has(&told, "ratelimit-policy", policy));
        let left = "\"requests\";r=599;t=60, \"tokens\";r=1000;t=0";
        assert!(has(&told, "ratelimit", left));
    }

    #[test]
    fn who_is_not_limited_is_told_nothing() {
        let mut headers = HeaderMap::new();
        let now = Timestamp::UNIX_EPOCH;
        tell(
            Face::OpenaiChat,
            None,
            now,
            &mut Values::new(),
            &mut headers,
        );
        assert!(headers.is_empty());
    }
}
