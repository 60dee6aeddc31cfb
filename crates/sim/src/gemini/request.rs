//! The rules of a generation request.
//! See <https://ai.google.dev/api/generate-content>.

use serde_json::{Value, json};

use super::check::{field, integer, number, plain, snake_path, text_of};
use super::contents::{self, Contents};
use super::model::{CONTEXT, Class, MOST_OUTPUT};
use super::shape::{self, listed};
use super::tools::{self, Tools};
use crate::cache::{self, Prefix};
use crate::digest::Digest;
use crate::node::Node;
use crate::prompt::{Choice, Habits, Output, Prompt, Reasoning};
use crate::record::Host;
use crate::vendor::{Ask, Failure};
use crate::vertex;

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let model = ask.path_model.unwrap_or_default();
    let class = class(ask, model)?;
    let root = Node::root(ask.body);
    if !ask.body.is_object() {
        return Err(plain(
            "Invalid JSON payload received. Unknown name \"\": Root element must be a message.",
        ));
    }
    shape::check(&root, ask.host)?;
    roles(ask, &root)?;
    let mut contents = contents::read(&root, class, ask.seed)?;
    contents::system(&root, &mut contents)?;
    let tools = tools::read(&root, class)?;
    if let Some(cached) = field(&root, "cached_content") {
        let name = cached.text().unwrap_or_default();
        return Err(Failure::new(
            403,
            "PERMISSION_DENIED",
            format!("CachedContent not found (or permission denied): {name}"),
        ));
    }
    let config = field(&root, "generation_config");
    let config = config.as_ref();
    let input = contents.text_tokens + contents.media_tokens + tools.tokens;
    if input > CONTEXT {
        return Err(plain(format!(
            "The input token count ({input}) exceeds the maximum number of tokens allowed ({CONTEXT})."
        )));
    }
    ranges(config)?;
    let output = output(config, class, &tools)?;
    Ok(Prompt {
        begun: String::new(),
        model: model.to_owned(),
        digest: digest(ask.seed, model, &contents, &tools),
        prefix: prefix(
            ask.body,
            Digest::new(ask.seed).with(model.as_bytes()),
            input,
        ),
        said: contents.said,
        choice: if tools.list.is_empty() {
            Choice::None
        } else {
            tools.choice
        },
        parallel: true,
        tools: tools.list,
        results: contents.results,
        output,
        output_limit: output_limit(config)?,
        stops: stops(config)?,
        reasoning: thinking(config, class)?,
        habits: Habits {
            signs_calls: class.signs_calls(),
            ..Habits::default()
        },
        choices: candidates(config)?,
        stream: ask.path_framing,
        reports_usage: true,
        input,
        media_input: contents.media_tokens,
    })
}

fn class(ask: &Ask<'_>, model: &str) -> Result<Class, Failure> {
    Class::of(model).ok_or_else(|| {
        if ask.host == Host::Vertex {
            vertex::no_publisher_model(ask.head)
        } else {
            super::error::unknown_model(model)
        }
    })
}

/// Vertex AI wants every content's role, where the Gemini API takes none for the user's.
fn roles(ask: &Ask<'_>, root: &Node<'_, '_>) -> Result<(), Failure> {
    let Some(contents) = field(root, "contents").filter(|_| ask.host == Host::Vertex) else {
        return Ok(());
    };
    if listed(&contents)
        .iter()
        .any(|content| text_of(content, "role").is_empty())
    {
        return Err(plain("Please use a valid role: user, model."));
    }
    Ok(())
}

/// `POST …:countTokens`: <https://ai.google.dev/api/tokens#method:-models.counttokens>.
pub(super) fn count(ask: &Ask<'_>) -> Result<Value, Failure> {
    let model = ask.path_model.unwrap_or_default();
    let class = class(ask, model)?;
    let root = Node::root(ask.body);
    shape::check_count(&root, ask.host)?;
    let whole = field(&root, "generate_content_request");
    let request = whole.as_ref().unwrap_or(&root);
    roles(ask, request)?;
    let mut contents = contents::read(request, class, ask.seed)?;
    contents::system(request, &mut contents)?;
    let text = contents.text_tokens + tools::read(request, class)?.tokens;
    let media = contents.media_tokens;
    let mut details = vec![json!({"modality": "TEXT", "tokenCount": text})];
    if media > 0 {
        details.push(json!({"modality": "IMAGE", "tokenCount": media}));
    }
    Ok(json!({"totalTokens": text + media, "promptTokensDetails": details}))
}

