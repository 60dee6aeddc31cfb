//! The rules of a messages request.
//! See <https://docs.claude.com/en/api/messages>.

use serde_json::{Value, json};

use super::check::{bad, boolean, integer, list, object, one_of, plain, required, text};
use super::content::Reader;
use super::model::{Class, own_name};
use super::thinking::{self, SAMPLING};
use super::tools::{self, Tools};
use super::turns::{self, Turns};
use crate::bedrock;
use crate::cache::MarkedPrefix;
use crate::digest::Digest;
use crate::node::Node;
use crate::prompt::{Choice, Habits, Output, Prompt, Reasoning};
use crate::record::Host;
use crate::vendor::{Ask, Failure, Framing, field};
use crate::vertex;

/// What a call that only counts takes.
const COUNTED: [&str; 11] = [
    "model",
    "messages",
    "cache_control",
    "context_management",
    "mcp_servers",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];
const PARAMETERS: [&str; 22] = [
    "model",
    "messages",
    "max_tokens",
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "mcp_servers",
    "metadata",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "thinking",
    "tool_choice",
    "tools",
    "temperature",
    "top_p",
    "top_k",
];
/// The version of the API in which models take no sampling parameters; clouds know it by the same name.
const LATEST: &str = "2026-10-21";
/// The largest request, in bytes (<https://docs.claude.com/en/api/errors#request-size-limits>).
const LARGEST: usize = 32 * 1024 * 1024;

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let root = Node::root(ask.body);
    let takes_sampling = takes_sampling(ask, &root)?;
    known_parameters(&root, ask.host, takes_sampling)?;
    let (model, class, output_limit) = model(ask, &root)?;
    let messages = required(&root, "messages")?;
    let prefix = MarkedPrefix::new(Digest::new(ask.seed).with(model.as_bytes()));
    let mut reader = Reader {
        prefix,
        seed: ask.seed,
    };
    let tools = tools::read(&root, &mut reader)?;
    turns::system(&root, &mut reader)?;
    let turns = turns::read(&messages, class, &mut reader)?;
    reader.mark(&root)?;
    sizes(&reader.prefix, class)?;
    let output = output_config(&root, class, own_name(model))?;
    let reasoning = thinking::read(&root, class, output_limit)?;
    if reasoning != Reasoning::Off {
        thinking::fits(&tools, &turns)?;
    }
    thinking::sampling(&root, class, own_name(model), reasoning)?;
    bookkeeping(&root)?;
    let habits = Habits {
        prefaces_calls: matches!(tools.choice, Choice::Auto(_)),
        ..Habits::default()
    };
    Ok(Prompt {
        model: model.to_owned(),
        digest: digest(ask.seed, model, &turns, &tools),
        said: turns.said,
        begun: turns.begun,
        habits,
        choice: tools.choice,
        parallel: tools.parallel,
        tools: tools.list,
        results: turns.results,
        output,
        output_limit: Some(output_limit),
        stops: stops(&root)?,
        reasoning,
        choices: 1,
        stream: streaming(ask, &root, output_limit)?,
        reports_usage: true,
        input: reader.prefix.tokens(),
        media_input: 0,
        prefix: reader.prefix.finish(),
    })
}

/// `POST /v1/messages/count_tokens`: <https://docs.claude.com/en/api/messages-count-tokens>.
pub(super) fn count(ask: &Ask<'_>) -> Result<Value, Failure> {
    let root = Node::root(ask.body);
    // Google's own example names no version here, and Anthropic's client does.
    if ask.host != Host::Vertex || root.present("anthropic_version").is_some() {
        takes_sampling(ask, &root)?;
    }
    let mut known = COUNTED.to_vec();
    known.extend(cloud_parameters(ask.host));
    object(&root, &known)?;
    let model = text(&required(&root, "model")?)?;
    let class = class(ask, model)?;
    let messages = required(&root, "messages")?;
    let mut reader = Reader {
        prefix: MarkedPrefix::new(Digest::new(ask.seed)),
        seed: ask.seed,
    };
    let tools = tools::read(&root, &mut reader)?;
    turns::system(&root, &mut reader)?;
    let turns = turns::read(&messages, class, &mut reader)?;
    sizes(&reader.prefix, class)?;
    output_config(&root, class, model)?;
    if thinking::read(&root, class, class.most_output())? != Reasoning::Off {
        thinking::fits(&tools, &turns)?;
    }
    Ok(json!({"input_tokens": reader.prefix.tokens()}))
}

