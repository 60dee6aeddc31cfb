//! The shape of a request: which fields its messages have and of which type, checked as the vendor's JSON reader does,
//! before any rule of meaning.
//! See <https://ai.google.dev/api/generate-content>.

use serde_json::Value;

use super::check::{is_named, misshapen, snake_path};
use crate::media;
use crate::node::{Node, Step};
use crate::record::Host;
use crate::vendor::Failure;

/// The type of a field.
enum Kind {
    Text,
    Bytes,
    Bool,
    Int,
    Float,
    /// One of these names, in any case.
    Name(&'static str, &'static [&'static str]),
    Message(&'static Message),
    List(&'static Self),
    /// Messages under keys of the caller's choice.
    Map(&'static Message),
    /// Any JSON object.
    Struct,
    /// Any JSON.
    Any,
}

/// The fields of a message, by their names in the protocol buffer.
struct Message(&'static [(&'static str, Kind)]);

/// Refuses a generation request that has unknown fields or wrong types, naming all of them.
pub(super) fn check(root: &Node<'_, '_>, host: Host) -> Result<(), Failure> {
    let shape = if host == Host::Vertex {
        &VERTEX_REQUEST
    } else {
        &REQUEST
    };
    checked(root, shape)
}

/// Refuses a request to count tokens in the same way.
pub(super) fn check_count(root: &Node<'_, '_>, host: Host) -> Result<(), Failure> {
    let shape = if host == Host::Vertex {
        &VERTEX_COUNT
    } else {
        &COUNT
    };
    checked(root, shape)
}

fn checked(root: &Node<'_, '_>, shape: &'static Message) -> Result<(), Failure> {
    let mut violations = Vec::new();
    message(root, shape, &mut violations);
    if violations.is_empty() {
        Ok(())
    } else {
        Err(misshapen(&violations))
    }
}

type Violations = Vec<(String, String)>;

fn message(node: &Node<'_, '_>, shape: &'static Message, violations: &mut Violations) {
    if !node.value.is_object() {
        return wrong(
            node,
            "type.googleapis.com/google.ai.generativelanguage.v1beta.Message",
            violations,
        );
    }
    for (key, member) in node.members() {
        match shape.0.iter().find(|(name, _)| is_named(key, name)) {
            Some(_) if member.value.is_null() => {}
            Some((_, kind)) => value(&member, kind, violations),
            None => unknown(node, key, "Cannot find field.", violations),
        }
    }
}

fn unknown(node: &Node<'_, '_>, key: &str, problem: &str, violations: &mut Violations) {
    let place = snake_path(node);
    let at = if place.is_empty() {
        String::new()
    } else {
        format!(" at '{place}'")
    };
    violations.push((
        place,
        format!("Invalid JSON payload received. Unknown name \"{key}\"{at}: {problem}"),
    ));
}

fn wrong(node: &Node<'_, '_>, kind: &str, violations: &mut Violations) {
    let place = snake_path(node);
    violations.push((
        place.clone(),
        format!("Invalid value at '{place}' ({kind}), {}", node.value),
    ));
}

fn value(node: &Node<'_, '_>, kind: &'static Kind, violations: &mut Violations) {
    if node.value.is_array() && !matches!(kind, Kind::List(_) | Kind::Any) {
        let Step::Key(key) = node.step() else {
            return wrong(node, "repeated", violations);
        };
        let place = snake_path(node);
        let parent = place.rsplit_once('.').map_or("", |(parent, _)| parent);
        let at = if parent.is_empty() {
            String::new()
        } else {
            format!(" at '{parent}'")
        };
        let sentence = format!(
            "Invalid JSON payload received. Unknown name \"{key}\"{at}: Proto field is not repeating, cannot start list."
        );
        violations.push((parent.to_owned(), sentence));
        return;
    }
    let text = node.text();
    let is_right = match kind {
        Kind::Text => text.is_some(),
        Kind::Bytes => match text {
            Some(text) if media::decode_any(text).is_none() => {
                let place = snake_path(node);
                violations.push((place.clone(), format!("Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed for \"{}\"", excerpt(text))));
                return;
            }
            other => other.is_some(),
        },
        Kind::Bool => node.value.is_boolean(),
        Kind::Int => {
            node.value
                .as_f64()
                .is_some_and(|number| number.fract() == 0.0)
                || text.is_some_and(|text| text.parse::<i64>().is_ok())
        }
        Kind::Float => {
            node.value.is_number() || text.is_some_and(|text| text.parse::<f64>().is_ok())
        }
        Kind::Name(_, names) => {
            text.is_some_and(|text| names.iter().any(|name| name.eq_ignore_ascii_case(text)))
        }
        Kind::Message(shape) => return message(node, shape, violations),
        Kind::List(item) if node.value.is_array() => {
            for member in node.items() {
                value(&member, item, violations);
            }
            return;
        }
        // A single message where a list belongs is taken as a list of one, as the vendor does.
        Kind::List(item) => return value(node, item, violations),
        Kind::Map(shape) if node.value.is_object() => {
            for (_, member) in node.members() {
                message(&member, shape, violations);
            }
            return;
        }
        Kind::Map(_) => false,
        Kind::Struct => node.value.is_object(),
        Kind::Any => true,
    };
    if !is_right {
        wrong(node, name_of(kind), violations);
    }
}

const fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text => "TYPE_STRING",
        Kind::Bytes => "TYPE_BYTES",
        Kind::Bool => "TYPE_BOOL",
        Kind::Int => "TYPE_INT32",
        Kind::Float => "TYPE_FLOAT",
        Kind::Name(name, _) => name,
        Kind::Struct => "type.googleapis.com/google.protobuf.Struct",
        Kind::Message(_) | Kind::List(_) | Kind::Map(_) | Kind::Any => "TYPE_MESSAGE",
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Whether a value stands in a list or is itself one of its items.
pub(super) fn listed<'v, 's>(node: &'s Node<'v, '_>) -> Vec<Node<'v, 's>> {
    match node.value {
        Value::Array(_) => node.items().collect(),
        _ => vec![*node],
    }
}

use Kind::{Any, Bool, Bytes, Float, Int, List, Map, Message as Nested, Name, Struct, Text};

static REQUEST: Message = Message(&[
    ("model", Text),
    ("contents", List(&Nested(&CONTENT))),
    ("tools", List(&Nested(&TOOL))),
    ("tool_config", Nested(&TOOL_CONFIG)),
    ("safety_settings", List(&Nested(&SAFETY_SETTING))),
    ("system_instruction", Nested(&CONTENT)),
    ("generation_config", Nested(&GENERATION_CONFIG)),
    ("cached_content", Text),
    ("service_tier", Text),
    ("store", Bool),
]);

static VERTEX_REQUEST: Message = Message(&[
    ("model", Text),
    ("contents", List(&Nested(&CONTENT))),
    ("tools", List(&Nested(&TOOL))),
    ("tool_config", Nested(&TOOL_CONFIG)),
    ("safety_settings", List(&Nested(&SAFETY_SETTING))),
    ("system_instruction", Nested(&CONTENT)),
    ("generation_config", Nested(&GENERATION_CONFIG)),
    ("cached_content", Text),
    ("labels", Struct),
    ("model_armor_config", Struct),
]);

static COUNT: Message = Message(&[
    ("contents", List(&Nested(&CONTENT))),
    ("generate_content_request", Nested(&REQUEST)),
]);

static VERTEX_COUNT: Message = Message(&[
    ("model", Text),
    ("contents", List(&Nested(&CONTENT))),
    ("tools", List(&Nested(&TOOL))),
    ("system_instruction", Nested(&CONTENT)),
    ("generation_config", Nested(&GENERATION_CONFIG)),
]);

static CONTENT: Message = Message(&[("role", Text), ("parts", List(&Nested(&PART)))]);

static PART: Message = Message(&[
    ("text", Text),
    ("thought", Bool),
    ("thought_signature", Bytes),
    ("inline_data", Nested(&BLOB)),
    ("file_data", Nested(&FILE_DATA)),
    ("function_call", Nested(&FUNCTION_CALL)),
    ("function_response", Nested(&FUNCTION_RESPONSE)),
    ("executable_code", Struct),
    ("code_execution_result", Struct),
    ("video_metadata", Struct),
    ("media_resolution", Struct),
    ("part_metadata", Struct),
]);

static BLOB: Message = Message(&[("mime_type", Text), ("data", Bytes), ("display_name", Text)]);
static FILE_DATA: Message = Message(&[
    ("mime_type", Text),
    ("file_uri", Text),
    ("display_name", Text),
]);
static FUNCTION_CALL: Message = Message(&[("id", Text), ("name", Text), ("args", Struct)]);
static FUNCTION_RESPONSE: Message = Message(&[
    ("id", Text),
    ("name", Text),
    ("response", Struct),
    ("parts", List(&Nested(&RESPONSE_PART))),
    ("will_continue", Bool),
    ("scheduling", Text),
]);
static RESPONSE_PART: Message = Message(&[
    ("inline_data", Nested(&BLOB)),
    ("file_data", Nested(&FILE_DATA)),
]);

static TOOL: Message = Message(&[
    (
        "function_declarations",
        List(&Nested(&FUNCTION_DECLARATION)),
    ),
    ("google_search", Struct),
    ("google_search_retrieval", Struct),
    ("google_maps", Struct),
    ("code_execution", Struct),
    ("url_context", Struct),
    ("computer_use", Struct),
    ("file_search", Struct),
    ("mcp_servers", List(&Struct)),
]);
static FUNCTION_DECLARATION: Message = Message(&[
    ("name", Text),
    ("description", Text),
    ("parameters", Nested(&SCHEMA)),
    ("parameters_json_schema", Any),
    ("response", Nested(&SCHEMA)),
    ("response_json_schema", Any),
    (
        "behavior",
        Name(V1_BEHAVIOR, &["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"]),
    ),
]);

static TOOL_CONFIG: Message = Message(&[
    ("function_calling_config", Nested(&CALLING_CONFIG)),
    ("retrieval_config", Struct),
    ("include_server_side_tool_invocations", Bool),
]);
static CALLING_CONFIG: Message = Message(&[
    (
        "mode",
        Name(
            V1_MODE,
            &["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"],
        ),
    ),
    ("allowed_function_names", List(&Text)),
    ("stream_function_call_arguments", Bool),
]);

static SAFETY_SETTING: Message = Message(&[
    (
        "category",
        Name(
            V1_CATEGORY,
            &[
                "HARM_CATEGORY_UNSPECIFIED",
                "HARM_CATEGORY_HARASSMENT",
                "HARM_CATEGORY_HATE_SPEECH",
                "HARM_CATEGORY_SEXUALLY_EXPLICIT",
                "HARM_CATEGORY_DANGEROUS_CONTENT",
                "HARM_CATEGORY_CIVIC_INTEGRITY",
            ],
        ),
    ),
    (
        "threshold",
        Name(
            V1_THRESHOLD,
            &[
                "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
                "BLOCK_LOW_AND_ABOVE",
                "BLOCK_MEDIUM_AND_ABOVE",
                "BLOCK_ONLY_HIGH",
                "BLOCK_NONE",
                "OFF",
            ],
        ),
    ),
]);

static GENERATION_CONFIG: Message = Message(&[
    ("stop_sequences", List(&Text)),
    ("response_mime_type", Text),
    ("response_schema", Nested(&SCHEMA)),
    ("response_json_schema", Any),
    ("response_modalities", List(&Text)),
    ("candidate_count", Int),
    ("max_output_tokens", Int),
    ("temperature", Float),
    ("top_p", Float),
    ("top_k", Int),
    ("seed", Int),
    ("presence_penalty", Float),
    ("frequency_penalty", Float),
    ("response_logprobs", Bool),
    ("logprobs", Int),
    ("enable_enhanced_civic_answers", Bool),
    ("speech_config", Struct),
    ("thinking_config", Nested(&THINKING_CONFIG)),
    ("image_config", Struct),
    ("media_resolution", Text),
]);
static THINKING_CONFIG: Message = Message(&[
    ("include_thoughts", Bool),
    ("thinking_budget", Int),
    (
        "thinking_level",
        Name(
            V1_LEVEL,
            &[
                "THINKING_LEVEL_UNSPECIFIED",
                "MINIMAL",
                "LOW",
                "MEDIUM",
                "HIGH",
                "XHIGH",
            ],
        ),
    ),
]);

/// A select subset of an `OpenAPI` 3.0 schema object (<https://ai.google.dev/api/caching#Schema>).
static SCHEMA: Message = Message(&[
    (
        "type",
        Name(
            V1_TYPE,
            &[
                "TYPE_UNSPECIFIED",
                "STRING",
                "NUMBER",
                "INTEGER",
                "BOOLEAN",
                "ARRAY",
                "OBJECT",
                "NULL",
            ],
        ),
    ),
    ("format", Text),
    ("title", Text),
    ("description", Text),
    ("nullable", Bool),
    ("enum", List(&Text)),
    ("items", Nested(&SCHEMA)),
    ("max_items", Int),
    ("min_items", Int),
    ("properties", Map(&SCHEMA)),
    ("required", List(&Text)),
    ("min_properties", Int),
    ("max_properties", Int),
    ("minimum", Float),
    ("maximum", Float),
    ("min_length", Int),
    ("max_length", Int),
    ("pattern", Text),
    ("example", Any),
    ("default", Any),
    ("any_of", List(&Nested(&SCHEMA))),
    ("property_ordering", List(&Text)),
]);

const V1_TYPE: &str = "type.googleapis.com/google.ai.generativelanguage.v1beta.Type";
const V1_MODE: &str =
    "type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode";
const V1_LEVEL: &str =
    "type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel";
const V1_CATEGORY: &str = "type.googleapis.com/google.ai.generativelanguage.v1beta.HarmCategory";
const V1_THRESHOLD: &str =
    "type.googleapis.com/google.ai.generativelanguage.v1beta.SafetySetting.HarmBlockThreshold";
const V1_BEHAVIOR: &str =
    "type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionDeclaration.Behavior";
