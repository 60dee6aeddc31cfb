//! Reads a stream of chunks into events (<https://platform.openai.com/docs/api-reference/chat-streaming>).

use std::borrow::Cow;

use domain::chat::{ChatEvent, ChatResponse, Part};
use domain::provider_error::ProviderError;
use serde_json::value::RawValue;

use super::body::{Body, Events};
use super::chunk::{CallDelta, Chunk, ChunkChoice, Content, Delta, ExtraContent};
use super::envelope::MAX_CHOICES;
use super::fields::{Fields, Name};
use super::parse::FORMAT;
use super::progress::{Call, Progress, number};
use super::template::Template;
use super::{decode, error, finish, usage};
use crate::dialect::DecodeError;
use crate::exchange::Exchange;

/// More tool calls than any model makes in one turn.
const MAX_CALLS: usize = 512;

/// Reads one stream.
pub(super) struct ChunkDecoder {
    exchange: Exchange,
    /// The terminal event or an error came.
    is_over: bool,
    started: bool,
    template: Option<Template>,
    /// By place of the first appearance; few.
    choices: Vec<Progress>,
}

impl ChunkDecoder {
    pub(super) fn of(exchange: &Exchange) -> Body<Self> {
        Body::of(Self {
            exchange: exchange.clone(),
            is_over: false,
            started: false,
            template: None,
            choices: Vec::new(),
        })
    }

    fn fail(&mut self, error: ProviderError, events: &mut Vec<ChatEvent>) {
        self.is_over = true;
        events.push(ChatEvent::Error(error));
    }

