//! Reads a whole request into the domain. Strict: what is known must have its type; what is unknown is
//! kept by its path in [`ChatRequest::extensions`], so that a translation can pass it on or report it.
//!
//! What the gateway itself does for its callers (`store`) is not in the domain. What only OpenAI can do
//! because it keeps the other half of it (`conversation`, `prompt`, items that are only referred to) is
//! refused by name: a translation would lose what is talked about.

use domain::chat::{ChatRequest, Extensions, Logprobs, OutputFormat, ReasoningRequest, Sampling};
use serde_json::value::RawValue;

use super::super::fields::{self, Fields};
use super::super::parse::{effort, within};
use super::words::{self, FORMAT};
use super::{parse_items, parse_tools};
use crate::face::InvalidRequest;
use crate::openai::envelope;

/// Reads a request body.
pub(super) fn request(body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let mut fields = Fields::read_body(envelope::text(body)?)?;
    refuse_what_openai_keeps(&mut fields)?;
    let Some(model) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    let mut request = ChatRequest::new(envelope::model_name(model)?);
    let mut extensions = Extensions::new();

    request.format = FORMAT;
    (request.messages, request.paths) = parse_items::messages(&mut fields, &mut extensions)?;
    request.tools = parse_tools::tools(&mut fields, &mut extensions)?;
    request.tool_choice = parse_tools::tool_choice(&mut fields, &mut extensions)?;
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")?;
    request.max_output_tokens = envelope::bound(&mut fields, "max_output_tokens")?;
    request.sampling = Sampling {
        temperature: within(&mut fields, "temperature", 2.0)?,
        top_p: within(&mut fields, "top_p", 1.0)?,
        ..Sampling::default()
    };
    request.output = output(&mut fields, &mut extensions)?;
    request.reasoning = reasoning(&mut fields, &mut extensions)?;
    request.logprobs = logprobs(&mut fields, &mut extensions)?;
    request.user = fields.text("user")?;
    if let Some(tier) = fields.take("service_tier") {
        let word = fields::text(tier, || "service_tier".to_owned())?;
        match word.parse() {
            Ok(tier) => request.service_tier = Some(tier),
            // `auto` and tiers of other hosts: the provider knows what they mean.
            Err(_) => fields.put_back("service_tier", tier),
        }
    }
    request.stream = fields.flag("stream")?.unwrap_or(false);
    request.stream_usage = request.stream;
    stream_options(&mut fields, &mut extensions)?;
    defaults(&mut fields)?;
    fields.keep_rest(&mut extensions);
    extensions.retain(|_, raw| raw.get() != "null");
    request.extensions = extensions;
    words::note(&mut request.paths, &request.tools);
    Ok(request)
}

/// What is kept by OpenAI and not by us cannot be given to another provider.
fn refuse_what_openai_keeps(fields: &mut Fields<'_>) -> Result<(), InvalidRequest> {
    for (name, what) in [
        (
            "previous_response_id",
            "names an answer that is not kept here; send its items in `input`",
        ),
        (
            "conversation",
            "names a conversation that OpenAI keeps; send its items in `input`",
        ),
        (
            "prompt",
            "names a template that OpenAI keeps; send its text in `instructions` and `input`",
        ),
    ] {
        if fields.take(name).is_some() {
            let detail = format!("`{name}` {what}.");
            return Err(InvalidRequest::of(name, detail));
        }
    }
    if fields.flag("background")? == Some(true) {
        return Err(InvalidRequest::of(
            "background",
            "`background` is only for targets that speak Responses themselves; send the request without it.",
        ));
    }
    Ok(())
}

/// Takes what says no more than what holds anyway, and `store`, which is the gateway's to do.
fn defaults(fields: &mut Fields<'_>) -> Result<(), InvalidRequest> {
    fields.flag("store")?;
    let is_default = fields
        .look("truncation")
        .is_some_and(|raw| raw.get() == r#""disabled""#);
    if is_default {
        fields.take("truncation");
    }
    Ok(())
}

fn output(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<OutputFormat, InvalidRequest> {
    let Some(mut text) = fields.object("text")? else {
        return Ok(OutputFormat::Text);
    };
    let format = text.object("format")?;
    text.keep_rest(extensions);
    let Some(mut format) = format else {
        return Ok(OutputFormat::Text);
    };
    let output = match format.required_text("type")?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => OutputFormat::JsonSchema {
            name: format.required_text("name")?,
            description: format.text("description")?,
            schema: format
                .raw_object("schema")?
                .ok_or_else(|| format.missing("schema", "a JSON Schema"))?,
            strict: format.flag("strict")?,
        },
        other => {
            let known = "`text`, `json_object` and `json_schema`";
            return Err(format.unknown_word("type", other, known));
        }
    };
    format.keep_rest(extensions);
    Ok(output)
}

fn reasoning(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<ReasoningRequest, InvalidRequest> {
    let Some(mut reasoning) = fields.object("reasoning")? else {
        return Ok(ReasoningRequest::default());
    };
    let mut asked = ReasoningRequest {
        effort: effort(&mut reasoning, "effort")?,
        ..ReasoningRequest::default()
    };
    // `generate_summary` is the older name.
    for name in ["generate_summary", "summary"] {
        let Some(raw) = reasoning.take(name) else {
            continue;
        };
        let path = reasoning.path_of(name);
        let word = fields::text(raw, || path.clone())?;
        asked.include_thoughts = Some(true);
        if word != "auto" {
            extensions.insert(path, raw.to_owned());
        }
    }
    let is_default = reasoning
        .look("context")
        .is_some_and(|raw| raw.get() == r#""auto""#);
    if is_default {
        reasoning.take("context");
    }
    reasoning.keep_rest(extensions);
    Ok(asked)
}

/// Reads `top_logprobs`, and what of `include` the domain has a word for. Encrypted thoughts are always
/// included.
fn logprobs(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<Logprobs>, InvalidRequest> {
    const EXPECTED: &str = "an integer from 0 to 20";
    let alternatives: Option<u8> = fields.integer("top_logprobs", EXPECTED)?;
    if alternatives.is_some_and(|count| count > 20) {
        return Err(InvalidRequest::of(
            "top_logprobs",
            format!("`top_logprobs` must be {EXPECTED}."),
        ));
    }
    let mut wanted = alternatives.is_some_and(|count| count > 0);
    let mut others = Vec::new();
    for (path, raw) in fields.list("include")?.unwrap_or_default() {
        match fields::text(raw, || path.clone())?.as_str() {
            "message.output_text.logprobs" => wanted = true,
            "reasoning.encrypted_content" => {}
            _ => others.push(raw),
        }
    }
    if !others.is_empty()
        && let Ok(others) = serde_json::value::to_raw_value(&others)
    {
        extensions.insert("include".to_owned(), others);
    }
    Ok(wanted.then_some(Logprobs {
        alternatives: alternatives.unwrap_or(0),
    }))
}

/// Padding against the reading of lengths is OpenAI's own; who declines it has it declined.
fn stream_options(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<(), InvalidRequest> {
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(());
    };
    let pads: Option<&RawValue> = options.look("include_obfuscation");
    if pads.is_some_and(|raw| raw.get() == "false") {
        options.take("include_obfuscation");
    }
    options.keep_rest(extensions);
    Ok(())
}
