//! Renders a whole answer as a text completion.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use domain::chat::{ChatResponse, Choice, FinishReason, Part};
use serde::Serialize;
use serde_json::Value;

use super::super::fields::{self, Fields, Kind};
use super::super::render::{append, finish_word};
use super::super::usage::Shown;
use super::super::wire::{reasoning_content, refusals, texts};
use super::logprobs::{self, Listed};
use crate::face::Rendering;

#[derive(Serialize)]
struct Completion<'a> {
    id: Cow<'a, str>,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trunkline: Option<&'a Value>,
}

#[derive(Serialize)]
struct WireChoice<'a> {
    text: String,
    index: u32,
    logprobs: Option<Listed>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
}

/// Renders a whole answer.
pub(super) fn completion(
    response: &ChatResponse,
    rendering: &Rendering,
    report: Option<&Value>,
) -> Bytes {
    let prompt = echoed(&rendering.asked).unwrap_or_default();
    let completion = Completion {
        id: identifier(response.id.as_deref(), rendering),
        object: "text_completion",
        created: rendering.created.as_second(),
        model: response.model.as_deref().unwrap_or(&rendering.model),
        choices: response
            .choices
            .iter()
            .map(|choice| wire_choice(choice, &prompt))
            .collect(),
        usage: response.usage.as_ref().map(Shown::from),
        trunkline: report,
    };
    let mut out = BytesMut::with_capacity(1024);
    append(&completion, &mut out);
    out.freeze()
}

fn wire_choice<'a>(choice: &'a Choice, prompt: &str) -> WireChoice<'a> {
    let mut offset = prompt.chars().count();
    WireChoice {
        text: format!("{prompt}{}", words(&choice.content)),
        index: choice.index,
        logprobs: choice
            .logprobs
            .as_deref()
            .and_then(|raw| logprobs::listed(raw, &mut offset)),
        finish_reason: word(choice.finish.reason),
        stop_sequence: choice.finish.stop_sequence.as_deref(),
        reasoning_content: reasoning_content(&choice.content),
    }
}

/// What the model said; words of refusal are words too.
fn words(parts: &[Part]) -> String {
    let said = texts(parts).map(|text| text.text.as_str());
    said.chain(refusals(parts)).collect()
}

/// Clients know an answer by this prefix; the provider's own identifier stays readable in it.
pub(super) fn identifier<'a>(provided: Option<&'a str>, rendering: &'a Rendering) -> Cow<'a, str> {
    match provided.filter(|id| !id.is_empty()) {
        Some(id) if id.starts_with("cmpl-") => Cow::Borrowed(id),
        Some(id) => Cow::Owned(format!("cmpl-{id}")),
        None => Cow::Owned(format!("cmpl-{}", rendering.id)),
    }
}

/// The word for a reason; nothing is called here.
pub(super) fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::ToolCalls => "stop",
        other => finish_word(other),
    }
}

/// The prompt, where it is to stand before the answer.
pub(super) fn echoed(asked: &[u8]) -> Option<String> {
    let mut fields = Fields::read_body(std::str::from_utf8(asked).ok()?).ok()?;
    if fields.flag("echo") != Ok(Some(true)) {
        return None;
    }
    let prompt = fields.look("prompt")?;
    if Kind::of(prompt.get()) == Some(Kind::List) {
        let (_, only) = fields::list(prompt, "prompt").ok()?.pop()?;
        return fields::text(only, String::new).ok();
    }
    fields::text(prompt, String::new).ok()
}
