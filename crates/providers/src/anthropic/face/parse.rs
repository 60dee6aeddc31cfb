//! Reads a whole request into the domain. Strict: what is known must have its type; what is unknown is
//! kept by its path in [`ChatRequest::extensions`], so that a translation can report it.

use std::borrow::Cow;

use domain::chat::{CallerPaths, ChatRequest, Extensions, Message, OutputFormat, Sampling};
use domain::usage::ServiceTier;
use http::HeaderMap;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::super::FORMAT;
use super::conversation::Conversation;
use super::{content, envelope, thinking, tools};
use crate::face::{Asked, InvalidRequest};
use crate::openai::envelope::text;
use crate::openai::fields::{self, Fields};

/// A schema has a name in the domain and none in this format.
const SCHEMA_NAME: &str = "answer";

/// What is kept beside the domain's own fields while a request is read.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) extensions: Extensions,
    pub(super) paths: CallerPaths,
}

/// Reads the body of a message and the fields beside it.
pub(super) fn request(asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let mut fields = Fields::read_body(text(body)?)?;
    let mut kept = Kept::default();
    let bound = bound(&mut fields, &mut kept)?;
    let request = read(asked, fields, kept)?;
    Ok(ChatRequest {
        max_output_tokens: Some(bound),
        ..request
    })
}

/// Reads the body of a count of tokens, which is a message without a bound on the output.
pub(in crate::anthropic) fn count(
    asked: &Asked,
    body: &[u8],
) -> Result<ChatRequest, InvalidRequest> {
    read(asked, Fields::read_body(text(body)?)?, Kept::default())
}

fn read(
    asked: &Asked,
    mut fields: Fields<'_>,
    mut kept: Kept,
) -> Result<ChatRequest, InvalidRequest> {
    let mut request = ChatRequest::new(envelope::model(&mut fields)?);
    request.format = FORMAT;
    request.messages = messages(&mut fields, &mut kept)?;
    request.tools = tools::tools(&mut fields, &mut kept)?;
    let choice = tools::choice(&mut fields, &mut kept)?;
    request.tool_choice = choice.choice;
    request.parallel_tool_calls = choice.parallel;
    request.sampling = sampling(&mut fields)?;
    request.stop = stop(&mut fields, &mut kept)?;
    let (effort, format) = output_config(&mut fields, &mut kept)?;
    request.output = format;
    request.reasoning = thinking::read(&mut fields, effort, &mut kept)?;
    request.user = user(&mut fields, &mut kept)?;
    request.service_tier = service_tier(&mut fields)?;
    // The usage is part of every stream of this format; nothing has to ask for it.
    request.stream = fields.flag("stream")?.unwrap_or(false);
    fields.keep_rest(&mut kept.extensions);
    kept.extensions.retain(|_, raw| raw.get() != "null");
    keep_betas(&asked.headers, &mut kept.extensions);
    request.extensions = kept.extensions;
    request.paths = kept.paths;
    Ok(request)
}

/// The caller's path of what a translation reports or refuses.
pub(super) fn field<'a>(request: &ChatRequest, path: &'a str) -> Cow<'a, str> {
    /// How what stands inside of messages and tools is called.
    const INSIDE: [(&str, &str); 11] = [
        (".function.parameters", ".input_schema"),
        (".function.arguments", ".input"),
        (".function.", "."),
        (".image_url", ".source"),
        (".file.filename", ".title"),
        (".file", ".source"),
        (".reasoning_content", ".content"),
        (".reasoning_details", ".content"),
        (".annotations", ".content"),
        (".extra_content.google.thought_signature", ""),
        (".extra_content", ""),
    ];
    if request.extensions.contains_key(path) {
        return Cow::Borrowed(path);
    }
    let placed = request.paths.of(path);
    let renamed = INSIDE
        .into_iter()
        .find(|(ours, _)| placed.contains(ours) && placed.contains('['));
    match renamed {
        Some((ours, callers)) => Cow::Owned(placed.replacen(ours, callers, 1)),
        None => placed,
    }
}

fn bound(fields: &mut Fields<'_>, kept: &mut Kept) -> Result<u64, InvalidRequest> {
    kept.paths.insert("max_completion_tokens", "max_tokens");
    match envelope::max_tokens(fields)? {
        0 => Err(InvalidRequest::of(
            "max_tokens",
            "`max_tokens` is 0, which only fills Anthropic's prompt cache; the target of this model name \
             is another provider. Ask for at least 1 token.",
        )),
        bound => Ok(bound),
    }
}

