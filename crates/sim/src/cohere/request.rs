//! The rules of a chat request.
//! See <https://docs.cohere.com/reference/chat>.

use serde_json::{Value, json};

use super::check::{boolean, integer, invalid, list, object, one_of, required, share, text};
use super::messages::{self, Conversation};
use super::model::{CONTEXT, Class, MOST_OUTPUT};
use super::tools::{self, Tools};
use super::{check, error};
use crate::cache::{self, Prefix};
use crate::digest::Digest;
use crate::node::Node;
use crate::prompt::{Habits, Output, Prompt, Reasoning};
use crate::tokens;
use crate::vendor::{Ask, Failure, Framing};

const PARAMETERS: [&str; 22] = [
    "model",
    "messages",
    "citation_options",
    "documents",
    "frequency_penalty",
    "k",
    "logprobs",
    "max_tokens",
    "p",
    "presence_penalty",
    "priority",
    "raw_prompting",
    "response_format",
    "safety_mode",
    "seed",
    "stop_sequences",
    "stream",
    "strict_tools",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
];

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let root = Node::root(ask.body);
    if !ask.body.is_object() {
        return Err(check::bad("invalid json syntax"));
    }
    object(&root, &PARAMETERS)?;
    let model = required(&root, "model")?;
    let model = text(&model)?;
    let class = Class::of(model).ok_or_else(|| error::unknown_model(model))?;
    let mut conversation = messages::read(&required(&root, "messages")?, class)?;
    let tools = tools::read(&root, class)?;
    let has_documents = documents(&root, &mut conversation)?;
    numbers(&root)?;
    safety(&root, has_documents || !tools.list.is_empty())?;
    let output = output(&root, has_documents || !tools.list.is_empty())?;
    let output_limit = root
        .present("max_tokens")
        .map(|limit| integer(&limit, 1, i64::MAX))
        .transpose()?;
    if let Some(limit) = output_limit.filter(|limit| *limit > MOST_OUTPUT) {
        return Err(invalid(format!(
            "max_tokens must be less than or equal to {MOST_OUTPUT}, received {limit}"
        )));
    }
    let reasoning = thinking(&root, class)?;
    let stream = root
        .present("stream")
        .map_or(Ok(false), |stream| boolean(&stream))?;
    let input = conversation.tokens + conversation.media_tokens + tools.tokens + tokens::MESSAGE;
    if input > CONTEXT {
        return Err(invalid(format!(
            "too many tokens: total number of tokens in the prompt cannot exceed {CONTEXT} - received {input}. Try using a shorter prompt, \
             or enabling prompt truncating."
        )));
    }
    Ok(Prompt {
        begun: String::new(),
        model: model.to_owned(),
        digest: digest(ask.seed, model, &conversation, &tools),
        prefix: prefix(
            ask.body,
            Digest::new(ask.seed).with(model.as_bytes()),
            input,
        ),
        said: conversation.said,
        choice: tools.choice,
        parallel: true,
        tools: tools.list,
        habits: Habits {
            prefaces_calls: true,
            speaks_refusals: true,
            ..Habits::default()
        },
        results: conversation.results,
        output,
        output_limit: Some(output_limit.unwrap_or(MOST_OUTPUT)),
        stops: stops(&root)?,
        reasoning,
        choices: 1,
        stream: stream.then_some(Framing::Events),
        reports_usage: true,
        input,
        media_input: conversation.media_tokens,
    })
}

/// Reads the documents that the answer may cite; whether there are any.
fn documents(root: &Node<'_, '_>, conversation: &mut Conversation) -> Result<bool, Failure> {
    if let Some(options) = root.present("citation_options") {
        object(&options, &["mode"])?;
        if let Some(mode) = options.present("mode") {
            one_of(&mode, &["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"])?;
        }
    }
    let Some(documents) = root.present("documents") else {
        return Ok(false);
    };
    list(&documents)?;
    for document in documents.items() {
        if document.text().is_none() {
            messages::document(&document)?;
        }
        conversation.tokens += tokens::of_text(&document.value.to_string());
    }
    Ok(documents.items().next().is_some())
}

