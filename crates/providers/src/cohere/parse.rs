//! Reads a whole request into the domain. Strict: what is known must have its type; what is unknown is
//! kept by its path in [`ChatRequest::extensions`], so that a translation can pass it on or report it.

use domain::chat::{
    CallerPaths, ChatRequest, Effort, Extensions, Logprobs, Message, OutputFormat, Part,
    ReasoningRequest, Sampling, Tool, ToolChoice,
};
use serde_json::value::RawValue;

use super::{FORMAT, parse_message};
use crate::face::{Envelope, InvalidRequest};
use crate::openai::envelope;
use crate::openai::fields::{self, Fields};
use crate::passing;

/// What a schema is called where the target demands a name and Cohere has none.
const SCHEMA_NAME: &str = "answer";

/// Reads the envelope; the messages are counted, not read.
pub(super) fn envelope(body: &[u8]) -> Result<Envelope, InvalidRequest> {
    let text = envelope::text(body)?;
    let mut fields = Fields::read_body(text)?;
    let Some(model) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    Ok(Envelope {
        model: envelope::model_name(model)?,
        stream: fields.flag("stream")?.unwrap_or(false),
        // The last event always says it.
        stream_usage: true,
        max_output_tokens: envelope::bound(&mut fields, "max_tokens")?,
        choices: 1,
        messages: messages(&mut fields)?.len(),
        model_span: Some(envelope::span(text, model.get())),
        stream_options_span: None,
    })
}

fn messages<'a>(fields: &mut Fields<'a>) -> Result<Vec<(String, &'a RawValue)>, InvalidRequest> {
    const EXPECTED: &str = "an array of at least one message";
    let messages = fields
        .list("messages")?
        .ok_or_else(|| fields.missing("messages", EXPECTED))?;
    if messages.is_empty() {
        return Err(InvalidRequest::of(
            "messages",
            format!("`messages` is empty; it must be {EXPECTED}."),
        ));
    }
    Ok(messages)
}

/// Reads a request body.
pub(super) fn request(body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let mut fields = Fields::read_body(envelope::text(body)?)?;
    let mut request = ChatRequest::new(passing::required_model(&mut fields)?);
    request.format = FORMAT;
    name_fields(&mut request.paths);
    let mut extensions = Extensions::new();
    for (path, raw) in messages(&mut fields)? {
        for (ours, theirs) in [
            ("reasoning_content", "content"),
            ("annotations", "citations"),
            ("native_annotations", "citations"),
        ] {
            let theirs = format!("{path}.{theirs}");
            request.paths.insert(format!("{path}.{ours}"), theirs);
        }
        let message = parse_message::message(Fields::read(raw, path)?, &mut extensions)?;
        request.messages.push(message);
    }
    documents(&mut fields, &mut request)?;
    let strict = fields.flag("strict_tools")?;
    for (path, raw) in fields.list("tools")?.unwrap_or_default() {
        let ours = format!("{path}.function.strict");
        request.paths.insert(ours, "strict_tools");
        request
            .tools
            .push(tool(Fields::read(raw, path)?, strict, &mut extensions)?);
    }
    request.tool_choice = tool_choice(&mut fields)?;
    request.max_output_tokens = envelope::bound(&mut fields, "max_tokens")?;
    request.sampling = sampling(&mut fields)?;
    for (path, raw) in fields.list("stop_sequences")?.unwrap_or_default() {
        request.stop.push(fields::text(raw, || path.clone())?);
    }
    request.output = output(&mut fields, &mut extensions)?;
    request.reasoning = thinking(&mut fields, &mut extensions)?;
    if fields.flag("logprobs")? == Some(true) {
        request.logprobs = Some(Logprobs { alternatives: 0 });
    }
    request.stream = fields.flag("stream")?.unwrap_or(false);
    request.stream_usage = request.stream;
    fields.keep_rest(&mut extensions);
    request.extensions = extensions;
    Ok(request)
}

/// What Cohere calls otherwise than OpenAI.
fn name_fields(paths: &mut CallerPaths) {
    for (ours, theirs) in [
        ("max_completion_tokens", "max_tokens"),
        ("top_p", "p"),
        ("top_k", "k"),
        ("stop", "stop_sequences"),
        ("stream_options", "stream"),
        ("reasoning_effort", "thinking"),
        ("reasoning.max_tokens", "thinking.token_budget"),
        ("thinking.budget_tokens", "thinking.token_budget"),
        ("include_reasoning", "thinking"),
        (
            "response_format.json_schema.schema",
            "response_format.json_schema",
        ),
    ] {
        paths.insert(ours, theirs);
    }
}

