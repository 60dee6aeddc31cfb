//! Reads a whole request into the domain. Strict: what is known must have its type; what is unknown is
//! kept by its path in [`ChatRequest::extensions`], so that a translation can pass it on or report it.

use domain::chat::{
    CacheControl, ChatRequest, Effort, Extensions, Logprobs, OutputFormat, ReasoningRequest,
    Sampling, Tool, ToolChoice,
};
use serde_json::value::RawValue;

use super::fields::{self, Fields, Kind};
use super::{envelope, parse_message};
use crate::dialect::Format;
use crate::face::InvalidRequest;

/// The format's name in the domain's `Unknown` and `Hosted` items.
pub(super) const FORMAT: &str = Format::OpenaiChat.as_str();

/// Reads a request body.
pub(super) fn request(body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let mut fields = Fields::read_body(envelope::text(body)?)?;
    refuse_retired(&mut fields)?;
    let Some(model) = fields.take("model") else {
        return Err(fields.missing("model", "the name of a model"));
    };
    let mut request = ChatRequest::new(envelope::model_name(model)?);
    let mut extensions = Extensions::new();

    request.messages = messages(&mut fields, &mut extensions)?;
    request.tools = tools(&mut fields, &mut extensions)?;
    request.tool_choice = tool_choice(&mut fields, &mut extensions)?;
    request.parallel_tool_calls = fields.flag("parallel_tool_calls")?;
    request.max_output_tokens = max_output_tokens(&mut fields)?;
    request.sampling = sampling(&mut fields)?;
    request.stop = stop(&mut fields)?;
    request.choices = envelope::choices(&mut fields)?;
    request.output = output(&mut fields, &mut extensions)?;
    request.reasoning = reasoning(&mut fields, &mut extensions)?;
    request.logprobs = logprobs(&mut fields)?;
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
    if let Some(mut options) = fields.object("stream_options")? {
        request.stream_usage = options.flag("include_usage")?.unwrap_or(false);
        options.keep_rest(&mut extensions);
    }
    fields.keep_rest(&mut extensions);
    request.extensions = extensions;
    Ok(request)
}

/// The function-calling interface before `tools` is not translated: half of it would be lost.
fn refuse_retired(fields: &mut Fields<'_>) -> Result<(), InvalidRequest> {
    for (retired, instead) in [("functions", "tools"), ("function_call", "tool_choice")] {
        if fields.take(retired).is_some() {
            return Err(InvalidRequest::of(
                retired,
                format!("`{retired}` is retired and cannot be translated; use `{instead}`."),
            ));
        }
    }
    Ok(())
}

