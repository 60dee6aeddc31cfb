//! The rules of a chat completion request.
//! See <https://platform.openai.com/docs/api-reference/chat/create>.

use serde_json::Value;

use super::check::{
    INVALID, bad, boolean, integer, missing, object, one_of, plain, required, text,
    unsupported_parameter,
};
use super::huggingface;
use super::messages::{self, Conversation};
use super::model::Class;
use super::options;
use super::parameters::{
    EFFORTS, Streaming, bias, bookkeeping, choices, effort_tokens, known_parameters,
    sampling_parameters, stops, streaming,
};
use super::tools;
use crate::azure;
use crate::cache::{self, Prefix};
use crate::digest::Digest;
use crate::node::Node;
use crate::prompt::{Habits, Output, Prompt, Reasoning};
use crate::record::Host;
use crate::tokens;
use crate::vendor::{Ask, Failure, Framing};

/// Every parameter of the call.
const PARAMETERS: [&str; 39] = [
    "model",
    "messages",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "thinking",
    "chat_template_kwargs",
];
/// Parameters that only compatible hosts know.
const FOREIGN: [&str; 2] = ["thinking", "chat_template_kwargs"];

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let root = Node::root(ask.body);
    if !ask.body.is_object() {
        return Err(super::error::not_json());
    }
    let model = model(ask, &root)?;
    let class = class(ask, model)?;
    let known: Vec<&str> = PARAMETERS
        .into_iter()
        .filter(|key| class.is_compatible_host() || !FOREIGN.contains(key))
        .collect();
    known_parameters(&root, &known)?;
    let conversation = match root.get("messages") {
        None => return Err(missing(&root, "messages")),
        Some(messages) => messages::read(&messages, class)?,
    };
    let tools = tools::read(&root)?;
    let output = response_format(&root, &conversation)?;
    let stream = streaming(&root)?;
    sampling(&root, class)?;
    bookkeeping(&root)?;
    options::of_chat(&root)?;
    let output_limit = output_limit(&root, class)?;
    let reasoning = reasoning(&root, class, !tools.list.is_empty())?;
    let input = conversation.tokens + tools.tokens + tokens::MESSAGE;
    if input > class.context() {
        return Err(super::error::too_long(class.context(), input));
    }
    let digest = digest(ask.seed, model, &conversation, &tools);
    let prefix = prefix(
        ask.body,
        Digest::new(ask.seed).with(model.as_bytes()),
        input,
    );
    Ok(Prompt {
        begun: String::new(),
        model: model.to_owned(),
        said: conversation.said,
        choice: tools.choice,
        parallel: tools.parallel,
        tools: tools.list,
        habits: Habits {
            speaks_refusals: true,
            ..Habits::default()
        },
        media_input: 0,
        results: conversation.results,
        output,
        output_limit,
        stops: stops(&root, class)?,
        reasoning,
        choices: choices(&root)?,
        reports_usage: stream != Streaming::WithoutUsage,
        stream: (stream != Streaming::No).then_some(Framing::Events),
        input,
        prefix,
        digest,
    })
}

/// The model that the path names, or else the body.
pub(super) fn model<'v>(ask: &Ask<'v>, root: &Node<'v, '_>) -> Result<&'v str, Failure> {
    match (ask.path_model, root.present("model")) {
        (Some(model), _) => Ok(model),
        (None, Some(model)) => text(&model),
        (None, None) => Err(plain("you must provide a model parameter")),
    }
}

/// The refusal of a model that the host does not have.
pub(super) fn unknown_model(ask: &Ask<'_>, model: &str) -> Failure {
    if ask.host == Host::AzureOpenAi {
        azure::no_deployment()
    } else {
        super::error::unknown_model(model)
    }
}

fn class(ask: &Ask<'_>, model: &str) -> Result<Class, Failure> {
    if super::completions::is_legacy(model) {
        let sentence = "This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?";
        return Err(Failure::new(404, INVALID, sentence).at("model"));
    }
    if ask.host == Host::HuggingFace {
        return huggingface::class(model);
    }
    Class::of(model).ok_or_else(|| unknown_model(ask, model))
}

fn sampling(root: &Node<'_, '_>, class: Class) -> Result<(), Failure> {
    sampling_parameters(root, class)?;
    bias(root, class)?;
    if let Some(seed) = root.present("seed") {
        integer(&seed, i64::MIN, i64::MAX)?;
    }
    logprobs(root, class)
}

