//! The rules of the conversation: roles, content, and that every tool call is answered.

use std::collections::HashMap;

use super::check::{invalid, list, object, one_of, required, text, wrong_type};
use super::model::Class;
use crate::media;
use crate::node::Node;
use crate::prompt::ToolResult;
use crate::tokens;
use crate::vendor::Failure;

/// What the conversation gives to the answer.
#[derive(Default)]
pub(super) struct Conversation {
    /// The last words of the user: of all messages between two turns of the assistant, which need not be one.
    pub(super) said: String,
    /// Whether the assistant has spoken since.
    is_answered: bool,
    /// What tools answered since the assistant's last turn; the user's words may stand behind it.
    pub(super) results: Vec<ToolResult>,
    pub(super) tokens: u64,
    pub(super) media_tokens: u64,
    pub(super) count: usize,
}

impl Conversation {
    fn hear(&mut self, words: &str) {
        if words.trim().is_empty() {
            return;
        }
        if std::mem::take(&mut self.is_answered) {
            self.said.clear();
        }
        if !self.said.is_empty() {
            self.said.push('\n');
        }
        self.said.push_str(words);
    }
}

pub(super) fn read(messages: &Node<'_, '_>, class: Class) -> Result<Conversation, Failure> {
    list(messages)?;
    let mut conversation = Conversation::default();
    let mut open: HashMap<&str, &str> = HashMap::new();
    let mut unanswered: Vec<&str> = Vec::new();
    for message in messages.items() {
        if !message.value.is_object() {
            return Err(wrong_type(&message, "object"));
        }
        let role = one_of(
            &required(&message, "role")?,
            &["user", "assistant", "system", "tool"],
        )?;
        conversation.tokens += tokens::MESSAGE;
        if role == "tool" {
            let (id, said) = tool_message(&message, &mut conversation)?;
            let Some(name) = open.get(id) else {
                return Err(invalid(format!(
                    "tool call id not found in previous tool calls: '{id}'"
                )));
            };
            unanswered.retain(|waiting| *waiting != id);
            conversation.results.push(ToolResult {
                name: (*name).to_owned(),
                text: said,
            });
        } else {
            all_answered(&unanswered)?;
            open.clear();
            match role {
                "assistant" => {
                    conversation.results.clear();
                    conversation.is_answered = true;
                    for (id, name) in assistant(&message, &mut conversation)? {
                        if open.insert(id, name).is_some() {
                            return Err(invalid(format!("duplicate tool call id '{id}'")));
                        }
                        unanswered.push(id);
                    }
                }
                "user" => {
                    object(&message, &["role", "content"])?;
                    let place = required(&message, "content")?;
                    let said = content(&place, &["text", "image_url"], &mut conversation, class)?;
                    if said.trim().is_empty() && place.value.is_string() {
                        return Err(invalid(format!(
                            "{} must be at least 1 token long",
                            place.bracketed()
                        )));
                    }
                    conversation.hear(&said);
                }
                _ => {
                    object(&message, &["role", "content"])?;
                    let place = required(&message, "content")?;
                    content(&place, &["text"], &mut conversation, class)?;
                }
            }
        }
        conversation.count += 1;
    }
    all_answered(&unanswered)?;
    if conversation.count == 0 {
        return Err(invalid("messages must contain at least one message"));
    }
    Ok(conversation)
}

fn all_answered(unanswered: &[&str]) -> Result<(), Failure> {
    match unanswered.first() {
        None => Ok(()),
        Some(id) => Err(invalid(format!(
            "each tool call must be followed by a tool message with its result: no result for '{id}'"
        ))),
    }
}

fn tool_message<'v>(
    message: &Node<'v, '_>,
    conversation: &mut Conversation,
) -> Result<(&'v str, String), Failure> {
    object(message, &["role", "tool_call_id", "content"])?;
    let id = required(message, "tool_call_id")?;
    let id = text(&id)?;
    let place = required(message, "content")?;
    let said = content(&place, &["text", "document"], conversation, Class::Plain)?;
    Ok((id, said))
}

