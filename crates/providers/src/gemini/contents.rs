//! The turns of a conversation (<https://ai.google.dev/api/caching#Content>).
//!
//! Gemini knows two roles. Instructions that open the conversation become `systemInstruction`; later ones
//! stay where they are, in the user's role, so that what came before keeps its place in the cache. The
//! results of one turn's calls stand together in one content, in the order of the calls.

use std::borrow::Cow;

use domain::chat::{
    CacheControl, ChatRequest, Conversion, Message, Part, Reasoning, ToolCall, ToolResult,
};
use serde_json::value::RawValue;

use super::media::{self, Place, Resolution};
use super::model::{Generation, Model};
use super::results;
use super::wire::request::{Content, FunctionCall, KnownPart, Part as WirePart, Role};
use crate::dialect::{Refusal, Target};
use crate::tool_names::ToolNames;

/// Why a prompt-cache breakpoint does not arrive.
pub(super) const NO_BREAKPOINTS: &str =
    "Gemini caches what repeats by itself and takes no breakpoints";

/// Stands in for a signature that the history does not have. Without one, Gemini 3 refuses the first
/// call of each step of the current turn; Google documents this word for histories that were not made
/// by the model. <https://ai.google.dev/gemini-api/docs/thought-signatures#faqs>
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The conversation on the wire.
pub(super) struct Conversation<'a> {
    pub(super) system: Option<Content<'a>>,
    pub(super) contents: Vec<Content<'a>>,
    pub(super) resolution: Resolution,
}

/// Translates the messages.
pub(super) fn encode<'a>(
    request: &'a ChatRequest,
    target: &'a Target<'_>,
    model: Model,
    names: &'a ToolNames,
    report: &mut Conversion,
) -> Result<Conversation<'a>, Refusal> {
    let messages = &request.messages;
    let opening = messages
        .iter()
        .take_while(|message| matches!(message, Message::System(_) | Message::Developer(_)))
        .count();
    let current_turn = messages
        .iter()
        .rposition(|message| !matches!(message, Message::Assistant { .. } | Message::Tool(_)))
        .unwrap_or(0);
    let mut writer = Writer {
        target,
        model,
        names,
        report,
        contents: Vec::new(),
        resolution: Resolution::default(),
    };
    let mut system = Vec::new();
    let mut index = 0;
    while let Some(message) = messages.get(index) {
        match message {
            Message::System(content) | Message::Developer(content) if index < opening => {
                system.extend(writer.instructions(index, content));
            }
            Message::System(content) | Message::Developer(content) => {
                let parts = writer.instructions(index, content);
                let reason = "Gemini takes instructions only at the beginning; these are sent in their place, as the user's words";
                writer
                    .report
                    .change(format!("messages[{index}].role"), reason);
                writer.turn(Role::User, parts);
            }
            Message::User { content, name } => {
                writer.name(index, name.as_deref());
                let parts = writer.user(index, content)?;
                writer.turn(Role::User, parts);
            }
            Message::Assistant { content, name } => {
                writer.name(index, name.as_deref());
                let parts = writer.assistant(index, content, index > current_turn)?;
                writer.turn(Role::Model, parts);
            }
            Message::Tool(_) => {
                let group: Vec<(usize, &ToolResult)> = results::group(messages, index);
                index += group.len();
                writer.results(messages, &group)?;
                continue;
            }
        }
        index += 1;
    }
    let (contents, resolution) = (writer.contents, writer.resolution);
    conversation(system, contents, resolution, report)
}

/// A conversation that has instructions only is asked as if the user had said them: Gemini answers to
/// nothing else.
fn conversation<'a>(
    system: Vec<WirePart<'a>>,
    mut contents: Vec<Content<'a>>,
    resolution: Resolution,
    report: &mut Conversion,
) -> Result<Conversation<'a>, Refusal> {
    let mut system = (!system.is_empty()).then_some(Content {
        role: None,
        parts: system,
    });
    if contents.is_empty() {
        let Some(instructions) = system.take() else {
            return Err(Refusal::of(
                "messages",
                "there is nothing in the messages for Gemini to answer",
            ));
        };
        report.change(
            "messages[0].role",
            "Gemini answers only to a user; the instructions are sent as the user's words",
        );
        contents.push(Content {
            role: Some(Role::User),
            parts: instructions.parts,
        });
    }
    report.carry("messages");
    Ok(Conversation {
        system,
        contents,
        resolution,
    })
}

struct Writer<'a, 'r> {
    target: &'a Target<'a>,
    model: Model,
    names: &'a ToolNames,
    report: &'r mut Conversion,
    contents: Vec<Content<'a>>,
    resolution: Resolution,
}

