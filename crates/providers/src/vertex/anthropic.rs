//! Anthropic's models
//! (<https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>).

use bytes::Bytes;
use domain::provider_error::ProviderError;
use http::HeaderMap;
use http::response::Parts;
use jiff::Timestamp;

use super::model_url;
use crate::anthropic::AnthropicMessages;
use crate::dialect::{Dialect, Refusal, Target};
use crate::elsewhere::Elsewhere;
use crate::gemini::Gemini;
use crate::splice;
use crate::url;

/// The version of the format, which stands in the body.
const VERSION: &str = "\"vertex-2023-10-16\"";

/// Anthropic's messages at Vertex AI: the URL names the model and the body names the version; all else,
/// answers and streams included, is as at Anthropic itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct VertexAnthropic;

impl Elsewhere for VertexAnthropic {
    type Own = AnthropicMessages;

    fn own(&self) -> &AnthropicMessages {
        &AnthropicMessages
    }

    /// Takes `model` out of the body and puts `anthropic_version` in; no other byte is touched.
    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let verb = if stream {
            "streamRawPredict"
        } else {
            "rawPredict"
        };
        let url = model_url(target, "anthropic", verb)?;
        let body = splice::fields(
            &body,
            &["model", "anthropic_version"],
            &[("anthropic_version", VERSION)],
        )?;
        let mut request = AnthropicMessages.request(target, stream, fields, body)?;
        // The version that holds is the body's.
        request.headers_mut().remove("anthropic-version");
        url::replace(&mut request, &url)?;
        Ok(request)
    }

    /// Errors come in Anthropic's shape from the model and in Google's from the platform.
    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        if is_googles(body) {
            ProviderError {
                // It is no error of this format, so that it is not shown as one.
                body: None,
                ..Gemini.decode_error(head, body, now)
            }
        } else {
            AnthropicMessages.decode_error(head, body, now)
        }
    }
}

/// Whether an error is the platform's own: `{"error": {"code": 429, "status": …}}`, which it also wraps
/// into an array.
fn is_googles(body: &[u8]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let value = value.get(0).unwrap_or(&value);
    value
        .pointer("/error/code")
        .is_some_and(serde_json::Value::is_number)
}