fn logprobs(root: &Node<'_, '_>, class: Class) -> Result<(), Failure> {
    let wanted = match root.present("logprobs") {
        None => false,
        Some(logprobs) if boolean(&logprobs)? && class.reasons() => {
            return Err(unsupported_parameter(&logprobs, None));
        }
        Some(logprobs) => boolean(&logprobs)?,
    };
    if let Some(top) = root.present("top_logprobs") {
        integer(&top, 0, 20)?;
        if !wanted {
            return Err(plain(
                "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
            )
            .at("top_logprobs"));
        }
    }
    Ok(())
}

fn output_limit(root: &Node<'_, '_>, class: Class) -> Result<Option<u64>, Failure> {
    let old = root.present("max_tokens");
    let new = root.present("max_completion_tokens");
    let node = match (&old, &new) {
        (Some(old), _) if class.reasons() => {
            return Err(unsupported_parameter(old, Some("max_completion_tokens")));
        }
        (Some(old), Some(_)) => {
            let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
            return Err(bad(old, "invalid_parameter_combination", message));
        }
        (Some(node), None) | (None, Some(node)) => node,
        (None, None) => return Ok(None),
    };
    let limit = integer(node, 1, i64::MAX)?.unsigned_abs();
    if limit > class.most_output() {
        let (name, most) = (node.bracketed(), class.most_output());
        let message = format!(
            "{name} is too large: {limit}. This model supports at most {most} completion tokens, whereas you provided {limit}."
        );
        return Err(bad(node, "invalid_value", message));
    }
    Ok(Some(limit))
}

fn reasoning(root: &Node<'_, '_>, class: Class, has_tools: bool) -> Result<Reasoning, Failure> {
    let effort = match root.present("reasoning_effort") {
        None if class.reasons() => "medium",
        None => "none",
        Some(effort) if !class.takes_effort() => {
            return Err(
                plain("Unrecognized request argument supplied: reasoning_effort")
                    .at(effort.bracketed()),
            );
        }
        Some(effort) => {
            let value = one_of(&effort, &EFFORTS)?;
            if class.refuses_tools_with_effort() && has_tools && value != "none" {
                let message = "Function tools with reasoning_effort are not supported for this model in /v1/chat/completions. Please use /v1/responses instead.";
                return Err(bad(&effort, "unsupported_parameter", message));
            }
            value
        }
    };
    let tokens = effort_tokens(effort);
    Ok(match class {
        Class::OpenReasoning => Reasoning::Shown { budget: 4096 },
        Class::Plain | Class::Open => Reasoning::Off,
        Class::Generous | Class::Reasoning | Class::ReasoningWithoutTools if tokens == 0 => {
            Reasoning::Off
        }
        Class::Generous | Class::Reasoning | Class::ReasoningWithoutTools => {
            Reasoning::Hidden { tokens }
        }
    })
}

fn response_format(root: &Node<'_, '_>, conversation: &Conversation) -> Result<Output, Failure> {
    let Some(format) = root.present("response_format") else {
        return Ok(Output::Text);
    };
    object(&format, &["type", "json_schema"])?;
    let kind = required(&format, "type")?;
    match one_of(&kind, &["json_object", "json_schema", "text"])? {
        "text" => Ok(Output::Text),
        "json_object" if conversation.says_json => Ok(Output::Json),
        "json_object" => {
            let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.";
            Err(plain(message).at("messages"))
        }
        _ => {
            let wrapper = required(&format, "json_schema")?;
            object(&wrapper, &["name", "description", "schema", "strict"])?;
            tools::named_schema(&wrapper, "response_format", "response_format").map(Output::Schema)
        }
    }
}

fn digest(seed: u64, model: &str, conversation: &Conversation, tools: &tools::Tools) -> Digest {
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

/// What OpenAI caches by itself: tools first, then messages.
fn prefix(body: &Value, digest: Digest, input: u64) -> Prefix {
    if input < cache::LEAST {
        return Prefix::None;
    }
    let text: String = ["tools", "messages"]
        .into_iter()
        .filter_map(|key| body.get(key))
        .map(Value::to_string)
        .collect();
    Prefix::automatic(digest, text.as_bytes(), input)
}