impl<'a> Writer<'a, '_> {
    /// Adds to the last turn where the role is the same, but never to the results of calls, which
    /// Gemini counts against the calls.
    fn turn(&mut self, role: Role, parts: Vec<WirePart<'a>>) {
        if parts.is_empty() {
            return;
        }
        if let Some(last) = self.contents.last_mut()
            && last.role == Some(role)
            && !last.parts.iter().any(is_result)
        {
            last.parts.extend(parts);
            return;
        }
        self.contents.push(Content {
            role: Some(role),
            parts,
        });
    }

    fn name(&mut self, message: usize, name: Option<&str>) {
        if name.is_some() {
            let field = format!("messages[{message}].name");
            self.report.drop(field, "Gemini has no names of speakers");
        }
    }

    fn cache(&mut self, place: Place, cache: Option<CacheControl>) {
        if cache.is_some() {
            self.report
                .drop(format!("{place}.cache_control"), NO_BREAKPOINTS);
        }
    }

    fn instructions(&mut self, message: usize, content: &'a [Part]) -> Vec<WirePart<'a>> {
        let mut parts = Vec::new();
        for (part, content) in content.iter().enumerate() {
            let place = Place { message, part };
            match content {
                Part::Text(text) => {
                    self.cache(place, text.cache);
                    parts.extend(words(&text.text));
                }
                _ => self
                    .report
                    .drop(place.to_string(), "Gemini takes only words as instructions"),
            }
        }
        parts
    }

    fn user(&mut self, message: usize, content: &'a [Part]) -> Result<Vec<WirePart<'a>>, Refusal> {
        let mut parts = Vec::new();
        for (part, content) in content.iter().enumerate() {
            let place = Place { message, part };
            match content {
                Part::Text(text) => {
                    self.cache(place, text.cache);
                    parts.extend(words(&text.text));
                }
                Part::Image(_) | Part::Document(_) | Part::Audio(_) => {
                    parts.extend(self.media(place, content)?);
                }
                other => parts.extend(self.foreign(place, other)),
            }
        }
        Ok(parts)
    }

    /// A picture, document or recording, unless the model is known not to take it.
    fn media(&mut self, place: Place, part: &'a Part) -> Result<Option<WirePart<'a>>, Refusal> {
        let capabilities = self.target.capabilities;
        let (media, is_taken, what) = match part {
            Part::Image(media) => (media, capabilities.images, "pictures"),
            Part::Document(media) => (media, capabilities.documents, "documents"),
            Part::Audio(media) => (media, capabilities.audio, "recordings"),
            _ => return Ok(None),
        };
        self.cache(place, media.cache);
        if is_taken == Some(false) {
            self.report.drop(
                place.to_string(),
                format!("this model does not take {what}"),
            );
            return Ok(None);
        }
        self.resolution.note(media, place, self.report);
        media::encode(media, place, self.target, self.report).map(Some)
    }

    /// What only one format knows: passed on to that format.
    fn foreign(&mut self, place: Place, part: &'a Part) -> Option<WirePart<'a>> {
        if let Part::Unknown { format, raw } = part
            && *format == super::FORMAT
        {
            return Some(WirePart::Raw(raw));
        }
        let reason = match part {
            Part::Unknown { format, .. } => format!("only {format} knows what it means"),
            _ => "Gemini does not take it in this role".to_owned(),
        };
        self.report.drop(place.to_string(), reason);
        None
    }

    fn assistant(
        &mut self,
        message: usize,
        content: &'a [Part],
        is_in_current_turn: bool,
    ) -> Result<Vec<WirePart<'a>>, Refusal> {
        let mut parts = Vec::new();
        let mut calls = 0;
        let is_sealed = |part: &Part| match part {
            Part::Reasoning(thought) => thought.signature.is_some() || thought.redacted.is_some(),
            _ => false,
        };
        if content.iter().any(is_sealed) {
            self.report.drop(
                format!("messages[{message}].reasoning_details"),
                "only the provider that signed or encrypted its thoughts takes them back",
            );
        }
        for (part, content) in content.iter().enumerate() {
            let place = Place { message, part };
            match content {
                Part::Reasoning(reasoning) => parts.extend(thought(reasoning)),
                Part::Text(text) => {
                    self.cache(place, text.cache);
                    if text.signature.is_some() || !text.text.is_empty() {
                        parts.push(WirePart::from(KnownPart {
                            text: Some(Cow::Borrowed(&text.text)),
                            thought_signature: text.signature.as_deref(),
                            ..KnownPart::default()
                        }));
                    }
                }
                Part::Refusal(text) => {
                    let field = format!("messages[{message}].refusal");
                    self.report.change(field, "sent as what the model said");
                    parts.extend(words(text));
                }
                Part::ToolCall(call) => {
                    let must_be_signed = calls == 0 && is_in_current_turn;
                    let field = format!("messages[{message}].tool_calls[{calls}]");
                    parts.push(self.call(call, &field, must_be_signed)?);
                    calls += 1;
                }
                Part::Image(_) | Part::Document(_) | Part::Audio(_) => {
                    parts.extend(self.media(place, content)?);
                }
                other @ Part::Unknown { .. } => parts.extend(self.foreign(place, other)),
            }
        }
        Ok(parts)
    }

    fn call(
        &mut self,
        call: &'a ToolCall,
        field: &str,
        must_be_signed: bool,
    ) -> Result<WirePart<'a>, Refusal> {
        if call.cache.is_some() {
            self.report
                .drop(format!("{field}.cache_control"), NO_BREAKPOINTS);
        }
        let mut signature = call.signature.as_deref();
        if signature.is_none() && must_be_signed && self.model.generation >= Generation::Levels {
            signature = Some(NO_SIGNATURE);
            self.report.drop(
                format!("{field}.extra_content.google.thought_signature"),
                "the history lacks the signature that this model demands; the model answers without its earlier thoughts",
            );
        }
        Ok(WirePart::from(KnownPart {
            function_call: Some(FunctionCall {
                id: results::wire_id(&call.id),
                name: self.names.target(&call.name),
                args: self.arguments(&call.arguments, field)?,
            }),
            thought_signature: signature,
            ..KnownPart::default()
        }))
    }

    /// Arguments are an object on this wire. What is none is kept as text inside one.
    fn arguments(&mut self, text: &'a str, field: &str) -> Result<Cow<'a, RawValue>, Refusal> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        if let Ok(raw) = serde_json::from_str::<&RawValue>(text)
            && raw.get().starts_with('{')
        {
            return Ok(Cow::Borrowed(raw));
        }
        let field = format!("{field}.function.arguments");
        let wrapped = results::object_of("arguments", &text)
            .map_err(|_| Refusal::of(field.clone(), "the arguments cannot be written as JSON"))?;
        self.report
            .change(field, "not a JSON object; sent as text inside one");
        Ok(Cow::Owned(wrapped))
    }

    fn results(
        &mut self,
        messages: &'a [Message],
        group: &[(usize, &'a ToolResult)],
    ) -> Result<(), Refusal> {
        let matched = results::in_order_of_calls(messages, group, self.report)?;
        let mut parts = Vec::new();
        let mut beside = Vec::new();
        for answer in matched {
            let mut nested = Vec::new();
            for (part, content) in answer.result.content.iter().enumerate() {
                let place = Place {
                    message: answer.message,
                    part,
                };
                match content {
                    Part::Text(text) => self.cache(place, text.cache),
                    other => nested.extend(self.result_part(place, other)?),
                }
            }
            // Before Gemini 3 a result could not hold pictures, and anything beside the results breaks
            // the count of calls and results.
            if self.model.generation < Generation::Levels && !nested.is_empty() {
                let field = format!("messages[{}].content", answer.message);
                self.report.change(
                    field,
                    "what is not text is sent after the results, as the user's",
                );
                beside.append(&mut nested);
            }
            if answer.result.cache.is_some() {
                let field = format!("messages[{}].cache_control", answer.message);
                self.report.drop(field, NO_BREAKPOINTS);
            }
            parts.push(results::part(&answer, self.names, nested)?);
        }
        self.contents.push(Content {
            role: Some(Role::User),
            parts,
        });
        self.turn(Role::User, beside);
        Ok(())
    }

    fn result_part(
        &mut self,
        place: Place,
        part: &'a Part,
    ) -> Result<Option<WirePart<'a>>, Refusal> {
        match part {
            Part::Image(_) | Part::Document(_) | Part::Audio(_) => self.media(place, part),
            other => Ok(self.foreign(place, other)),
        }
    }
}

fn is_result(part: &WirePart<'_>) -> bool {
    matches!(part, WirePart::Known(part) if part.function_response.is_some())
}

/// Gemini refuses empty words.
fn words(text: &str) -> Option<WirePart<'_>> {
    (!text.is_empty()).then(|| WirePart::text(text))
}

/// Thoughts go back as thoughts, but not their seals: Gemini signs what it says and calls, so a seal on a
/// thought is another provider's, and Gemini refuses a request for a signature that it did not write.
fn thought(reasoning: &Reasoning) -> Option<WirePart<'_>> {
    let text = reasoning.text.as_deref().filter(|text| !text.is_empty())?;
    Some(WirePart::from(KnownPart {
        text: Some(Cow::Borrowed(text)),
        thought: Some(true),
        ..KnownPart::default()
    }))
}
