//! Anthropic's models
//! (<https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai>).

use bytes::Bytes;
use domain::chat::{ChatRequest, Conversion};
use domain::provider_error::ProviderError;
use http::HeaderMap;
use http::response::Parts;
use jiff::Timestamp;

use super::model_url;
use crate::anthropic::AnthropicMessages;
use crate::anthropic::betas::{self, BetaHost};
use crate::dialect::{Dialect, Encoded, Refusal, Target};
use crate::elsewhere::Elsewhere;
use crate::gemini::Gemini;
use crate::splice;
use crate::url;

/// The version of the format, which stands in the body.
pub(crate) const VERSION: &str = "\"vertex-2023-10-16\"";

/// Anthropic's messages at Vertex AI: the URL names the model and the body names the version; all else,
/// answers and streams included, is as at Anthropic itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct VertexAnthropic;

impl Elsewhere for VertexAnthropic {
    type Own = AnthropicMessages;

    fn own(&self) -> &AnthropicMessages {
        &AnthropicMessages
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        let mut encoded = AnthropicMessages.encode(request, target, now)?;
        Elsewhere::report_left_out(self, target, &encoded.fields, &mut encoded.report);
        Ok(encoded)
    }

    fn report_left_out(&self, target: &Target<'_>, fields: &HeaderMap, report: &mut Conversion) {
        betas::for_host(BetaHost::Vertex, target.model, fields).report(report);
    }

    /// Takes `model` out of the body and puts `anthropic_version` in; no other byte is touched. Of the
    /// beta features those stay that the platform takes: it refuses a request for any other.
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
        request_to(&url, target, stream, fields, body)
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

/// A request whose body names the version, with the beta features that the platform takes.
pub(super) fn request_to(
    url: &str,
    target: &Target<'_>,
    stream: bool,
    fields: &HeaderMap,
    body: Bytes,
) -> Result<http::Request<Bytes>, Refusal> {
    let mut request = AnthropicMessages.request(target, stream, fields, body)?;
    // The version that holds is the body's.
    request.headers_mut().remove("anthropic-version");
    let betas = betas::for_host(BetaHost::Vertex, target.model, request.headers());
    request.headers_mut().remove(betas::FIELD);
    if let Some(kept) = betas.field() {
        request.headers_mut().insert(betas::FIELD, kept);
    }
    url::replace(&mut request, url)?;
    Ok(request)
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

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

    #[test]
    fn the_callers_bytes_stay_but_for_the_model_and_the_version() {
        let target = Target {
            model: "claude-sonnet-4-5@20250929",
            base_url: "https://aiplatform.googleapis.com",
            capabilities: &Capabilities::default(),
            host: &Host {
                project: Some("p".to_owned()),
                ..Host::NONE
            },
        };
        let mut fields = HeaderMap::new();
        let betas = "context-1m-2025-08-07, no-such-feature-2026-01-01";
        fields.insert(betas::FIELD, betas.parse().unwrap());
        let body = br#"{ "max_tokens" : 1e2, "model":"claude", "messages":[],"new_field":{"z":1,"a":2.50} }"#;
        let bytes = Bytes::from_static(body);
        let request = Dialect::request(&VertexAnthropic, &target, true, &fields, bytes).unwrap();
        assert_eq!(
            request.uri().path(),
            "/v1/projects/p/locations/global/publishers/anthropic/models/\
             claude-sonnet-4-5@20250929:streamRawPredict"
        );
        assert_eq!(
            request.body().as_ref(),
            br#"{"anthropic_version":"vertex-2023-10-16", "max_tokens" : 1e2, "messages":[],"new_field":{"z":1,"a":2.50} }"#
        );
        assert_eq!(
            request.headers().get(betas::FIELD).unwrap(),
            "context-1m-2025-08-07"
        );
        assert!(!request.headers().contains_key("anthropic-version"));
    }
}
