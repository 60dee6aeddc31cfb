//! Tools and the choice among them.
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use domain::chat::{ChatRequest, Conversion, Tool, ToolChoice};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::model::Model;
use super::{FORMAT, schema, wire};

/// The longest name that every platform with Claude models takes, in bytes.
const MAX_NAME: usize = 64;

/// The web search that every model has. Its newer versions filter their results in a container, which
/// OpenAI's callers did not ask for and would pay for.
const WEB_SEARCH: &str = "web_search_20250305";

/// Tools in the target's words.
#[derive(Debug, Default)]
pub(super) struct Tools<'a> {
    pub(super) tools: Vec<wire::Tool<'a>>,
    pub(super) choice: Option<wire::ToolChoice<'a>>,
}

impl Tools<'_> {
    /// Whether some tool must be called.
    pub(super) fn is_forced(&self) -> bool {
        matches!(
            self.choice,
            Some(wire::ToolChoice::Any { .. } | wire::ToolChoice::Tool { .. })
        )
    }
}

/// The target's names for the caller's tools: `[a-zA-Z0-9_-]{1,64}`, each given once.
#[derive(Debug, Default)]
pub(crate) struct ToolNames {
    targets: HashMap<String, String>,
    used: HashSet<String>,
}

impl ToolNames {
    /// The target's name, which is the caller's own where that is allowed.
    pub(crate) fn target(&mut self, name: &str) -> String {
        if let Some(target) = self.targets.get(name) {
            return target.clone();
        }
        let target = self.unused(name);
        self.targets.insert(name.to_owned(), target.clone());
        target
    }

    /// A name that no tool of the caller's has, as near to `wish` as can be.
    pub(crate) fn unused(&mut self, wish: &str) -> String {
        let plain: String = wish
            .chars()
            .map(|c| if is_allowed(c) { c } else { '_' })
            .collect();
        let fits = !plain.is_empty() && plain.len() <= MAX_NAME && !self.used.contains(&plain);
        let mut name = plain.clone();
        if !fits {
            // The fingerprint depends on the name alone, so that a prompt cache survives the next turn.
            let mut print = fingerprint(wish);
            loop {
                let stem = plain.get(..MAX_NAME - 9).unwrap_or(&plain);
                name = format!("{stem}_{print:08x}");
                if !self.used.contains(&name) {
                    break;
                }
                print = print.wrapping_add(1);
            }
        }
        self.used.insert(name.clone());
        name
    }

    /// The caller's names by the target's, where they differ.
    pub(crate) fn renamed(self) -> HashMap<String, String> {
        let renamed = self
            .targets
            .into_iter()
            .filter(|(name, target)| name != target);
        renamed.map(|(name, target)| (target, name)).collect()
    }
}

/// Whether a character may stand in a tool's name or in the id of a call.
pub(crate) fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// FNV-1a: short, and the same in every process and version.
pub(crate) fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Translates the tools, the choice among them, and OpenAI's `web_search_options`.
pub(super) fn translate<'a>(
    request: &'a ChatRequest,
    model: &Model<'_>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Tools<'a> {
    let allowed = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => Some(names),
        _ => None,
    };
    // Names that need no change are given first, so that no other takes them.
    for tool in &request.tools {
        if let Tool::Function { name, .. } = tool
            && name.len() <= MAX_NAME
            && name.chars().all(is_allowed)
        {
            names.target(name);
        }
    }
    let mut tools = Vec::new();
    for (index, tool) in request.tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        match tool {
            Tool::Function { name, .. }
                if allowed.is_some_and(|allowed| !allowed.contains(name)) =>
            {
                report.change(path, "left out, because `tool_choice` does not allow it");
            }
            Tool::Function { .. } => tools.extend(function(tool, &path, model, names, report)),
            Tool::Hosted { format, kind, raw } if *format == FORMAT || is_own_kind(kind) => {
                tools.push(wire::Tool::Raw(raw));
            }
            Tool::Hosted { kind, .. } if kind.starts_with("web_search") => {
                names.used.insert("web_search".to_owned());
                report.change(path, "sent as the provider's own web search");
                tools.push(web_search(None));
            }
            Tool::Hosted { kind, .. } => {
                report.drop(path, format!("the target has no tool of type {kind:?}"));
            }
        }
    }
    if !request.tools.is_empty() {
        report.carry("tools");
    }
    if let Some(options) = request.extensions.get("web_search_options") {
        names.used.insert("web_search".to_owned());
        tools.push(web_search_by(options, report));
    }
    let choice = choice(request, model, names, !tools.is_empty(), report);
    Tools { tools, choice }
}

fn function<'a>(
    tool: &'a Tool,
    path: &str,
    model: &Model<'_>,
    names: &mut ToolNames,
    report: &mut Conversion,
) -> Option<wire::Tool<'a>> {
    let Tool::Function {
        name,
        description,
        parameters,
        strict,
        cache,
    } = tool
    else {
        return None;
    };
    let target = names.target(name);
    if target != *name {
        report.change(
            format!("{path}.function.name"),
            format!("sent as {target:?}; given back as it was"),
        );
    }
    let enforces = model.takes_output_format();
    let (input_schema, is_strict) =
        input_schema(parameters.as_deref(), *strict, enforces, path, report);
    Some(wire::Tool::Function {
        name: target,
        description: description.as_deref(),
        input_schema,
        strict: is_strict,
        cache_control: cache.map(Into::into),
    })
}

