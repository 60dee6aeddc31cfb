//! Reads a whole answer. Lenient: hosts leave fields out and add their own.

use domain::chat::{
    Annotation, ChatResponse, Choice, Finish, FinishReason, Part, Reasoning, Text, ToolCall,
};
use domain::usage::Usage;
use serde_json::value::RawValue;

use super::super::fields::Fields;
use super::super::{error, usage};
use super::custody::{self, Sealed};
use super::words::FORMAT;
use super::{annotations, parse_items, parse_tools};
use crate::dialect::DecodeError;
use crate::exchange::Exchange;

/// Reads the body of a successful answer.
pub(super) fn response(exchange: &Exchange, body: &[u8]) -> Result<ChatResponse, DecodeError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| DecodeError::Malformed("the provider's answer is not UTF-8".to_owned()))?;
    let Ok(fields) = Fields::read_body(text) else {
        return Err(DecodeError::Malformed(not_json(text)));
    };
    let mut answer = Answer::read(fields)?;
    if answer.output.is_none() || answer.status.as_deref() == Some("failed") {
        return Err(match error::of_frame(text) {
            Some(error) => DecodeError::Provider(error),
            None => DecodeError::Malformed("the provider's answer has no output".to_owned()),
        });
    }
    let mut parts = Parts::new(exchange);
    for (path, raw) in answer.output.take().unwrap_or_default() {
        parts.item(Fields::read(raw, path)?, raw)?;
    }
    let choice = Choice {
        index: 0,
        finish: answer.finish(parts.has_calls),
        content: parts.signed(),
        logprobs: logprobs(&parts.logprobs),
    };
    Ok(ChatResponse {
        id: answer.id,
        model: answer.model,
        choices: vec![choice],
        usage: answer.usage,
        service_tier: answer.tier.and_then(|tier| tier.parse().ok()),
        ..ChatResponse::default()
    })
}

fn not_json(text: &str) -> String {
    let words = crate::failure::sentence(text.as_bytes());
    let start: String = words.chars().take(120).collect();
    format!("the provider's answer is not a JSON object; it begins with: {start}")
}

/// What an answer says of itself, whole or in an event of a stream.
pub(super) struct Answer<'a> {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) status: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) output: Option<Vec<(String, &'a RawValue)>>,
    missing: Option<String>,
}

impl<'a> Answer<'a> {
    pub(super) fn read(mut fields: Fields<'a>) -> Result<Self, DecodeError> {
        let missing = match fields.object("incomplete_details")? {
            Some(mut details) => details.text("reason")?,
            None => None,
        };
        let output = fields.list("output")?;
        // A usage that contradicts itself is as good as none: the ledger estimates and says so.
        let mut usage = fields
            .take("usage")
            .and_then(|native| usage::read(native.get().as_bytes()).unwrap_or(None));
        if let Some(usage) = &mut usage {
            usage.web_searches = searches(&mut fields, output.as_deref().unwrap_or_default());
        }
        Ok(Self {
            id: fields.text("id")?.filter(|id| !id.is_empty()),
            model: fields.text("model")?,
            status: fields.text("status")?,
            tier: fields.text("service_tier")?,
            usage,
            output,
            missing,
        })
    }

    /// Why it ended.
    pub(super) fn finish(&self, has_calls: bool) -> Finish {
        let status = self.status.as_deref().unwrap_or("completed");
        let (reason, native) = match (status, self.missing.as_deref()) {
            ("completed", _) if has_calls => (FinishReason::ToolCalls, status),
            ("completed", _) => (FinishReason::Stop, status),
            ("incomplete", Some("content_filter")) => {
                (FinishReason::ContentFilter, "content_filter")
            }
            ("incomplete", Some(missing @ ("max_output_tokens" | "max_tokens"))) => {
                (FinishReason::Length, missing)
            }
            ("incomplete", missing) => (FinishReason::Length, missing.unwrap_or(status)),
            // In the background; the answer is still being made.
            ("queued" | "in_progress", _) => (FinishReason::Pause, status),
            _ => (FinishReason::Error, status),
        };
        Finish {
            reason,
            native: native.to_owned(),
            stop_sequence: None,
        }
    }
}

/// The searches that are billed: counted by the vendor where it says so, else those among the items.
fn searches(fields: &mut Fields<'_>, output: &[(String, &RawValue)]) -> u64 {
    #[derive(serde::Deserialize)]
    struct ToolUsage {
        web_search: Option<Searches>,
    }
    #[derive(serde::Deserialize)]
    struct Searches {
        num_requests: u64,
    }
    #[derive(serde::Deserialize)]
    struct Search {
        #[serde(rename = "type")]
        kind: String,
        action: Option<Action>,
    }
    #[derive(serde::Deserialize)]
    struct Action {
        #[serde(rename = "type")]
        kind: String,
    }
    let told = fields.take("tool_usage").and_then(|raw| {
        let told: Option<ToolUsage> = serde_json::from_str(raw.get()).ok();
        Some(told?.web_search?.num_requests)
    });
    told.unwrap_or_else(|| {
        let is_search = |(_, raw): &&(String, &RawValue)| {
            raw.get().contains("web_search_call")
                && serde_json::from_str::<Search>(raw.get()).is_ok_and(|item| {
                    item.kind == "web_search_call"
                        && item.action.is_none_or(|action| action.kind == "search")
                })
        };
        output.iter().filter(is_search).count() as u64
    })
}

/// The parts of an answer, item by item.
struct Parts<'e> {
    exchange: &'e Exchange,
    content: Vec<Part>,
    has_calls: bool,
    logprobs: Vec<Box<RawValue>>,
    /// Signatures over calls, by the calls' ids.
    signatures: Vec<(String, String)>,
}

