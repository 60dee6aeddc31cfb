//! What every format's `error.rs` needs: when to come back, what a status means, and how a provider's
//! words become a sentence that may be shown: no markup, no secret, not endless.

use std::borrow::Cow;
use std::time::Duration;

use domain::provider_error::{Cause, ProviderError, Retry};
use http::HeaderMap;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The longest sentence that is kept of a provider's error, in characters.
const MAX_SENTENCE: usize = 1_000;

/// The longest wait that is believed; a provider that says more means "not today".
const MAX_WAIT: Duration = Duration::from_hours(24);

/// When the provider says to come back: `retry-after-ms` (milliseconds, as OpenAI and Azure send it),
/// else `Retry-After` in seconds or as a date (RFC 9110 §10.2.3). At most a day.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let wait = text("retry-after-ms")
        .and_then(|milliseconds| seconds(milliseconds, 1_000.0))
        .or_else(|| {
            let value = text("retry-after")?;
            seconds(value, 1.0).or_else(|| until(value, now))
        })?;
    Some(wait.min(MAX_WAIT))
}

fn seconds(text: &str, per_second: f64) -> Option<Duration> {
    let count: f64 = text.trim().parse().ok()?;
    Duration::try_from_secs_f64(count / per_second).ok()
}

/// A date in the past means now.
fn until(text: &str, now: Timestamp) -> Option<Duration> {
    let date = DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(date.duration_since(now).try_into().unwrap_or_default())
}

/// What a status code says when nothing better is known.
pub fn cause_of_status(status: u16) -> Cause {
    match status {
        401 => Cause::Authentication,
        402 => Cause::QuotaExhausted,
        403 => Cause::Permission,
        404 | 410 => Cause::NotFound,
        408 | 504 | 524 => Cause::Timeout,
        413 => Cause::TooLarge,
        429 => Cause::RateLimited,
        // 529 is Anthropic's and Cloudflare's "overloaded".
        503 | 529 => Cause::Overloaded,
        400..=499 => Cause::InvalidRequest,
        _ => Cause::Server,
    }
}

/// Whether the same request may be sent again after a failure of this cause, with the wait that the
/// provider asked for.
pub fn retry_of(cause: Cause, wait: Option<Duration>) -> Retry {
    match cause {
        Cause::RateLimited
        | Cause::Overloaded
        | Cause::Server
        | Cause::Timeout
        | Cause::Unreachable
        | Cause::Interrupted => wait.map_or(Retry::Now, Retry::After),
        Cause::InvalidRequest
        | Cause::ContextTooLong
        | Cause::TooLarge
        | Cause::Authentication
        | Cause::Permission
        | Cause::NotFound
        | Cause::QuotaExhausted
        | Cause::ContentPolicy
        | Cause::Malformed => Retry::Never,
    }
}

/// Whether a provider's sentence says that the conversation does not fit the model's context window.
/// Hosts say so with 400, 413, 422 and even 500, and most have no code for it.
pub fn speaks_of_context(sentence: &str) -> bool {
    const SIGNS: [&str; 12] = [
        "context length",
        "context window",
        "context_length_exceeded",
        "context size",
        "input is too long",
        "input length and `max_tokens` exceed",
        "input token count",
        "prompt is too long",
        "prompt too long",
        "exceeds the maximum number of tokens",
        "reduce the length of the messages",
        "too large for model with",
    ];
    let sentence = sentence.to_ascii_lowercase();
    SIGNS.iter().any(|sign| sentence.contains(sign))
}

/// The failure behind a body that is not an error of the provider's format: an HTML page of a proxy,
/// plain text, or nothing.
pub fn unreadable(status: u16, body: &[u8], wait: Option<Duration>) -> ProviderError {
    let cause = match cause_of_status(status) {
        _ if speaks_of_context(&String::from_utf8_lossy(body)) => Cause::ContextTooLong,
        cause => cause,
    };
    let words = sentence(body);
    let message = if words.is_empty() {
        format!("the provider answered {status} without a word of explanation")
    } else {
        format!("the provider answered {status}: {words}")
    };
    ProviderError {
        status: Some(status),
        ..ProviderError::new(cause, message).with_retry(retry_of(cause, wait))
    }
}

