//! Reads a stream of this format's events (<https://platform.openai.com/docs/api-reference/responses-streaming>).
//!
//! What is said piece by piece is taken piece by piece; what an event tells whole that no piece told before
//! (hosts leave events out) is taken then. Events that are not known are skipped: whatever they tell of an
//! item stands in the item when it is done.

use std::collections::BTreeMap;

use domain::chat::{ChatEvent, ChatResponse};
use domain::provider_error::{Cause, ProviderError};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::body::{Body, Events};
use super::super::error;
use super::super::fields::{Fields, Name};
use super::decode::{self, Answer};
use super::parse_tools;
use crate::dialect::DecodeError;
use crate::exchange::Exchange;

/// More items than any answer has.
const MAX_ITEMS: usize = 4096;

/// Reads one stream.
pub(super) struct EventDecoder {
    pub(super) exchange: Exchange,
    /// The terminal event or an error came.
    is_over: bool,
    started: bool,
    /// By their place in the output.
    items: BTreeMap<u64, Item>,
    calls: u32,
    /// Signatures over calls, by the calls' ids.
    pub(super) signatures: BTreeMap<String, String>,
}

/// How far an item is.
#[derive(Default)]
pub(super) struct Item {
    pub(super) call: Option<Call>,
    /// Which parts of a message were said, and how many citations were told of each.
    pub(super) parts: BTreeMap<u64, u64>,
    /// Whether the thought is told in full or in summary; the other one says the same again.
    pub(super) thought: Option<Telling>,
    /// The last part of the thought that was told of.
    thought_part: u64,
    pub(super) is_done: bool,
}

pub(super) struct Call {
    pub(super) number: u32,
    /// Whether any of the arguments were told.
    is_told: bool,
    pub(super) is_closed: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Telling {
    Full,
    Summary,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Name<'a>,
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    content_index: u64,
    #[serde(default)]
    summary_index: u64,
    #[serde(borrow)]
    delta: Option<Name<'a>>,
    #[serde(borrow)]
    text: Option<Name<'a>>,
    #[serde(borrow)]
    refusal: Option<Name<'a>>,
    #[serde(borrow)]
    arguments: Option<Name<'a>>,
    #[serde(borrow)]
    input: Option<Name<'a>>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'a RawValue>>,
}

impl EventDecoder {
    pub(super) fn of(exchange: &Exchange) -> Body<Self> {
        Body::of(Self {
            exchange: exchange.clone(),
            is_over: false,
            started: false,
            items: BTreeMap::new(),
            calls: 0,
            signatures: BTreeMap::new(),
        })
    }

    fn fail(&mut self, error: ProviderError, events: &mut Vec<ChatEvent>) {
        self.is_over = true;
        events.push(ChatEvent::Error(error));
    }

    fn take(
        &mut self,
        event: &Event<'_>,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let text = |piece: &Option<Name<'_>>| {
            let piece = piece.as_ref().map(|Name(text)| text.as_ref());
            piece.unwrap_or_default().to_owned()
        };
        let delta = text(&event.delta);
        match &*event.kind.0 {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(event, events)?;
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                return self.end(event, data, events);
            }
            "error" => {
                let error = error::of_frame(data).unwrap_or_else(|| {
                    ProviderError::new(Cause::Server, "the provider reports an error")
                });
                self.fail(error, events);
            }
            "response.output_item.added" => self.added(event, events)?,
            "response.output_item.done" => self.done(event, events)?,
            "response.output_text.delta" => {
                self.said(event)?;
                if !delta.is_empty() {
                    let text = delta;
                    events.push(ChatEvent::Text { choice: 0, text });
                }
                push_logprobs(event, events);
            }
            "response.output_text.done" if !self.said(event)? => {
                let text = text(&event.text);
                if !text.is_empty() {
                    events.push(ChatEvent::Text { choice: 0, text });
                }
                push_logprobs(event, events);
            }
            "response.output_text.done" => push_logprobs(event, events),
            "response.refusal.delta" => {
                self.said(event)?;
                if !delta.is_empty() {
                    let text = delta;
                    events.push(ChatEvent::Refusal { choice: 0, text });
                }
            }
            "response.refusal.done" if !self.said(event)? => {
                let text = text(&event.refusal);
                if !text.is_empty() {
                    events.push(ChatEvent::Refusal { choice: 0, text });
                }
            }
            "response.output_text.annotation.added" => self.annotated(event, events)?,
            "response.reasoning_summary_text.delta" => {
                self.thought(event, Telling::Summary, event.summary_index, &delta, events)?;
            }
            "response.reasoning_text.delta" => {
                self.thought(event, Telling::Full, event.content_index, &delta, events)?;
            }
            "response.function_call_arguments.delta" => {
                self.arguments(event.output_index, &delta, events)?;
            }
            "response.function_call_arguments.done" => {
                self.whole_arguments(event.output_index, &text(&event.arguments), events)?;
            }
            "response.custom_tool_call_input.done" => {
                let arguments = parse_tools::arguments_of(&text(&event.input));
                self.whole_arguments(event.output_index, &arguments, events)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, event: &Event<'_>, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        if self.started {
            return Ok(());
        }
        let answer = event
            .response
            .map(|raw| Fields::read(raw, "response".to_owned()));
        let answer = answer.transpose()?.map(Answer::read).transpose()?;
        self.started = true;
        events.push(match answer {
            Some(Answer { id, model, .. }) => ChatEvent::Start { id, model },
            None => ChatEvent::Start {
                id: None,
                model: None,
            },
        });
        Ok(())
    }

