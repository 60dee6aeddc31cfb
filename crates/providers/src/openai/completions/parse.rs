//! Reads a whole request into the domain: the prompt is what a person says. What a chat cannot do with a
//! prompt is refused by name, because the answer would be another one.

use domain::chat::{ChatRequest, Extensions, Logprobs, Message, Part, Sampling};
use serde_json::value::RawValue;

use super::super::envelope::{bound, choices, model_name, text};
use super::super::fields::{self, Fields, Kind};
use super::super::parse::{stop, within};
use super::FORMAT;
use super::envelope::PROMPT;
use crate::face::InvalidRequest;

/// The most alternatives per token that the format tells.
const MAX_ALTERNATIVES: u8 = 5;

/// Reads a request body.
pub(super) fn request(body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?;
    let Some(model) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    let mut request = ChatRequest::new(model_name(model)?);
    request.format = FORMAT;
    let words = prompt(&mut fields)?;
    request.messages = vec![Message::User {
        content: vec![Part::Text(words.into())],
        name: None,
    }];
    refuse_what_a_chat_cannot(&mut fields)?;
    request.choices = choices(&mut fields)?;
    best_of(&mut fields, request.choices)?;
    request.max_output_tokens = bound(&mut fields, "max_tokens")?;
    request.sampling = Sampling {
        temperature: within(&mut fields, "temperature", 2.0)?,
        top_p: within(&mut fields, "top_p", 1.0)?,
        top_k: fields.integer("top_k", "a non-negative integer")?,
        seed: fields.integer("seed", "an integer")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        logit_bias: fields.raw_object("logit_bias")?,
    };
    request.stop = stop(&mut fields)?;
    request.logprobs = logprobs(&mut fields)?;
    request.user = fields.text("user")?;
    request.stream = fields.flag("stream")?.unwrap_or(false);
    let mut extensions = Extensions::new();
    if let Some(mut options) = fields.object("stream_options")? {
        request.stream_usage = options.flag("include_usage")?.unwrap_or(false);
        options.keep_rest(&mut extensions);
    }
    // The face puts the prompt before the answer itself.
    fields.flag("echo")?;
    fields.keep_rest(&mut extensions);
    extensions.retain(|_, raw| raw.get() != "null");
    request.extensions = extensions;
    for (chat, here) in [
        ("messages", "prompt"),
        ("messages[0]", "prompt"),
        ("messages[0].content", "prompt"),
        ("messages[0].content[0]", "prompt"),
        ("max_completion_tokens", "max_tokens"),
        ("top_logprobs", "logprobs"),
    ] {
        request.paths.insert(chat, here);
    }
    Ok(request)
}

/// The one prompt, as text.
fn prompt(fields: &mut Fields<'_>) -> Result<String, InvalidRequest> {
    let Some(prompt) = fields.take("prompt") else {
        return Err(fields.missing("prompt", PROMPT));
    };
    match Kind::of(prompt.get()) {
        Some(Kind::Text) => fields::text(prompt, || "prompt".to_owned()),
        Some(Kind::List) => one_of(prompt),
        _ => Err(fields.wrong_type("prompt", PROMPT, prompt.get())),
    }
}

fn one_of(prompts: &RawValue) -> Result<String, InvalidRequest> {
    let refuse = |detail: &str| Err(InvalidRequest::of("prompt", detail));
    let listed = fields::list(prompts, "prompt")?;
    let kinds = listed.iter().map(|(_, raw)| Kind::of(raw.get()));
    if kinds.clone().any(|kind| kind != Some(Kind::Text)) {
        return refuse(
            "`prompt` holds tokens, which mean something to one model only; send it as text.",
        );
    }
    match listed.as_slice() {
        [(path, raw)] => fields::text(raw, || path.clone()),
        [] => refuse("`prompt` is empty; it must be a string or an array of strings."),
        _ => refuse(
            "`prompt` holds several prompts, and the target answers one at a time; send a request for each.",
        ),
    }
}

fn refuse_what_a_chat_cannot(fields: &mut Fields<'_>) -> Result<(), InvalidRequest> {
    if fields
        .text("suffix")?
        .is_some_and(|suffix| !suffix.is_empty())
    {
        return Err(InvalidRequest::of(
            "suffix",
            "`suffix` asks for a text that fits before another, which the target cannot write; ask for it in the prompt.",
        ));
    }
    let echoes = fields.look("echo").is_some_and(|raw| raw.get() == "true");
    if echoes && fields.look("logprobs").is_some() {
        return Err(InvalidRequest::of(
            "echo",
            "`echo` with `logprobs` asks for the probabilities of the prompt, which the target does not tell; leave one of them out.",
        ));
    }
    Ok(())
}

/// One candidate for every answer is no choice among candidates.
fn best_of(fields: &mut Fields<'_>, shown: u32) -> Result<(), InvalidRequest> {
    match fields.integer::<u32>("best_of", "a positive integer")? {
        Some(made) if made > shown => Err(InvalidRequest::of(
            "best_of",
            "`best_of` lets the provider choose among more answers than it shows, which the target cannot; ask for all of them with `n`.",
        )),
        Some(made) if made < shown => Err(InvalidRequest::of(
            "best_of",
            "`best_of` must not be less than `n`.",
        )),
        _ => Ok(()),
    }
}

fn logprobs(fields: &mut Fields<'_>) -> Result<Option<Logprobs>, InvalidRequest> {
    const EXPECTED: &str = "an integer from 0 to 5";
    let alternatives: Option<u8> = fields.integer("logprobs", EXPECTED)?;
    if alternatives.is_some_and(|count| count > MAX_ALTERNATIVES) {
        return Err(InvalidRequest::of(
            "logprobs",
            format!("`logprobs` must be {EXPECTED}."),
        ));
    }
    Ok(alternatives.map(|alternatives| Logprobs { alternatives }))
}