/// A readable sentence from bytes of any kind: the title or else the text of an HTML page, without
/// markup, white space folded, secrets masked, cut at a thousand characters.
pub fn sentence(body: &[u8]) -> String {
    // A page of any length is read as far as it could matter.
    let body = body.get(..16 * 1024).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let is_markup = text.trim_start().starts_with('<');
    let words = if is_markup {
        title(&text).map_or_else(|| without_markup(&text), without_markup)
    } else {
        text.into_owned()
    };
    clean(&words)
}

/// A provider's sentence, fit to be shown: white space folded, control characters gone, secrets masked,
/// cut at a thousand characters.
pub fn clean(text: &str) -> String {
    let mut folded = String::with_capacity(text.len().min(MAX_SENTENCE));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    let masked = mask_secrets(&folded);
    match masked.char_indices().nth(MAX_SENTENCE) {
        None => masked.into_owned(),
        Some((end, _)) => format!("{}…", masked.get(..end).unwrap_or_default()),
    }
}

fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower.get(start..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</title")?;
    page.get(start..end)
        .filter(|title| !title.trim().is_empty())
}

/// The text between the tags; scripts and styles are not text.
fn without_markup(page: &str) -> String {
    let mut words = String::new();
    let mut rest = page;
    while let Some((text, tag)) = rest.split_once('<') {
        words.push_str(text);
        words.push(' ');
        let hidden = ["script", "style"].into_iter().find(|name| {
            tag.get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name))
        });
        let after = match hidden {
            Some(name) => after_closing_tag(tag, name),
            None => Some(tag),
        };
        rest = after
            .and_then(|tag| tag.split_once('>'))
            .map_or("", |(_, rest)| rest);
    }
    words.push_str(rest);
    for (entity, sign) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        words = words.replace(entity, sign);
    }
    words
}

fn after_closing_tag<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let close = tag.to_ascii_lowercase().find(&format!("</{name}"))?;
    tag.get(close..)
}

