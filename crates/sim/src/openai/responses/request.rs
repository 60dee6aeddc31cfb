//! The rules of a request for a response.
//! See <https://platform.openai.com/docs/api-reference/responses/create>.

use serde_json::{Value, json};

use super::super::check::{
    INVALID, bad, boolean, integer, object, one_of, plain, required, sized, text,
    unsupported_parameter, wrong_type,
};
use super::super::error;
use super::super::model::Class;
use super::super::options;
use super::super::parameters::{EFFORTS, bookkeeping, effort_tokens, sampling_parameters};
use super::items::{Heard, Reader};
use super::tools::{self, Tools};
use crate::azure;
use crate::cache::{self, Prefix};
use crate::digest::Digest;
use crate::node::Node;
use crate::prompt::{Habits, Prompt, Reasoning};
use crate::record::Host;
use crate::tokens;
use crate::vendor::{Ask, Failure, Framing};

/// Every parameter of the call.
const PARAMETERS: [&str; 34] = [
    "model",
    "input",
    "access_programs",
    "background",
    // Codex sends it with every request.
    "client_metadata",
    "context_management",
    "conversation",
    "image",
    "include",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];
/// Parameters of chat completions, and what they are called here.
const MOVED: [(&str, &str); 6] = [
    ("max_completion_tokens", "max_output_tokens"),
    ("max_tokens", "max_output_tokens"),
    ("messages", "input"),
    ("reasoning_effort", "reasoning.effort"),
    ("response_format", "text.format"),
    ("verbosity", "text.verbosity"),
];
const INCLUDABLE: [&str; 8] = [
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
];
/// What a call that only counts takes.
const COUNTED: [&str; 10] = [
    "model",
    "input",
    "conversation",
    "instructions",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "text",
    "tool_choice",
    "tools",
];

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let root = root(ask, &PARAMETERS)?;
    let (model, class) = model(ask, &root)?;
    let heard = conversation(ask, &root)?;
    let tools = tools::read(&root)?;
    let output = tools::output(&root, heard.says_json)?;
    let stream = streaming(&root)?;
    sampling_parameters(&root, class)?;
    if let Some(top) = root.present("top_logprobs") {
        integer(&top, 0, 20)?;
    }
    bookkeeping(&root)?;
    options::of_responses(&root)?;
    lasting(&root)?;
    include(&root, class)?;
    let output_limit = output_limit(&root, class)?;
    let reasoning = reasoning(&root, class)?;
    let input = heard.tokens + tools.tokens + tokens::MESSAGE;
    if input > class.context() {
        return Err(too_long());
    }
    let prefix = prefix(
        ask.body,
        Digest::new(ask.seed).with(model.as_bytes()),
        input,
    );
    Ok(Prompt {
        begun: String::new(),
        model: model.to_owned(),
        digest: digest(ask.seed, model, &heard, &tools),
        said: heard.said,
        choice: tools.choice,
        parallel: tools.parallel,
        tools: tools.list,
        habits: Habits {
            speaks_refusals: true,
            ..Habits::default()
        },
        media_input: 0,
        results: heard.results,
        output,
        output_limit,
        stops: Vec::new(),
        reasoning,
        choices: 1,
        reports_usage: true,
        stream: stream.then_some(Framing::Events),
        input,
        prefix,
    })
}

/// `POST /v1/responses/input_tokens`.
pub(super) fn count(ask: &Ask<'_>) -> Result<Value, Failure> {
    let root = root(ask, &COUNTED)?;
    model(ask, &root)?;
    let heard = conversation(ask, &root)?;
    let tools = tools::read(&root)?;
    let tokens = heard.tokens + tools.tokens + tokens::MESSAGE;
    Ok(json!({"object": "response.input_tokens", "input_tokens": tokens}))
}

