//! Deepgram: `POST /v1/speak` (<https://developers.deepgram.com/reference/text-to-speech/speak-request>).
//! There the voice is part of the model's name: `aura-2-thalia-en`.

use domain::usage::Usage;
use serde_json::json;

use super::answer::Sound;
use super::request::SpeechRequest;
use crate::dialect::{Refusal, Target};
use crate::outgoing;
use crate::task::PreparedTask;
use crate::url;

const VENDOR: &str = "Deepgram";

/// The longest text, in characters (<https://developers.deepgram.com/docs/text-to-speech-limits>).
const MAX_CHARACTERS: usize = 2_000;

pub(super) fn prepare(asked: &SpeechRequest, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    let characters = asked.input.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(Refusal::of(
            "input",
            format!(
                "Deepgram reads at most {MAX_CHARACTERS} characters at once, and `input` has {characters}; send it in parts."
            ),
        ));
    }
    let mut report = asked.report(VENDOR);
    let model = if names_a_voice(target.model) {
        if !target.model.contains(&format!("-{}-", asked.voice)) {
            report.carried.retain(|field| field != "voice");
            report.change(
                "voice",
                format!(
                    "at Deepgram the model names the voice: {} reads",
                    target.model
                ),
            );
        }
        target.model.to_owned()
    } else if names_a_voice(&asked.voice) {
        asked.voice.clone()
    } else {
        asked.refuse_openai_voice(
            VENDOR,
            "Name one of its own, such as `thalia` or `aura-2-thalia-en`.",
        )?;
        format!("{}-{}-en", target.model, asked.voice)
    };
    let (format, media_type) = format(asked)?;
    if asked.format.is_some() {
        report.carry("response_format");
    }
    let mut parameters = vec![("model", model)];
    parameters.extend(
        format
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    if let Some(speed) = asked.speed {
        // https://developers.deepgram.com/docs/tts-speed
        let near = speed.clamp(0.7, 1.5);
        if (near - speed).abs() > f64::EPSILON {
            report.change(
                "speed",
                format!("Deepgram reads at 0.7 to 1.5 of the usual speed; {near} is sent"),
            );
        } else {
            report.carry("speed");
        }
        parameters.push(("speed", near.to_string()));
    }
    if asked.instructions.is_some() {
        report.drop(
            "instructions",
            "Deepgram takes no instructions beside the text",
        );
    }
    if asked.events {
        report.carry("stream_format");
    }
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let url = format!("{}/v1/speak?{}", target.base_url, url::form(&parameters));
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "*/*", &json!({"text": asked.input}))?,
        report: Some(report),
        reader: Box::new(Sound {
            events: asked.events,
            usage: Usage {
                input_characters: characters as u64,
                ..Usage::default()
            },
            media_type: Some(media_type),
        }),
    })
}

/// `aura-2-thalia-en`, `aura-asteria-en`: a family, a voice and a language.
fn names_a_voice(model: &str) -> bool {
    let mut parts = model.rsplit('-');
    let language = parts.next().unwrap_or_default();
    let voice = parts.next().unwrap_or_default();
    model.starts_with("aura-")
        && language.len() == 2
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && voice.len() > 1
        && voice.bytes().all(|byte| byte.is_ascii_lowercase())
}

type Parameters = &'static [(&'static str, &'static str)];

/// The vendor's words for a format, and its media type. Plain samples are OpenAI's: 24 kHz, sixteen bits.
fn format(asked: &SpeechRequest) -> Result<(Parameters, &'static str), Refusal> {
    Ok(match asked.format.as_deref() {
        None | Some("mp3") => (&[("encoding", "mp3")], "audio/mpeg"),
        Some("opus") => (&[("encoding", "opus"), ("container", "ogg")], "audio/ogg"),
        Some("aac") => (&[("encoding", "aac")], "audio/aac"),
        Some("flac") => (&[("encoding", "flac")], "audio/flac"),
        Some("wav") => (
            &[
                ("encoding", "linear16"),
                ("container", "wav"),
                ("sample_rate", "24000"),
            ],
            "audio/wav",
        ),
        Some("pcm") => (
            &[
                ("encoding", "linear16"),
                ("container", "none"),
                ("sample_rate", "24000"),
            ],
            "audio/pcm",
        ),
        Some(_) => {
            return Err(
                asked.unknown_format(VENDOR, "`mp3`, `opus`, `aac`, `flac`, `wav` and `pcm`")
            );
        }
    })
}

#[cfg(test)]
mod tests {
    use super::names_a_voice;

    #[test]
    fn a_models_name_tells_whether_it_names_a_voice() {
        for model in ["aura-2-thalia-en", "aura-asteria-en", "aura-2-celeste-es"] {
            assert!(names_a_voice(model), "{model}");
        }
        for model in ["aura-2", "aura", "thalia", "nova-3-en"] {
            assert!(!names_a_voice(model), "{model}");
        }
    }
}
