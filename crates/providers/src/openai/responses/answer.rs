//! The Response object (<https://platform.openai.com/docs/api-reference/responses/object>): whole, and in
//! the events that begin and end a stream. It repeats what was asked.

use bytes::{BufMut, Bytes, BytesMut};
use domain::chat::{ChatResponse, Finish, FinishReason, Part};
use domain::usage::{ServiceTier, Usage};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::fields::Fields;
use super::super::render::{append, tier_word};
use super::items::{self, Item, ItemIds, Status};
use crate::face::Rendering;

/// What of the request an answer repeats, and what it says where nothing was asked.
const REPEATED: [(&str, &str); 20] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("prompt_cache_retention", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("store", "true"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// What stays the same from the first event of a stream to the last.
pub(super) struct Frame {
    pub(super) id: String,
    pub(super) ids: ItemIds,
    created: i64,
    model: String,
    /// The fields that repeat the request, each with a comma before it.
    repeated: String,
    /// The class of service that was asked for.
    tier: Option<Box<RawValue>>,
    customs: Vec<String>,
}

/// What changes.
pub(super) struct Progress<'a> {
    pub(super) status: &'static str,
    pub(super) output: &'a [Item],
    pub(super) error: Option<Value>,
    pub(super) incomplete: Option<&'static str>,
    pub(super) usage: Option<&'a Usage>,
    pub(super) tier: Option<ServiceTier>,
    pub(super) report: Option<&'a Value>,
}

impl Frame {
    /// Of the answer that `model` gives.
    pub(super) fn new(rendering: &Rendering, model: Option<&str>) -> Self {
        let id = items::response_id(&rendering.id);
        let asked = std::str::from_utf8(&rendering.asked).unwrap_or_default();
        // A request that cannot be read was refused long before.
        let fields = Fields::read_body(asked).ok();
        let asked = |name: &str| fields.as_ref().and_then(|fields| fields.look(name));
        let mut repeated = String::new();
        for (name, otherwise) in REPEATED {
            let value = asked(name).map(items::on_one_line);
            repeated.push_str(",\"");
            repeated.push_str(name);
            repeated.push_str("\":");
            repeated.push_str(value.as_deref().map_or(otherwise, RawValue::get));
        }
        Self {
            ids: ItemIds::of(&id),
            id,
            created: rendering.created.as_second(),
            model: model.unwrap_or(&rendering.model).to_owned(),
            repeated,
            tier: asked("service_tier").map(ToOwned::to_owned),
            customs: asked("tools").map(customs).unwrap_or_default(),
        }
    }

    /// Notes which model the provider says that it is.
    pub(super) fn answered_by(&mut self, model: Option<&str>) {
        if let Some(model) = model {
            model.clone_into(&mut self.model);
        }
    }

    /// Whether the caller's tool of this name is a custom one.
    pub(super) fn is_custom(&self, tool: &str) -> bool {
        self.customs.iter().any(|name| name == tool)
    }

    /// Writes the object.
    pub(super) fn write(&self, progress: &Progress<'_>, out: &mut BytesMut) {
        out.put_slice(b"{\"id\":");
        append(&self.id, out);
        out.put_slice(b",\"object\":\"response\"");
        field("created_at", &self.created, out);
        field("status", progress.status, out);
        field("error", &progress.error, out);
        let incomplete = progress.incomplete.map(|reason| json!({"reason": reason}));
        field("incomplete_details", &incomplete, out);
        field("model", &self.model, out);
        field("output", progress.output, out);
        out.put_slice(self.repeated.as_bytes());
        match (progress.tier.and_then(tier_word), &self.tier) {
            (Some(tier), _) => field("service_tier", tier, out),
            (None, Some(asked)) => field("service_tier", asked, out),
            (None, None) => field("service_tier", "default", out),
        }
        field("usage", &progress.usage.map(Shown::from), out);
        if let Some(report) = progress.report {
            field("trunkline", report, out);
        }
        out.put_slice(b"}");
    }
}

/// The names of the caller's custom tools.
fn customs(tools: &RawValue) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Tool {
        #[serde(rename = "type", default)]
        kind: Option<String>,
        #[serde(default)]
        name: Option<String>,
    }
    let tools: Vec<Tool> = serde_json::from_str(tools.get()).unwrap_or_default();
    let custom = tools
        .into_iter()
        .filter(|tool| tool.kind.as_deref() == Some("custom"));
    custom.filter_map(|tool| tool.name).collect()
}