fn root<'a>(ask: &Ask<'a>, known: &[&str]) -> Result<Node<'a, 'a>, Failure> {
    let root = Node::root(ask.body);
    if !ask.body.is_object() {
        return Err(error::not_json());
    }
    let moved = MOVED
        .iter()
        .find_map(|(key, instead)| Some((root.get(key)?, instead)));
    if let Some((place, instead)) = moved {
        let key = place.bracketed();
        let sentence = format!(
            "Unsupported parameter: '{key}'. In the Responses API, this parameter has moved to '{instead}'. \
             Try again with the new parameter. See the API documentation for more information: \
             https://platform.openai.com/docs/api-reference/responses/create."
        );
        return Err(bad(&place, "unsupported_parameter", sentence));
    }
    object(&root, known)?;
    Ok(root)
}

fn model<'v>(ask: &Ask<'v>, root: &Node<'v, '_>) -> Result<(&'v str, Class), Failure> {
    let model = text(&required(root, "model")?)?;
    let class = Class::of(model)
        .filter(|class| !class.is_compatible_host())
        .ok_or_else(|| {
            if ask.host == Host::AzureOpenAi {
                return azure::no_deployment();
            }
            let sentence = format!("The requested model '{model}' does not exist.");
            plain(sentence).at("model").code("model_not_found")
        })?;
    Ok((model, class))
}

/// Reads what was said before and what is said now.
fn conversation(ask: &Ask<'_>, root: &Node<'_, '_>) -> Result<Heard, Failure> {
    let mut reader = Reader::new(ask.stored, ask.seed);
    let refuse_unknown = |place: &Node<'_, '_>, what: &str| {
        let id = place
            .text()
            .or_else(|| place.get("id").and_then(|id| id.text()))
            .unwrap_or_default();
        Failure::new(404, INVALID, format!("{what} with id '{id}' not found."))
            .at(place.bracketed())
    };
    if let Some(place) = root.present("conversation") {
        return Err(refuse_unknown(&place, "Conversation"));
    }
    if let Some(place) = root.present("prompt") {
        object(&place, &["id", "variables", "version"])?;
        required(&place, "id")?;
        return Err(refuse_unknown(&place, "Prompt"));
    }
    let previous = root.present("previous_response_id");
    if let Some(place) = &previous {
        let id = text(place)?;
        let Some(items) = ask.stored.conversation(id) else {
            let sentence = format!("Previous response with id '{id}' not found.");
            return Err(bad(place, "previous_response_not_found", sentence));
        };
        for item in items {
            reader.one(&Node::root(&item))?;
        }
    }
    if let Some(instructions) = root.present("instructions") {
        reader.heard.tokens += tokens::MESSAGE;
        reader.heard.words(text(&instructions)?);
    }
    match root.present("input") {
        None if previous.is_none() => {
            let sentence = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.";
            return Err(plain(sentence).code("missing_required_parameter"));
        }
        None => {}
        Some(input) => match input.text() {
            Some(words) => {
                reader.heard.results.clear();
                reader.heard.tokens += tokens::MESSAGE;
                reader.heard.words(words);
                words.clone_into(&mut reader.heard.said);
                reader.heard.count += 1;
            }
            None if input.value.is_array() => reader.items(&input)?,
            None => {
                return Err(wrong_type(
                    &input,
                    "one of a string or array of input items",
                ));
            }
        },
    }
    reader.heard.finished()?;
    Ok(reader.heard)
}

fn streaming(root: &Node<'_, '_>) -> Result<bool, Failure> {
    let streams = flag(root, "stream", false)?;
    if let Some(options) = root.present("stream_options") {
        if !streams {
            let sentence =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(plain(sentence).at("stream_options"));
        }
        object(&options, &["include_obfuscation"])?;
        flag(&options, "include_obfuscation", true)?;
    }
    Ok(streams)
}

fn flag(parent: &Node<'_, '_>, key: &str, default: bool) -> Result<bool, Failure> {
    parent
        .present(key)
        .map_or(Ok(default), |node| boolean(&node))
}

