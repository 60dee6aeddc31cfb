//! The rules of input items: their shapes, that every call is answered, and that reasoning stays with what it led to.
//! See <https://platform.openai.com/docs/api-reference/responses/create#responses-create-input>.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::check::{
    INVALID, array, bad, name, object, one_of, plain, required, text, wrong_type,
};
use super::hosted::HostedCalls;
use super::parts::{INPUT, OUTPUT, RESULT, content, tag};
use super::sealed;
use super::stored::Stored;
use crate::node::Node;
use crate::prompt::ToolResult;
use crate::tokens;
use crate::vendor::Failure;

/// What the conversation gives to the answer.
#[derive(Default)]
pub(super) struct Heard {
    /// The last user message that has text.
    pub(super) said: String,
    /// The function outputs at its end.
    pub(super) results: Vec<ToolResult>,
    pub(super) tokens: u64,
    /// Whether any message holds the word "json".
    pub(super) says_json: bool,
    pub(super) count: usize,
    /// Every call so far, by its id.
    calls: HashMap<String, Called>,
    /// The ids of calls without an output, in order.
    unanswered: Vec<String>,
    /// A reasoning item that still waits for what it led to.
    reasoning: Option<String>,
    /// Every reasoning item so far.
    thoughts: HashSet<String>,
}

struct Called {
    name: String,
    is_custom: bool,
}

impl Heard {
    pub(super) fn words(&mut self, words: &str) {
        self.tokens += tokens::of_text(words);
        self.says_json = self.says_json || words.to_ascii_lowercase().contains("json");
    }

    /// Refuses a conversation whose calls are not all answered.
    pub(super) fn finished(&self) -> Result<(), Failure> {
        if let Some(id) = self.unanswered.first() {
            return Err(plain(format!("No tool output found for function call {id}.")).at("input"));
        }
        self.reasoned()
    }

    fn reasoned(&self) -> Result<(), Failure> {
        let Some(id) = &self.reasoning else {
            return Ok(());
        };
        let sentence = format!(
            "Item '{id}' of type 'reasoning' was provided without its required following item."
        );
        Err(plain(sentence).at("input"))
    }
}

/// Reads items, one conversation after another into the same `Heard`.
pub(super) struct Reader<'a> {
    pub(super) heard: Heard,
    hosted: HostedCalls,
    stored: &'a Stored,
    seed: u64,
}

/// Every kind of item, in the order in which a refusal lists them.
const ITEMS: [&str; 31] = [
    "additional_tools",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "item_reference",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "program",
    "program_output",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];

impl<'a> Reader<'a> {
    /// A reader that has heard nothing yet.
    pub(super) fn new(stored: &'a Stored, seed: u64) -> Self {
        Self {
            heard: Heard::default(),
            hosted: HostedCalls::default(),
            stored,
            seed,
        }
    }

    /// A list of items that the caller sent.
    pub(super) fn items(&mut self, list: &Node<'_, '_>) -> Result<(), Failure> {
        array(list)?;
        list.items().try_for_each(|item| self.one(&item))
    }

    /// One item that the caller sent, or that an earlier answer kept.
    pub(super) fn one(&mut self, item: &Node<'_, '_>) -> Result<(), Failure> {
        self.item(item)?;
        self.heard.count += 1;
        Ok(())
    }

    fn item(&mut self, item: &Node<'_, '_>) -> Result<(), Failure> {
        if !item.value.is_object() {
            return Err(wrong_type(item, "an object"));
        }
        let kind = if item.get("type").is_none() && item.get("role").is_some() {
            "message"
        } else {
            tag(item, &ITEMS)?
        };
        if matches!(kind, "function_call_output" | "custom_tool_call_output") {
            self.heard.reasoned()?;
            let result = self.output(item, kind)?;
            self.heard.results.push(result);
            return Ok(());
        }
        if kind == "item_reference" {
            return self.reference(item);
        }
        self.heard.results.clear();
        match kind {
            "message" => self.message(item),
            "reasoning" => {
                self.heard.reasoned()?;
                self.reasoning(item)
            }
            "function_call" | "custom_tool_call" => self.call(item, kind),
            _ => {
                self.heard.reasoning = None;
                self.heard.words(&item.value.to_string());
                self.hosted.read(item, kind)
            }
        }
    }

    /// An item kept by an earlier answer, named by its id.
    fn reference(&mut self, item: &Node<'_, '_>) -> Result<(), Failure> {
        object(item, &["type", "id"])?;
        let place = required(item, "id")?;
        let id = text(&place)?;
        let Some(kept) = self.stored.item(id) else {
            return Err(no_such_item(id));
        };
        self.item(&Node::root(&kept))
    }

    fn message(&mut self, message: &Node<'_, '_>) -> Result<(), Failure> {
        let role = required(message, "role")?;
        let role = one_of(&role, &["assistant", "system", "developer", "user"])?;
        self.heard.tokens += tokens::MESSAGE;
        let inside = required(message, "content")?;
        if role == "assistant" {
            object(
                message,
                &["type", "id", "role", "content", "status", "phase"],
            )?;
            identified(message, "msg")?;
            self.heard.reasoning = None;
            content(&inside, &OUTPUT, &mut self.heard)?;
            return Ok(());
        }
        self.heard.reasoned()?;
        // What an earlier answer kept comes back with its id.
        object(message, &["type", "id", "role", "content", "status"])?;
        identified(message, "msg")?;
        let said = content(&inside, &INPUT, &mut self.heard)?;
        if role == "user" && !said.trim().is_empty() {
            self.heard.said = said;
        }
        Ok(())
    }