fn numbers(root: &Node<'_, '_>) -> Result<(), Failure> {
    for (key, least, most) in [
        ("temperature", 0.0, 1.0),
        ("p", 0.01, 0.99),
        ("frequency_penalty", 0.0, 1.0),
        ("presence_penalty", 0.0, 1.0),
    ] {
        if let Some(node) = root.present(key) {
            share(&node, least, most)?;
        }
    }
    for (key, most) in [("k", 500), ("seed", i64::MAX), ("priority", 999)] {
        if let Some(node) = root.present(key) {
            integer(&node, 0, most)?;
        }
    }
    for key in ["logprobs", "raw_prompting"] {
        if let Some(node) = root.present(key) {
            boolean(&node)?;
        }
    }
    Ok(())
}

fn safety(root: &Node<'_, '_>, has_more: bool) -> Result<(), Failure> {
    let Some(mode) = root.present("safety_mode") else {
        return Ok(());
    };
    one_of(&mode, &["CONTEXTUAL", "STRICT", "OFF"])?;
    if has_more {
        return Err(invalid(
            "safety_mode is not configurable in combination with tools and documents parameters",
        ));
    }
    Ok(())
}

fn output(root: &Node<'_, '_>, has_more: bool) -> Result<Output, Failure> {
    let Some(format) = root.present("response_format") else {
        return Ok(Output::Text);
    };
    let kind = one_of(&required(&format, "type")?, &["text", "json_object"])?;
    if kind == "text" {
        object(&format, &["type"])?;
        return Ok(Output::Text);
    }
    object(&format, &["type", "json_schema"])?;
    if has_more {
        return Err(invalid(
            "response_format is not supported with RAG or tool use",
        ));
    }
    let Some(schema) = format.present("json_schema") else {
        return Ok(Output::Json);
    };
    if schema.value["type"] != "object" {
        return Err(invalid(
            "response_format.json_schema must have a top-level type of object",
        ));
    }
    let has_required = schema.value["required"]
        .as_array()
        .is_some_and(|required| !required.is_empty());
    if !has_required {
        return Err(invalid(
            "response_format.json_schema must have at least one required field",
        ));
    }
    Ok(Output::Schema(schema.value.clone()))
}

fn thinking(root: &Node<'_, '_>, class: Class) -> Result<Reasoning, Failure> {
    let Some(thinking) = root.present("thinking") else {
        return Ok(if class == Class::Reasoning {
            Reasoning::Shown { budget: 4096 }
        } else {
            Reasoning::Off
        });
    };
    object(&thinking, &["type", "token_budget"])?;
    let kind = one_of(&required(&thinking, "type")?, &["enabled", "disabled"])?;
    let budget = thinking
        .present("token_budget")
        .map(|budget| integer(&budget, 0, i64::MAX))
        .transpose()?;
    if kind == "disabled" {
        return Ok(Reasoning::Off);
    }
    if !class.thinks() {
        return Err(invalid("thinking is not supported with this model"));
    }
    Ok(match budget {
        Some(0) => Reasoning::Off,
        budget => Reasoning::Shown {
            budget: budget.unwrap_or(4096),
        },
    })
}

fn stops(root: &Node<'_, '_>) -> Result<Vec<String>, Failure> {
    let Some(stops) = root.present("stop_sequences") else {
        return Ok(Vec::new());
    };
    list(&stops)?;
    let sequences: Result<Vec<String>, Failure> = stops
        .items()
        .map(|stop| text(&stop).map(str::to_owned))
        .collect();
    let sequences = sequences?;
    if sequences.len() > 5 {
        return Err(invalid("stop_sequences may have at most 5 elements"));
    }
    Ok(sequences)
}

fn digest(seed: u64, model: &str, conversation: &Conversation, tools: &Tools) -> Digest {
    let mut digest = Digest::new(seed)
        .with(model.as_bytes())
        .with(conversation.said.as_bytes())
        .with_number(conversation.count as u64);
    for result in &conversation.results {
        digest = digest.with(result.text.as_bytes());
    }
    for tool in &tools.list {
        digest = digest.with(tool.name.as_bytes());
    }
    digest
}

/// What Cohere caches by itself: tools and documents first, then messages.
fn prefix(body: &Value, digest: Digest, input: u64) -> Prefix {
    if input < cache::LEAST {
        return Prefix::None;
    }
    let text: String = ["tools", "documents", "messages"]
        .into_iter()
        .map(|key| body.get(key).map_or_else(|| json!(null), Value::clone))
        .map(|value| value.to_string())
        .collect();
    Prefix::automatic(digest, text.as_bytes(), input)
}
