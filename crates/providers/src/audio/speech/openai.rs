//! OpenAI, and the hosts that speak its format: the body passes with the model's name replaced.

use bytes::Bytes;
use domain::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::refusal;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::kind::ProviderKind;
use crate::media::{openai, relay};
use crate::openai::usage;
use crate::outgoing::{self, JSON};
use crate::passing::{model_span, with_model};
use crate::task::PreparedTask;

pub(super) fn prepare(
    body: &Bytes,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let span = model_span(body).map_err(refusal)?;
    let request = outgoing::post(
        &openai::url(kind, target, "audio/speech")?,
        &JSON,
        "*/*",
        with_model(body, span, target.model),
    )?;
    Ok(PreparedTask {
        request,
        report: None,
        reader: Box::new(relay::Relay {
            whole: |_, body| relay::no_error_in(body).map(|()| None),
            event: usage_of_event,
            by_pieces: true,
        }),
    })
}

/// `speech.audio.done` says what it took.
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
    let usage = usage::read(native.get().as_bytes())?;
    // All that comes out is sound.
    Ok(usage.map(|usage| Usage {
        output_audio_tokens: usage.output_tokens,
        ..usage
    }))
}
