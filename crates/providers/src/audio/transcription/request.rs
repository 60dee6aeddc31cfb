//! What a caller who wants a recording written down asks for.

use bytes::Bytes;
use domain::chat::Conversion;

use super::OpenaiTranscripts;
use crate::audio::duration;
use crate::dialect::Refusal;
use crate::face::{Asked, InvalidRequest};
use crate::multipart::{Form, Part, model_name};
use crate::task::TaskEnvelope;

/// The form of a transcript (`response_format`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// An object with the text.
    Json,
    /// The text alone.
    Text,
    /// Subtitles of the `SubRip` format.
    Srt,
    /// Subtitles for the web (<https://www.w3.org/TR/webvtt1/>).
    Vtt,
    /// An object with the times of segments and words.
    Verbose,
    /// An object that says who spoke when.
    Diarized,
}

impl Shape {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "json" => Self::Json,
            "text" => Self::Text,
            "srt" => Self::Srt,
            "vtt" => Self::Vtt,
            "verbose_json" => Self::Verbose,
            "diarized_json" => Self::Diarized,
            _ => return None,
        })
    }

    /// Whether it tells when something was said.
    pub(super) fn has_times(self) -> bool {
        !matches!(self, Self::Json | Self::Text)
    }
}

/// Reads the envelope.
pub(super) fn envelope(asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
    let form = Form::read(&asked.headers, body)?;
    let (_, model) = model(&form)?;
    let file = file(&form)?;
    Ok(TaskEnvelope {
        model: model_name(model)?,
        stream: is_true(form.text("stream")?),
        estimate: duration::usage(duration::milliseconds(form.content(file))),
    })
}

/// The part that names the model, and the name.
pub(super) fn model<'f, 'b>(form: &'f Form<'b>) -> Result<(&'f Part, &'b str), InvalidRequest> {
    let part = form.one("model")?.ok_or_else(|| {
        InvalidRequest::of(
            "model",
            "`model` is missing; it must be the name of a model.",
        )
    })?;
    Ok((part, form.text_of(part)?))
}

fn file<'f>(form: &'f Form<'_>) -> Result<&'f Part, InvalidRequest> {
    let part = form
        .one("file")?
        .ok_or_else(|| InvalidRequest::of("file", "`file` is missing; it must be a recording."))?;
    if part.span.is_empty() {
        return Err(InvalidRequest::of(
            "file",
            "`file` is empty; it must be a recording.",
        ));
    }
    Ok(part)
}

/// The whole request, for a target that speaks another format.
#[derive(Debug)]
pub(super) struct TranscriptionRequest {
    pub(super) goal: OpenaiTranscripts,
    /// The recording.
    pub(super) sound: Bytes,
    pub(super) file_name: String,
    pub(super) media_type: String,
    /// The language that is spoken (ISO 639-1).
    pub(super) language: Option<String>,
    /// What the recording may be about, or how its text began.
    pub(super) prompt: Option<String>,
    /// Words that occur in it.
    pub(super) keywords: Vec<String>,
    pub(super) shape: Shape,
    /// Fields that were given and of which the report speaks.
    told: Vec<&'static str>,
    pub(super) temperature: Option<f64>,
    /// Whether the times of words are wanted.
    pub(super) words: bool,
    /// Whether the times of segments are wanted.
    pub(super) segments: bool,
    /// Whether the transcript comes as events.
    pub(super) stream: bool,
    /// Parts that are for OpenAI's models alone, or of no format at all.
    others: Vec<String>,
}

impl TranscriptionRequest {
    /// Reads the request.
    pub(super) fn read(
        goal: OpenaiTranscripts,
        asked: &Asked,
        body: &Bytes,
    ) -> Result<Self, Refusal> {
        let form = Form::read(&asked.headers, body).map_err(refusal)?;
        Self::of_form(goal, &form, body).map_err(refusal)
    }