/// The documents to answer from are part of what the user says last.
fn documents(fields: &mut Fields<'_>, request: &mut ChatRequest) -> Result<(), InvalidRequest> {
    let Some(listed) = fields.list("documents")? else {
        return Ok(());
    };
    let mut parts = Vec::with_capacity(listed.len());
    for (path, raw) in listed {
        parts.push(Part::Document(parse_message::document(raw, path)?));
    }
    let count = parts.len();
    let is_user = |message: &Message| matches!(message, Message::User { .. });
    if !request.messages.iter().any(is_user) {
        request.messages.push(Message::User {
            content: Vec::new(),
            name: None,
        });
    }
    let place = request.messages.iter().rposition(is_user).unwrap_or(0);
    let Some(message) = request.messages.get_mut(place) else {
        return Ok(());
    };
    let path = format!("messages[{place}].content");
    for index in 0..message.content().len() {
        let moved = format!("{path}[{}]", count + index);
        request.paths.insert(moved, format!("{path}[{index}]"));
    }
    message.content_mut().splice(0..0, parts);
    for index in 0..count {
        let document = format!("documents[{index}]");
        request.paths.insert(format!("{path}[{index}]"), document);
    }
    Ok(())
}

fn tool(
    mut fields: Fields<'_>,
    strict: Option<bool>,
    extensions: &mut Extensions,
) -> Result<Tool, InvalidRequest> {
    let kind = fields.text("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        return Err(fields.unknown_word("type", &kind, "`function`"));
    }
    let mut function = fields.required_object("function")?;
    let tool = Tool::Function {
        name: function.required_text("name")?,
        description: function.text("description")?,
        parameters: function.raw_object("parameters")?,
        strict,
        cache: None,
    };
    function.keep_rest(extensions);
    fields.keep_rest(extensions);
    Ok(tool)
}

fn tool_choice(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, InvalidRequest> {
    match fields.text("tool_choice")?.as_deref() {
        None => Ok(None),
        Some("REQUIRED") => Ok(Some(ToolChoice::Required)),
        Some("NONE") => Ok(Some(ToolChoice::None)),
        Some(other) => Err(fields.unknown_word("tool_choice", other, "`REQUIRED` and `NONE`")),
    }
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, InvalidRequest> {
    // Zero switches the bound off, which is what leaving it out means elsewhere.
    let top_k = fields.integer("k", "an integer from 0 to 500")?;
    let top_p = fields.number("p")?;
    Ok(Sampling {
        temperature: fields.number("temperature")?,
        top_p: top_p.filter(|p| *p > 0.0),
        top_k: top_k.filter(|k| *k > 0),
        seed: fields.integer("seed", "an integer")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        logit_bias: None,
    })
}

fn output(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<OutputFormat, InvalidRequest> {
    let Some(mut format) = fields.object("response_format")? else {
        return Ok(OutputFormat::Text);
    };
    let schema = match format.raw_object("json_schema")? {
        Some(schema) => Some(schema),
        // The name in the version before this one, which the vendor still takes.
        None => format.raw_object("schema")?,
    };
    let output = match (format.required_text("type")?.as_str(), schema) {
        ("text", None) => OutputFormat::Text,
        ("text", Some(_)) => {
            return Err(InvalidRequest::of(
                "response_format.json_schema",
                "`response_format.json_schema` goes with the type `json_object` only.",
            ));
        }
        ("json_object", None) => OutputFormat::JsonObject,
        ("json_object", Some(schema)) => OutputFormat::JsonSchema {
            name: SCHEMA_NAME.to_owned(),
            description: None,
            schema,
            strict: None,
        },
        (other, _) => {
            return Err(format.unknown_word("type", other, "`text` and `json_object`"));
        }
    };
    format.keep_rest(extensions);
    Ok(output)
}

fn thinking(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<ReasoningRequest, InvalidRequest> {
    let mut asked = ReasoningRequest::default();
    let Some(mut thinking) = fields.object("thinking")? else {
        return Ok(asked);
    };
    asked.budget_tokens = envelope::bound(&mut thinking, "token_budget")?;
    match thinking.required_text("type")?.as_str() {
        "enabled" => {
            asked.include_thoughts = asked.budget_tokens.is_none().then_some(true);
        }
        "disabled" => {
            asked.effort = Some(Effort::None);
            asked.budget_tokens = None;
        }
        other => {
            return Err(thinking.unknown_word("type", other, "`enabled` and `disabled`"));
        }
    }
    thinking.keep_rest(extensions);
    Ok(asked)
}
