//! Deepgram: `POST /v1/listen` with the recording as the body
//! (<https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded>).

use bytes::Bytes;
use http::HeaderValue;
use http::response::Parts;
use serde::Deserialize;

use super::render::Form;
use super::request::{Shape, TranscriptionRequest};
use super::transcript::{Segment, Transcript, Word};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};
use crate::url;

const VENDOR: &str = "Deepgram";

pub(super) fn prepare(
    asked: &TranscriptionRequest,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    // Punctuation and capitals are what OpenAI's transcripts have.
    let mut parameters = vec![
        ("model", target.model.to_owned()),
        ("smart_format", "true".to_owned()),
    ];
    match &asked.language {
        Some(language) => {
            report.carry("language");
            parameters.push(("language", language.clone()));
        }
        None => parameters.push(("detect_language", "true".to_owned())),
    }
    if asked.shape == Shape::Diarized {
        parameters.push(("diarize", "true".to_owned()));
    }
    if asked.shape.has_times() {
        parameters.push(("utterances", "true".to_owned()));
    }
    // `keyterm` is of Nova 3 and later; before it there was `keywords`.
    let word = if target.model.starts_with("nova-3") || target.model.starts_with("flux") {
        "keyterm"
    } else {
        "keywords"
    };
    for keyword in &asked.keywords {
        report.carry("keywords");
        parameters.push((word, keyword.clone()));
    }
    if asked.prompt.is_some() {
        report.drop(
            "prompt",
            "Deepgram takes no prompt; name the words that matter in `keywords`",
        );
    }
    if asked.temperature.is_some() {
        report.drop("temperature", "Deepgram has no temperature");
    }
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let url = format!("{}/v1/listen?{}", target.base_url, url::form(&parameters));
    let sound_type = HeaderValue::try_from(asked.media_type.as_str())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    Ok(PreparedTask {
        request: outgoing::post(&url, &sound_type, "application/json", asked.sound.clone())?,
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
        let model = answer.metadata.model();
        let transcript = answer.transcript()?;
        Ok(TaskStep::Done(self.0.answer(&transcript, None, model)))
    }
}

#[derive(Deserialize)]
struct Answer {
    metadata: Metadata,
    results: Results,
}

#[derive(Deserialize)]
struct Metadata {
    duration: f64,
    #[serde(default)]
    model_info: serde_json::Map<String, serde_json::Value>,
}

impl Metadata {
    /// The model's name stands in what is told about it, by its id.
    fn model(&self) -> Option<String> {
        let (_, told) = self.model_info.iter().next()?;
        told.get("arch")?.as_str().map(str::to_owned)
    }
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    channels: Vec<Channel>,
    #[serde(default)]
    utterances: Vec<Utterance>,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(default)]
    alternatives: Vec<Alternative>,
    detected_language: Option<String>,
}

#[derive(Deserialize)]
struct Alternative {
    #[serde(default)]
    transcript: String,
    #[serde(default)]
    words: Vec<HeardWord>,
    languages: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct HeardWord {
    #[serde(default)]
    word: String,
    punctuated_word: Option<String>,
    #[serde(default)]
    start: f64,
    #[serde(default)]
    end: f64,
    confidence: Option<f64>,
    speaker: Option<usize>,
}

#[derive(Deserialize)]
struct Utterance {
    #[serde(default)]
    transcript: String,
    #[serde(default)]
    start: f64,
    #[serde(default)]
    end: f64,
    confidence: Option<f64>,
    speaker: Option<usize>,
}

impl Answer {
    /// Several channels are several recordings of the same talk; the first is what OpenAI would hear.
    fn transcript(self) -> Result<Transcript, DecodeError> {
        let channel = self.results.channels.into_iter().next();
        let (language, best) = channel
            .map(|channel| {
                (
                    channel.detected_language,
                    channel.alternatives.into_iter().next(),
                )
            })
            .unwrap_or_default();
        let best = best
            .ok_or_else(|| DecodeError::Malformed("the answer holds no transcript".to_owned()))?;
        let heard = best
            .languages
            .and_then(|languages| languages.into_iter().next());
        Ok(Transcript {
            text: best.transcript,
            language: language.or(heard),
            duration: Some(self.metadata.duration),
            words: best.words.into_iter().map(Word::from).collect(),
            segments: self
                .results
                .utterances
                .into_iter()
                .map(Segment::from)
                .collect(),
        })
    }
}

impl From<HeardWord> for Word {
    fn from(heard: HeardWord) -> Self {
        Self {
            text: heard.punctuated_word.unwrap_or(heard.word),
            start: heard.start,
            end: heard.end,
            speaker: heard.speaker,
            log_probability: heard.confidence.map(logarithm),
        }
    }
}

impl From<Utterance> for Segment {
    fn from(utterance: Utterance) -> Self {
        Self {
            text: utterance.transcript,
            start: utterance.start,
            end: utterance.end,
            speaker: utterance.speaker,
            log_probability: utterance.confidence.map(logarithm),
        }
    }
}

/// The logarithm of a probability; of zero there is none that JSON could write.
fn logarithm(probability: f64) -> f64 {
    probability.max(1e-9).ln()
}
