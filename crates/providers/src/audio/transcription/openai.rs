//! OpenAI, and the hosts that speak its format: the form passes with the model's name replaced.

use bytes::Bytes;
use domain::usage::Usage;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use serde::Deserialize;

use super::OpenaiTranscripts;
use super::request::{self, refusal};
use crate::audio::duration;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::Asked;
use crate::kind::ProviderKind;
use crate::media::{media_type, openai, relay};
use crate::multipart::{Form, splice};
use crate::outgoing;
use crate::task::PreparedTask;

pub(super) fn prepare(
    goal: OpenaiTranscripts,
    asked: &Asked,
    body: &Bytes,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let form = Form::read(&asked.headers, body).map_err(refusal)?;
    let span = request::model(&form).map_err(refusal)?.0.span.clone();
    let endpoint = match goal {
        OpenaiTranscripts::Transcriptions => "audio/transcriptions",
        OpenaiTranscripts::Translations => "audio/translations",
    };
    let form_type = HeaderValue::from_static("multipart/form-data");
    let request = outgoing::post(
        &openai::url(kind, target, endpoint)?,
        asked.headers.get(CONTENT_TYPE).unwrap_or(&form_type),
        "*/*",
        splice(body, span, target.model.as_bytes()),
    )?;
    Ok(PreparedTask {
        request,
        report: None,
        reader: Box::new(relay::Relay {
            whole: usage_of_answer,
            event: |json| usage_of(json.as_bytes()),
            by_pieces: false,
        }),
    })
}

fn usage_of_answer(head: &Parts, body: &[u8]) -> Result<Option<Usage>, DecodeError> {
    if media_type(head) != "application/json" {
        return Ok(None);
    }
    relay::no_error_in(body)?;
    usage_of(body)
}

/// What an object or an event tells of what it took: tokens, or seconds in `usage` or beside the text.
#[derive(Deserialize)]
struct Told {
    usage: Option<Counts>,
    duration: Option<Seconds>,
}

#[derive(Deserialize)]
struct Counts {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_token_details: Option<InputDetails>,
    seconds: Option<Seconds>,
}

#[derive(Deserialize)]
struct InputDetails {
    audio_tokens: Option<u64>,
}

/// Seconds, which OpenAI has written as a number and as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    fn milliseconds(&self) -> Option<u64> {
        match self {
            Self::Number(seconds) => Some(duration::from_seconds(*seconds)),
            Self::Text(text) => Some(duration::from_seconds(text.parse().ok()?)),
        }
    }
}

fn usage_of(json: &[u8]) -> Result<Option<Usage>, DecodeError> {
    // An answer in a form that a host made up is none of ours to judge; it passes.
    let Ok(told) = serde_json::from_slice::<Told>(json) else {
        return Ok(None);
    };
    let beside = told.duration.as_ref().and_then(Seconds::milliseconds);
    let Some(counts) = told.usage else {
        return Ok(beside.map(of_time));
    };
    if let Some(milliseconds) = counts.seconds.as_ref().and_then(Seconds::milliseconds) {
        return Ok(Some(of_time(milliseconds)));
    }
    let (Some(input), Some(output)) = (counts.input_tokens, counts.output_tokens) else {
        return Ok(beside.map(of_time));
    };
    let sound = counts
        .input_token_details
        .and_then(|details| details.audio_tokens);
    Usage {
        input_audio_tokens: sound.unwrap_or(0),
        ..Usage::text(input, output)
    }
    .checked()
    .map(Some)
    .map_err(|problem| DecodeError::Malformed(format!("the usage contradicts itself: {problem}")))
}

fn of_time(milliseconds: u64) -> Usage {
    Usage {
        input_audio_milliseconds: milliseconds,
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_seconds_are_read_wherever_they_stand() {
        for (json, milliseconds, input, sound, output) in [
            (
                r#"{"text":"a","usage":{"type":"duration","seconds":3}}"#,
                3_000,
                0,
                0,
                0,
            ),
            (
                r#"{"text":"a","duration":"2.5","language":"english"}"#,
                2_500,
                0,
                0,
                0,
            ),
            (
                r#"{"text":"a","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":45,"total_tokens":59}}"#,
                0,
                14,
                10,
                45,
            ),
            (
                r#"{"type":"transcript.text.done","text":"a","usage":{"type":"tokens","input_tokens":14,"output_tokens":5,"total_tokens":19}}"#,
                0,
                14,
                0,
                5,
            ),
        ] {
            let expected = Usage {
                input_audio_milliseconds: milliseconds,
                input_audio_tokens: sound,
                ..Usage::text(input, output)
            };
            assert_eq!(usage_of(json.as_bytes()), Ok(Some(expected)), "{json}");
        }
        for json in [
            r#"{"text":"a"}"#,
            "[]",
            r#"{"type":"transcript.text.delta","delta":"a"}"#,
        ] {
            assert_eq!(usage_of(json.as_bytes()), Ok(None), "{json}");
        }
    }

    #[test]
    fn a_usage_that_contradicts_itself_is_refused() {
        let json = br#"{"usage":{"input_tokens":1,"output_tokens":1,"input_token_details":{"audio_tokens":2}}}"#;
        assert!(usage_of(json).is_err());
    }
}
