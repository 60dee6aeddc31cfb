//! What the tasks with pictures and sound have in common: how they ask, how bytes pass, and how vendors
//! without a chat format say that something went wrong.

pub(crate) mod credential;
pub(crate) mod failure;
#[cfg(test)]
mod fuzz;
pub(crate) mod generated;
pub(crate) mod google;
pub(crate) mod openai;
pub(crate) mod origin;
pub(crate) mod relay;
#[cfg(test)]
pub(crate) mod testing;

use jiff::fmt::rfc2822::DateTimeParser;

use http::header::DATE;
use http::response::Parts;

/// When an answer was made, in seconds since 1970, as its `Date` field says (RFC 9110 §6.6.1); zero where a
/// provider has no clock.
pub(crate) fn made_at(head: &Parts) -> i64 {
    head.headers
        .get(DATE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| DateTimeParser::new().parse_timestamp(text.trim()).ok())
        .map_or(0, jiff::Timestamp::as_second)
}

/// The media type of an answer without its parameters, in lower case.
pub(crate) fn media_type(head: &Parts) -> String {
    head.headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .map_or_else(String::new, |text| text.trim().to_ascii_lowercase())
}
