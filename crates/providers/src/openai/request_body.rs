//! The body of a request as serde writes it, and what of it a host may refuse.

use std::borrow::Cow;

use domain::chat::{ChatRequest, Conversion, Effort};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::encode_message::WireMessage;
use super::encode_reasoning::{WireReasoning, WireThinking};
use super::encode_tools::{WireChoice, WireTool};
use super::wire::Extra;

/// The body of a request.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) model: &'a str,
    pub(super) messages: Vec<WireMessage<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    pub(super) top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) random_seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    pub(super) frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "plain")]
    pub(super) presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logit_bias: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_format: Option<WireFormat<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning: Option<WireReasoning<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<WireThinking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enable_thinking: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking_budget: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_options: Option<StreamOptions<'a>>,
    #[serde(flatten)]
    pub(super) extra: Extra<'a>,
}

/// Callers write `1`, not `1.0`, and get it back so.
#[expect(
    clippy::ref_option,
    reason = "serde's serialize_with passes a reference"
)]
pub(super) fn plain<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let number = number.unwrap_or_default();
    match format!("{number}").parse::<i64>() {
        Ok(whole) => serializer.serialize_i64(whole),
        Err(_) => serializer.serialize_f64(number),
    }
}

/// `response_format`.
#[derive(Serialize)]
pub(super) struct WireFormat<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) json_schema: Option<WireSchema<'a>>,
    #[serde(flatten)]
    pub(super) extra: Extra<'a>,
}

/// A schema with its name.
#[derive(Serialize)]
pub(super) struct WireSchema<'a> {
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<&'a str>,
    pub(super) schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
    #[serde(flatten)]
    pub(super) extra: Extra<'a>,
}

/// `stream_options`.
#[derive(Serialize)]
pub(super) struct StreamOptions<'a> {
    pub(super) include_usage: bool,
    #[serde(flatten)]
    pub(super) extra: Extra<'a>,
}

impl Body<'_> {
    /// Every field that is in the body and was in the request arrived, but for what the report says of it
    /// already.
    pub(super) fn carry(&self, request: &ChatRequest, report: &mut Conversion) {
        let present = [
            ("model", true),
            ("messages", true),
            ("tools", !self.tools.is_empty()),
            ("tool_choice", self.tool_choice.is_some()),
            ("parallel_tool_calls", self.parallel_tool_calls.is_some()),
            ("max_tokens", self.max_tokens.is_some()),
            (
                "max_completion_tokens",
                self.max_completion_tokens.is_some(),
            ),
            ("top_k", self.top_k.is_some()),
            ("seed", self.seed.or(self.random_seed).is_some()),
            ("frequency_penalty", self.frequency_penalty.is_some()),
            ("presence_penalty", self.presence_penalty.is_some()),
            ("logit_bias", self.logit_bias.is_some()),
            ("stop", !self.stop.is_empty()),
            ("n", self.n.is_some()),
            ("response_format", self.response_format.is_some()),
            (
                "reasoning_effort",
                request
                    .reasoning
                    .effort
                    .is_some_and(|effort| effort != Effort::Max)
                    && (self.reasoning_effort.is_some() || self.thinking.is_some()),
            ),
            (
                "reasoning",
                self.reasoning.is_some() || self.thinking_budget.is_some(),
            ),
            ("logprobs", self.logprobs.is_some()),
            ("top_logprobs", self.top_logprobs.is_some()),
            ("user", self.user.is_some()),
            ("service_tier", self.service_tier.is_some()),
            ("stream", self.stream.is_some()),
            ("stream_options", request.stream_usage),
        ];
        let told: Vec<_> = report
            .changed
            .iter()
            .map(|change| change.field.clone())
            .chain(report.dropped.iter().map(|loss| loss.field.clone()))
            .collect();
        let is_told = |field: &str| told.iter().any(|told| told == field);
        for (field, _) in present.into_iter().filter(|(_, is_present)| *is_present) {
            if !is_told(field) {
                report.carry(field);
            }
        }
        for (name, _) in &self.extra.0 {
            report.carry(Cow::Owned((*name).to_owned()));
        }
    }

    /// Takes out what the host refuses, and says so.
    pub(super) fn withhold(&mut self, refused: &[&'static str], report: &mut Conversion) {
        for field in refused {
            if self.take(field) {
                report.carried.retain(|carried| carried != field);
                report.drop(*field, "the host refuses it");
            }
        }
    }

    /// Takes a field out; whether it was there.
    fn take(&mut self, field: &str) -> bool {
        match field {
            "tools" => !std::mem::take(&mut self.tools).is_empty(),
            "tool_choice" => self.tool_choice.take().is_some(),
            "parallel_tool_calls" => self.parallel_tool_calls.take().is_some(),
            "temperature" => self.temperature.take().is_some(),
            "top_p" => self.top_p.take().is_some(),
            "top_k" => self.top_k.take().is_some(),
            "seed" => self.seed.take().is_some() || self.random_seed.take().is_some(),
            "frequency_penalty" => self.frequency_penalty.take().is_some(),
            "presence_penalty" => self.presence_penalty.take().is_some(),
            "logit_bias" => self.logit_bias.take().is_some(),
            "stop" => !std::mem::take(&mut self.stop).is_empty(),
            "logprobs" => self.logprobs.take().is_some(),
            "top_logprobs" => self.top_logprobs.take().is_some(),
            "user" => self.user.take().is_some(),
            "service_tier" => self.service_tier.take().is_some(),
            "reasoning_effort" => self.reasoning_effort.take().is_some(),
            other => self.take_extra(other),
        }
    }

    /// Takes a field out that the domain has no word for; whether it was there.
    pub(super) fn take_extra(&mut self, field: &str) -> bool {
        let before = self.extra.0.len();
        self.extra.0.retain(|(name, _)| *name != field);
        self.extra.0.len() < before
    }
}

/// Whether a host's row may name the field among those that it refuses: fields of the vendor's own
/// request that a request can do without
/// (<https://platform.openai.com/docs/api-reference/chat/create>), and `top_k`, which others have added.
#[cfg(test)]
pub(crate) fn may_be_refused(field: &str) -> bool {
    const FIELDS: [&str; 24] = [
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "metadata",
        "modalities",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "tool_choice",
        "tools",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ];
    FIELDS.contains(&field)
}
