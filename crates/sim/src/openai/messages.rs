//! The rules of the conversation: roles, parts, and that every tool call is answered.

use std::collections::HashMap;

use super::attachments;
use super::check::{bad, name, object, one_of, plain, required, sized, text, wrong_type};
use super::model::Class;
use crate::node::Node;
use crate::prompt::ToolResult;
use crate::tokens;
use crate::vendor::Failure;

/// What the conversation gives to the answer.
pub(super) struct Conversation {
    /// The last user message that has text.
    pub(super) said: String,
    /// The tool messages at its end.
    pub(super) results: Vec<ToolResult>,
    pub(super) tokens: u64,
    /// Whether any message holds the word "json".
    pub(super) says_json: bool,
    pub(super) count: usize,
}

impl Conversation {
    fn hear(&mut self, words: &str) {
        self.tokens += tokens::of_text(words);
        self.says_json = self.says_json
            || words
                .as_bytes()
                .windows(4)
                .any(|window| window.eq_ignore_ascii_case(b"json"));
    }
}

/// Tool calls that wait for their answers: id to function name.
struct Open<'v> {
    message: usize,
    calls: HashMap<&'v str, &'v str>,
    /// In the order of the calls, for the refusal's list.
    unanswered: Vec<&'v str>,
}

pub(super) fn read(messages: &Node<'_, '_>, class: Class) -> Result<Conversation, Failure> {
    sized(messages, 1, 2048)?;
    let mut conversation = Conversation {
        said: String::new(),
        results: Vec::new(),
        tokens: 0,
        says_json: false,
        count: 0,
    };
    let mut open: Option<Open<'_>> = None;
    for (index, message) in messages.items().enumerate() {
        if !message.value.is_object() {
            return Err(wrong_type(&message, "an object"));
        }
        let role = one_of(
            &required(&message, "role")?,
            &[
                "system",
                "assistant",
                "user",
                "function",
                "tool",
                "developer",
            ],
        )?;
        conversation.tokens += tokens::MESSAGE;
        if role == "tool" {
            let result = tool_message(&message, index, open.as_mut(), &mut conversation)?;
            conversation.results.push(result);
            continue;
        }
        all_answered(open.take())?;
        conversation.results.clear();
        match role {
            "assistant" => open = assistant(&message, index, class, &mut conversation)?,
            "user" => {
                object(&message, &["role", "content", "name"])?;
                let said = content(
                    &required(&message, "content")?,
                    &USER_PARTS,
                    &mut conversation,
                )?;
                if !said.trim().is_empty() {
                    conversation.said = said;
                }
            }
            "function" => {
                object(&message, &["role", "content", "name"])?;
                name(&required(&message, "name")?)?;
                content(
                    &required(&message, "content")?,
                    &["text"],
                    &mut conversation,
                )?;
            }
            _ => {
                object(&message, &["role", "content", "name"])?;
                content(
                    &required(&message, "content")?,
                    &["text"],
                    &mut conversation,
                )?;
            }
        }
        conversation.count = index + 1;
    }
    all_answered(open)?;
    conversation.count = messages.items().count();
    Ok(conversation)
}

fn all_answered(open: Option<Open<'_>>) -> Result<(), Failure> {
    let Some(open) = open.filter(|open| !open.unanswered.is_empty()) else {
        return Ok(());
    };
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
         The following tool_call_ids did not have response messages: {}",
        open.unanswered.join(", ")
    );
    Err(plain(message).at(format!("messages.[{}].role", open.message + 1)))
}

fn tool_message<'v>(
    message: &Node<'v, '_>,
    index: usize,
    open: Option<&mut Open<'v>>,
    conversation: &mut Conversation,
) -> Result<ToolResult, Failure> {
    object(message, &["role", "content", "tool_call_id", "name"])?;
    let id = text(&required(message, "tool_call_id")?)?;
    let said = content(&required(message, "content")?, &["text"], conversation)?;
    let Some(open) = open else {
        let sentence = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
        return Err(plain(sentence).at(format!("messages.[{index}].role")));
    };
    let Some(function) = open.calls.get(id) else {
        let sentence = format!(
            "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
        );
        return Err(plain(sentence).at(format!("messages.[{index}].tool_call_id")));
    };
    open.unanswered.retain(|waiting| *waiting != id);
    Ok(ToolResult {
        name: (*function).to_owned(),
        text: said,
    })
}