fn messages(fields: &mut Fields<'_>, kept: &mut Kept) -> Result<Vec<Message>, InvalidRequest> {
    let listed = fields
        .list("messages")?
        .ok_or_else(|| fields.missing("messages", "an array of at least one message"))?;
    if listed.is_empty() {
        return Err(InvalidRequest::of(
            "messages",
            "`messages` is empty; it must be an array of at least one message.",
        ));
    }
    let mut conversation = Conversation::default();
    if let Some(system) = fields.take("system") {
        let parts = content::texts(system, "system", kept)?;
        kept.paths.insert("messages[0]", "system");
        kept.paths.insert("messages[0].content", "system");
        conversation.messages.push(Message::System(parts));
    }
    for (path, raw) in listed {
        conversation.read(Fields::read(raw, path)?, kept)?;
    }
    Ok(conversation.messages)
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, InvalidRequest> {
    Ok(Sampling {
        temperature: share(fields, "temperature")?,
        top_p: share(fields, "top_p")?,
        top_k: fields.integer("top_k", "a non-negative integer")?,
        ..Sampling::default()
    })
}

/// A number from 0 to 1, as the vendor bounds it.
fn share(fields: &mut Fields<'_>, name: &'static str) -> Result<Option<f64>, InvalidRequest> {
    let number = fields.number(name)?;
    if number.is_some_and(|number| !(0.0..=1.0).contains(&number)) {
        let detail = format!("`{name}` must be a number from 0 to 1.");
        return Err(InvalidRequest::of(name, detail));
    }
    Ok(number)
}

fn stop(fields: &mut Fields<'_>, kept: &mut Kept) -> Result<Vec<String>, InvalidRequest> {
    kept.paths.insert("stop", "stop_sequences");
    fields
        .list("stop_sequences")?
        .unwrap_or_default()
        .into_iter()
        .map(|(path, raw)| fields::text(raw, || path.clone()))
        .collect()
}

/// Reads the effort and the wanted form of the answer, which beta clients write at the top
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>).
fn output_config(
    fields: &mut Fields<'_>,
    kept: &mut Kept,
) -> Result<(Option<domain::chat::Effort>, OutputFormat), InvalidRequest> {
    let mut effort = None;
    let mut format = None;
    if let Some(mut config) = fields.object("output_config")? {
        effort = thinking::effort(&mut config)?;
        format = config.object("format")?;
        config.keep_rest(&mut kept.extensions);
    }
    let older = fields.object("output_format")?;
    let Some(mut format) = format.or(older) else {
        return Ok((effort, OutputFormat::Text));
    };
    let path = format.path().to_owned();
    let kind = format.required_text("type")?;
    if kind != "json_schema" {
        return Err(format.unknown_word("type", &kind, "`json_schema`"));
    }
    let schema = format
        .raw_object("schema")?
        .ok_or_else(|| format.missing("schema", "a JSON Schema"))?;
    format.keep_rest(&mut kept.extensions);
    let inner = "response_format.json_schema";
    kept.paths.insert("response_format", path.clone());
    kept.paths.insert(inner, path.clone());
    kept.paths
        .insert(format!("{inner}.schema"), format!("{path}.schema"));
    // Anthropic enforces every schema; others only those in which nothing is left open.
    let strict = serde_json::from_str(schema.get())
        .is_ok_and(|schema: Value| is_closed(&schema))
        .then_some(true);
    let output = OutputFormat::JsonSchema {
        name: SCHEMA_NAME.to_owned(),
        description: None,
        schema,
        strict,
    };
    Ok((effort, output))
}

/// Whether every object of a schema names all its properties as required and takes no others, which is
/// what other providers demand of a schema that they enforce.
fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Array(items) => items.iter().all(is_closed),
        Value::Object(fields) => {
            let properties = fields.get("properties").and_then(Value::as_object);
            let required = fields.get("required").and_then(Value::as_array);
            let is_required = |name: &String| {
                required.is_some_and(|names| names.iter().any(|named| named == name))
            };
            let own = properties.is_none_or(|properties| {
                fields.get("additionalProperties") == Some(&Value::Bool(false))
                    && properties.keys().all(is_required)
            });
            own && fields.values().all(is_closed)
        }
        _ => true,
    }
}

fn user(fields: &mut Fields<'_>, kept: &mut Kept) -> Result<Option<String>, InvalidRequest> {
    let Some(mut metadata) = fields.object("metadata")? else {
        return Ok(None);
    };
    let user = metadata.text("user_id")?;
    kept.paths.insert("user", "metadata.user_id");
    metadata.keep_rest(&mut kept.extensions);
    Ok(user)
}

/// `auto`, the default, uses whatever capacity the account has: it asks for nothing that others would have
/// to be told (<https://platform.claude.com/docs/en/api/service-tiers>).
fn service_tier(fields: &mut Fields<'_>) -> Result<Option<ServiceTier>, InvalidRequest> {
    match fields.text("service_tier")?.as_deref() {
        None | Some("auto") => Ok(None),
        Some("standard_only") => Ok(Some(ServiceTier::Standard)),
        Some(other) => {
            let known = "`auto` and `standard_only`";
            Err(fields.unknown_word("service_tier", other, known))
        }
    }
}

/// Beta features that the caller asks for by the header field, kept under the field's own name.
fn keep_betas(headers: &HeaderMap, extensions: &mut Extensions) {
    const FIELD: &str = "anthropic-beta";
    let betas = super::super::betas::asked_for(headers);
    if !betas.is_empty() {
        let raw: Box<RawValue> = to_raw_value(&betas).unwrap_or_default();
        extensions.insert(FIELD.to_owned(), raw);
    }
}
