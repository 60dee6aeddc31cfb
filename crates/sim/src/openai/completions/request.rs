//! The rules of a completion request.
//! See <https://platform.openai.com/docs/api-reference/completions/create>.

use serde_json::Value;

use super::super::check::{
    INVALID, bad, boolean, integer, missing, plain, required, short_text, sized, text, wrong_type,
};
use super::super::error;
use super::super::model::Class;
use super::super::parameters::{
    Streaming, bias, choices, known_parameters, sampling_parameters, stops, streaming,
};
use super::super::request::{model, unknown_model};
use crate::cache::Prefix;
use crate::digest::Digest;
use crate::node::Node;
use crate::prompt::{Choice, Habits, Output, Prompt, Reasoning};
use crate::tokens;
use crate::vendor::{Ask, Failure, Framing};

/// Every parameter of the call.
const PARAMETERS: [&str; 18] = [
    "model",
    "prompt",
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "n",
    "presence_penalty",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "top_p",
    "user",
];
/// The most tokens of an answer when the request does not say.
const DEFAULT_OUTPUT: u64 = 16;
/// The most tokens of prompt and answer together.
const CONTEXT: u64 = 16_384;

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let root = Node::root(ask.body);
    if !ask.body.is_object() {
        return Err(error::not_json());
    }
    let model = model(ask, &root)?;
    let class = class(ask, model)?;
    known_parameters(&root, &PARAMETERS)?;
    let prompts = prompts(&root)?;
    let n = choices(&root)?;
    let stream = streaming(&root)?;
    best_of(&root, n, stream)?;
    sampling_parameters(&root, class)?;
    bias(&root, class)?;
    if let Some(logprobs) = root.present("logprobs") {
        integer(&logprobs, 0, 5)?;
    }
    if let Some(echo) = root.present("echo") {
        boolean(&echo)?;
    }
    if let Some(seed) = root.present("seed") {
        integer(&seed, i64::MIN, i64::MAX)?;
    }
    if let Some(user) = root.present("user") {
        short_text(&user, 512)?;
    }
    if let Some(suffix) = root.present("suffix") {
        text(&suffix)?;
        if !model.ends_with("instruct") && class != Class::Generous {
            return Err(plain("Suffix is not allowed for this model.").at("suffix"));
        }
    }
    let output_limit = root
        .present("max_tokens")
        .map_or(Ok(DEFAULT_OUTPUT), |limit| {
            integer(&limit, 0, i64::MAX).map(i64::unsigned_abs)
        })?;
    let input = prompts.iter().map(|prompt| prompt.tokens).sum::<u64>();
    if input + output_limit > CONTEXT {
        let sentence = format!(
            "This model's maximum context length is {CONTEXT} tokens, however you requested {} tokens ({input} in your prompt; \
             {output_limit} for the completion). Please reduce your prompt; or completion length.",
            input + output_limit
        );
        return Err(plain(sentence));
    }
    let said = prompts.last().map(|prompt| prompt.said.clone());
    let said = said.unwrap_or_default();
    Ok(Prompt {
        begun: String::new(),
        model: model.to_owned(),
        digest: Digest::new(ask.seed)
            .with(model.as_bytes())
            .with(said.as_bytes())
            .with_number(prompts.len() as u64),
        said,
        tools: Vec::new(),
        choice: Choice::None,
        parallel: false,
        habits: Habits {
            speaks_refusals: true,
            ..Habits::default()
        },
        results: Vec::new(),
        output: Output::Text,
        output_limit: Some(output_limit),
        stops: stops(&root, class)?,
        reasoning: Reasoning::Off,
        choices: n * prompts.len(),
        stream: (stream != Streaming::No).then_some(Framing::Events),
        reports_usage: stream != Streaming::WithoutUsage,
        input,
        media_input: 0,
        prefix: Prefix::None,
    })
}

/// Models that only complete, and those here that take everything; the others chat.
fn class(ask: &Ask<'_>, model: &str) -> Result<Class, Failure> {
    if is_legacy(model) {
        return Ok(Class::Plain);
    }
    match Class::of(model) {
        Some(class @ (Class::Generous | Class::Open)) => Ok(class),
        Some(_) => {
            let sentence = "This is a chat model and not supported in the v1/completions endpoint. Did you mean to use v1/chat/completions?";
            Err(Failure::new(404, INVALID, sentence).at("model"))
        }
        None => Err(unknown_model(ask, model)),
    }
}

/// Whether a model completes and does not chat.
pub(in crate::openai) fn is_legacy(model: &str) -> bool {
    matches!(model, "davinci-002" | "babbage-002") || model.starts_with("gpt-3.5-turbo-instruct")
}

/// One text to be completed.
struct Given {
    said: String,
    tokens: u64,
}

impl Given {
    fn text(words: &str) -> Self {
        Self {
            said: words.to_owned(),
            tokens: tokens::of_text(words),
        }
    }
}

fn prompts(root: &Node<'_, '_>) -> Result<Vec<Given>, Failure> {
    let place = required(root, "prompt").map_err(|_| missing(root, "prompt"))?;
    match place.value {
        Value::Null => return Ok(vec![Given::text("")]),
        Value::String(words) => return Ok(vec![Given::text(words)]),
        Value::Array(_) => {}
        _ => {
            let expected =
                "one of a string, array of strings, array of integers, or array of integer arrays";
            return Err(wrong_type(&place, expected));
        }
    }
    sized(&place, 1, 2048)?;
    if place.items().all(|item| item.value.is_u64()) {
        let count = place.items().count() as u64;
        return Ok(vec![counted(count)]);
    }
    place
        .items()
        .map(|item| match item.value {
            Value::String(words) => Ok(Given::text(words)),
            Value::Array(ids) if ids.iter().all(Value::is_u64) && !ids.is_empty() => {
                Ok(counted(ids.len() as u64))
            }
            _ => Err(wrong_type(&item, "a string or array of integers")),
        })
        .collect()
}

/// A prompt of token ids, which nobody here can read.
fn counted(tokens: u64) -> Given {
    Given {
        said: format!("({tokens} tokens)"),
        tokens,
    }
}

fn best_of(root: &Node<'_, '_>, n: usize, stream: Streaming) -> Result<(), Failure> {
    let Some(place) = root.present("best_of") else {
        return Ok(());
    };
    let best_of = usize::try_from(integer(&place, 1, 20)?).unwrap_or(1);
    if best_of < n {
        let sentence = format!(
            "You requested that the server return more choices than it will generate (HINT: You must set 'n' (currently {n}) \
             to be at most 'best_of' (currently {best_of}), or omit either parameter if you don't specifically want to use them.)"
        );
        return Err(bad(&place, "invalid_value", sentence));
    }
    if best_of > 1 && stream != Streaming::No {
        let sentence = "Results cannot be streamed when 'best_of' is greater than 1.";
        return Err(bad(&place, "invalid_value", sentence));
    }
    Ok(())
}