/// What a cloud passes on from a request in a format of its own.
pub(super) fn thinking_of(
    fields: &Value,
    model: &str,
    output_limit: u64,
) -> Result<Reasoning, Failure> {
    let root = Node::root(fields);
    let mut known = vec![
        "anthropic_beta",
        "container",
        "context_management",
        "metadata",
        "output_config",
        "thinking",
        "tool_choice",
    ];
    known.extend(SAMPLING);
    object(&root, &known)?;
    let name = own_name(model);
    let class = Class::of(name).ok_or_else(|| super::error::unknown_model(model))?;
    output_config(&root, class, name)?;
    let reasoning = thinking::read(&root, class, output_limit)?;
    thinking::sampling(&root, class, name, reasoning)?;
    Ok(reasoning)
}

fn known_parameters(root: &Node<'_, '_>, host: Host, takes_sampling: bool) -> Result<(), Failure> {
    let kept = if takes_sampling { 0 } else { SAMPLING.len() };
    let mut known = PARAMETERS
        .get(..PARAMETERS.len() - kept)
        .unwrap_or_default()
        .to_vec();
    known.extend(cloud_parameters(host));
    // A path that names the model, or the kind of answer, leaves no room for it in the body.
    known.retain(|key| match *key {
        "model" => !is_cloud(host),
        "stream" => host != Host::Bedrock,
        _ => true,
    });
    object(root, &known)
}

/// What bodies hold where others serve the format: the version, and the betas that are a field elsewhere.
fn cloud_parameters(host: Host) -> &'static [&'static str] {
    match host {
        Host::Vertex => &["anthropic_version"],
        Host::Bedrock => &["anthropic_version", "anthropic_beta"],
        _ => &[],
    }
}

const fn is_cloud(host: Host) -> bool {
    matches!(host, Host::Vertex | Host::Bedrock)
}

fn class(ask: &Ask<'_>, model: &str) -> Result<Class, Failure> {
    let is_served = ask.host != Host::Bedrock || model.contains("anthropic.");
    let class = Class::of(own_name(model)).filter(|_| is_served);
    class.ok_or_else(|| match ask.host {
        Host::Vertex => vertex::no_publisher_model(ask.head),
        Host::Bedrock => bedrock::unknown_model(),
        _ => super::error::unknown_model(model),
    })
}

/// The model, its class, and how much it may say.
fn model<'v>(ask: &Ask<'v>, root: &Node<'v, '_>) -> Result<(&'v str, Class, u64), Failure> {
    let model = match ask.path_model {
        Some(model) => model,
        None => text(&required(root, "model")?)?,
    };
    let limit = required(root, "max_tokens")?;
    let output_limit = integer(&limit, 0)?;
    let class = class(ask, model)?;
    let most = class.most_output();
    if output_limit > most {
        let problem = format!(
            "{output_limit} > {most}, which is the maximum allowed number of output tokens for {model}"
        );
        return Err(bad(&limit, &problem));
    }
    Ok((model, class, output_limit))
}

fn sizes(prefix: &MarkedPrefix, class: Class) -> Result<(), Failure> {
    let (marks, tokens, most) = (prefix.marks(), prefix.tokens(), class.context());
    if marks > 4 {
        return Err(plain(format!(
            "A maximum of 4 blocks with cache_control may be provided. Found {marks}."
        )));
    }
    if tokens > most {
        return Err(plain(format!(
            "prompt is too long: {tokens} tokens > {most} maximum"
        )));
    }
    Ok(())
}

fn streaming(
    ask: &Ask<'_>,
    root: &Node<'_, '_>,
    output_limit: u64,
) -> Result<Option<Framing>, Failure> {
    let streams = root
        .get("stream")
        .map(|stream| boolean(&stream))
        .transpose()?
        .unwrap_or(false);
    if streams && output_limit == 0 {
        return Err(plain(
            "max_tokens: Input should be greater than or equal to 1 when `stream` is true",
        ));
    }
    Ok(if is_cloud(ask.host) {
        ask.path_framing
    } else {
        streams.then_some(Framing::Events)
    })
}

