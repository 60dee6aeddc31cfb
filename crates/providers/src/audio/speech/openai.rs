//! OpenAI, and the hosts that speak its format: the body passes with the model's name replaced.

use bytes::Bytes;
use domain::usage::Usage;
use http::HeaderValue;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::media::{outgoing, passing};
use crate::multipart::splice;
use crate::openai::usage;
use crate::task::PreparedTask;

pub(super) fn prepare(body: &Bytes, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    let span = request::model_span(body).map_err(|invalid| Refusal {
        detail: invalid.detail,
        param: invalid.param,
    })?;
    let model = serde_json::Value::from(target.model).to_string();
    let json = HeaderValue::from_static("application/json");
    let request = outgoing::post(
        &format!("{}/audio/speech", target.base_url),
        &json,
        "*/*",
        splice(body, span, model.as_bytes()),
    )?;
    Ok(PreparedTask {
        request,
        report: None,
        reader: Box::new(passing::Passing {
            whole: |_, body| passing::no_error_in(body).map(|()| None),
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