/// Replaces by `***` what looks like a credential: known prefixes, what follows `Bearer`, and long
/// runs of letters and digits. Providers quote the key they refuse, and proxies quote whole requests.
pub fn mask_secrets(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut copied = 0;
    let mut after_bearer = false;
    for (start, token) in tokens(text) {
        let is_secret = looks_secret(token) || (after_bearer && token.len() >= 8);
        after_bearer = token.eq_ignore_ascii_case("bearer");
        if is_secret {
            masked.push_str(text.get(copied..start).unwrap_or_default());
            masked.push_str("***");
            copied = start + token.len();
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(masked)
}

/// The runs of the characters that credentials are made of, with their positions.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let belongs = |c: char| c.is_ascii_alphanumeric() || "-_+/*.".contains(c);
    text.split(move |c| !belongs(c))
        .filter(|token| !token.is_empty())
        .map(move |token| (token.as_ptr().addr() - text.as_ptr().addr(), token))
}

fn looks_secret(token: &str) -> bool {
    /// How the credentials of the vendors that we know begin.
    const PREFIXES: [&str; 17] = [
        "sk-", "sk_", "pk-", "pk_", "rk_", "tl_", "AIza", "ya29.", "eyJ", "xai-", "gsk_", "hf_",
        "pplx-", "AKIA", "ASIA", "ghp_", "fw_",
    ];
    /// Identifiers that a reader needs and that open nothing.
    const IDENTIFIERS: [&str; 6] = ["req_", "req-", "msg_", "resp_", "chatcmpl-", "call_"];
    if PREFIXES.iter().any(|prefix| token.starts_with(prefix)) && token.len() >= 10 {
        return true;
    }
    if IDENTIFIERS.iter().any(|prefix| token.starts_with(prefix)) {
        return false;
    }
    // Words, model names, paths and UUIDs have short runs between their separators.
    token
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|run| {
            let digits = run.bytes().filter(u8::is_ascii_digit).count();
            run.len() >= 20 && digits >= 3 && digits < run.len()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-05T12:00:00Z".parse().unwrap()
    }

    fn wait(name: &'static str, value: &'static str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers, now())
    }

    #[test]
    fn retry_after_is_read_in_seconds_milliseconds_and_as_a_date() {
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(wait("retry-after", "20"), seconds(20));
        assert_eq!(wait("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(
            wait("retry-after-ms", "1250"),
            Some(Duration::from_millis(1250))
        );
        assert_eq!(
            wait("retry-after", "Thu, 05 Nov 2026 12:01:30 GMT"),
            seconds(90)
        );
        assert_eq!(
            wait("retry-after", "Thu, 05 Nov 2026 11:00:00 GMT"),
            seconds(0)
        );
    }

    #[test]
    fn a_wait_without_sense_is_no_wait_and_an_endless_one_is_a_day() {
        for value in ["soon", "-3", "NaN", "inf", ""] {
            assert_eq!(wait("retry-after", value), None, "{value}");
        }
        assert_eq!(wait("retry-after", "99999999999"), Some(MAX_WAIT));
    }

    #[test]
    fn a_page_of_a_proxy_becomes_its_title() {
        let page =
            b"<!DOCTYPE html><html><head><title>502 Bad\n Gateway</title></head><body>x</body>";
        assert_eq!(sentence(page), "502 Bad Gateway");
    }

    #[test]
    fn a_page_without_title_becomes_its_text_without_scripts() {
        let page = b"<html><style>p{}</style><SCRIPT>var a = '<b>';</SCRIPT><h1>Down &amp; out</h1><p>Sorry";
        assert_eq!(sentence(page), "Down & out Sorry");
    }

    #[test]
    fn what_looks_like_a_credential_is_masked() {
        for (text, expected) in [
            (
                "Incorrect API key provided: sk-proj-abc123***wxyz.",
                "Incorrect API key provided: ***",
            ),
            ("key=AIzaSyA-1234567890abcdef", "key=***"),
            (
                "Authorization: Bearer abcdefghij",
                "Authorization: Bearer ***",
            ),
            (
                "token 9f86d081884c7d659a2feaa0c55ad015 refused",
                "token *** refused",
            ),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn names_and_request_identifiers_stay_readable() {
        for text in [
            "model accounts/fireworks/models/llama-v3p1-405b-instruct is gone",
            "see https://platform.openai.com/docs/guides/error-codes/api-errors",
            "request req_011CUqVQ4hJ5v1yZ3Yk2m8nP failed",
            "id 0192f0c1-2222-7abc-8def-0123456789ab",
            "The bearer of bad news",
        ] {
            assert_eq!(mask_secrets(text), text);
        }
    }

    #[test]
    fn a_sentence_is_cut_between_characters() {
        let long = "ü".repeat(5_000);
        assert_eq!(clean(&long).chars().count(), MAX_SENTENCE + 1);
    }

    #[test]
    fn an_empty_body_still_gives_a_sentence() {
        let failure = unreadable(503, b"", Some(Duration::from_secs(3)));
        assert_eq!(failure.cause, Cause::Overloaded);
        assert_eq!(failure.retry, Retry::After(Duration::from_secs(3)));
        assert!(failure.message.contains("503"));
    }

    #[test]
    fn a_conversation_that_is_too_long_is_recognised_whatever_the_status() {
        let failure = unreadable(
            500,
            b"This model's maximum context length is 8192 tokens",
            None,
        );
        assert_eq!(failure.cause, Cause::ContextTooLong);
        assert_eq!(failure.retry, Retry::Never);
    }
}