/// Checks the request's size and its version of the API; the latest has no sampling parameters.
fn takes_sampling(ask: &Ask<'_>, root: &Node<'_, '_>) -> Result<bool, Failure> {
    if ask.bytes > LARGEST {
        return Err(Failure::new(
            413,
            "request_too_large",
            "Request exceeds the maximum size",
        ));
    }
    let version = match ask.host {
        Host::Vertex => vertex::ANTHROPIC_VERSION,
        Host::Bedrock => bedrock::ANTHROPIC_VERSION,
        _ => return version_field(ask),
    };
    let version = one_of(&required(root, "anthropic_version")?, &[version, LATEST])?;
    if let Some(betas) = root
        .get("anthropic_beta")
        .filter(|_| ask.host == Host::Bedrock)
    {
        list(&betas)?;
        for beta in betas.items() {
            bedrock::known_beta(text(&beta)?)?;
        }
    }
    Ok(version != LATEST)
}

fn version_field(ask: &Ask<'_>) -> Result<bool, Failure> {
    match field(ask.head, "anthropic-version") {
        None => Err(plain("anthropic-version: header is required")),
        Some("2023-06-01") => Ok(true),
        Some(LATEST) => Ok(false),
        Some(other) => Err(plain(format!(
            "anthropic-version: \"{other}\" is not a valid version"
        ))),
    }
}

fn output_config(root: &Node<'_, '_>, class: Class, model: &str) -> Result<Output, Failure> {
    let Some(config) = root.get("output_config") else {
        return Ok(Output::Text);
    };
    object(&config, &["effort", "format", "task_budget"])?;
    if let Some(effort) = config.present("effort") {
        let effort = one_of(&effort, &["low", "medium", "high", "xhigh", "max"])?;
        if !class.takes_effort(model) {
            return Err(plain("This model does not support the effort parameter."));
        }
        if (effort == "xhigh" && class != Class::Adaptive)
            || (effort == "max" && class == Class::Budget)
        {
            return Err(plain(format!(
                "output_config.effort: effort level '{effort}' is not supported by this model"
            )));
        }
    }
    config.present("format").map_or(Ok(Output::Text), |format| {
        tools::output_schema(&format).map(Output::Schema)
    })
}

fn stops(root: &Node<'_, '_>) -> Result<Vec<String>, Failure> {
    let Some(stops) = root.get("stop_sequences") else {
        return Ok(Vec::new());
    };
    list(&stops)?;
    let mut sequences = Vec::new();
    for stop in stops.items() {
        let stop = text(&stop)?;
        if stop.trim().is_empty() {
            return Err(plain(
                "stop_sequences: each stop sequence must contain non-whitespace",
            ));
        }
        sequences.push(stop.to_owned());
    }
    Ok(sequences)
}

/// The parameters that change nothing of the answer but must be right.
fn bookkeeping(root: &Node<'_, '_>) -> Result<(), Failure> {
    if let Some(metadata) = root.get("metadata") {
        object(&metadata, &["user_id"])?;
        if let Some(user) = metadata.present("user_id")
            && text(&user)?.chars().count() > 256
        {
            return Err(bad(&user, "String should have at most 256 characters"));
        }
    }
    if let Some(tier) = root.get("service_tier") {
        one_of(&tier, &["auto", "standard_only"])?;
    }
    if let Some(speed) = root.present("speed") {
        one_of(&speed, &["standard", "fast"])?;
    }
    if let Some(geography) = root.present("inference_geo") {
        text(&geography)?;
    }
    if let Some(diagnostics) = root.present("diagnostics") {
        object(&diagnostics, &["previous_message_id"])?;
    }
    if let Some(container) = root.present("container")
        && container.text().is_none()
    {
        object(&container, &["id", "skills"])?;
    }
    Ok(())
}

fn digest(seed: u64, model: &str, turns: &Turns, tools: &Tools) -> Digest {
    let mut digest = Digest::new(seed)
        .with(model.as_bytes())
        .with(turns.said.as_bytes())
        .with_number(turns.count as u64);
    for result in &turns.results {
        digest = digest.with(result.text.as_bytes());
    }
    for tool in &tools.list {
        digest = digest.with(tool.name.as_bytes());
    }
    digest
}