    fn reasoning(&mut self, item: &Node<'_, '_>) -> Result<(), Failure> {
        object(
            item,
            &[
                "type",
                "id",
                "summary",
                "content",
                "encrypted_content",
                "status",
            ],
        )?;
        identified(item, "rs")?;
        let id = item
            .present("id")
            .map(|id| text(&id))
            .transpose()?
            .unwrap_or_default();
        let summary = required(item, "summary")?;
        array(&summary)?;
        for part in summary.items() {
            object(&part, &["type", "text"])?;
            tag(&part, &["summary_text"])?;
            self.heard.words(text(&required(&part, "text")?)?);
        }
        if let Some(thoughts) = item.present("content") {
            array(&thoughts)?;
            for part in thoughts.items() {
                object(&part, &["type", "text"])?;
                tag(&part, &["reasoning_text"])?;
                self.heard.words(text(&required(&part, "text")?)?);
            }
        }
        match item.present("encrypted_content") {
            Some(place) => {
                let content = text(&place)?;
                let refuse =
                    |sentence: String| Err(plain(sentence).code("invalid_encrypted_content"));
                match sealed::opened(self.seed, content) {
                    // Callers that keep nothing leave the id out.
                    Some(own) if id.is_empty() || own == id => {}
                    Some(_) => {
                        return refuse(
                            "Encrypted content item_id did not match the target item id."
                                .to_owned(),
                        );
                    }
                    None => {
                        let shown: String = content.chars().take(4).collect();
                        return refuse(format!(
                            "The encrypted content {shown}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
                        ));
                    }
                }
            }
            None if self.stored.item(id).is_none() => return Err(no_such_item(id)),
            None => {}
        }
        self.heard.thoughts.insert(id.to_owned());
        self.heard.reasoning = Some(id.to_owned());
        Ok(())
    }

    fn call(&mut self, item: &Node<'_, '_>, kind: &str) -> Result<(), Failure> {
        let is_custom = kind == "custom_tool_call";
        let input = if is_custom { "input" } else { "arguments" };
        object(
            item,
            &[
                "type",
                "id",
                "call_id",
                "name",
                input,
                "status",
                "async",
                "caller",
                "namespace",
            ],
        )?;
        identified(item, if is_custom { "ctc" } else { "fc" })?;
        let call_id = required(item, "call_id")?;
        let call_id = text(&call_id)?;
        let called = required(item, "name")?;
        let called = name(&called)?;
        self.heard.words(text(&required(item, input)?)?);
        self.led_to(item, kind)?;
        self.heard.reasoning = None;
        let call = Called {
            name: called.to_owned(),
            is_custom,
        };
        if self.heard.calls.insert(call_id.to_owned(), call).is_some() {
            let sentence = format!("Duplicate item found with call_id '{call_id}'.");
            return Err(bad(item, "invalid_value", sentence).at("input"));
        }
        self.heard.unanswered.push(call_id.to_owned());
        Ok(())
    }

    /// A call that an answer gave after reasoning comes back after the same reasoning.
    fn led_to(&self, item: &Node<'_, '_>, kind: &str) -> Result<(), Failure> {
        let id = item.present("id").and_then(|id| id.text());
        let Some(needed) = id.and_then(|id| self.stored.reasoning_before(id)) else {
            return Ok(());
        };
        if self.heard.thoughts.contains(&needed) {
            return Ok(());
        }
        let id = id.unwrap_or_default();
        let sentence = format!(
            "Item '{id}' of type '{kind}' was provided without its required 'reasoning' item: '{needed}'."
        );
        Err(plain(sentence).at("input"))
    }

    fn output(&mut self, item: &Node<'_, '_>, kind: &str) -> Result<ToolResult, Failure> {
        object(
            item,
            &[
                "type",
                "id",
                "call_id",
                "output",
                "status",
                "caller",
                "name",
                "namespace",
            ],
        )?;
        let call_id = required(item, "call_id")?;
        let call_id = text(&call_id)?;
        let said = content(&required(item, "output")?, &RESULT, &mut self.heard)?;
        let is_custom = kind == "custom_tool_call_output";
        let called = self
            .heard
            .calls
            .get(call_id)
            .filter(|called| called.is_custom == is_custom);
        let Some(called) = called else {
            let what = if is_custom {
                "custom tool call output"
            } else {
                "function call output"
            };
            let sentence = format!("No tool call found for {what} with call_id {call_id}.");
            return Err(plain(sentence).at("input"));
        };
        self.heard.unanswered.retain(|waiting| waiting != call_id);
        Ok(ToolResult {
            name: called.name.clone(),
            text: said,
        })
    }
}

/// An id, where one is given, begins as the ids of its kind do.
fn identified(item: &Node<'_, '_>, prefix: &str) -> Result<(), Failure> {
    let Some(place) = item.present("id") else {
        return Ok(());
    };
    let id = text(&place)?;
    if id.starts_with(prefix) {
        return Ok(());
    }
    let sentence = format!(
        "Invalid '{}': '{id}'. Expected an ID that begins with '{prefix}'.",
        place.bracketed()
    );
    Err(bad(&place, "invalid_value", sentence))
}

fn no_such_item(id: &str) -> Failure {
    let sentence = format!(
        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. \
         Try again with `store` set to true, or remove this item from your input."
    );
    Failure::new(404, INVALID, sentence).at("input")
}

/// The items of a request as they are kept: a text is a user message.
pub(super) fn kept(input: Option<&Value>) -> Vec<Value> {
    match input {
        Some(Value::String(words)) => vec![serde_json::json!({
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": words}],
        })],
        Some(Value::Array(items)) => items.clone(),
        _ => Vec::new(),
    }
}