    fn take(&mut self, chunk: Chunk<'_>, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let choices = chunk.choices.unwrap_or_default();
        let native_usage = chunk
            .usage
            .or(chunk.x_groq.and_then(|beside| beside.usage))
            .or(choices.iter().find_map(|choice| choice.usage));
        // Azure begins with a chunk that has neither a model nor choices.
        if !self.started && (!choices.is_empty() || native_usage.is_some()) {
            self.started = true;
            let said = |name: Option<Name<'_>>| {
                name.map(|Name(text)| text.into_owned())
                    .filter(|text| !text.is_empty())
            };
            events.push(ChatEvent::Start {
                id: said(chunk.id),
                model: said(chunk.model),
            });
            if let Some(tier) = chunk.service_tier.and_then(|Name(tier)| tier.parse().ok()) {
                events.push(ChatEvent::ServiceTier(tier));
            }
        }
        for choice in choices {
            self.choice(choice, events)?;
        }
        // A usage that contradicts itself is as good as none: the ledger estimates and says so.
        if let Some(native) = native_usage
            && let Ok(Some(usage)) = usage::read(native.get().as_bytes())
        {
            events.push(ChatEvent::Usage(usage));
        }
        Ok(())
    }

    fn choice(
        &mut self,
        choice: ChunkChoice<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let index = choice.index;
        let place = self.place(index)?;
        if let Some(delta) = choice.delta {
            self.delta(place, index, delta, events)?;
        }
        if let Some(logprobs) = choice.logprobs {
            events.push(ChatEvent::Logprobs {
                choice: index,
                raw: logprobs.to_owned(),
            });
        }
        let reason = choice.finish_reason.filter(|Name(word)| !word.is_empty());
        if let Some(Name(reason)) = reason
            && let Some(progress) = self.choices.get_mut(place)
            && !progress.finished
        {
            progress.finished = true;
            let native = choice
                .native_finish_reason
                .as_ref()
                .map(|Name(word)| &**word);
            let mut finish = finish::read(&reason, native, !progress.calls.is_empty());
            finish.stop_sequence = choice
                .stop_sequence
                .map(|Name(text)| text.into_owned())
                .or_else(|| serde_json::from_str(choice.stop_reason?.get()).ok());
            for (call, _) in (0..).zip(&progress.calls) {
                events.push(ChatEvent::ToolCallEnd {
                    choice: index,
                    call,
                });
            }
            events.push(ChatEvent::Finish {
                choice: index,
                finish,
            });
        }
        Ok(())
    }

    /// Where in `choices` the choice stands.
    fn place(&mut self, index: u32) -> Result<usize, DecodeError> {
        if let Some(place) = self.choices.iter().position(|known| known.index == index) {
            return Ok(place);
        }
        if index >= MAX_CHOICES {
            return Err(DecodeError::Malformed(format!(
                "a chunk is of choice {index}; no answer has so many"
            )));
        }
        self.choices.push(Progress {
            index,
            calls: Vec::new(),
            bare_thoughts: 0,
            finished: false,
        });
        Ok(self.choices.len() - 1)
    }

    fn delta(
        &mut self,
        place: usize,
        choice: u32,
        delta: Delta<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        match delta.reasoning_details.filter(|list| !list.is_empty()) {
            Some(details) => {
                let said = self.choices.get_mut(place).map(|it| &mut it.bare_thoughts);
                let mut said = said.map(std::mem::take).unwrap_or_default();
                for raw in details {
                    detail(choice, raw, std::mem::take(&mut said), events)?;
                }
            }
            None => {
                if let Some(text) = delta.reasoning.filter(|text| !text.is_empty()) {
                    if let Some(progress) = self.choices.get_mut(place) {
                        progress.bare_thoughts += text.len();
                    }
                    let text = text.into_owned();
                    events.push(ChatEvent::Reasoning { choice, text });
                }
            }
        }
        match delta.content {
            Some(Content::Text(text)) if !text.is_empty() => {
                let text = text.into_owned();
                events.push(ChatEvent::Text { choice, text });
            }
            Some(Content::Parts(parts)) => content_parts(choice, &parts, events)?,
            _ => {}
        }
        if let Some(signature) = delta.extra_content.and_then(ExtraContent::signature) {
            let signature = signature.into_owned();
            events.push(ChatEvent::ReasoningSignature { choice, signature });
        }
        if let Some(text) = delta.refusal.filter(|text| !text.is_empty()) {
            let text = text.into_owned();
            events.push(ChatEvent::Refusal { choice, text });
        }
        for call in delta.tool_calls.unwrap_or_default() {
            self.call(place, choice, call, events)?;
        }
        let annotations = [delta.annotations, delta.native_annotations];
        for raw in annotations.into_iter().flatten().flatten() {
            if let Ok(annotation) = serde_json::from_str(raw.get()) {
                events.push(ChatEvent::Annotation { choice, annotation });
            }
        }
        for (name, raw) in delta.unknown {
            let raw = decode::object_of(&name, raw);
            events.push(ChatEvent::Unknown {
                choice,
                format: FORMAT,
                raw,
            });
        }
        Ok(())
    }

    fn call(
        &mut self,
        place: usize,
        choice: u32,
        delta: CallDelta<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let Some(progress) = self.choices.get_mut(place) else {
            return Ok(());
        };
        let id = delta.id.map(|Name(id)| id).filter(|id| !id.is_empty());
        let (name, arguments) = delta
            .function
            .map_or((None, None), |function| (function.name, function.arguments));
        let name = name.map(|Name(name)| name).filter(|name| !name.is_empty());
        let call = match progress.call_of(delta.index, id.as_deref(), name.is_some()) {
            Some(call) => call,
            None if progress.calls.len() == MAX_CALLS => {
                return Err(DecodeError::Malformed(format!(
                    "the stream holds more than {MAX_CALLS} tool calls"
                )));
            }
            None => {
                let call = progress.calls.len();
                let id = id.map_or_else(|| format!("call_{call}"), Cow::into_owned);
                progress.calls.push(Call {
                    index: delta.index,
                    id: id.clone(),
                });
                let name = name.unwrap_or_default();
                events.push(ChatEvent::ToolCallStart {
                    choice,
                    call: number(call),
                    id,
                    name: self.exchange.tool_name(&name).to_owned(),
                    signature: delta
                        .extra_content
                        .and_then(ExtraContent::signature)
                        .map(Cow::into_owned),
                });
                call
            }
        };
        if let Some(Name(fragment)) = arguments.filter(|Name(text)| !text.is_empty()) {
            events.push(ChatEvent::ToolCallArguments {
                choice,
                call: number(call),
                fragment: fragment.into_owned(),
            });
        }
        Ok(())
    }
}