/// What is kept and what runs on by itself.
fn lasting(root: &Node<'_, '_>) -> Result<(), Failure> {
    if let Some(truncation) = root.present("truncation") {
        one_of(&truncation, &["auto", "disabled"])?;
    }
    if let Some(most) = root.present("max_tool_calls") {
        integer(&most, 1, i64::MAX)?;
    }
    if flag(root, "background", false)? && !flag(root, "store", true)? {
        let sentence = "Background mode requires 'store' to be true.";
        return Err(plain(sentence)
            .at("background")
            .code("invalid_parameter_combination"));
    }
    Ok(())
}

fn include(root: &Node<'_, '_>, class: Class) -> Result<(), Failure> {
    let Some(include) = root.present("include") else {
        return Ok(());
    };
    sized(&include, 0, INCLUDABLE.len())?;
    for item in include.items() {
        let wanted = one_of(&item, &INCLUDABLE)?;
        if wanted == "reasoning.encrypted_content" && class == Class::Plain {
            let sentence = "Encrypted content is not supported with this model.";
            return Err(plain(sentence).at("include"));
        }
    }
    Ok(())
}

fn output_limit(root: &Node<'_, '_>, class: Class) -> Result<Option<u64>, Failure> {
    let Some(node) = root.present("max_output_tokens") else {
        return Ok(None);
    };
    let limit = integer(&node, 16, i64::MAX)?.unsigned_abs();
    let most = class.most_output();
    if limit > most {
        let sentence = format!(
            "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= {most}, but got {limit} instead."
        );
        return Err(bad(&node, "integer_above_max_value", sentence));
    }
    Ok(Some(limit))
}

fn reasoning(root: &Node<'_, '_>, class: Class) -> Result<Reasoning, Failure> {
    let config = root.present("reasoning");
    if let Some(config) = &config {
        object(
            config,
            &["effort", "summary", "generate_summary", "context", "mode"],
        )?;
    }
    let part = |key: &str| config.as_ref().and_then(|config| config.present(key));
    let (effort, summary) = (part("effort"), part("summary").or(part("generate_summary")));
    if let Some(place) = effort.as_ref().or(summary.as_ref())
        && !class.takes_effort()
    {
        return Err(unsupported_parameter(place, None));
    }
    let effort = match &effort {
        Some(effort) => one_of(effort, &EFFORTS)?,
        None if class.reasons() => "medium",
        None => "none",
    };
    if let Some(summary) = &summary {
        one_of(summary, &["auto", "concise", "detailed"])?;
    }
    Ok(match (effort_tokens(effort), summary) {
        (0, _) => Reasoning::Off,
        (budget, Some(_)) => Reasoning::Shown { budget },
        (tokens, None) => Reasoning::Hidden { tokens },
    })
}

fn too_long() -> Failure {
    let sentence = "Your input exceeds the context window of this model. Please adjust your input and try again.";
    plain(sentence).at("input").code("context_length_exceeded")
}

fn digest(seed: u64, model: &str, heard: &Heard, tools: &Tools) -> Digest {
    let mut digest = Digest::new(seed)
        .with(model.as_bytes())
        .with(heard.said.as_bytes())
        .with_number(heard.count as u64);
    for result in &heard.results {
        digest = digest.with(result.text.as_bytes());
    }
    for tool in &tools.list {
        digest = digest.with(tool.name.as_bytes());
    }
    digest
}

/// What OpenAI caches by itself: tools first, then instructions, then items.
fn prefix(body: &Value, digest: Digest, input: u64) -> Prefix {
    if input < cache::LEAST {
        return Prefix::None;
    }
    let text: String = ["tools", "instructions", "input"]
        .into_iter()
        .filter_map(|key| body.get(key))
        .map(Value::to_string)
        .collect();
    Prefix::automatic(digest, text.as_bytes(), input)
}
