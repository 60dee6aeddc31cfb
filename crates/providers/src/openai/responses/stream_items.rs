//! What an item tells when it is whole and no event told before.

use domain::chat::{ChatEvent, Part, Reasoning};
use serde_json::value::RawValue;

use super::super::fields::Fields;
use super::annotations;
use super::custody::Sealed;
use super::decode::{self, Opened};
use super::stream::EventDecoder;
use super::words::FORMAT;
use crate::dialect::DecodeError;

impl EventDecoder {
    /// Takes of an item that is whole what was not told of it before.
    pub(super) fn complete(
        &mut self,
        place: u64,
        raw: &RawValue,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        if std::mem::replace(&mut self.at(place)?.is_done, true) {
            return Ok(());
        }
        let mut item = Fields::read(raw, "item".to_owned())?;
        match item.text("type")?.as_deref() {
            Some("message") => self.message(place, &mut item, events),
            Some("reasoning") => self.reasoning(place, &mut item, events),
            Some("function_call" | "custom_tool_call") => {
                let again = Fields::read(raw, "item".to_owned())?;
                self.open_call(place, again, events)?;
                let call = decode::call(&mut item, &self.exchange, 0)?;
                self.whole_arguments(place, &call.arguments, events)?;
                if let Some(call) = &mut self.at(place)?.call {
                    call.is_closed = true;
                    let call = call.number;
                    events.push(ChatEvent::ToolCallEnd { choice: 0, call });
                }
                Ok(())
            }
            _ => {
                if let Part::Unknown { format, raw } = decode::unknown(raw) {
                    events.push(ChatEvent::Unknown {
                        choice: 0,
                        format,
                        raw,
                    });
                }
                Ok(())
            }
        }
    }

    fn message(
        &mut self,
        place: u64,
        item: &mut Fields<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let parts = item.list("content")?.unwrap_or_default();
        for (index, (path, raw)) in (0_u64..).zip(parts) {
            let told = self.at(place)?.parts.get(&index).copied();
            let mut part = Fields::read(raw, path)?;
            match part.text("type")?.as_deref() {
                Some("output_text") => {
                    let text = part.text("text")?.unwrap_or_default();
                    if told.is_none() && !text.is_empty() {
                        events.push(ChatEvent::Text { choice: 0, text });
                    }
                    let known = usize::try_from(told.unwrap_or(0)).unwrap_or(usize::MAX);
                    let annotations = annotations::take(&mut part)?;
                    let untold = annotations.into_iter().skip(known);
                    events.extend(untold.map(|annotation| ChatEvent::Annotation {
                        choice: 0,
                        annotation,
                    }));
                }
                Some("refusal") => {
                    let text = part.text("refusal")?.unwrap_or_default();
                    if told.is_none() && !text.is_empty() {
                        events.push(ChatEvent::Refusal { choice: 0, text });
                    }
                }
                _ => events.push(ChatEvent::Unknown {
                    choice: 0,
                    format: FORMAT,
                    raw: raw.to_owned(),
                }),
            }
        }
        Ok(())
    }

    fn reasoning(
        &mut self,
        place: u64,
        item: &mut Fields<'_>,
        events: &mut Vec<ChatEvent>,
    ) -> Result<(), DecodeError> {
        let (text, sealed) = decode::thought(item)?;
        let is_told = self.at(place)?.thought.is_some();
        let opened = sealed.as_deref().map(decode::opened);
        let text = match &opened {
            // Such an item says nothing itself.
            Some(Opened::Ours(
                Sealed::Call { .. } | Sealed::Text { .. } | Sealed::Block { .. },
            )) => None,
            _ => text,
        };
        if let Some(text) = text.filter(|_| !is_told) {
            events.push(ChatEvent::Reasoning { choice: 0, text });
        }
        let choice = 0;
        match opened {
            Some(Opened::Ours(Sealed::Thought(Reasoning {
                signature,
                redacted,
                ..
            }))) => {
                let signed = |signature| ChatEvent::ReasoningSignature { choice, signature };
                events.extend(signature.map(signed));
                events.extend(redacted.map(|data| ChatEvent::RedactedReasoning { choice, data }));
            }
            // There are no more of them than items.
            Some(Opened::Ours(Sealed::Call { id, signature })) => {
                self.signatures.insert(id, signature);
            }
            Some(Opened::Ours(Sealed::Text { signature })) => {
                events.push(ChatEvent::ReasoningSignature { choice, signature });
            }
            Some(Opened::Ours(Sealed::Block { format, raw })) => {
                events.push(ChatEvent::Unknown {
                    choice,
                    format,
                    raw,
                });
            }
            Some(Opened::OpenAis(data)) => {
                events.push(ChatEvent::RedactedReasoning { choice, data });
            }
            None => {}
        }
        Ok(())
    }
}
