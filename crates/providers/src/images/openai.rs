//! OpenAI, and the hosts that speak its format: the body passes with the model's name replaced.

use bytes::Bytes;
use domain::usage::Usage;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::request::{is_json, refusal};
use super::{OpenaiImages, form};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::Asked;
use crate::kind::ProviderKind;
use crate::media::{openai, relay};
use crate::multipart::{Form, splice};
use crate::openai::usage;
use crate::outgoing::{self, JSON};
use crate::passing::{model_span, with_model};
use crate::task::PreparedTask;

pub(super) fn prepare(
    goal: OpenaiImages,
    asked: &Asked,
    body: &Bytes,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let named = if is_json(goal, asked) {
        let span = model_span(body).map_err(refusal)?;
        with_model(body, span, target.model)
    } else {
        let form = Form::read(&asked.headers, body).map_err(refusal)?;
        let span = form::model(&form).map_err(refusal)?.span.clone();
        splice(body, span, target.model.as_bytes())
    };
    let endpoint = match goal {
        OpenaiImages::Generations => "images/generations",
        OpenaiImages::Edits => "images/edits",
        OpenaiImages::Variations => "images/variations",
    };
    let request = outgoing::post(
        &openai::url(kind, target, endpoint)?,
        asked.headers.get(CONTENT_TYPE).unwrap_or(&JSON),
        "application/json, text/event-stream",
        named,
    )?;
    Ok(PreparedTask {
        request,
        report: None,
        reader: Box::new(relay::Relay {
            whole: |_, body| usage_of_answer(body),
            event: usage_of_event,
            by_pieces: false,
        }),
    })
}

/// What is read of an answer: not the pictures.
#[derive(Deserialize)]
struct Told<'a> {
    #[serde(default)]
    data: Vec<IgnoredAny>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

/// Models that are billed by the token say what they took; of the others the pictures are counted.
fn usage_of_answer(body: &[u8]) -> Result<Option<Usage>, DecodeError> {
    relay::no_error_in(body)?;
    let told: Told<'_> = serde_json::from_slice(body)
        .map_err(|error| DecodeError::Malformed(format!("the answer cannot be read: {error}")))?;
    if let Some(native) = told.usage
        && let Some(usage) = usage::read(native.get().as_bytes())?
    {
        return Ok(Some(of_pictures(usage)));
    }
    Ok(Some(Usage {
        images: told.data.len() as u64,
        ..Usage::default()
    }))
}

/// `image_generation.completed` and `image_edit.completed` say what they took.
fn usage_of_event(json: &str) -> Result<Option<Usage>, DecodeError> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        usage: Option<&'a RawValue>,
    }
    let Ok(Event {
        usage: Some(native),
    }) = serde_json::from_str::<Event<'_>>(json)
    else {
        return Ok(None);
    };
    Ok(usage::read(native.get().as_bytes())?.map(of_pictures))
}

/// What comes out is pictures, unless the counts tell them from words.
fn of_pictures(usage: Usage) -> Usage {
    Usage {
        output_image_tokens: if usage.output_image_tokens == 0 {
            usage.output_tokens
        } else {
            usage.output_image_tokens
        },
        ..usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_where_they_are_told_and_pictures_counted_where_not() {
        let by_token = br#"{"created":1,"data":[{"b64_json":"AA=="}],"usage":{"input_tokens":50,"output_tokens":1056,
            "total_tokens":1106,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
        let expected = Usage {
            input_image_tokens: 40,
            output_image_tokens: 1_056,
            ..Usage::text(50, 1_056)
        };
        assert_eq!(usage_of_answer(by_token), Ok(Some(expected)));
        let by_picture = br#"{"created":1,"data":[{"url":"https://a"},{"url":"https://b"}]}"#;
        let expected = Usage {
            images: 2,
            ..Usage::default()
        };
        assert_eq!(usage_of_answer(by_picture), Ok(Some(expected)));
    }

    #[test]
    fn an_error_inside_a_success_is_the_providers() {
        let body = br#"{"error":{"message":"filtered","code":"content_filter"}}"#;
        assert!(matches!(
            usage_of_answer(body),
            Err(DecodeError::Provider(_))
        ));
    }
}