fn output_limit(config: Option<&Node<'_, '_>>) -> Result<Option<u64>, Failure> {
    let Some(limit) = config.and_then(|config| field(config, "max_output_tokens")) else {
        return Ok(None);
    };
    let limit = integer(&limit);
    if !(1..=MOST_OUTPUT).contains(&limit) {
        return Err(plain(format!(
            "Unable to submit request because it has a maxOutputTokens value of {limit} but the supported range is from 1 (inclusive) to {} \
             (exclusive). Update the value and try again.",
            MOST_OUTPUT + 1
        )));
    }
    Ok(Some(limit.unsigned_abs()))
}

fn ranges(config: Option<&Node<'_, '_>>) -> Result<(), Failure> {
    let Some(config) = config else { return Ok(()) };
    for (name, least, most) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
        ("logprobs", 0.0, 20.0),
    ] {
        if let Some(value) = field(config, name)
            && !(least..=most).contains(&number(&value))
        {
            let place = snake_path(&value);
            return Err(plain(format!(
                "* GenerateContentRequest.{place}: {name} must be in the range [{least:.1}, {most:.1}].\n"
            )));
        }
    }
    if let Some(top_k) = field(config, "top_k")
        && integer(&top_k) < 1
    {
        return Err(plain(format!(
            "* GenerateContentRequest.{}: top_k must be positive.\n",
            snake_path(&top_k)
        )));
    }
    let wants_logprobs =
        field(config, "response_logprobs").is_some_and(|wanted| *wanted.value == true);
    if field(config, "logprobs").is_some() && !wants_logprobs {
        return Err(plain(
            "logprobs is only allowed when response_logprobs is true.",
        ));
    }
    if let Some(modalities) = field(config, "response_modalities")
        && let Some(other) = listed(&modalities)
            .iter()
            .filter_map(Node::text)
            .find(|modality| !modality.eq_ignore_ascii_case("text"))
    {
        return Err(plain(format!(
            "Model does not support the requested response modalities: {}",
            other.to_ascii_lowercase()
        )));
    }
    Ok(())
}

fn candidates(config: Option<&Node<'_, '_>>) -> Result<usize, Failure> {
    let Some(count) = config.and_then(|config| field(config, "candidate_count")) else {
        return Ok(1);
    };
    match usize::try_from(integer(&count)) {
        Ok(count @ 1..=8) => Ok(count),
        _ => Err(plain(format!(
            "* GenerateContentRequest.{}: candidate_count must be in the range [1, 8].\n",
            snake_path(&count)
        ))),
    }
}

fn stops(config: Option<&Node<'_, '_>>) -> Result<Vec<String>, Failure> {
    let Some(stops) = config.and_then(|config| field(config, "stop_sequences")) else {
        return Ok(Vec::new());
    };
    let sequences: Vec<String> = listed(&stops)
        .iter()
        .filter_map(Node::text)
        .map(str::to_owned)
        .collect();
    let refuse = |problem: &str| {
        Err(plain(format!(
            "* GenerateContentRequest.{}: {problem}\n",
            snake_path(&stops)
        )))
    };
    if sequences.len() > 5 {
        return refuse("the number of stop sequences must be at most 5.");
    }
    if sequences.iter().any(String::is_empty) {
        return refuse("stop sequences must not be empty.");
    }
    Ok(sequences)
}