    fn of_form(
        goal: OpenaiTranscripts,
        form: &Form<'_>,
        body: &Bytes,
    ) -> Result<Self, InvalidRequest> {
        let file = file(form)?;
        let text = |name: &str| Ok(form.text(name)?.map(str::to_owned));
        let list = |name: &str| -> Result<Vec<String>, InvalidRequest> {
            form.list(name)
                .map(|part| Ok(form.text_of(part)?.to_owned()))
                .collect()
        };
        let mut others: Vec<String> = form
            .parts()
            .iter()
            .map(|part| part.name.clone())
            .filter(|name| !KNOWN.contains(&name.split('[').next().unwrap_or_default()))
            .collect();
        others.dedup();
        let granularities = list("timestamp_granularities")?;
        for word in &granularities {
            if word != "word" && word != "segment" {
                return Err(InvalidRequest::of(
                    "timestamp_granularities",
                    format!(
                        "`timestamp_granularities` is `{word}`; known are `word` and `segment`."
                    ),
                ));
            }
        }
        let has = |word: &str| granularities.iter().any(|granularity| granularity == word);
        Ok(Self {
            goal,
            sound: body.slice(file.span.clone()),
            file_name: file.file_name.clone().unwrap_or_default(),
            media_type: media_type(file),
            language: text("language")?.filter(|language| !language.is_empty()),
            prompt: text("prompt")?.filter(|prompt| !prompt.is_empty()),
            keywords: list("keywords")?,
            shape: shape(form)?,
            told: ["response_format", "chunking_strategy"]
                .into_iter()
                .filter(|name| form.list(name).next().is_some())
                .collect(),
            temperature: temperature(form)?,
            words: has("word"),
            segments: granularities.is_empty() || has("segment"),
            stream: is_true(form.text("stream")?),
            others,
        })
    }

    /// What of the request arrives as it is at any target, and what at none.
    pub(super) fn report(&self, vendor: &str) -> Conversion {
        let mut report = Conversion::default();
        report.carry("file");
        report.carry("model");
        for name in &self.others {
            report.drop(name.clone(), format!("{vendor} has nothing like it"));
        }
        if self.shape == Shape::Verbose && self.segments {
            report.change(
                "response_format",
                format!("{vendor} does not measure `compression_ratio`, `no_speech_prob` and `tokens`; they are 0 and empty in every segment"),
            );
        } else if self.told.contains(&"response_format") {
            report.carry("response_format");
        }
        if self.told.contains(&"chunking_strategy") {
            report.change(
                "chunking_strategy",
                format!("{vendor} finds the boundaries of what is said itself"),
            );
        }
        if self.stream {
            report.change(
                "stream",
                "the transcript comes in one piece, once it is there",
            );
        }
        report
    }
}

/// What is read of a form here; anything else is told to be lost.
const KNOWN: [&str; 10] = [
    "file",
    "model",
    "language",
    "prompt",
    "keywords",
    "response_format",
    "temperature",
    "timestamp_granularities",
    "stream",
    "chunking_strategy",
];

fn shape(form: &Form<'_>) -> Result<Shape, InvalidRequest> {
    let Some(word) = form.text("response_format")? else {
        return Ok(Shape::Json);
    };
    Shape::read(word).ok_or_else(|| {
        InvalidRequest::of(
            "response_format",
            format!("`response_format` is `{word}`; known are `json`, `text`, `srt`, `vtt`, `verbose_json` and `diarized_json`."),
        )
    })
}

fn temperature(form: &Form<'_>) -> Result<Option<f64>, InvalidRequest> {
    let Some(text) = form.text("temperature")? else {
        return Ok(None);
    };
    match text.trim().parse::<f64>() {
        Ok(temperature) if temperature.is_finite() => Ok(Some(temperature)),
        _ => Err(InvalidRequest::of(
            "temperature",
            "`temperature` must be a number.",
        )),
    }
}

/// What kind of sound it is: as the part says, or as the file's name ends.
fn media_type(file: &Part) -> String {
    if let Some(told) = &file.content_type
        && told != "application/octet-stream"
    {
        return told.clone();
    }
    let name = file.file_name.as_deref().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending.to_ascii_lowercase().as_str() {
        "wav" => "audio/wav",
        "mp3" | "mpga" | "mpeg" => "audio/mpeg",
        "m4a" | "mp4" => "audio/mp4",
        "flac" => "audio/flac",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "webm" => "audio/webm",
        _ => "application/octet-stream",
    }
    .to_owned()
}

pub(super) fn refusal(invalid: InvalidRequest) -> Refusal {
    Refusal {
        detail: invalid.detail,
        param: invalid.param,
    }
}

/// Clients write it as their language does.
fn is_true(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
}