/// Reads an assistant message; gives back the calls it made, as pairs of id and name.
fn assistant<'v>(
    message: &Node<'v, '_>,
    conversation: &mut Conversation,
) -> Result<Vec<(&'v str, &'v str)>, Failure> {
    object(
        message,
        &["role", "content", "tool_calls", "tool_plan", "citations"],
    )?;
    let has_content = match message.present("content") {
        Some(place) => {
            content(&place, &["text", "thinking"], conversation, Class::Plain)?;
            true
        }
        None => false,
    };
    if let Some(plan) = message.present("tool_plan") {
        conversation.tokens += tokens::of_text(text(&plan)?);
    }
    if let Some(citations) = message.present("citations") {
        list(&citations)?;
    }
    let mut calls = Vec::new();
    if let Some(given) = message.present("tool_calls") {
        list(&given)?;
        for call in given.items() {
            object(&call, &["id", "type", "function"])?;
            let id = required(&call, "id")?;
            one_of(&required(&call, "type")?, &["function"])?;
            let function = required(&call, "function")?;
            object(&function, &["name", "arguments"])?;
            let name = required(&function, "name")?;
            let arguments = required(&function, "arguments")?;
            let arguments_text = text(&arguments)?;
            let parsed = serde_json::from_str::<serde_json::Value>(arguments_text);
            if !parsed.is_ok_and(|parsed| parsed.is_object()) {
                return Err(invalid(format!(
                    "{} must be a JSON object",
                    arguments.bracketed()
                )));
            }
            conversation.tokens += tokens::of_text(arguments_text);
            calls.push((text(&id)?, text(&name)?));
        }
    }
    if calls.is_empty() && !has_content {
        return Err(invalid(format!(
            "{} must have content or tool calls",
            message.bracketed()
        )));
    }
    Ok(calls)
}

/// Reads a text or an array of blocks; gives back its text.
fn content(
    content: &Node<'_, '_>,
    kinds: &[&str],
    conversation: &mut Conversation,
    class: Class,
) -> Result<String, Failure> {
    if let Some(words) = content.text() {
        conversation.tokens += tokens::of_text(words);
        return Ok(words.to_owned());
    }
    list(content)?;
    let mut said = String::new();
    for block in content.items() {
        if !block.value.is_object() {
            return Err(wrong_type(&block, "object"));
        }
        let kind = one_of(&required(&block, "type")?, kinds)?;
        object(&block, &["type", kind])?;
        let inner = required(&block, kind)?;
        match kind {
            "text" | "thinking" => {
                let words = text(&inner)?;
                conversation.tokens += tokens::of_text(words);
                if kind == "text" {
                    if !said.is_empty() {
                        said.push('\n');
                    }
                    said.push_str(words);
                }
            }
            "document" => {
                document(&inner)?;
                let words = inner.value["data"].to_string();
                conversation.tokens += tokens::of_text(&words);
                said.push_str(&words);
            }
            _ => image(&inner, conversation, class)?,
        }
    }
    Ok(said)
}

/// A document: what it holds, and perhaps what it is called.
pub(super) fn document(document: &Node<'_, '_>) -> Result<(), Failure> {
    object(document, &["id", "data"])?;
    if let Some(id) = document.present("id") {
        text(&id)?;
    }
    let data = required(document, "data")?;
    if data.value.is_object() || data.value.is_string() {
        Ok(())
    } else {
        Err(wrong_type(&data, "object"))
    }
}

fn image(
    image: &Node<'_, '_>,
    conversation: &mut Conversation,
    class: Class,
) -> Result<(), Failure> {
    object(image, &["url", "detail"])?;
    if let Some(detail) = image.present("detail") {
        one_of(&detail, &["auto", "low", "high"])?;
    }
    let place = required(image, "url")?;
    let url = text(&place)?;
    if !class.sees() {
        return Err(invalid("image content is not supported with this model"));
    }
    conversation.media_tokens += tokens::IMAGE;
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(());
    }
    let data = url
        .strip_prefix("data:")
        .and_then(|url| url.split_once(";base64,"))
        .and_then(|(_, data)| media::decode_standard(data));
    match data {
        Some(bytes) if media::image_type(&bytes).is_some() => Ok(()),
        _ => Err(invalid(format!(
            "{} must be a URL or a base64 data URL of a png, jpeg, webp or gif image",
            place.bracketed()
        ))),
    }
}