    /// The item at this place of the output.
    pub(super) fn at(&mut self, place: u64) -> Result<&mut Item, DecodeError> {
        if self.items.len() == MAX_ITEMS && !self.items.contains_key(&place) {
            return Err(DecodeError::Malformed(format!(
                "the stream holds more than {MAX_ITEMS} items"
            )));
        }
        Ok(self.items.entry(place).or_default())
    }

    /// Whether the part that the event is about was said before; now it is.
    fn said(&mut self, event: &Event<'_>) -> Result<bool, DecodeError> {
        let parts = &mut self.at(event.output_index)?.parts;
        let is_new = !parts.contains_key(&event.content_index);
        if is_new && parts.len() == MAX_ITEMS {
            return Err(DecodeError::Malformed(format!(
                "a message holds more than {MAX_ITEMS} parts"
            )));
        }
        parts.entry(event.content_index).or_default();
        Ok(!is_new)
    }

    fn annotated(
        &mut self,
        event: &Event<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        self.said(event)?;
        let item = self.at(event.output_index)?;
        if let Some(count) = item.parts.get_mut(&event.content_index) {
            *count += 1;
        }
        let annotation = event.annotation.and_then(decode::annotation);
        events.extend(annotation.map(|annotation| ChatEvent::Annotation {
            choice: 0,
            annotation,
        }));
        Ok(())
    }

    fn thought(
        &mut self,
        event: &Event<'_>,
        telling: Telling,
        part: u64,
        piece: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let item = self.at(event.output_index)?;
        let is_first = item.thought.is_none();
        if *item.thought.get_or_insert(telling) != telling || piece.is_empty() {
            return Ok(());
        }
        let mut text = piece.to_owned();
        if !is_first && part != item.thought_part {
            text.insert_str(0, "\n\n");
        }
        item.thought_part = part;
        events.push(ChatEvent::Reasoning { choice: 0, text });
        Ok(())
    }

    fn arguments(
        &mut self,
        place: u64,
        piece: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let Some(call) = &mut self.at(place)?.call else {
            return Ok(());
        };
        if !piece.is_empty() && !call.is_closed {
            call.is_told = true;
            events.push(ChatEvent::ToolCallArguments {
                choice: 0,
                call: call.number,
                fragment: piece.to_owned(),
            });
        }
        Ok(())
    }

    /// Arguments that no piece told.
    pub(super) fn whole_arguments(
        &mut self,
        place: u64,
        whole: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let is_told = self
            .at(place)?
            .call
            .as_ref()
            .is_none_or(|call| call.is_told);
        if is_told {
            return Ok(());
        }
        self.arguments(place, whole, events)
    }

