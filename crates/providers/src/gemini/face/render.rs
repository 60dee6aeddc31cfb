//! Renders a whole answer.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::chat::{Annotation, ChatResponse, Choice, Media, Part, Reasoning, Source, ToolCall};
use serde_json::Value;
use serde_json::value::RawValue;

use super::wire::{Answer, Candidate, Head, ProviderContent, UsageMetadata};
use super::{custody, finish, grounding};
use crate::face::Rendering;
use crate::gemini::FORMAT;
use crate::gemini::choice::on_one_line;
use crate::gemini::wire::request::{Blob, FileData, FunctionCall, KnownPart, Part as WirePart};
use crate::openai::render::append;

/// Renders a whole answer.
pub(super) fn answer(
    response: &ChatResponse,
    rendering: &Rendering,
    report: Option<&Value>,
) -> Bytes {
    let seals = Seals::of(response);
    let answer = Answer {
        candidates: response
            .choices
            .iter()
            .zip(&seals.0)
            .map(|(choice, seals)| candidate(choice, seals))
            .collect(),
        head: Head {
            usage_metadata: response
                .usage
                .as_ref()
                .map(|usage| UsageMetadata::of(usage, response.service_tier)),
            model_version: response.model.as_deref().unwrap_or(&rendering.model),
            response_id: response.id.as_deref().unwrap_or(&rendering.id),
        },
        trunkline: report,
    };
    let mut out = BytesMut::with_capacity(1024);
    append(&answer, &mut out);
    out.freeze()
}

/// The signatures of ours, by choice and part, made before the parts that borrow them.
struct Seals(Vec<Vec<Option<String>>>);

impl Seals {
    fn of(response: &ChatResponse) -> Self {
        Self(response.choices.iter().map(seals).collect())
    }
}

fn seals(choice: &Choice) -> Vec<Option<String>> {
    let mut before: Vec<&Reasoning> = Vec::new();
    let mut seals = Vec::with_capacity(choice.content.len());
    for part in &choice.content {
        seals.push(match part {
            Part::Reasoning(thought)
                if thought.signature.is_some() || thought.redacted.is_some() =>
            {
                before.push(thought);
                let (signature, redacted) = (&thought.signature, &thought.redacted);
                Some(custody::seal_of(signature.as_deref(), redacted.as_deref()))
            }
            Part::ToolCall(call) if call.signature.is_none() && !before.is_empty() => {
                Some(custody::seal(before.drain(..).take(custody::MAX_THOUGHTS)))
            }
            _ => None,
        });
    }
    seals
}

fn candidate<'a>(choice: &'a Choice, seals: &'a [Option<String>]) -> Candidate<'a> {
    let mut parts = Vec::with_capacity(choice.content.len());
    let mut malformed = None;
    let mut provider_content = Vec::new();
    for (part, seal) in choice.content.iter().zip(seals) {
        match part {
            Part::Text(text) => parts.push(words(&text.text, text.signature.as_deref())),
            Part::Refusal(text) => parts.push(WirePart::text(text)),
            Part::Reasoning(thought) => parts.push(self::thought(
                thought.text.as_deref().unwrap_or_default(),
                seal.as_deref(),
            )),
            Part::ToolCall(made) => match call(made, seal.as_deref()) {
                Some(part) => parts.push(part),
                None => malformed = malformed.or(Some(spelt_out(&made.name, &made.arguments))),
            },
            Part::Image(media) | Part::Document(media) | Part::Audio(media) => {
                parts.push(self::media(media));
            }
            Part::Unknown { format, raw } if *format == FORMAT => parts.push(WirePart::Raw(raw)),
            Part::Unknown { format, raw } => {
                provider_content.push(ProviderContent {
                    format,
                    raw: Cow::Borrowed(raw),
                });
            }
        }
    }
    let (annotations, text) = cited(choice);
    provider_content.extend(grounding::untold(&annotations));
    let ended = finish::translate(&choice.finish, malformed.as_deref());
    Candidate {
        finish_reason: Some(ended.reason),
        finish_message: ended.message,
        grounding_metadata: grounding::metadata(&annotations, &text),
        logprobs_result: grounding::logprobs(choice.logprobs.as_deref()),
        native_finish_reason: ended.native,
        stop_sequence: choice.finish.stop_sequence.as_deref(),
        provider_content,
        ..Candidate::of(choice.index, parts)
    }
}

fn cited(choice: &Choice) -> (Vec<Annotation>, String) {
    let texts = || {
        choice.content.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        })
    };
    let annotations: Vec<Annotation> = texts()
        .flat_map(|text| &text.annotations)
        .cloned()
        .collect();
    if annotations.is_empty() {
        return (annotations, String::new());
    }
    (
        annotations,
        texts().map(|text| text.text.as_str()).collect(),
    )
}

/// Words, with Google's own signature.
pub(super) fn words<'a>(text: &'a str, signature: Option<&'a str>) -> WirePart<'a> {
    WirePart::from(KnownPart {
        text: Some(text.into()),
        thought_signature: signature,
        ..KnownPart::default()
    })
}

/// A thought, with a seal of ours.
pub(super) fn thought<'a>(text: &'a str, seal: Option<&'a str>) -> WirePart<'a> {
    WirePart::from(KnownPart {
        text: Some(text.into()),
        thought: Some(true),
        thought_signature: seal,
        ..KnownPart::default()
    })
}

/// A call; `None` where its arguments are no JSON object.
fn call<'a>(call: &'a ToolCall, seal: Option<&'a str>) -> Option<WirePart<'a>> {
    Some(WirePart::from(KnownPart {
        function_call: Some(FunctionCall {
            id: Some(&call.id),
            name: &call.name,
            args: Cow::Owned(arguments(&call.arguments)?),
        }),
        thought_signature: call.signature.as_deref().or(seal),
        ..KnownPart::default()
    }))
}

/// Arguments as Google has them: an object, on one line. Nothing at all is an empty one.
pub(super) fn arguments(text: &str) -> Option<Box<RawValue>> {
    let text = text.trim();
    if text.is_empty() {
        return RawValue::from_string("{}".to_owned()).ok();
    }
    if !text.starts_with('{') {
        return None;
    }
    RawValue::from_string(on_one_line(text)).ok()
}

/// A call that cannot be given as one, in words.
pub(super) fn spelt_out(name: &str, arguments: &str) -> String {
    format!("{name}({arguments})")
}

fn media(media: &Media) -> WirePart<'_> {
    let mut part = KnownPart::default();
    match &media.source {
        Source::Inline { media_type, base64 } => {
            part.inline_data = Some(Blob {
                mime_type: media_type,
                data: base64,
            });
        }
        Source::Url { url, media_type } => {
            part.file_data = Some(FileData {
                mime_type: media_type.as_deref(),
                file_uri: url.into(),
            });
        }
        Source::File(name) => {
            part.file_data = Some(FileData {
                mime_type: None,
                file_uri: name.into(),
            });
        }
        Source::Text(text) => part.text = Some(text.into()),
    }
    part.into()
}
