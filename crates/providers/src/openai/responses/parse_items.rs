//! Reads the items of a conversation. What the model made in one turn (thoughts, words, calls) are several
//! items here and one message in the domain, in the same order.

use domain::chat::{CallerPaths, Extensions, Message, Part, Reasoning, Text, ToolCall, ToolResult};
use serde_json::value::RawValue;

use super::super::fields::{self, Fields, Kind};
use super::custody::{self, Sealed};
use super::words::FORMAT;
use super::{parse_content, parse_tools};
use crate::face::InvalidRequest;

/// Reads `instructions` and `input`, and where in them the messages stand.
pub(super) fn messages(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<(Vec<Message>, CallerPaths), InvalidRequest> {
    const EXPECTED: &str = "a string or an array of items";
    let mut turns = Turns::default();
    let instructions = fields.text("instructions")?;
    if let Some(text) = instructions.filter(|text| !text.is_empty()) {
        turns.open(
            Message::System(vec![Part::Text(text.into())]),
            "instructions",
        );
        turns.paths.insert("messages[0].content", "instructions");
    }
    let Some(input) = fields.take("input") else {
        return Err(fields.missing("input", EXPECTED));
    };
    match Kind::of(input.get()) {
        Some(Kind::Text) => {
            let text = fields::text(input, || "input".to_owned())?;
            turns.open(user(vec![Part::Text(text.into())]), "input");
        }
        Some(Kind::List) => {
            let items = fields::list(input, "input")?;
            if items.is_empty() {
                let detail = format!("`input` is empty; it must be {EXPECTED}, at least one.");
                return Err(InvalidRequest::of("input", detail));
            }
            for (path, raw) in items {
                turns.item(Fields::read(raw, path)?, raw, extensions)?;
            }
        }
        _ => return Err(fields.wrong_type("input", EXPECTED, input.get())),
    }
    turns.sign_calls();
    Ok((turns.messages, turns.paths))
}

fn user(content: Vec<Part>) -> Message {
    Message::User {
        content,
        name: None,
    }
}

fn is_breakpoint(part: &Part) -> bool {
    match part {
        Part::Text(text) => text.cache.is_some(),
        Part::Image(media) | Part::Document(media) => media.cache.is_some(),
        _ => false,
    }
}

/// The messages so far.
#[derive(Default)]
struct Turns {
    messages: Vec<Message>,
    paths: CallerPaths,
    /// Signatures over calls, by the calls' ids.
    signatures: Vec<(String, String)>,
}

impl Turns {
    /// Adds a message that stands at `caller`.
    fn open(&mut self, message: Message, caller: &str) {
        let path = format!("messages[{}]", self.messages.len());
        if matches!(message, Message::Tool(_)) {
            self.paths
                .insert(format!("{path}.content"), format!("{caller}.output"));
        }
        let holder = if matches!(message, Message::Tool(_)) {
            "output"
        } else {
            "content"
        };
        for (place, part) in message.content().iter().enumerate() {
            if is_breakpoint(part) {
                self.paths.insert(
                    format!("{path}.content[{place}].cache_control"),
                    format!("{caller}.{holder}[{place}].prompt_cache_breakpoint"),
                );
            }
            let inner = match part {
                Part::Image(_) => "image_url",
                Part::Document(_) => "file",
                _ => continue,
            };
            self.paths.insert(
                format!("{path}.content[{place}].{inner}"),
                format!("{caller}.{holder}[{place}]"),
            );
        }
        self.paths.insert(path, caller);
        self.messages.push(message);
    }

    /// The model's turn, which goes on as long as nobody else says anything.
    fn assistant(&mut self, caller: &str) -> Option<&mut Vec<Part>> {
        if !matches!(self.messages.last(), Some(Message::Assistant { .. })) {
            let turn = Message::Assistant {
                content: Vec::new(),
                name: None,
            };
            self.open(turn, caller);
        }
        self.messages.last_mut().map(Message::content_mut)
    }

    /// Adds to the model's turn what stands at `caller`.
    fn say(&mut self, part: Part, caller: &str) {
        let Some(content) = self.assistant(caller) else {
            return;
        };
        let count = |is: fn(&Part) -> bool| content.iter().filter(|part| is(part)).count();
        let field = match &part {
            Part::ToolCall(_) => {
                format!(
                    "tool_calls[{}]",
                    count(|part| matches!(part, Part::ToolCall(_)))
                )
            }
            Part::Reasoning(_) => "reasoning_details".to_owned(),
            _ => {
                let is_said = |part: &Part| !matches!(part, Part::ToolCall(_) | Part::Reasoning(_));
                format!("content[{}]", count(is_said))
            }
        };
        content.push(part);
        let path = format!("messages[{}].{field}", self.messages.len() - 1);
        if field.starts_with("tool_calls") {
            self.paths.insert(format!("{path}.function"), caller);
        }
        self.paths.insert(path, caller);
    }

    fn item(
        &mut self,
        mut item: Fields<'_>,
        raw: &RawValue,
        extensions: &mut Extensions,
    ) -> Result<(), InvalidRequest> {
        let path = item.path().to_owned();
        let kind = item.text("type")?;
        let kind = match kind.as_deref() {
            Some(kind) => kind,
            None if item.look("role").is_some() => "message",
            None if item.look("id").is_some() => "item_reference",
            None => return Err(item.missing("type", "the type of the item")),
        };
        match kind {
            "message" => self.message(&mut item, extensions)?,
            "function_call" => {
                let call = ToolCall {
                    id: item.required_text("call_id")?,
                    name: item.required_text("name")?,
                    arguments: item.required_text("arguments")?,
                    ..ToolCall::default()
                };
                self.say(Part::ToolCall(call), &path);
            }
            "custom_tool_call" => {
                let call = ToolCall {
                    id: item.required_text("call_id")?,
                    name: item.required_text("name")?,
                    arguments: parse_tools::arguments_of(&item.required_text("input")?),
                    ..ToolCall::default()
                };
                self.say(Part::ToolCall(call), &path);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let result = ToolResult {
                    call_id: item.required_text("call_id")?,
                    name: item.text("name")?,
                    content: parse_content::required(&mut item, "output", extensions)?,
                    is_error: false,
                    cache: None,
                };
                self.open(Message::Tool(result), &path);
            }
            "reasoning" => return self.reasoning(item, raw, extensions),
            "item_reference" => {
                let detail = format!(
                    "`{path}` refers to an item that is not kept here; send the item itself."
                );
                return Err(InvalidRequest::of(path, detail));
            }
            _ => {
                self.unknown(kind, raw, &path);
                return Ok(());
            }
        }
        // What answers show of an item and what a request has no use for.
        for name in ["id", "status"] {
            item.take(name);
        }
        item.keep_rest(extensions);
        Ok(())
    }

    fn message(
        &mut self,
        item: &mut Fields<'_>,
        extensions: &mut Extensions,
    ) -> Result<(), InvalidRequest> {
        const ROLES: &str = "`user`, `assistant`, `system` and `developer`";
        let role = item.required_text("role")?;
        let content = parse_content::required(item, "content", extensions)?;
        let path = item.path().to_owned();
        match role.as_str() {
            "user" => self.open(user(content), &path),
            "assistant" => {
                for (place, part) in content.into_iter().enumerate() {
                    self.say(part, &format!("{path}.content[{place}]"));
                }
            }
            "system" => self.open(Message::System(content), &path),
            "developer" => self.open(Message::Developer(content), &path),
            other => return Err(item.unknown_word("role", other, ROLES)),
        }
        Ok(())
    }

    /// Thoughts of OpenAI's own stay as they are: only OpenAI can read them. Those in an envelope of ours
    /// are what another provider made.
    fn reasoning(
        &mut self,
        mut item: Fields<'_>,
        raw: &RawValue,
        extensions: &mut Extensions,
    ) -> Result<(), InvalidRequest> {
        let sealed = item.text("encrypted_content")?;
        let sealed = sealed.filter(|text| !text.is_empty());
        let text = words_of(&mut item)?;
        let path = item.path().to_owned();
        let Some(sealed) = sealed else {
            match text {
                Some(text) => {
                    let thought = Reasoning {
                        text: Some(text),
                        ..Reasoning::default()
                    };
                    self.say(Part::Reasoning(thought), &path);
                }
                None => self.unknown("reasoning", raw, &path),
            }
            for name in ["id", "status"] {
                item.take(name);
            }
            item.keep_rest(extensions);
            return Ok(());
        };
        match custody::open(&sealed) {
            Some(Sealed::Thought(thought)) => self.say(Part::Reasoning(thought), &path),
            Some(Sealed::Call { id, signature }) => self.signatures.push((id, signature)),
            Some(Sealed::Text { signature }) => self.sign_text(signature, &path),
            Some(Sealed::Block { format, raw }) => {
                self.say(Part::Unknown { format, raw }, &path);
            }
            None if custody::is_envelope(&sealed) => {
                let path = item.path_of("encrypted_content");
                let detail =
                    format!("`{path}` is not what the gateway gave out; send it unchanged.");
                return Err(InvalidRequest::of(path, detail));
            }
            None => self.unknown("reasoning", raw, &path),
        }
        Ok(())
    }

    /// What only this format knows stays in its place: what the model made in its turn, what came back
    /// to it from outside in the person's.
    fn unknown(&mut self, kind: &str, raw: &RawValue, path: &str) {
        let part = Part::Unknown {
            format: FORMAT,
            raw: raw.to_owned(),
        };
        if kind.ends_with("_output") || kind == "mcp_approval_response" {
            let message = format!("messages[{}]", self.messages.len());
            self.paths.insert(format!("{message}.content"), path);
            self.paths.insert(format!("{message}.content[0]"), path);
            self.open(user(vec![part]), path);
        } else {
            self.say(part, path);
        }
    }

    fn sign_text(&mut self, signature: String, path: &str) {
        let Some(content) = self.assistant(path) else {
            return;
        };
        let last = content.iter_mut().rev().find_map(|part| match part {
            Part::Text(text) => Some(text),
            _ => None,
        });
        match last {
            Some(text) => text.signature = Some(signature),
            None => content.push(Part::Text(Text {
                signature: Some(signature),
                ..Text::default()
            })),
        }
    }

    /// Signatures come before the calls that they are over.
    fn sign_calls(&mut self) {
        for (id, signature) in std::mem::take(&mut self.signatures) {
            let mut calls = self
                .messages
                .iter_mut()
                .filter(|message| matches!(message, Message::Assistant { .. }))
                .flat_map(Message::content_mut)
                .filter_map(|part| match part {
                    Part::ToolCall(call) => Some(call),
                    _ => None,
                });
            if let Some(call) = calls.find(|call| call.id == id && call.signature.is_none()) {
                call.signature = Some(signature);
            }
        }
    }
}

/// The words of a thought: those that the model had where they are shown, else their summary.
pub(super) fn words_of(item: &mut Fields<'_>) -> Result<Option<String>, InvalidRequest> {
    let mut words = None;
    for name in ["content", "summary"] {
        let mut texts = Vec::new();
        for (path, raw) in item.list(name)?.unwrap_or_default() {
            texts.extend(Fields::read(raw, path)?.text("text")?);
        }
        let text = texts.join("\n\n");
        if words.is_none() && !text.is_empty() {
            words = Some(text);
        }
    }
    Ok(words)
}
