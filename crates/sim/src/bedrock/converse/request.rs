//! The rules of a conversation with a model.
//! See <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>.

use serde_json::{Map, Value, json};

use super::content::{Reader, only, text_of};
use super::model::{Family, is_counted};
use super::turns::{self, Turns};
use super::{shape, structures};
use crate::anthropic::{self, Anthropic};
use crate::bedrock::{invalid, unknown_model};
use crate::cache::MarkedPrefix;
use crate::digest::Digest;
use crate::media;
use crate::node::Node;
use crate::prompt::{Choice, Habits, Output, Prompt, Reasoning, Tool};
use crate::vendor::{Ask, Failure, Format};

/// The most tokens of an answer when the request does not say.
const DEFAULT_OUTPUT: u64 = 4096;

pub(super) fn read(ask: &Ask<'_>) -> Result<Prompt, Failure> {
    let model = ask.path_model.unwrap_or_default();
    let family = Family::of(model).ok_or_else(unknown_model)?;
    let root = Node::root(ask.body);
    shape::check(&root, &structures::REQUEST)?;
    let mut reader = Reader {
        prefix: MarkedPrefix::new(Digest::new(ask.seed).with(model.as_bytes())),
        family,
        takes_system_messages: family == Family::Claude && anthropic::takes_system_messages(model),
        seed: ask.seed,
    };
    let mut tools = tools(&root, &mut reader)?;
    if family == Family::Claude {
        native_choice(&root, &mut tools)?;
    }
    system(&root, &mut reader)?;
    let turns = turns::read(root.present("messages").as_ref(), &mut reader)?;
    if turns.speaks_of_tools && root.present("toolConfig").is_none() {
        return Err(invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    let config = root.value.get("inferenceConfig").unwrap_or(&Value::Null);
    let output_limit = config["maxTokens"].as_u64();
    if let Some(limit) = output_limit.filter(|limit| *limit > family.most_output()) {
        return Err(invalid(format!(
            "The maximum tokens you requested exceeds the model limit of {}. Try again with a maximum tokens value that is lower than {}. \
             (requested {limit})",
            family.most_output(),
            family.most_output()
        )));
    }
    let reasoning = reasoning(&root, model, family, output_limit)?;
    if reasoning != Reasoning::Off && family == Family::Claude {
        thinking_fits(&tools.choice, &turns)?;
    }
    Ok(Prompt {
        begun: String::new(),
        model: model.to_owned(),
        digest: digest(ask.seed, model, &turns, &tools.list),
        said: turns.said,
        habits: Habits {
            prefaces_calls: family == Family::Claude && matches!(tools.choice, Choice::Auto(_)),
            speaks_refusals: family != Family::Claude,
            ..Habits::default()
        },
        choice: tools.choice,
        parallel: tools.parallel,
        tools: tools.list,
        results: turns.results,
        output: output(&root)?,
        output_limit: Some(output_limit.unwrap_or(DEFAULT_OUTPUT)),
        stops: stops(config),
        reasoning,
        choices: 1,
        stream: ask.path_framing,
        reports_usage: true,
        input: reader.prefix.tokens(),
        media_input: 0,
        prefix: reader.prefix.finish(),
    })
}

struct Tools {
    list: Vec<Tool>,
    choice: Choice,
    parallel: bool,
}

fn tools(root: &Node<'_, '_>, reader: &mut Reader) -> Result<Tools, Failure> {
    let mut tools = Tools {
        list: Vec::new(),
        choice: Choice::None,
        parallel: true,
    };
    let Some(config) = root.present("toolConfig") else {
        return Ok(tools);
    };
    if reader.family == Family::OpenReasoning {
        return Err(invalid("This model doesn't support tool use."));
    }
    let given = config.get("tools");
    for (index, tool) in given.iter().flat_map(Node::items).enumerate() {
        match only(&tool) {
            Some(("toolSpec", spec)) => {
                reader.words(&spec.value.to_string());
                let schema = &spec.value["inputSchema"]["json"];
                if schema["type"] != "object" {
                    return Err(invalid(format!(
                        "The value at toolConfig.tools.{index}.toolSpec.inputSchema.json.type must be one of the following: object."
                    )));
                }
                let name = text_of(&spec, "name");
                if tools.list.iter().any(|known| known.name == name) {
                    return Err(invalid(format!(
                        "The tool {name} is already defined at toolConfig.tools. Use another name and try again."
                    )));
                }
                tools.list.push(Tool {
                    name: name.to_owned(),
                    schema: schema.clone(),
                });
            }
            Some(("cachePoint", point)) => reader.cache_point(&point)?,
            Some((_, other)) => reader.words(&other.value.to_string()),
            None => {}
        }
    }
    let choice = config.present("toolChoice");
    tools.choice = match choice.as_ref().and_then(only) {
        None | Some(("auto", _)) => Choice::Auto(Vec::new()),
        Some(("any", _)) => Choice::Required(Vec::new()),
        Some((_, chosen)) => {
            let name = text_of(&chosen, "name");
            if !tools.list.iter().any(|tool| tool.name == name) {
                return Err(invalid(format!(
                    "The value at toolConfig.toolChoice.tool.name is not in toolConfig.tools: {name}"
                )));
            }
            Choice::Required(vec![name.to_owned()])
        }
    };
    Ok(tools)
}

/// Anthropic's own choice between tools, which says more than the format has words for.
fn native_choice(root: &Node<'_, '_>, tools: &mut Tools) -> Result<(), Failure> {
    let choice = &root.value["additionalModelRequestFields"]["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    tools.parallel = choice["disable_parallel_tool_use"] != true;
    tools.choice = match (choice["type"].as_str(), choice["name"].as_str()) {
        (Some("auto"), None) => Choice::Auto(Vec::new()),
        (Some("any"), None) => Choice::Required(Vec::new()),
        (Some("none"), None) => Choice::None,
        (Some("tool"), Some(name)) if tools.list.iter().any(|tool| tool.name == name) => {
            Choice::Required(vec![name.to_owned()])
        }
        _ => {
            return Err(invalid(
                "The model returned the following errors: tool_choice: Input should be a valid choice between the tools",
            ));
        }
    };
    Ok(())
}

fn system(root: &Node<'_, '_>, reader: &mut Reader) -> Result<(), Failure> {
    let given = root.present("system");
    for block in given.iter().flat_map(Node::items) {
        match only(&block) {
            Some(("text", words)) => reader.words(words.text().unwrap_or_default()),
            Some(("cachePoint", point)) => reader.cache_point(&point)?,
            Some((_, other)) => reader.words(&other.value.to_string()),
            None => {}
        }
    }
    Ok(())
}

/// What is said about thinking, with the model's own rules for what is passed on to it.
fn reasoning(
    root: &Node<'_, '_>,
    model: &str,
    family: Family,
    output_limit: Option<u64>,
) -> Result<Reasoning, Failure> {
    match family {
        Family::Claude => {
            let fields = claude_fields(root.value);
            anthropic::thinking_of(&fields, model, output_limit.unwrap_or(DEFAULT_OUTPUT)).map_err(
                |failure| {
                    invalid(format!(
                        "The model returned the following errors: {}",
                        failure.message
                    ))
                },
            )
        }
        Family::OpenReasoning => Ok(Reasoning::Shown { budget: 4096 }),
        Family::Nova | Family::Open => Ok(Reasoning::Off),
    }
}

/// The parameters of Anthropic's format that a request comes down to.
fn claude_fields(body: &Value) -> Value {
    let mut fields = body["additionalModelRequestFields"]
        .as_object()
        .cloned()
        .unwrap_or_else(Map::new);
    for (from, to) in [("temperature", "temperature"), ("topP", "top_p")] {
        let given = &body["inferenceConfig"][from];
        if !given.is_null() {
            fields.insert(to.to_owned(), given.clone());
        }
    }
    Value::Object(fields)
}

fn thinking_fits(choice: &Choice, turns: &Turns) -> Result<(), Failure> {
    let problem = if matches!(choice, Choice::Required(_)) {
        "Thinking may not be enabled when tool_choice forces tool use."
    } else if turns.calls_without_reasoning {
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` message must start \
         with a thinking block."
    } else {
        return Ok(());
    };
    Err(invalid(format!(
        "The model returned the following errors: {problem}"
    )))
}

fn output(root: &Node<'_, '_>) -> Result<Output, Failure> {
    let schema = &root.value["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    let Some(schema) = schema.as_str() else {
        return Ok(Output::Text);
    };
    match serde_json::from_str::<Value>(schema) {
        Ok(schema) if schema.is_object() => Ok(Output::Schema(schema)),
        _ => Err(invalid(
            "The value at outputConfig.textFormat.structure.jsonSchema.schema is not a JSON schema.",
        )),
    }
}

fn stops(config: &Value) -> Vec<String> {
    config["stopSequences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn digest(seed: u64, model: &str, turns: &Turns, tools: &[Tool]) -> Digest {
    let mut digest = Digest::new(seed)
        .with(model.as_bytes())
        .with(turns.said.as_bytes())
        .with_number(turns.count as u64);
    for result in &turns.results {
        digest = digest.with(result.text.as_bytes());
    }
    for tool in tools {
        digest = digest.with(tool.name.as_bytes());
    }
    digest
}

/// `POST /model/{id}/count-tokens`, for either format.
pub(super) fn count(ask: &Ask<'_>) -> Result<Value, Failure> {
    let model = ask.path_model.unwrap_or_default();
    Family::of(model).ok_or_else(unknown_model)?;
    shape::check(&Node::root(ask.body), &structures::COUNT)?;
    if !is_counted(model) {
        return Err(invalid(
            "The provided model doesn't support counting tokens.",
        ));
    }
    let input = &ask.body["input"];
    let prompt = match input["invokeModel"]["body"].as_str() {
        None => read(&Ask {
            body: &input["converse"],
            ..*ask
        })?,
        Some(body) => {
            let body = media::decode_standard(body).unwrap_or_default();
            let body: Value = serde_json::from_slice(&body).map_err(|problem| {
                invalid(format!(
                    "Malformed input request: {problem}, please reformat your input and try again."
                ))
            })?;
            Anthropic.read(&Ask {
                body: &body,
                ..*ask
            })?
        }
    };
    Ok(json!({"inputTokens": prompt.input}))
}
