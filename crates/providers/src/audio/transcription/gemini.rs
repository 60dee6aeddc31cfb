//! Gemini: `generateContent` with the recording as a part and the wish in words
//! (<https://ai.google.dev/gemini-api/docs/audio>). It writes text, and does not say when something was said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::response::Parts;
use serde_json::json;

use super::OpenaiTranscripts;
use super::render::Form;
use super::request::{Shape, TranscriptionRequest};
use super::transcript::Transcript;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::kind::ProviderKind;
use crate::media::generated::Generated;
use crate::media::google;
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "Gemini";

pub(super) fn prepare(
    asked: &TranscriptionRequest,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    if !matches!(asked.shape, Shape::Json | Shape::Text) {
        return Err(Refusal::of(
            "response_format",
            "Gemini does not say when or by whom something was said; `response_format` may be `json` and `text`.",
        ));
    }
    let mut report = asked.report(VENDOR);
    let mut wish = String::from(match asked.goal {
        OpenaiTranscripts::Transcriptions => {
            "Write down exactly what is said in this recording, in the language in which it is said."
        }
        OpenaiTranscripts::Translations => "Translate what is said in this recording into English.",
    });
    wish.push_str(" Answer with the text alone.");
    let told_in_words = "told to Gemini in words, as all of the wish is";
    if let Some(language) = &asked.language {
        wish.extend([" The language is ", super::language::name(language), "."]);
        report.change("language", told_in_words);
    }
    if !asked.keywords.is_empty() {
        wish.extend([" These words may occur: ", &asked.keywords.join(", "), "."]);
        report.change("keywords", told_in_words);
    }
    if let Some(prompt) = &asked.prompt {
        wish.extend(["\n\nWhat is known of the recording:\n", prompt]);
        report.change("prompt", told_in_words);
    }
    let mut body = json!({
        "contents": [{"role": "user", "parts": [
            {"inlineData": {"mimeType": asked.media_type, "data": STANDARD.encode(&asked.sound)}},
            {"text": wish},
        ]}],
    });
    if let (Some(temperature), Some(body)) = (asked.temperature, body.as_object_mut()) {
        report.carry("temperature");
        body.insert(
            "generationConfig".to_owned(),
            json!({"temperature": temperature}),
        );
    }
    let url = google::url(kind, target, "generateContent")?;
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "application/json", &body)?,
        report: Some(report),
        reader: Box::new(Reader(Form::of(asked))),
    })
}

struct Reader(Form);

impl TaskReader for Reader {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let generated = Generated::read(&body)?;
        let text = generated.text();
        if text.is_empty() {
            return Err(generated.nothing("transcript"));
        }
        let transcript = Transcript {
            text: text.trim().to_owned(),
            ..Transcript::default()
        };
        let usage = generated.usage()?;
        Ok(TaskStep::Done(self.0.answer(
            &transcript,
            usage,
            generated.model(),
        )))
    }
}