/// One item of `reasoning_details`. As many bytes of thoughts as `said` came before it in pieces, outside of
/// details: a thought of that length is the same one, shown whole, as Trunkline shows it.
fn detail(
    choice: u32,
    raw: &RawValue,
    said: usize,
    events: &mut Vec<ChatEvent>,
) -> Result<(), DecodeError> {
    let mut detail = Fields::read(raw, "delta.reasoning_details".to_owned())?;
    let text = match detail.text("type")?.as_deref() {
        Some("reasoning.text") => detail.text("text")?,
        Some("reasoning.summary") => detail.text("summary")?,
        Some("reasoning.encrypted") => {
            if let Some(data) = detail.text("data")? {
                events.push(ChatEvent::RedactedReasoning { choice, data });
            }
            None
        }
        _ => {
            push_unknown(choice, decode::unknown_detail(raw), events);
            None
        }
    };
    if let Some(text) = text.filter(|text| !text.is_empty() && text.len() != said) {
        events.push(ChatEvent::Reasoning { choice, text });
    }
    if let Some(signature) = detail.text("signature")?.filter(|text| !text.is_empty()) {
        events.push(ChatEvent::ReasoningSignature { choice, signature });
    }
    Ok(())
}

fn content_parts(
    choice: u32,
    raw: &[&RawValue],
    events: &mut Vec<ChatEvent>,
) -> Result<(), DecodeError> {
    let mut parts = Vec::new();
    for raw in raw {
        decode::content_part(raw, "delta.content".to_owned(), &mut parts)?;
    }
    for part in parts {
        match part {
            Part::Text(text) if !text.text.is_empty() => events.push(ChatEvent::Text {
                choice,
                text: text.text,
            }),
            Part::Reasoning(reasoning) => {
                if let Some(text) = reasoning.text.filter(|text| !text.is_empty()) {
                    events.push(ChatEvent::Reasoning { choice, text });
                }
            }
            other => push_unknown(choice, other, events),
        }
    }
    Ok(())
}

fn push_unknown(choice: u32, part: Part, events: &mut Vec<ChatEvent>) {
    if let Part::Unknown { format, raw } = part {
        events.push(ChatEvent::Unknown {
            choice,
            format,
            raw,
        });
    }
}

impl Events for ChunkDecoder {
    fn read(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = data.trim_ascii();
        if data.is_empty() || self.is_over {
            return Ok(());
        }
        if let Some(event) = self.template.as_ref().and_then(|known| known.fill(data)) {
            events.push(event);
            return Ok(());
        }
        if data == "[DONE]" {
            self.is_over = true;
            return Ok(());
        }
        let chunk: Chunk<'_> = match serde_json::from_str(data) {
            Ok(chunk) => chunk,
            // The message of the parser may quote the answer, so that it is not passed on.
            Err(e) => {
                let Some(error) = error::of_frame(data) else {
                    return Err(DecodeError::Malformed(format!(
                        "an event of the stream is not a chunk (column {})",
                        e.column()
                    )));
                };
                self.fail(error, events);
                return Ok(());
            }
        };
        if (chunk.error.is_some() || chunk.choices.is_none())
            && let Some(error) = error::of_frame(data)
        {
            self.fail(error, events);
            return Ok(());
        }
        let before = events.len();
        let hole = chunk.only_string();
        self.take(chunk, events)?;
        self.template = match (hole, events.get(before..)) {
            (Some(hole), Some([event])) => Template::learn(data, hole, event),
            _ => None,
        };
        Ok(())
    }

    fn whole(&self, body: &[u8]) -> Result<ChatResponse, DecodeError> {
        decode::response(&self.exchange, body)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    /// A stream may end without `[DONE]` when every answer has its finish.
    fn is_complete(&self) -> bool {
        !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished)
    }
}
