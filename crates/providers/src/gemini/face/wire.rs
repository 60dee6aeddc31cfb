//! What is answered (<https://ai.google.dev/api/generate-content#response-body>).

use std::borrow::Cow;

use domain::usage::{ServiceTier, Usage};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::gemini::wire::request::{Content, Part, Role};

/// An answer, or the last chunk of a streamed one.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(flatten)]
    pub(super) head: Head<'a>,
    /// Our own: the report, where the caller asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trunkline: Option<&'a Value>,
}

/// What every chunk says of the whole answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<UsageMetadata>,
    pub(super) model_version: &'a str,
    pub(super) response_id: &'a str,
}

/// One answer of several, or a piece of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    pub(super) content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_message: Option<String>,
    pub(super) index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) grounding_metadata: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs_result: Option<Value>,
    /// Our own: the provider's word for the end, where it is not Google's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) native_finish_reason: Option<&'a str>,
    /// Our own: the text that stopped the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_sequence: Option<&'a str>,
    /// Our own: what only another provider's format knows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) provider_content: Vec<ProviderContent<'a>>,
}

/// One block that only `format` knows.
#[derive(Serialize)]
pub(super) struct ProviderContent<'a> {
    pub(super) format: &'a str,
    pub(super) raw: Cow<'a, RawValue>,
}

impl<'a> Candidate<'a> {
    /// A candidate of these parts that says no more. One without a part is not what clients take for an
    /// answer, so it has an empty text, as Google's last chunks do.
    pub(super) fn of(index: u32, mut parts: Vec<Part<'a>>) -> Self {
        if parts.is_empty() {
            parts.push(Part::text(""));
        }
        Self {
            content: Content {
                role: Some(Role::Model),
                parts,
            },
            finish_reason: None,
            finish_message: None,
            index,
            grounding_metadata: None,
            logprobs_result: None,
            native_finish_reason: None,
            stop_sequence: None,
            provider_content: Vec::new(),
        }
    }
}

/// <https://ai.google.dev/api/generate-content#UsageMetadata>
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    total_token_count: u64,
    prompt_tokens_details: Vec<ModalityCount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cache_tokens_details: Vec<ModalityCount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<ModalityCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModalityCount {
    modality: &'static str,
    token_count: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl UsageMetadata {
    /// A usage in Google's words: what was cached is inside the prompt, what was thought is beside the
    /// candidates.
    pub(super) fn of(usage: &Usage, tier: Option<ServiceTier>) -> Self {
        let answered = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
        let cached = usage.cached_input_tokens;
        Self {
            prompt_token_count: usage.input_tokens,
            cached_content_token_count: cached,
            candidates_token_count: answered,
            thoughts_token_count: usage.reasoning_tokens,
            total_token_count: usage.total_tokens(),
            prompt_tokens_details: details(
                usage.input_tokens,
                usage.input_audio_tokens,
                usage.input_image_tokens,
                usage.input_video_tokens,
            ),
            cache_tokens_details: details(
                cached,
                usage.cached_input_audio_tokens,
                usage.cached_input_image_tokens,
                0,
            ),
            candidates_tokens_details: details(
                answered,
                usage.output_audio_tokens,
                usage.output_image_tokens,
                usage.output_video_tokens,
            ),
            service_tier: tier.map(ServiceTier::as_str),
        }
    }
}

/// The counts that are not zero; text is what the others leave.
fn details(whole: u64, audio: u64, image: u64, video: u64) -> Vec<ModalityCount> {
    let text = whole
        .saturating_sub(audio)
        .saturating_sub(image)
        .saturating_sub(video);
    [
        ("TEXT", text),
        ("AUDIO", audio),
        ("IMAGE", image),
        ("VIDEO", video),
    ]
    .into_iter()
    .filter(|(_, token_count)| *token_count > 0)
    .map(|(modality, token_count)| ModalityCount {
        modality,
        token_count,
    })
    .collect()
}