fn assistant<'v>(
    message: &Node<'v, '_>,
    index: usize,
    class: Class,
    conversation: &mut Conversation,
) -> Result<Option<Open<'v>>, Failure> {
    let known = [
        "role",
        "content",
        "name",
        "refusal",
        "audio",
        "tool_calls",
        "function_call",
        "annotations",
        "reasoning_content",
        "prefix",
    ];
    // Compatible hosts that show their reasoning also read it back; OpenAI does not know the field.
    object(
        message,
        known
            .get(
                ..if class.is_compatible_host() {
                    known.len()
                } else {
                    known.len() - 2
                },
            )
            .unwrap_or_default(),
    )?;
    if let Some(refusal) = message.present("refusal") {
        conversation.hear(text(&refusal)?);
    }
    if let Some(reasoning) = message.present("reasoning_content") {
        conversation.hear(text(&reasoning)?);
    }
    let calls = message.present("tool_calls");
    match message.present("content") {
        Some(said) => {
            content(&said, &["text", "refusal"], conversation)?;
        }
        None if calls.is_none()
            && message.present("function_call").is_none()
            && message.present("refusal").is_none()
            && message.present("audio").is_none() =>
        {
            let sentence = format!(
                "Invalid value for 'content': expected a string, got null. (messages[{index}])"
            );
            return Err(plain(sentence).at(format!("messages.[{index}].content")));
        }
        None => {}
    }
    let Some(calls) = calls else { return Ok(None) };
    sized(&calls, 1, 128)?;
    let mut open = Open {
        message: index,
        calls: HashMap::new(),
        unanswered: Vec::new(),
    };
    for call in calls.items() {
        let (id, function) = tool_call(&call, conversation)?;
        if open.calls.insert(id, function).is_some() {
            return Err(bad(
                &call,
                "invalid_value",
                format!("Duplicate value for 'tool_call_id' of '{id}' in message {index}."),
            ));
        }
        open.unanswered.push(id);
    }
    Ok(Some(open))
}

fn tool_call<'v>(
    call: &Node<'v, '_>,
    conversation: &mut Conversation,
) -> Result<(&'v str, &'v str), Failure> {
    // The SDKs send a streamed call back with its index.
    object(call, &["id", "type", "function", "custom", "index"])?;
    let id = text(&required(call, "id")?)?;
    if one_of(&required(call, "type")?, &["function", "custom"])? == "custom" {
        let custom = required(call, "custom")?;
        object(&custom, &["name", "input"])?;
        conversation.hear(text(&required(&custom, "input")?)?);
        let called = required(&custom, "name")?;
        return Ok((id, name(&called)?));
    }
    let function = required(call, "function")?;
    object(&function, &["name", "arguments", "parsed_arguments"])?;
    conversation.hear(text(&required(&function, "arguments")?)?);
    let called = required(&function, "name")?;
    Ok((id, name(&called)?))
}

const USER_PARTS: [&str; 4] = ["text", "image_url", "input_audio", "file"];

/// Reads a text or an array of parts; gives back its text.
fn content(
    content: &Node<'_, '_>,
    kinds: &[&str],
    conversation: &mut Conversation,
) -> Result<String, Failure> {
    if let Some(words) = content.text() {
        conversation.hear(words);
        return Ok(words.to_owned());
    }
    if !content.value.is_array() {
        return Err(wrong_type(content, "one of a string or array of objects"));
    }
    sized(content, 1, 2048)?;
    let mut said = String::new();
    for part in content.items() {
        if !part.value.is_object() {
            return Err(wrong_type(&part, "an object"));
        }
        let kind = one_of(&required(&part, "type")?, kinds)?;
        object(&part, &["type", kind, "prompt_cache_breakpoint"])?;
        let inner = required(&part, kind)?;
        match kind {
            "text" | "refusal" => {
                let words = text(&inner)?;
                conversation.hear(words);
                if !said.is_empty() {
                    said.push('\n');
                }
                said.push_str(words);
            }
            "image_url" => conversation.tokens += image(&inner)?,
            "input_audio" => attachments::audio(&inner)?,
            _ => conversation.tokens += file(&inner)?,
        }
    }
    Ok(said)
}

fn image(image: &Node<'_, '_>) -> Result<u64, Failure> {
    object(image, &["url", "detail"])?;
    attachments::detail(image)?;
    attachments::image_url(&required(image, "url")?)
}

fn file(file: &Node<'_, '_>) -> Result<u64, Failure> {
    object(file, &["file_data", "file_id", "filename"])?;
    if let Some(filename) = file.present("filename") {
        text(&filename)?;
    }
    match (file.present("file_data"), file.present("file_id")) {
        (Some(data), None) => attachments::file_data(&data),
        (None, Some(id)) => Err(attachments::no_such_file(text(&id)?)),
        _ => Err(
            plain("Exactly one of 'file_data' and 'file_id' must be given.")
                .at(file.bracketed())
                .code("missing_required_parameter"),
        ),
    }
}