/// The schema of a tool's arguments, and whether the provider enforces it, which it does where `strict` asks for it
/// and it can.
pub(crate) fn input_schema<'a>(
    parameters: Option<&'a RawValue>,
    strict: Option<bool>,
    enforces: bool,
    path: &str,
    report: &mut Conversion,
) -> (Cow<'a, RawValue>, bool) {
    let schema = parameters.map_or_else(|| Cow::Owned(no_parameters()), object_schema);
    if strict != Some(true) {
        return (schema, false);
    }
    if !enforces {
        report.drop(
            format!("{path}.function.strict"),
            "this model does not enforce schemas",
        );
        return (schema, false);
    }
    match schema::normalise(&schema) {
        Ok(normalised) => {
            report_schema(&format!("{path}.function.parameters"), &normalised, report);
            (Cow::Owned(normalised.schema), true)
        }
        Err(problem) => {
            report.drop(
                format!("{path}.function.strict"),
                format!("not enforced: {problem}"),
            );
            (schema, false)
        }
    }
}

/// Notes what a normalised schema no longer enforces.
pub(super) fn report_schema(path: &str, normalised: &schema::Normalised, report: &mut Conversion) {
    for constraint in &normalised.told {
        report.drop(
            format!("{path}{constraint}"),
            "not enforced by the provider; the model is told of it in the description",
        );
    }
    for alternatives in &normalised.widened {
        report.change(format!("{path}{alternatives}"), "sent as `anyOf`");
    }
    if normalised.closed {
        report.change(
            path.to_owned(),
            "`additionalProperties` is false in every object, as the provider demands",
        );
    }
}

fn no_parameters() -> Box<RawValue> {
    to_raw_value(&json!({"type": "object", "properties": {}})).unwrap_or_default()
}

/// The caller's schema as it is, unless it fails to say that it describes an object.
fn object_schema(parameters: &RawValue) -> Cow<'_, RawValue> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: Option<Value>,
    }
    match serde_json::from_str::<Option<Typed>>(parameters.get()) {
        Ok(Some(Typed { kind: None })) => {
            let Ok(Value::Object(mut map)) = serde_json::from_str(parameters.get()) else {
                return Cow::Borrowed(parameters);
            };
            map.insert("type".to_owned(), Value::from("object"));
            Cow::Owned(to_raw_value(&map).unwrap_or_default())
        }
        Ok(None) => Cow::Owned(no_parameters()),
        Ok(Some(_)) | Err(_) => Cow::Borrowed(parameters),
    }
}

/// The types of Anthropic's own tools end in a date: `bash_20250124`, `web_fetch_20260318`.
fn is_own_kind(kind: &str) -> bool {
    kind.rsplit_once('_')
        .is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

fn web_search(user_location: Option<Value>) -> wire::Tool<'static> {
    wire::Tool::WebSearch {
        kind: WEB_SEARCH,
        name: "web_search",
        user_location,
    }
}

fn web_search_by(options: &RawValue, report: &mut Conversion) -> wire::Tool<'static> {
    let options: Value = serde_json::from_str(options.get()).unwrap_or_default();
    report.change(
        "web_search_options",
        "sent as the provider's own web search, which the model uses when it sees fit",
    );
    if options.get("search_context_size").is_some() {
        report.drop(
            "web_search_options.search_context_size",
            "the provider has no such setting",
        );
    }
    let approximate = options
        .pointer("/user_location/approximate")
        .and_then(Value::as_object);
    let location = approximate.map(|approximate| {
        let mut location = approximate.clone();
        location.insert("type".to_owned(), Value::from("approximate"));
        Value::Object(location)
    });
    web_search(location)
}

fn choice(
    request: &ChatRequest,
    model: &Model<'_>,
    names: &mut ToolNames,
    has_tools: bool,
    report: &mut Conversion,
) -> Option<wire::ToolChoice<'static>> {
    const FIELD: &str = "tool_choice";
    let disable_parallel_tool_use = request.parallel_tool_calls == Some(false) && has_tools;
    if request.parallel_tool_calls.is_some() {
        report.carry("parallel_tool_calls");
    }
    let Some(choice) = &request.tool_choice else {
        return disable_parallel_tool_use.then_some(wire::ToolChoice::Auto {
            disable_parallel_tool_use,
        });
    };
    if !has_tools {
        match choice {
            ToolChoice::None | ToolChoice::Auto => report.carry(FIELD),
            _ => report.drop(FIELD, "there is no tool to choose"),
        }
        return None;
    }
    let auto = wire::ToolChoice::Auto {
        disable_parallel_tool_use,
    };
    let forces = matches!(
        choice,
        ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::Allowed { required: true, .. }
    );
    if forces && !model.takes_forced_tools() {
        report.drop(
            FIELD,
            "this model cannot be made to call a tool; it calls one when it sees fit",
        );
        return Some(auto);
    }
    if matches!(choice, ToolChoice::Allowed { .. }) {
        report.change(FIELD, "kept by sending the allowed tools only");
    } else {
        report.carry(FIELD);
    }
    Some(match choice {
        ToolChoice::Auto
        | ToolChoice::Allowed {
            required: false, ..
        } => auto,
        ToolChoice::None => wire::ToolChoice::None,
        ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => {
            wire::ToolChoice::Any {
                disable_parallel_tool_use,
            }
        }
        ToolChoice::Named(name) => wire::ToolChoice::Tool {
            name: Cow::Owned(names.target(name)),
            disable_parallel_tool_use,
        },
    })
}
