//! `ElevenLabs`: speech and transcripts. See <https://elevenlabs.io/docs/api-reference>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::form::Form;
use super::house::unprocessable;
use super::{Asked, Output, SimTaskUsage, Wish, sound};
use crate::directive::Directive;
use crate::route::query;
use crate::vendor::Failure;

/// `POST /v1/text-to-speech/{voice}` and `…/stream`
pub(super) fn speak(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let rest = asked
        .path()
        .strip_prefix("/v1/text-to-speech/")
        .unwrap_or_default();
    let voice = rest.strip_suffix("/stream").unwrap_or(rest);
    if voice.len() < 8 || !voice.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let message = format!("A voice with voice_id '{voice}' was not found.");
        return Err(Failure::new(404, "voice_not_found", message));
    }
    let Some(text) = body["text"].as_str() else {
        return Err(unprocessable("text", "Field required"));
    };
    if let Some(speed) = body["voice_settings"]["speed"].as_f64()
        && !(0.7..=1.2).contains(&speed)
    {
        return Err(Failure::new(
            400,
            "invalid_voice_settings",
            "Invalid setting for speed received, expected to be greater or equal to 0.7 and less or equal to 1.2",
        ));
    }
    let model = body["model_id"]
        .as_str()
        .unwrap_or("eleven_multilingual_v2");
    if !model.starts_with("eleven_") {
        let message = format!("A model with model ID {model} does not exist.");
        return Err(Failure::new(400, "model_not_found", message));
    }
    let told = query(asked.head, "output_format").unwrap_or("mp3_44100_128");
    let Some(format @ ("mp3" | "opus" | "wav" | "pcm")) = told.split('_').next() else {
        return Err(unprocessable(
            "output_format",
            "Input should be a known output format",
        ));
    };
    let format = format.to_owned();
    Ok(Wish {
        model: model.to_owned(),
        said: text.to_owned(),
        stream: false,
        make: Box::new(move |understood| {
            let usage = SimTaskUsage {
                characters: understood.said.chars().count() as u64,
                ..SimTaskUsage::default()
            };
            let bytes = sound::make(&format, understood.said);
            (Output::Bytes(sound::media_type(&format), bytes), usage)
        }),
    })
}

/// `POST /v1/speech-to-text`
pub(super) fn hear(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let form =
        Form::read(asked.head, asked.body).map_err(|problem| unprocessable("file", problem))?;
    let Some(model) = form.text("model_id") else {
        return Err(unprocessable("model_id", "Field required"));
    };
    if !model.starts_with("scribe_") {
        let message = format!(
            "'{model}' is not a valid model_id. Only 'scribe_v1' and 'scribe_v2' are supported."
        );
        return Err(Failure::new(400, "invalid_model_id", message));
    }
    let Some(file) = form.get("file").filter(|file| file.file_name.is_some()) else {
        return Err(unprocessable("file", "Field required"));
    };
    if !sound::is_sound(&file.bytes) {
        return Err(Failure::new(
            400,
            "invalid_audio",
            "Audio file appears to be corrupted or of zero length.",
        ));
    }
    if let Some(language) = form.text("language_code")
        && !(2..=3).contains(&language.len())
    {
        let message = format!("Language code '{language}' is not supported.");
        return Err(Failure::new(400, "invalid_language_code", message));
    }
    let (heard, milliseconds) =
        sound::hear(&file.bytes, file.file_name.as_deref().unwrap_or("file"));
    let diarizes = form.text("diarize").as_deref() == Some("true");
    let language = form
        .text("language_code")
        .unwrap_or_else(|| "eng".to_owned());
    Ok(Wish {
        model,
        said: heard.clone(),
        stream: false,
        make: Box::new(move |_| {
            let said = Directive::extract(&heard).map_or(heard, |(_, said)| said);
            let usage = SimTaskUsage {
                milliseconds,
                ..SimTaskUsage::default()
            };
            (
                Output::Json(transcript(&said, milliseconds, &language, diarizes)),
                usage,
            )
        }),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "recordings are shorter than millions of years"
)]
fn transcript(said: &str, milliseconds: u64, language: &str, diarizes: bool) -> Value {
    let seconds = milliseconds as f64 / 1_000.0;
    let words: Vec<&str> = said.split_whitespace().collect();
    let step = seconds / f64::from(u32::try_from(words.len().max(1)).unwrap_or(1));
    let mut items = Vec::new();
    let mut start = 0.0;
    for word in words {
        let item = |kind: &str, text: &str, start: f64, end: f64| {
            let speaker = if diarizes {
                json!("speaker_0")
            } else {
                Value::Null
            };
            json!({"text": text, "start": start, "end": end, "type": kind, "speaker_id": speaker, "logprob": -0.05})
        };
        if start > 0.0 {
            items.push(item("spacing", " ", start, start));
        }
        items.push(item("word", word, start, start + step));
        start += step;
    }
    json!({
        "language_code": language, "language_probability": 0.98, "text": said, "words": items, "audio_duration_secs": seconds,
        "transcription_id": "sim",
    })
}

/// Sound in the body of a request, as it came.
pub(super) fn recording(body: &Bytes) -> Option<Bytes> {
    sound::is_sound(body).then(|| body.clone())
}