fn output(config: Option<&Node<'_, '_>>, class: Class, tools: &Tools) -> Result<Output, Failure> {
    let Some(config) = config else {
        return Ok(Output::Text);
    };
    let kind = text_of(config, "response_mime_type");
    let schema = tools::response_schema(config)?;
    match kind {
        "" | "text/plain" if schema.is_some() => Err(plain(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response_mime_type is application/json or text/x.enum.\n",
        )),
        "" | "text/plain" => Ok(Output::Text),
        "application/json" | "text/x.enum" => {
            if !tools.list.is_empty() && !class.joins_tools_and_json() {
                return Err(plain(format!(
                    "Function calling with a response mime type: '{kind}' is unsupported"
                )));
            }
            Ok(schema.map_or(Output::Json, Output::Schema))
        }
        _ => Err(plain(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are `text/plain`, `application/json` and `text/x.enum`.\n",
        )),
    }
}

fn thinking(config: Option<&Node<'_, '_>>, class: Class) -> Result<Reasoning, Failure> {
    let always = || match class {
        Class::Level => Reasoning::Hidden { tokens: 96 },
        Class::AlwaysBudget => Reasoning::Hidden { tokens: 128 },
        Class::Plain | Class::Budget => Reasoning::Off,
    };
    let Some(thinking) = config.and_then(|config| field(config, "thinking_config")) else {
        return Ok(always());
    };
    if class == Class::Plain {
        return Err(plain("Thinking is not supported for this model."));
    }
    let is_shown = field(&thinking, "include_thoughts").is_some_and(|shown| *shown.value == true);
    let budget = field(&thinking, "thinking_budget").map(|budget| integer(&budget));
    let level = field(&thinking, "thinking_level").and_then(|level| level.text());
    let tokens = match (budget, level) {
        (Some(_), Some(_)) => {
            return Err(plain(
                "You can only set only one of thinking budget and thinking level.",
            ));
        }
        (None, Some(_)) if class != Class::Level => {
            return Err(plain("Thinking level is not supported for this model."));
        }
        (None, Some(level)) => match level.to_ascii_uppercase().as_str() {
            "MINIMAL" => 16,
            "LOW" => 48,
            "MEDIUM" => 96,
            _ => 192,
        },
        (Some(0), None) if class == Class::AlwaysBudget => {
            return Err(plain(
                "Budget 0 is invalid. This model only works in thinking mode.",
            ));
        }
        (Some(0), None) => return Ok(always_off(class)),
        (Some(-1) | None, None) => 96,
        (Some(budget), None) => {
            let (least, most) = class.budgets();
            if !(least..=most).contains(&budget) {
                return Err(plain(format!(
                    "The thinking budget {budget} is invalid. Please choose a value between {least} and {most}."
                )));
            }
            budget.unsigned_abs()
        }
    };
    Ok(if is_shown {
        Reasoning::Shown { budget: tokens }
    } else {
        Reasoning::Hidden {
            tokens: tokens.min(96),
        }
    })
}

/// A budget of zero turns thinking off, or down where it cannot be off.
const fn always_off(class: Class) -> Reasoning {
    match class {
        Class::Level => Reasoning::Hidden { tokens: 16 },
        Class::Plain | Class::Budget | Class::AlwaysBudget => Reasoning::Off,
    }
}

fn digest(seed: u64, model: &str, contents: &Contents, tools: &Tools) -> Digest {
    let mut digest = Digest::new(seed)
        .with(model.as_bytes())
        .with(contents.said.as_bytes())
        .with_number(contents.count as u64);
    for result in &contents.results {
        digest = digest.with(result.text.as_bytes());
    }
    for tool in &tools.list {
        digest = digest.with(tool.name.as_bytes());
    }
    digest
}

/// What Google caches by itself: instruction and tools first, then contents.
fn prefix(body: &Value, digest: Digest, input: u64) -> Prefix {
    if input < cache::LEAST {
        return Prefix::None;
    }
    let root = Node::root(body);
    let text: String = ["system_instruction", "tools", "contents"]
        .into_iter()
        .filter_map(|name| field(&root, name))
        .map(|node| node.value.to_string())
        .collect();
    Prefix::automatic(digest, text.as_bytes(), input)
}
