//! What is sent: <https://ai.google.dev/api/generate-content#request-body>

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The body of `generateContent` and `streamGenerateContent`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct Request<'a> {
    pub(in crate::gemini) contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) system_instruction: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::gemini) tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "ToolConfig::is_empty")]
    pub(in crate::gemini) tool_config: ToolConfig<'a>,
    pub(in crate::gemini) generation_config: GenerationConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) safety_settings: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) cached_content: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) service_tier: Option<&'static str>,
    /// The caller's own fields, as they were written.
    #[serde(flatten)]
    pub(in crate::gemini) extra: BTreeMap<&'a str, &'a RawValue>,
}

/// One turn.
#[derive(Debug, Serialize)]
pub(in crate::gemini) struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) role: Option<Role>,
    pub(in crate::gemini) parts: Vec<Part<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::gemini) enum Role {
    User,
    Model,
}

/// One piece of a turn; exactly one of its data fields is there.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::gemini) enum Part<'a> {
    Known(Box<KnownPart<'a>>),
    Raw(&'a RawValue),
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct KnownPart<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) inline_data: Option<Blob<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) file_data: Option<FileData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) function_response: Option<FunctionResponse<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) thought: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) thought_signature: Option<&'a str>,
}

impl<'a> Part<'a> {
    pub(in crate::gemini) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Known(Box::new(KnownPart {
            text: Some(text.into()),
            ..KnownPart::default()
        }))
    }
}

impl<'a> From<KnownPart<'a>> for Part<'a> {
    fn from(part: KnownPart<'a>) -> Self {
        Self::Known(Box::new(part))
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct Blob<'a> {
    pub(in crate::gemini) mime_type: &'a str,
    pub(in crate::gemini) data: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct FileData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) mime_type: Option<&'a str>,
    pub(in crate::gemini) file_uri: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
pub(in crate::gemini) struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) id: Option<&'a str>,
    pub(in crate::gemini) name: &'a str,
    pub(in crate::gemini) args: Cow<'a, RawValue>,
}

#[derive(Debug, Serialize)]
pub(in crate::gemini) struct FunctionResponse<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) id: Option<&'a str>,
    pub(in crate::gemini) name: &'a str,
    pub(in crate::gemini) response: Box<RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::gemini) parts: Vec<Part<'a>>,
}

/// The caller's functions, or one tool that Google runs.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::gemini) enum Tool<'a> {
    Functions(Functions<'a>),
    Hosted(Value),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct Functions<'a> {
    pub(in crate::gemini) function_declarations: Vec<FunctionDeclaration<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct FunctionDeclaration<'a> {
    pub(in crate::gemini) name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) parameters_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) parameters: Option<Value>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct ToolConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) function_calling_config: Option<FunctionCallingConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) include_server_side_tool_invocations: Option<bool>,
    /// The caller's own fields, as they were written.
    #[serde(flatten)]
    pub(in crate::gemini) extra: BTreeMap<&'a str, &'a RawValue>,
}

impl ToolConfig<'_> {
    fn is_empty(&self) -> bool {
        self.function_calling_config.is_none()
            && self.include_server_side_tool_invocations.is_none()
            && self.extra.is_empty()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct FunctionCallingConfig {
    pub(in crate::gemini) mode: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::gemini) allowed_function_names: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct GenerationConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) seed: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::gemini) stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) response_json_schema: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) response_schema: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) response_modalities: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) response_logprobs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) logprobs: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) media_resolution: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) thinking_config: Option<ThinkingConfig>,
    /// The caller's own fields, as they were written.
    #[serde(flatten)]
    pub(in crate::gemini) extra: BTreeMap<&'a str, &'a RawValue>,
}

/// How much is thought: as translated, or as the caller wrote it in Google's own words.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(in crate::gemini) enum ThinkingConfig {
    Translated(Thinking),
    Raw(Box<RawValue>),
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::gemini) struct Thinking {
    #[serde(rename = "thinkingLevel", skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) level: Option<&'static str>,
    #[serde(rename = "thinkingBudget", skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::gemini) include_thoughts: Option<bool>,
}