    fn added(&mut self, event: &Event<'_>, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let Some(raw) = event.item else {
            return Ok(());
        };
        let mut item = Fields::read(raw, "item".to_owned())?;
        let kind = item.text("type")?;
        if let Some("function_call" | "custom_tool_call") = kind.as_deref() {
            self.open_call(event.output_index, item, events)?;
        }
        Ok(())
    }

    pub(super) fn open_call(
        &mut self,
        place: u64,
        mut item: Fields<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        if self.at(place)?.call.is_some() {
            return Ok(());
        }
        let is_custom = item.look("input").is_some();
        let number = self.calls;
        let call = decode::call(&mut item, &self.exchange, self.calls as usize)?;
        self.calls += 1;
        self.at(place)?.call = Some(Call {
            number,
            is_told: false,
            is_closed: false,
        });
        let signature = self.signatures.remove(&call.id);
        events.push(ChatEvent::ToolCallStart {
            choice: 0,
            call: number,
            id: call.id,
            name: call.name,
            signature,
        });
        // The input of a custom tool is told whole, when it is done.
        if !is_custom {
            self.arguments(place, &call.arguments, events)?;
        }
        Ok(())
    }

    fn done(&mut self, event: &Event<'_>, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        match event.item {
            Some(raw) => self.complete(event.output_index, raw, events),
            None => Ok(()),
        }
    }

    fn end(
        &mut self,
        event: &Event<'_>,
        data: &str,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        self.start(event, events)?;
        let answer = event
            .response
            .map(|raw| Fields::read(raw, "response".to_owned()));
        let Some(mut answer) = answer.transpose()?.map(Answer::read).transpose()? else {
            return Err(DecodeError::Malformed(
                "the stream's last event has no answer".to_owned(),
            ));
        };
        let output = answer.output.take().unwrap_or_default();
        for (place, (_, raw)) in (0_u64..).zip(output) {
            self.complete(place, raw, events)?;
        }
        for call in self
            .items
            .values_mut()
            .filter_map(|item| item.call.as_mut())
        {
            if !std::mem::replace(&mut call.is_closed, true) {
                let call = call.number;
                events.push(ChatEvent::ToolCallEnd { choice: 0, call });
            }
        }
        events.extend(answer.usage.map(ChatEvent::Usage));
        let tier = answer.tier.as_deref().and_then(|tier| tier.parse().ok());
        events.extend(tier.map(ChatEvent::ServiceTier));
        if &*event.kind.0 == "response.failed" {
            let response = event.response.map_or(data, RawValue::get);
            let error = error::of_frame(response).unwrap_or_else(|| {
                ProviderError::new(Cause::Server, "the provider broke the answer off")
            });
            self.fail(error, events);
            return Ok(());
        }
        if answer.status.is_none() && &*event.kind.0 == "response.incomplete" {
            answer.status = Some("incomplete".to_owned());
        }
        let finish = answer.finish(self.calls > 0);
        events.push(ChatEvent::Finish { choice: 0, finish });
        self.is_over = true;
        Ok(())
    }
}

fn push_logprobs(event: &Event<'_>, events: &mut Vec<ChatEvent>) {
    let tokens = event.logprobs.as_deref().unwrap_or_default();
    let told = decode::logprobs(tokens);
    events.extend(told.map(|raw| ChatEvent::Logprobs { choice: 0, raw }));
}

impl Events for EventDecoder {
    fn read(&mut self, data: &str, events: &mut Vec<ChatEvent>) -> Result<(), DecodeError> {
        let data = data.trim_ascii();
        // The format has no such end; some hosts write it all the same.
        if data.is_empty() || data == "[DONE]" || self.is_over {
            return Ok(());
        }
        let event: Event<'_> = match serde_json::from_str(data) {
            Ok(event) => event,
            // The message of the parser may quote the answer, so that it is not passed on.
            Err(e) => {
                let Some(error) = error::of_frame(data) else {
                    return Err(DecodeError::Malformed(format!(
                        "an event of the stream cannot be read (column {})",
                        e.column()
                    )));
                };
                self.fail(error, events);
                return Ok(());
            }
        };
        self.take(&event, data, events)
    }

    fn whole(&self, body: &[u8]) -> Result<ChatResponse, DecodeError> {
        decode::response(&self.exchange, body)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}
