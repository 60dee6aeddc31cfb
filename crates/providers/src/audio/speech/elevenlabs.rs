//! `ElevenLabs`: `POST /v1/text-to-speech/{voice_id}`
//! (<https://elevenlabs.io/docs/api-reference/text-to-speech/convert>).

use domain::usage::Usage;
use serde_json::json;

use super::answer::Sound;
use super::request::SpeechRequest;
use crate::dialect::{Refusal, Target};
use crate::outgoing;
use crate::task::PreparedTask;

const VENDOR: &str = "ElevenLabs";

pub(super) fn prepare(asked: &SpeechRequest, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    asked.refuse_openai_voice(
        VENDOR,
        "Its voices are named by their ids, such as `21m00Tcm4TlvDq8ikWAM`; `GET /v1/voices` of ElevenLabs lists them.",
    )?;
    let mut report = asked.report(VENDOR);
    let (format, media_type) = format(asked)?;
    if asked.format.is_some() {
        report.carry("response_format");
    }
    let mut body = json!({"text": asked.input, "model_id": target.model});
    if let Some(speed) = asked.speed {
        // https://elevenlabs.io/docs/best-practices/prompting/controls#speed
        let near = speed.clamp(0.7, 1.2);
        if (near - speed).abs() > f64::EPSILON {
            report.change(
                "speed",
                format!("ElevenLabs reads at 0.7 to 1.2 of the usual speed; {near} is sent"),
            );
        } else {
            report.carry("speed");
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("voice_settings".to_owned(), json!({"speed": near}));
        }
    }
    if asked.instructions.is_some() {
        report.drop(
            "instructions",
            "ElevenLabs takes no instructions beside the text",
        );
    }
    if asked.events {
        report.carry("stream_format");
    }
    let voice = outgoing::path(&asked.voice, "voice")?;
    let url = format!(
        "{}/v1/text-to-speech/{voice}/stream?output_format={format}",
        target.base_url
    );
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "*/*", &body)?,
        report: Some(report),
        reader: Box::new(Sound {
            events: asked.events,
            usage: Usage {
                input_characters: asked.input.chars().count() as u64,
                ..Usage::default()
            },
            media_type: Some(media_type),
        }),
    })
}

/// The vendor's word for a format, and its media type. Plain samples are OpenAI's: 24 kHz, sixteen bits.
fn format(asked: &SpeechRequest) -> Result<(&'static str, &'static str), Refusal> {
    Ok(match asked.format.as_deref() {
        None | Some("mp3") => ("mp3_44100_128", "audio/mpeg"),
        Some("opus") => ("opus_48000_128", "audio/opus"),
        Some("wav") => ("wav_24000", "audio/wav"),
        Some("pcm") => ("pcm_24000", "audio/pcm"),
        Some(_) => {
            return Err(asked.unknown_format(VENDOR, "`mp3`, `opus`, `wav` and `pcm`"));
        }
    })
}
