//! Gemini's speech models: `generateContent` with the modality `AUDIO`
//! (<https://ai.google.dev/gemini-api/docs/speech-generation>). They answer with plain samples.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::chat::Conversion;
use domain::usage::Usage;
use http::HeaderValue;
use http::response::Parts;
use serde_json::json;

use super::answer::whole;
use super::request::SpeechRequest;
use crate::audio::wav;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::kind::ProviderKind;
use crate::media::generated::Generated;
use crate::media::google;
use crate::outgoing;
use crate::task::{PreparedTask, TaskAnswer, TaskReader, TaskStep};

const VENDOR: &str = "Gemini";

/// What the models sample at when their answer does not say.
const RATE: u32 = 24_000;

pub(super) fn prepare(
    asked: &SpeechRequest,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    asked.refuse_openai_voice(
        VENDOR,
        "Its voices are `Kore`, `Puck`, `Zephyr` and others.",
    )?;
    let mut report = asked.report(VENDOR);
    let plain = is_plain(asked, &mut report)?;
    let text = match &asked.instructions {
        Some(instructions) => {
            report.change(
                "instructions",
                "Gemini reads them in the text: they are put before it",
            );
            format!("{instructions}: {}", asked.input)
        }
        None => asked.input.clone(),
    };
    if asked
        .speed
        .is_some_and(|speed| (speed - 1.0).abs() > f64::EPSILON)
    {
        report.drop(
            "speed",
            "Gemini reads at its own speed; ask for another in `instructions`",
        );
    }
    if asked.events {
        report.carry("stream_format");
    }
    let body = json!({
        "contents": [{"role": "user", "parts": [{"text": text}]}],
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": asked.voice}}},
        },
    });
    let url = google::url(kind, target, "generateContent")?;
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "application/json", &body)?,
        report: Some(report),
        reader: Box::new(Samples {
            plain,
            events: asked.events,
        }),
    })
}

/// Whether the caller wants the samples without a header.
fn is_plain(asked: &SpeechRequest, report: &mut Conversion) -> Result<bool, Refusal> {
    match asked.format.as_deref() {
        Some("pcm") => {
            report.carry("response_format");
            Ok(true)
        }
        Some("wav") => {
            report.carry("response_format");
            Ok(false)
        }
        None => {
            report.change("response_format", "Gemini writes plain samples, which are sent as `wav`; OpenAI writes `mp3` when nothing is said");
            Ok(false)
        }
        Some(_) => Err(asked.unknown_format(VENDOR, "`wav` and `pcm`")),
    }
}

struct Samples {
    plain: bool,
    events: bool,
}

impl TaskReader for Samples {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let generated = Generated::read(&body)?;
        let Some(blob) = generated
            .blobs()
            .find(|blob| blob.mime_type.starts_with("audio/"))
        else {
            return Err(generated.nothing("sound"));
        };
        let samples = STANDARD
            .decode(blob.data.as_bytes())
            .map_err(|_| DecodeError::Malformed("the sound is not base64".to_owned()))?;
        let layout = wav::Layout {
            rate: rate(&blob.mime_type).unwrap_or(RATE),
            channels: 1,
        };
        let is_samples = is_samples(&blob.mime_type);
        let (sound, media_type) = match (is_samples, self.plain) {
            (true, true) => (samples.into(), "audio/pcm".to_owned()),
            (true, false) => (wav::file(layout, &samples), "audio/wav".to_owned()),
            (false, _) => (samples.into(), blob.mime_type.clone().into_owned()),
        };
        let media_type = HeaderValue::try_from(media_type)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let usage = generated.usage()?.map(|usage| Usage {
            output_audio_tokens: usage.output_tokens.saturating_sub(usage.reasoning_tokens),
            ..usage
        });
        Ok(TaskStep::Done(TaskAnswer {
            response_model: generated.model(),
            ..whole(self.events, &sound, media_type, usage)
        }))
    }
}

/// The vendor's `L16` has the low byte first, unlike that of RFC 3551.
fn is_samples(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("audio/L16") || name.eq_ignore_ascii_case("audio/pcm")
}

/// `audio/L16;codec=pcm;rate=24000`
fn rate(media_type: &str) -> Option<u32> {
    let rate = media_type
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("rate="))?;
    rate.parse().ok()
}
