//! OpenAI's endpoints beside its chats, and those that compatible hosts add.
//! Reference: <https://platform.openai.com/docs/api-reference>.

pub(crate) mod batches;
pub(crate) mod compaction;
pub(crate) mod embeddings;
pub(crate) mod files;
pub(crate) mod fine_tuning;
pub(crate) mod images;
mod images_form;
pub(crate) mod jobs;
pub(crate) mod moderations;
pub(crate) mod rerank;
pub(crate) mod speech;
pub(crate) mod transcripts;

use serde_json::Value;

use super::check::{INVALID, plain, text};
use crate::node::Node;
use crate::tasks::form::{Form, Part};
use crate::tasks::{Asked, Wish};
use crate::vendor::Failure;

/// The model that takes every task, as it takes every parameter of a chat.
const GENEROUS: &str = "gpt";

/// The model that a body names.
fn model<'v>(root: &Node<'v, '_>) -> Result<&'v str, Failure> {
    match root.present("model") {
        None => Err(plain("you must provide a model parameter")),
        Some(model) => text(&model),
    }
}

/// A body of an endpoint takes these parameters and no others.
fn known(root: &Node<'_, '_>, names: &[&str]) -> Result<(), Failure> {
    if !root.value.is_object() {
        return Err(super::error::not_json());
    }
    match root.members().find(|(name, _)| !names.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(unknown_parameter(name)),
    }
}

fn unknown_parameter(name: &str) -> Failure {
    plain(format!("Unknown parameter: '{name}'."))
        .at(name)
        .code("unknown_parameter")
}

/// The form of a request, refused in OpenAI's words.
fn form(asked: &Asked<'_>) -> Result<Form, Failure> {
    Form::read(asked.head, asked.body)
        .map_err(|problem| plain(format!("Could not parse multipart form: {problem}")))
}

/// The text of a field that a form must have.
fn required(form: &Form, name: &str) -> Result<String, Failure> {
    form.text(name).ok_or_else(|| {
        plain(format!("Missing required parameter: '{name}'."))
            .at(name)
            .code("missing_required_parameter")
    })
}

/// A part that must be a file: it has a name, which tells what it is.
fn file(part: &Part) -> Result<(&Part, &str), Failure> {
    match part.file_name.as_deref() {
        Some(name) if !name.is_empty() => Ok((part, name)),
        _ => Err(plain(format!(
            "Invalid type for '{}': expected a file, but got a string instead.",
            part.name
        ))
        .at(part.name.clone())
        .code("invalid_type")),
    }
}

/// A word out of a list.
fn one_of(name: &str, value: &str, supported: &[&str]) -> Result<(), Failure> {
    if supported.contains(&value) {
        return Ok(());
    }
    let listed: Vec<String> = supported.iter().map(|word| format!("'{word}'")).collect();
    Err(plain(format!(
        "Invalid value: '{value}'. Supported values are: {}.",
        listed.join(", ")
    ))
    .at(name)
    .code("invalid_value"))
}

/// The model does not exist, or does not do this.
fn no_such_model(model: &str) -> Failure {
    Failure::new(
        404,
        INVALID,
        format!("The model `{model}` does not exist or you do not have access to it."),
    )
    .code("model_not_found")
}

/// The policy struck.
fn blocked(what: &str) -> Failure {
    Failure::new(
        400,
        "image_generation_user_error",
        format!("Your request was rejected by the safety system. {what}"),
    )
    .code("moderation_blocked")
}

/// A wish that is made at once.
fn wish(
    model: &str,
    said: &str,
    stream: bool,
    make: impl FnOnce(
        &crate::tasks::Understood<'_>,
    ) -> (crate::tasks::Output, crate::tasks::SimTaskUsage)
    + Send
    + 'static,
) -> Wish {
    Wish {
        model: model.to_owned(),
        said: said.to_owned(),
        stream,
        make: Box::new(make),
    }
}

/// `{"total_tokens": …}` and its parts.
fn tokens(input: u64, output: u64) -> Value {
    serde_json::json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output})
}