fn field(name: &str, value: &(impl Serialize + ?Sized), out: &mut BytesMut) {
    out.put_slice(b",\"");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\":");
    append(&value, out);
}

/// How an answer ended, in this format's words: its status, and what is missing of it.
pub(super) fn ending(
    finish: Option<&Finish>,
    has_refusal: bool,
) -> (&'static str, Option<&'static str>) {
    match finish.map(|finish| finish.reason) {
        // In the background; the answer is still to come.
        Some(FinishReason::Pause) if finish.is_some_and(|finish| finish.native == "queued") => {
            ("queued", None)
        }
        // A paused turn is whole as far as it goes; the next request continues it.
        Some(FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Pause) => {
            ("completed", None)
        }
        // The model's own words of refusal are an answer.
        Some(FinishReason::ContentFilter) if has_refusal => ("completed", None),
        Some(FinishReason::Length) => ("incomplete", Some("max_output_tokens")),
        Some(FinishReason::ContentFilter) => ("incomplete", Some("content_filter")),
        Some(FinishReason::Error) | None => ("failed", None),
    }
}

/// What is told of a failure that the provider put into an answer.
pub(super) fn failure(finish: Option<&Finish>) -> Value {
    let native = finish.map_or("", |finish| finish.native.as_str());
    json!({
        "code": "server_error",
        "message": if native.is_empty() {
            "The provider broke the answer off.".to_owned()
        } else {
            format!("The provider broke the answer off: {native}.")
        },
    })
}

/// Renders a whole answer.
pub(super) fn whole(
    response: &ChatResponse,
    rendering: &Rendering,
    report: Option<&Value>,
) -> Bytes {
    let frame = Frame::new(rendering, response.model.as_deref());
    let finish = response.choices.first().map(|choice| &choice.finish);
    let (status, incomplete) = ending(finish, has_refusal(response));
    let last = if status == "completed" {
        Status::Completed
    } else {
        Status::Incomplete
    };
    let is_custom = |tool: &str| frame.is_custom(tool);
    let output = items::of_answer(response, &frame.ids, &is_custom, last);
    let mut out = BytesMut::with_capacity(2048);
    frame.write(
        &Progress {
            status,
            output: &output,
            error: (status == "failed").then(|| failure(finish)),
            incomplete,
            usage: response.usage.as_ref(),
            tier: response.service_tier,
            report,
        },
        &mut out,
    );
    out.freeze()
}

fn has_refusal(response: &ChatResponse) -> bool {
    let mut parts = response.choices.iter().flat_map(|choice| &choice.content);
    parts.any(|part| matches!(part, Part::Refusal(_)))
}

/// A usage in the words of this format.
#[derive(Serialize)]
struct Shown {
    input_tokens: u64,
    input_tokens_details: ShownInput,
    output_tokens: u64,
    output_tokens_details: ShownOutput,
    total_tokens: u64,
}

#[derive(Serialize)]
struct ShownInput {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct ShownOutput {
    reasoning_tokens: u64,
}

impl From<&Usage> for Shown {
    fn from(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: ShownInput {
                cached_tokens: usage.cached_input_tokens,
                cache_write_tokens: usage
                    .cache_write_5m_tokens
                    .saturating_add(usage.cache_write_1h_tokens),
            },
            output_tokens: usage.output_tokens,
            output_tokens_details: ShownOutput {
                reasoning_tokens: usage.reasoning_tokens,
            },
            total_tokens: usage.total_tokens(),
        }
    }
}
