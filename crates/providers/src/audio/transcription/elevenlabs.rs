//! `ElevenLabs`: `POST /v1/speech-to-text` (<https://elevenlabs.io/docs/api-reference/speech-to-text/convert>).

use bytes::Bytes;
use http::response::Parts;
use serde::Deserialize;

use super::render::Form;
use super::request::{Shape, TranscriptionRequest};
use super::transcript::{Transcript, Word};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::multipart::NewForm;
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "ElevenLabs";

pub(super) fn prepare(
    asked: &TranscriptionRequest,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    // Laughter and applause are no words to OpenAI.
    let mut form = NewForm::default()
        .text("model_id", target.model)
        .text("tag_audio_events", "false");
    if let Some(language) = &asked.language {
        report.carry("language");
        form = form.text("language_code", language);
    }
    if asked.shape == Shape::Diarized {
        form = form.text("diarize", "true");
    }
    if let Some(temperature) = asked.temperature {
        report.carry("temperature");
        form = form.text("temperature", temperature.to_string());
    }
    for keyword in &asked.keywords {
        report.carry("keywords");
        form = form.text("keyterms", keyword);
    }
    if asked.prompt.is_some() {
        report.drop(
            "prompt",
            "ElevenLabs takes no prompt; name the words that matter in `keywords`",
        );
    }
    let (form_type, body) = form
        .file("file", &asked.file_name, &asked.media_type, &asked.sound)
        .finish();
    let url = format!("{}/v1/speech-to-text", target.base_url);
    Ok(PreparedTask {
        request: outgoing::post(&url, &form_type, "application/json", body)?,
        report: Some(report),
        reader: Box::new(Reader(Form::of(asked))),
    })
}

struct Reader(Form);

impl TaskReader for Reader {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            DecodeError::Malformed(format!("the transcript cannot be read: {error}"))
        })?;
        Ok(TaskStep::Done(self.0.answer(&answer.into(), None, None)))
    }
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    language_code: Option<String>,
    audio_duration_secs: Option<f64>,
    #[serde(default)]
    words: Vec<HeardWord>,
}

#[derive(Deserialize)]
struct HeardWord {
    text: String,
    start: Option<f64>,
    end: Option<f64>,
    #[serde(rename = "type")]
    kind: String,
    speaker_id: Option<String>,
    logprob: Option<f64>,
}

impl From<Answer> for Transcript {
    fn from(answer: Answer) -> Self {
        let mut speakers: Vec<String> = Vec::new();
        let mut words = Vec::with_capacity(answer.words.len());
        // Spaces between the words are items too, and so are sounds.
        for heard in answer
            .words
            .into_iter()
            .filter(|heard| heard.kind == "word")
        {
            let speaker = heard.speaker_id.map(|id| {
                speakers
                    .iter()
                    .position(|known| *known == id)
                    .unwrap_or_else(|| {
                        speakers.push(id);
                        speakers.len() - 1
                    })
            });
            words.push(Word {
                text: heard.text,
                start: heard.start.unwrap_or_default(),
                end: heard.end.unwrap_or_default(),
                speaker,
                log_probability: heard.logprob,
            });
        }
        Self {
            text: answer.text,
            language: answer.language_code,
            duration: answer.audio_duration_secs,
            words,
            segments: Vec::new(),
        }
    }
}
