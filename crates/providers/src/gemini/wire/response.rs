//! What comes back: <https://ai.google.dev/api/generate-content#response-body>. Every field may be
//! missing, for the vendor leaves out what is zero or empty.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// An answer, or one chunk of a streamed answer.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct Chunk<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    pub(in crate::gemini) prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(borrow)]
    pub(in crate::gemini) usage_metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(in crate::gemini) model_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) error: Option<&'a RawValue>,
    /// Cloud Code puts the whole answer in here.
    #[serde(borrow)]
    pub(in crate::gemini) response: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct PromptFeedback<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) block_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) block_reason_message: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct Candidate<'a> {
    pub(in crate::gemini) index: Option<u32>,
    #[serde(borrow)]
    pub(in crate::gemini) content: Option<AnswerContent<'a>>,
    #[serde(borrow)]
    pub(in crate::gemini) finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) finish_message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) grounding_metadata: Option<GroundingMetadata<'a>>,
    #[serde(borrow)]
    pub(in crate::gemini) citation_metadata: Option<CitationMetadata<'a>>,
    #[serde(borrow)]
    pub(in crate::gemini) logprobs_result: Option<LogprobsResult<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::gemini) struct AnswerContent<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) parts: Option<Vec<&'a RawValue>>,
}

/// One piece of an answer. What is none of these stays raw.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct AnswerPart<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) text: Option<Cow<'a, str>>,
    pub(in crate::gemini) thought: Option<bool>,
    #[serde(borrow)]
    pub(in crate::gemini) thought_signature: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) function_call: Option<AnswerCall<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct AnswerCall<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) args: Option<&'a RawValue>,
}

/// <https://ai.google.dev/api/generate-content#GroundingMetadata>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct GroundingMetadata<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) grounding_chunks: Option<Vec<GroundingChunk<'a>>>,
    pub(in crate::gemini) grounding_supports: Option<Vec<GroundingSupport>>,
    #[serde(borrow)]
    pub(in crate::gemini) web_search_queries: Option<Vec<Cow<'a, str>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct GroundingChunk<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) web: Option<GroundingSource<'a>>,
    #[serde(borrow)]
    pub(in crate::gemini) maps: Option<GroundingSource<'a>>,
    #[serde(borrow)]
    pub(in crate::gemini) retrieved_context: Option<GroundingSource<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct GroundingSource<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) title: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct GroundingSupport {
    pub(in crate::gemini) grounding_chunk_indices: Option<Vec<usize>>,
    pub(in crate::gemini) segment: Option<Segment>,
}

/// Positions are in bytes of the text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct Segment {
    pub(in crate::gemini) start_index: Option<usize>,
    pub(in crate::gemini) end_index: Option<usize>,
}

/// <https://ai.google.dev/api/generate-content#citationmetadata>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct CitationMetadata<'a> {
    /// Vertex's word is `citations`.
    #[serde(borrow, alias = "citations")]
    pub(in crate::gemini) citation_sources: Option<Vec<CitationSource<'a>>>,
}

/// Positions are in bytes of the text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct CitationSource<'a> {
    pub(in crate::gemini) start_index: Option<usize>,
    pub(in crate::gemini) end_index: Option<usize>,
    #[serde(borrow)]
    pub(in crate::gemini) uri: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) title: Option<Cow<'a, str>>,
}

/// <https://ai.google.dev/api/generate-content#LogprobsResult>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct LogprobsResult<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) chosen_candidates: Option<Vec<TokenLogprob<'a>>>,
    #[serde(borrow)]
    pub(in crate::gemini) top_candidates: Option<Vec<TopCandidates<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::gemini) struct TopCandidates<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) candidates: Option<Vec<TokenLogprob<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct TokenLogprob<'a> {
    #[serde(borrow)]
    pub(in crate::gemini) token: Option<Cow<'a, str>>,
    pub(in crate::gemini) log_probability: Option<f64>,
}

/// <https://ai.google.dev/api/generate-content#UsageMetadata>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct UsageMetadata<'a> {
    pub(in crate::gemini) prompt_token_count: Option<u64>,
    pub(in crate::gemini) cached_content_token_count: Option<u64>,
    pub(in crate::gemini) candidates_token_count: Option<u64>,
    /// Vertex's word in some answers.
    pub(in crate::gemini) response_token_count: Option<u64>,
    pub(in crate::gemini) thoughts_token_count: Option<u64>,
    pub(in crate::gemini) tool_use_prompt_token_count: Option<u64>,
    pub(in crate::gemini) total_token_count: Option<u64>,
    pub(in crate::gemini) prompt_tokens_details: Option<Vec<ModalityCount>>,
    pub(in crate::gemini) cache_tokens_details: Option<Vec<ModalityCount>>,
    pub(in crate::gemini) candidates_tokens_details: Option<Vec<ModalityCount>>,
    pub(in crate::gemini) tool_use_prompt_tokens_details: Option<Vec<ModalityCount>>,
    #[serde(borrow)]
    pub(in crate::gemini) service_tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) traffic_type: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::gemini) struct ModalityCount {
    pub(in crate::gemini) modality: Option<String>,
    pub(in crate::gemini) token_count: Option<u64>,
}

/// <https://cloud.google.com/apis/design/errors>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::gemini) struct Failure<'a> {
    pub(in crate::gemini) code: Option<u16>,
    #[serde(borrow)]
    pub(in crate::gemini) message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(in crate::gemini) status: Option<Cow<'a, str>>,
    pub(in crate::gemini) details: Option<Vec<Value>>,
}