fn messages(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<domain::chat::Message>, InvalidRequest> {
    let messages = fields
        .list("messages")?
        .ok_or_else(|| fields.missing("messages", "an array of at least one message"))?;
    if messages.is_empty() {
        return Err(InvalidRequest::of(
            "messages",
            "`messages` is empty; it must be an array of at least one message.",
        ));
    }
    messages
        .into_iter()
        .map(|(path, raw)| parse_message::message(Fields::read(raw, path)?, extensions))
        .collect()
}

fn tools(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Tool>, InvalidRequest> {
    fields
        .list("tools")?
        .unwrap_or_default()
        .into_iter()
        .map(|(path, raw)| tool(path, raw, extensions))
        .collect()
}

fn tool(path: String, raw: &RawValue, extensions: &mut Extensions) -> Result<Tool, InvalidRequest> {
    let mut fields = Fields::read(raw, path)?;
    let kind = fields.required_text("type")?;
    if kind != "function" {
        return Ok(Tool::Hosted {
            format: FORMAT,
            kind,
            raw: raw.to_owned(),
        });
    }
    let mut function = fields.required_object("function")?;
    let cache = match cache_control(&mut fields)? {
        Some(cache) => Some(cache),
        None => cache_control(&mut function)?,
    };
    let tool = Tool::Function {
        name: function.required_text("name")?,
        description: function.text("description")?,
        parameters: function.raw_object("parameters")?,
        strict: function.flag("strict")?,
        cache,
    };
    function.keep_rest(extensions);
    fields.keep_rest(extensions);
    Ok(tool)
}

/// Reads a prompt-cache breakpoint in Anthropic's words, which hosts accept on parts and tools.
pub(super) fn cache_control(
    fields: &mut Fields<'_>,
) -> Result<Option<CacheControl>, InvalidRequest> {
    let Some(mut control) = fields.object("cache_control")? else {
        return Ok(None);
    };
    let kind = control.required_text("type")?;
    if kind != "ephemeral" {
        return Err(control.unknown_word("type", &kind, "`ephemeral`"));
    }
    match control.text("ttl")?.as_deref() {
        None | Some("5m") => Ok(Some(CacheControl::FiveMinutes)),
        Some("1h") => Ok(Some(CacheControl::OneHour)),
        Some(other) => Err(control.unknown_word("ttl", other, "`5m` and `1h`")),
    }
}

fn tool_choice(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<ToolChoice>, InvalidRequest> {
    const KNOWN: &str = "`auto`, `none`, `required` and an object with a `type`";
    let Some(raw) = fields.take("tool_choice") else {
        return Ok(None);
    };
    if Kind::of(raw.get()) == Some(Kind::Text) {
        let word = fields::text(raw, || "tool_choice".to_owned())?;
        return match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            // `any` is Mistral's word.
            "required" | "any" => Ok(Some(ToolChoice::Required)),
            other => Err(fields.unknown_word("tool_choice", other, KNOWN)),
        };
    }
    let mut choice = Fields::read(raw, "tool_choice".to_owned())?;
    match choice.required_text("type")?.as_str() {
        "function" => {
            let mut function = choice.required_object("function")?;
            let name = function.required_text("name")?;
            function.keep_rest(extensions);
            choice.keep_rest(extensions);
            Ok(Some(ToolChoice::Named(name)))
        }
        "allowed_tools" => allowed_tools(choice, extensions).map(Some),
        // A choice of a hosted tool means something to this format only.
        _ => {
            fields.put_back("tool_choice", raw);
            Ok(None)
        }
    }
}

fn allowed_tools(
    mut choice: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<ToolChoice, InvalidRequest> {
    let mut allowed = choice.required_object("allowed_tools")?;
    let required = match allowed.required_text("mode")?.as_str() {
        "auto" => false,
        "required" => true,
        other => return Err(allowed.unknown_word("mode", other, "`auto` and `required`")),
    };
    let tools = allowed
        .list("tools")?
        .ok_or_else(|| allowed.missing("tools", "an array of tools"))?;
    let mut names = Vec::with_capacity(tools.len());
    for (path, raw) in tools {
        let mut tool = Fields::read(raw, path)?;
        let kind = tool.required_text("type")?;
        if kind != "function" {
            return Err(tool.unknown_word("type", &kind, "`function`"));
        }
        names.push(tool.required_object("function")?.required_text("name")?);
    }
    allowed.keep_rest(extensions);
    choice.keep_rest(extensions);
    Ok(ToolChoice::Allowed { names, required })
}

/// `max_completion_tokens` is the newer name; who sends both means it, and the other one is kept.
fn max_output_tokens(fields: &mut Fields<'_>) -> Result<Option<u64>, InvalidRequest> {
    let newer = envelope::bound(fields, "max_completion_tokens")?;
    let raw = fields.look("max_tokens");
    let older = envelope::bound(fields, "max_tokens")?;
    if newer.is_some()
        && let Some(raw) = raw
    {
        fields.put_back("max_tokens", raw);
    }
    Ok(newer.or(older))
}

fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, InvalidRequest> {
    Ok(Sampling {
        temperature: within(fields, "temperature", 2.0)?,
        top_p: within(fields, "top_p", 1.0)?,
        top_k: fields.integer("top_k", "a non-negative integer")?,
        seed: fields.integer("seed", "an integer")?,
        frequency_penalty: fields.number("frequency_penalty")?,
        presence_penalty: fields.number("presence_penalty")?,
        logit_bias: fields.raw_object("logit_bias")?,
    })
}

/// A number from 0 to `max`, as the vendor bounds it.
pub(super) fn within(
    fields: &mut Fields<'_>,
    name: &'static str,
    max: f64,
) -> Result<Option<f64>, InvalidRequest> {
    let number = fields.number(name)?;
    if number.is_some_and(|number| !(0.0..=max).contains(&number)) {
        let detail = format!("`{name}` must be a number from 0 to {max}.");
        return Err(InvalidRequest::of(name, detail));
    }
    Ok(number)
}

pub(super) fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, InvalidRequest> {
    let Some(raw) = fields.take("stop") else {
        return Ok(Vec::new());
    };
    match Kind::of(raw.get()) {
        Some(Kind::Text) => Ok(vec![fields::text(raw, || "stop".to_owned())?]),
        Some(Kind::List) => fields::list(raw, "stop")?
            .into_iter()
            .map(|(path, raw)| fields::text(raw, || path.clone()))
            .collect(),
        _ => Err(fields.wrong_type("stop", "a string or an array of strings", raw.get())),
    }
}

fn output(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<OutputFormat, InvalidRequest> {
    let Some(mut format) = fields.object("response_format")? else {
        return Ok(OutputFormat::Text);
    };
    let output = match format.required_text("type")?.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::JsonObject,
        "json_schema" => {
            let mut schema = format.required_object("json_schema")?;
            let output = OutputFormat::JsonSchema {
                name: schema.required_text("name")?,
                description: schema.text("description")?,
                schema: schema
                    .raw_object("schema")?
                    .ok_or_else(|| schema.missing("schema", "a JSON Schema"))?,
                strict: schema.flag("strict")?,
            };
            schema.keep_rest(extensions);
            output
        }
        other => {
            let known = "`text`, `json_object` and `json_schema`";
            return Err(format.unknown_word("type", other, known));
        }
    };
    format.keep_rest(extensions);
    Ok(output)
}

/// Reads `reasoning_effort`, and the objects by which other hosts say more: `reasoning` (OpenRouter:
/// `effort`, `max_tokens`, `exclude`, `enabled`) and `thinking` (Anthropic: `type`, `budget_tokens`).
fn reasoning(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<ReasoningRequest, InvalidRequest> {
    let mut asked = ReasoningRequest {
        effort: effort(fields, "reasoning_effort")?,
        budget_tokens: None,
        include_thoughts: fields.flag("include_reasoning")?,
    };
    if let Some(mut reasoning) = fields.object("reasoning")? {
        let path = reasoning.path_of("effort");
        let effort = effort(&mut reasoning, "effort")?;
        if effort.is_some() && asked.effort.is_some() && effort != asked.effort {
            return Err(InvalidRequest::of(
                path.clone(),
                format!("`{path}` contradicts `reasoning_effort`."),
            ));
        }
        asked.effort = asked.effort.or(effort);
        asked.budget_tokens = reasoning.integer("max_tokens", "a positive integer")?;
        if let Some(exclude) = reasoning.flag("exclude")? {
            asked.include_thoughts = Some(!exclude);
        }
        if reasoning.flag("enabled")? == Some(false) {
            asked.effort = Some(Effort::None);
        }
        reasoning.keep_rest(extensions);
    }
    if let Some(mut thinking) = fields.object("thinking")? {
        let kind = thinking.required_text("type")?;
        match kind.as_str() {
            "disabled" => asked.effort = Some(Effort::None),
            "enabled" | "adaptive" => {}
            other => {
                let known = "`enabled`, `disabled` and `adaptive`";
                return Err(thinking.unknown_word("type", other, known));
            }
        }
        if let Some(budget) = thinking.integer("budget_tokens", "a positive integer")? {
            asked.budget_tokens = Some(budget);
        } else if kind == "enabled" || kind == "adaptive" {
            asked.include_thoughts = asked.include_thoughts.or(Some(true));
        }
        thinking.keep_rest(extensions);
    }
    Ok(asked)
}

pub(super) fn effort(
    fields: &mut Fields<'_>,
    name: &str,
) -> Result<Option<Effort>, InvalidRequest> {
    let Some(word) = fields.text(name)? else {
        return Ok(None);
    };
    let effort = match word.as_str() {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" => Effort::ExtraHigh,
        "max" => Effort::Max,
        other => {
            let known = "`none`, `minimal`, `low`, `medium`, `high`, `xhigh` and `max`";
            return Err(fields.unknown_word(name, other, known));
        }
    };
    Ok(Some(effort))
}

fn logprobs(fields: &mut Fields<'_>) -> Result<Option<Logprobs>, InvalidRequest> {
    const EXPECTED: &str = "an integer from 0 to 20";
    let wanted = fields.flag("logprobs")?.unwrap_or(false);
    let alternatives: Option<u8> = fields.integer("top_logprobs", EXPECTED)?;
    match alternatives {
        Some(21..) => Err(InvalidRequest::of(
            "top_logprobs",
            format!("`top_logprobs` must be {EXPECTED}."),
        )),
        Some(1..) if !wanted => Err(InvalidRequest::of(
            "top_logprobs",
            "`top_logprobs` is only allowed when `logprobs` is true.",
        )),
        _ => Ok(wanted.then_some(Logprobs {
            alternatives: alternatives.unwrap_or(0),
        })),
    }
}
