//! The rules of tools, of the choice between them, and of the answer's form.

use serde_json::{Value, json};

use super::super::check::{boolean, name, object, one_of, plain, required, sized, text};
use super::super::tools::{described_function, named_schema};
use super::parts::tag;
use crate::node::Node;
use crate::prompt::{Choice, Output, Tool};
use crate::tokens;
use crate::vendor::Failure;

/// What a request says about tools.
pub(super) struct Tools {
    pub(super) list: Vec<Tool>,
    pub(super) choice: Choice,
    pub(super) parallel: bool,
    pub(super) tokens: u64,
}

/// Every kind of tool: those the caller runs, then those that are OpenAI's own.
const KINDS: [&str; 19] = [
    "function",
    "custom",
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
];
/// What tools of OpenAI's own must say.
const NEEDS: [(&str, &str); 4] = [
    ("code_interpreter", "container"),
    ("file_search", "vector_store_ids"),
    ("mcp", "server_label"),
    ("namespace", "name"),
];

pub(super) fn read(root: &Node<'_, '_>) -> Result<Tools, Failure> {
    let mut tools = Tools {
        list: Vec::new(),
        choice: Choice::None,
        parallel: true,
        tokens: 0,
    };
    let mut hosted = Vec::new();
    if let Some(list) = root.present("tools") {
        sized(&list, 0, 128)?;
        tools.choice = Choice::Auto(Vec::new());
        for tool in list.items() {
            tools.tokens += tokens::of_text(&tool.value.to_string());
            match tag(&tool, &KINDS)? {
                "function" => tools.list.push(function(&tool)?),
                "custom" => tools.list.push(custom(&tool)?),
                kind => {
                    if let Some((_, needed)) = NEEDS.iter().find(|(needy, _)| *needy == kind) {
                        required(&tool, needed)?;
                    }
                    hosted.push(kind);
                }
            }
        }
    }
    if let Some(choice) = root.present("tool_choice") {
        tools.choice = tool_choice(&choice, &tools.list, &hosted)?;
    }
    if let Some(parallel) = root.present("parallel_tool_calls") {
        tools.parallel = boolean(&parallel)?;
    }
    Ok(tools)
}

fn function(tool: &Node<'_, '_>) -> Result<Tool, Failure> {
    object(
        tool,
        &[
            "type",
            "name",
            "description",
            "parameters",
            "strict",
            "allowed_callers",
            "defer_loading",
            "output_schema",
            "async",
        ],
    )?;
    described_function(tool)
}

fn custom(tool: &Node<'_, '_>) -> Result<Tool, Failure> {
    object(
        tool,
        &[
            "type",
            "name",
            "description",
            "format",
            "allowed_callers",
            "defer_loading",
            "async",
        ],
    )?;
    if let Some(format) = tool.present("format")
        && tag(&format, &["text", "grammar"])? == "grammar"
    {
        one_of(&required(&format, "syntax")?, &["lark", "regex"])?;
        text(&required(&format, "definition")?)?;
    }
    Ok(Tool {
        name: name(&required(tool, "name")?)?.to_owned(),
        schema: json!({"type": "object"}),
    })
}

fn tool_choice(choice: &Node<'_, '_>, tools: &[Tool], hosted: &[&str]) -> Result<Choice, Failure> {
    if choice.value.is_string() {
        let word = one_of(choice, &["none", "auto", "required"])?;
        if word == "required" && tools.is_empty() && hosted.is_empty() {
            let sentence = "Tool choice 'required' must be specified with 'tools' parameter.";
            return Err(plain(sentence).at("tool_choice"));
        }
        return Ok(match word {
            "none" => Choice::None,
            "auto" => Choice::Auto(Vec::new()),
            _ => Choice::Required(Vec::new()),
        });
    }
    let mut kinds = KINDS.to_vec();
    kinds.push("allowed_tools");
    match tag(choice, &kinds)? {
        "allowed_tools" => {
            object(choice, &["type", "mode", "tools"])?;
            let mode = one_of(&required(choice, "mode")?, &["auto", "required"])?;
            let list = required(choice, "tools")?;
            sized(&list, 1, 128)?;
            let mut names = Vec::new();
            for tool in list.items() {
                match tag(&tool, &KINDS)? {
                    "function" | "custom" => names.push(chosen(&tool, tools)?),
                    kind => offered(kind, hosted)?,
                }
            }
            Ok(if mode == "auto" {
                Choice::Auto(names)
            } else {
                Choice::Required(names)
            })
        }
        "function" | "custom" => {
            object(choice, &["type", "name"])?;
            Ok(Choice::Required(vec![chosen(choice, tools)?]))
        }
        // A hosted tool answers in OpenAI's own rooms: here the text says what it would.
        kind => offered(kind, hosted).map(|()| Choice::None),
    }
}

fn chosen(choice: &Node<'_, '_>, tools: &[Tool]) -> Result<String, Failure> {
    let wanted = required(choice, "name")?;
    let wanted = text(&wanted)?;
    if tools.iter().any(|tool| tool.name == wanted) {
        Ok(wanted.to_owned())
    } else {
        Err(not_offered("function"))
    }
}

fn offered(kind: &str, hosted: &[&str]) -> Result<(), Failure> {
    if hosted.contains(&kind) {
        Ok(())
    } else {
        Err(not_offered(kind))
    }
}

fn not_offered(kind: &str) -> Failure {
    plain(format!(
        "Tool choice '{kind}' not found in 'tools' parameter."
    ))
    .at("tool_choice")
}

/// The form of the answer: `text.format`.
pub(super) fn output(root: &Node<'_, '_>, says_json: bool) -> Result<Output, Failure> {
    let Some(config) = root.present("text") else {
        return Ok(Output::Text);
    };
    object(&config, &["format", "verbosity"])?;
    if let Some(verbosity) = config.present("verbosity") {
        one_of(&verbosity, &["low", "medium", "high"])?;
    }
    let Some(format) = config.present("format") else {
        return Ok(Output::Text);
    };
    match tag(&format, &["json_object", "json_schema", "text"])? {
        "text" => object(&format, &["type"]).map(|()| Output::Text),
        "json_object" if says_json => object(&format, &["type"]).map(|()| Output::Json),
        "json_object" => {
            let sentence = "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.";
            Err(plain(sentence).at("input"))
        }
        _ => {
            object(
                &format,
                &["type", "name", "description", "schema", "strict"],
            )?;
            required(&format, "schema")?;
            named_schema(&format, "response_format", "text.format.schema").map(Output::Schema)
        }
    }
}

/// Whether the answer begins with a search of the web: when the caller's words name that tool, or its choice is no other.
pub(super) fn searches(asked: &Value, said: &str) -> bool {
    let is_search = |tool: &Value| {
        let kind = tool["type"].as_str().unwrap_or_default();
        kind.starts_with("web_search")
    };
    let is_offered = asked["tools"]
        .as_array()
        .is_some_and(|tools| tools.iter().any(is_search));
    let choice = &asked["tool_choice"];
    is_offered && choice != "none" && (is_search(choice) || said.contains("web_search"))
}

/// Whether a tool of this name takes free text instead of arguments.
pub(super) fn is_custom(asked: &Value, name: &str) -> bool {
    asked
        .get("tools")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|tool| tool["type"] == "custom" && tool["name"] == name)
}