impl<'e> Parts<'e> {
    fn new(exchange: &'e Exchange) -> Self {
        Self {
            exchange,
            content: Vec::new(),
            has_calls: false,
            logprobs: Vec::new(),
            signatures: Vec::new(),
        }
    }

    fn item(&mut self, mut item: Fields<'_>, raw: &RawValue) -> Result<(), DecodeError> {
        match item.text("type")?.as_deref() {
            Some("message") => self.message(&mut item)?,
            Some("reasoning") => self.reasoning(&mut item)?,
            Some("function_call" | "custom_tool_call") => {
                let call = call(&mut item, self.exchange, self.content.len())?;
                self.has_calls = true;
                self.content.push(Part::ToolCall(call));
            }
            _ => self.content.push(unknown(raw)),
        }
        Ok(())
    }

    fn message(&mut self, item: &mut Fields<'_>) -> Result<(), DecodeError> {
        for (path, raw) in item.list("content")?.unwrap_or_default() {
            let mut part = Fields::read(raw, path)?;
            match part.text("type")?.as_deref() {
                Some("output_text") => {
                    let probabilities = part.list("logprobs")?.unwrap_or_default();
                    let raws = probabilities.into_iter().map(|(_, raw)| raw.to_owned());
                    self.logprobs.extend(raws);
                    let annotations = annotations::take(&mut part)?;
                    self.content.push(Part::Text(Text {
                        text: part.text("text")?.unwrap_or_default(),
                        annotations,
                        ..Text::default()
                    }));
                }
                Some("refusal") => {
                    let refusal = part.text("refusal")?.unwrap_or_default();
                    self.content.push(Part::Refusal(refusal));
                }
                _ => self.content.push(unknown(raw)),
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, item: &mut Fields<'_>) -> Result<(), DecodeError> {
        let (text, sealed) = thought(item)?;
        match sealed.as_deref().map(opened) {
            Some(Opened::Ours(Sealed::Thought(thought))) => {
                self.content.push(Part::Reasoning(thought));
            }
            Some(Opened::Ours(Sealed::Call { id, signature })) => {
                self.signatures.push((id, signature));
            }
            Some(Opened::Ours(Sealed::Text { signature })) => {
                if let Some(Part::Text(text)) = self.content.last_mut() {
                    text.signature = Some(signature);
                }
            }
            Some(Opened::Ours(Sealed::Block { format, raw })) => {
                self.content.push(Part::Unknown { format, raw });
            }
            Some(Opened::OpenAis(redacted)) => {
                let pieces = [(text, None), (None, Some(redacted))];
                self.thoughts(pieces);
            }
            None => self.thoughts([(text, None), (None, None)]),
        }
        Ok(())
    }

    fn thoughts(&mut self, pieces: [(Option<String>, Option<String>); 2]) {
        for (text, redacted) in pieces {
            if text.is_some() || redacted.is_some() {
                self.content.push(Part::Reasoning(Reasoning {
                    text,
                    signature: None,
                    redacted,
                }));
            }
        }
    }

    fn signed(&mut self) -> Vec<Part> {
        for part in &mut self.content {
            if let Part::ToolCall(call) = part {
                let place = self.signatures.iter().position(|(id, _)| *id == call.id);
                call.signature = place.map(|place| self.signatures.swap_remove(place).1);
            }
        }
        std::mem::take(&mut self.content)
    }
}

/// What stands in `encrypted_content`.
pub(super) enum Opened {
    /// An envelope: the provider is a gateway like this one.
    Ours(Sealed),
    /// OpenAI's own thoughts, as the domain keeps them.
    OpenAis(String),
}

pub(super) fn opened(encrypted_content: &str) -> Opened {
    match custody::open(encrypted_content) {
        Some(sealed) => Opened::Ours(sealed),
        None => Opened::OpenAis(custody::mark(encrypted_content)),
    }
}

/// The words of a thought, and what is encrypted of it.
pub(super) fn thought(
    item: &mut Fields<'_>,
) -> Result<(Option<String>, Option<String>), DecodeError> {
    let words = parse_items::words_of(item)?;
    let sealed = item.text("encrypted_content")?;
    Ok((words, sealed.filter(|text| !text.is_empty())))
}

/// A call, of a function or of a custom tool.
pub(super) fn call(
    item: &mut Fields<'_>,
    exchange: &Exchange,
    place: usize,
) -> Result<ToolCall, DecodeError> {
    let name = item.text("name")?.unwrap_or_default();
    let id = item.text("call_id")?.filter(|id| !id.is_empty());
    let arguments = match item.text("input")? {
        Some(input) => parse_tools::arguments_of(&input),
        None => item.text("arguments")?.unwrap_or_default(),
    };
    Ok(ToolCall {
        id: id.unwrap_or_else(|| format!("call_{place}")),
        name: exchange.tool_name(&name).to_owned(),
        arguments,
        ..ToolCall::default()
    })
}

/// Something that only this format knows.
pub(super) fn unknown(raw: &RawValue) -> Part {
    Part::Unknown {
        format: FORMAT,
        raw: raw.to_owned(),
    }
}

/// A citation, as the domain keeps it.
pub(super) fn annotation(raw: &RawValue) -> Option<Annotation> {
    let flat = serde_json::from_str(raw.get()).ok()?;
    Some(annotations::nested(flat))
}

/// Probabilities in the shape of chat completions.
pub(super) fn logprobs<T: serde::Serialize>(tokens: &[T]) -> Option<Box<RawValue>> {
    #[derive(serde::Serialize)]
    struct Told<'a, T> {
        content: &'a [T],
        refusal: Option<()>,
    }
    let told = Told {
        content: tokens,
        refusal: None,
    };
    (!tokens.is_empty())
        .then(|| serde_json::value::to_raw_value(&told).ok())
        .flatten()
}
