//! What a caller who wants to hear a text asks for.

use domain::chat::Conversion;
use domain::usage::Usage;
use serde_json::value::RawValue;

use crate::dialect::Refusal;
use crate::face::InvalidRequest;
use crate::openai::envelope::text;
use crate::openai::fields::{Fields, Kind};
use crate::passing;
use crate::task::TaskEnvelope;

/// The voices that are OpenAI's own; another vendor has none of them.
const OPENAI_VOICES: [&str; 13] = [
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
];

/// Reads the envelope.
pub(super) fn envelope(body: &[u8]) -> Result<TaskEnvelope, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?;
    let model = passing::required_model(&mut fields)?;
    let input = fields.required_text("input")?;
    Ok(TaskEnvelope {
        model,
        stream: fields.text("stream_format")?.as_deref() == Some("sse"),
        estimate: estimate(&input),
    })
}

/// What reading a text aloud takes. Some models are billed by the character and others by the token: text goes
/// in at four bytes a token, and of sound twenty tokens come out for each second
/// (<https://platform.openai.com/docs/pricing>), in which about fifteen characters are spoken.
pub(super) fn estimate(input: &str) -> Usage {
    let characters = input.chars().count() as u64;
    let spoken = characters.saturating_mul(4).div_ceil(3);
    Usage {
        input_characters: characters,
        output_audio_tokens: spoken,
        ..Usage::text((input.len() as u64).div_ceil(4), spoken)
    }
}

/// The whole request, for a target that speaks another format.
#[derive(Debug)]
pub(super) struct SpeechRequest {
    /// What is read aloud.
    pub(super) input: String,
    /// Who reads, in the target's words.
    pub(super) voice: String,
    /// How it is read.
    pub(super) instructions: Option<String>,
    /// The sound's format: `mp3` and so on.
    pub(super) format: Option<String>,
    /// How fast, where 1 is as usual.
    pub(super) speed: Option<f64>,
    /// Whether the sound comes as events.
    pub(super) events: bool,
    /// Fields that the format does not know.
    pub(super) others: Vec<String>,
}

impl SpeechRequest {
    /// Reads the request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        Self::parse(body).map_err(refusal)
    }

    fn parse(body: &[u8]) -> Result<Self, InvalidRequest> {
        let mut fields = Fields::read_body(text(body)?)?;
        fields.take("model");
        let input = fields.required_text("input")?;
        let Some(voice) = fields.take("voice") else {
            return Err(fields.missing("voice", "the name of a voice"));
        };
        let stream_format = fields.text("stream_format")?;
        Ok(Self {
            input,
            voice: voice_of(voice)?,
            instructions: fields.text("instructions")?,
            format: fields.text("response_format")?,
            speed: fields.number("speed")?,
            events: match stream_format.as_deref() {
                None | Some("audio") => false,
                Some("sse") => true,
                Some(other) => {
                    return Err(fields.unknown_word("stream_format", other, "`audio` and `sse`"));
                }
            },
            others: fields
                .rest()
                .filter(|(_, raw)| raw.get() != "null")
                .map(|(name, _)| name.into_owned())
                .collect(),
        })
    }

    /// What of the request arrives as it is at any target, and what at none.
    pub(super) fn report(&self, vendor: &str) -> Conversion {
        let mut report = Conversion::default();
        report.carry("model");
        report.carry("input");
        report.carry("voice");
        for name in &self.others {
            report.drop(
                name.clone(),
                format!("{vendor} is not told of it: this format has no such field"),
            );
        }
        report
    }

    /// Refuses a voice that only OpenAI has.
    pub(super) fn refuse_openai_voice(&self, vendor: &str, remedy: &str) -> Result<(), Refusal> {
        if !OPENAI_VOICES.contains(&self.voice.as_str()) {
            return Ok(());
        }
        Err(Refusal::of(
            "voice",
            format!(
                "The voice `{}` is OpenAI's; {vendor} does not have it. {remedy}",
                self.voice
            ),
        ))
    }

    /// Refuses a format that the target does not write.
    pub(super) fn unknown_format(&self, vendor: &str, known: &str) -> Refusal {
        let asked = self.format.as_deref().unwrap_or_default();
        Refusal::of(
            "response_format",
            format!("{vendor} does not write `{asked}`; `response_format` may be {known}."),
        )
    }
}

/// A voice is a name or, for a voice of one's own, `{"id": "…"}`.
fn voice_of(raw: &RawValue) -> Result<String, InvalidRequest> {
    if Kind::of(raw.get()) == Some(Kind::Object) {
        return Fields::read(raw, "voice".to_owned())?.required_text("id");
    }
    crate::openai::fields::text(raw, || "voice".to_owned())
}

pub(super) fn refusal(invalid: InvalidRequest) -> Refusal {
    Refusal {
        detail: invalid.detail,
        param: invalid.param,
    }
}
