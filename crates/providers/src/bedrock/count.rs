//! `POST /model/{model}/count-tokens`, of what `InvokeModel` or Converse would be sent.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError};
use http::Request;
use serde::Deserialize;

use super::model::without_geography;
use super::{AnthropicOnBedrock, BedrockConverse, endpoint, is_claude};
use crate::count::{Counted, Counter, unreadable};
use crate::dialect::{DecodeError, Dialect, Refusal, Target};
use crate::{passing, splice};

/// What a count takes of what Converse takes
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseTokensRequest.html>).
const COUNTED: [&str; 4] = [
    "messages",
    "system",
    "toolConfig",
    "additionalModelRequestFields",
];

/// Who counts for a model.
pub(crate) fn counter(model: &str) -> &'static dyn Counter {
    if is_claude(model) {
        &Invocation
    } else {
        &Conversation
    }
}

/// What `InvokeModel` would be sent, for Claude.
struct Invocation;

impl Counter for Invocation {
    fn dialect(&self) -> &'static dyn Dialect {
        &AnthropicOnBedrock
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let invoked = AnthropicOnBedrock.request(target, false, counted.fields, counted.body)?;
        let message = bounded(invoked.into_body())?;
        ask(
            target,
            &[
                br#"{"input":{"invokeModel":{"body":""#,
                STANDARD.encode(&message).as_bytes(),
                br#""}}}"#,
            ],
        )
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        read(answer)
    }

    fn answers_in_format(&self) -> bool {
        false
    }

    fn cannot_count(&self, failure: &ProviderError) -> bool {
        cannot_count(failure)
    }
}

/// What Converse would be sent.
struct Conversation;

impl Counter for Conversation {
    fn dialect(&self) -> &'static dyn Dialect {
        &BedrockConverse
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let conversation = splice::only(&counted.body, &COUNTED)?;
        ask(target, &[br#"{"input":{"converse":"#, &conversation, b"}}"])
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        read(answer)
    }

    fn answers_in_format(&self) -> bool {
        false
    }

    fn cannot_count(&self, failure: &ProviderError) -> bool {
        cannot_count(failure)
    }
}

/// Models are counted by their own names, and not by those of profiles that ask them somewhere in the world
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>).
fn ask(target: &Target<'_>, body: &[&[u8]]) -> Result<Request<Bytes>, Refusal> {
    let model = without_geography(target.model);
    let address = endpoint::address_of(target, model, "count-tokens")?;
    passing::post(&address, body.concat().into())
}

/// A message that bounds its output, as `InvokeModel` wants it to; a count has no such bound.
fn bounded(message: Bytes) -> Result<Bytes, Refusal> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Bounds {
        max_tokens: Option<serde::de::IgnoredAny>,
        thinking: Thinking,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Thinking {
        budget_tokens: u64,
    }
    // What is not of this shape is for the provider to refuse.
    let bounds: Bounds = serde_json::from_slice(&message).unwrap_or_default();
    if bounds.max_tokens.is_some() {
        return Ok(message);
    }
    // Thoughts must fit into it.
    let bound = bounds.thinking.budget_tokens.saturating_add(1).to_string();
    splice::fields(&message, &["max_tokens"], &[("max_tokens", &bound)])
}

/// Reads a count.
fn read(answer: &[u8]) -> Result<u64, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        input_tokens: u64,
    }
    let count: Count = serde_json::from_slice(answer).map_err(unreadable)?;
    Ok(count.input_tokens)
}

/// Some models are not counted, nor are profiles of one's own; a model that is asked through a profile need not be
/// there by its own name; and accounts that may ask a model were often not permitted `bedrock:CountTokens`, which is
/// newer.
fn cannot_count(failure: &ProviderError) -> bool {
    let says = |words| failure.message.contains(words);
    match failure.cause {
        Cause::NotFound => true,
        Cause::Permission => says("CountTokens"),
        Cause::InvalidRequest => {
            says("support counting tokens") || says("on-demand throughput isn")
        }
        _ => false,
    }
}
