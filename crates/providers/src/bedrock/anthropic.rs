//! Anthropic's Messages format in Bedrock's envelope: the model and the wish for a stream are in the URL,
//! the version and the beta features in the body.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html>

use bytes::Bytes;
use domain::chat::{ChatRequest, ChatResponse, Conversion, Part, Source, Tool};
use domain::provider_error::ProviderError;
use domain::usage::{ServiceTier, Usage};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::response::Parts;
use jiff::Timestamp;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::tier_of;
use super::{chunks, endpoint, error, urls_to_inline};
use crate::anthropic::AnthropicMessages;
use crate::anthropic::betas::{self, BetaHost};
use crate::dialect::{
    DecodeError, Dialect, Encoded, Format, Reframer, Refusal, StreamDecoder, Target,
};
use crate::exchange::Exchange;
use crate::splice;

/// Where Bedrock is told of the version, and the only one that it knows.
const VERSION_MEMBER: &str = "anthropic_version";
pub(crate) const VERSION: &str = "\"bedrock-2023-05-31\"";

/// Where Bedrock is told of beta features.
const BETA_MEMBER: &str = "anthropic_beta";

/// The class of service, which Bedrock wants beside the body.
const TIER_MEMBER: &str = "service_tier";
const TIER_FIELD: HeaderName = HeaderName::from_static("x-amzn-bedrock-service-tier");

/// The target's side of Anthropic's Messages format on Bedrock: `POST {base_url}/model/{model}/invoke`,
/// and `/invoke-with-response-stream` for a stream of binary messages, each with one of Anthropic's events in
/// it.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnthropicOnBedrock;

impl Dialect for AnthropicOnBedrock {
    fn format(&self) -> Format {
        Format::AnthropicMessages
    }

    fn media_needed(&self, request: &ChatRequest, _target: &Target<'_>) -> Vec<String> {
        urls_to_inline(request)
    }

    fn encode(
        &self,
        request: &ChatRequest,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<Encoded, Refusal> {
        refuse_what_bedrock_lacks(request)?;
        let mut encoded = AnthropicMessages.encode(request, target, now)?;
        self.report_left_out(target, &encoded.fields, &mut encoded.report);
        if let Some(tier) = request.service_tier {
            move_tier(tier, &mut encoded)?;
        }
        Ok(encoded)
    }

    fn report_left_out(&self, target: &Target<'_>, fields: &HeaderMap, report: &mut Conversion) {
        betas::for_host(BetaHost::Bedrock, target.model, fields).report(report);
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Bytes>, Refusal> {
        let own: OwnMembers<'_> = serde_json::from_slice(&body).unwrap_or_default();
        let mut removed = vec!["model", "stream"];
        let mut added = Vec::new();
        if own.anthropic_version.is_none() {
            added.push((VERSION_MEMBER, VERSION));
        }
        let betas = own.betas_with(fields, target.model);
        if let Some(betas) = &betas {
            removed.push(BETA_MEMBER);
            added.push((BETA_MEMBER, betas.as_str()));
        }
        let (operation, accept) = if stream {
            let accept = HeaderName::from_static("x-amzn-bedrock-accept");
            ("invoke-with-response-stream", accept)
        } else {
            ("invoke", ACCEPT)
        };
        let mut request = http::Request::post(endpoint::address(target, operation)?)
            .header(CONTENT_TYPE, "application/json")
            .header(accept, "application/json")
            .body(splice::fields(&body, &removed, &added)?)
            .map_err(endpoint::unusable)?;
        if let Some(tier) = fields.get(TIER_FIELD) {
            request.headers_mut().insert(TIER_FIELD, tier.clone());
        }
        Ok(request)
    }

    /// Anthropic fetches what stands at a URL; Bedrock refuses the URL, so that it must be fetched first.
    fn takes_as_written(&self, body: &[u8]) -> bool {
        !names_a_url(body)
    }

    fn decode(
        &self,
        exchange: &Exchange,
        head: &Parts,
        body: &[u8],
    ) -> Result<ChatResponse, DecodeError> {
        let mut response = AnthropicMessages.decode(exchange, head, body)?;
        let given = head.headers.get(TIER_FIELD);
        let given = given.and_then(|value| value.to_str().ok());
        response.service_tier = given.and_then(tier_of).or(response.service_tier);
        Ok(response)
    }

    fn decode_error(&self, head: &Parts, body: &[u8], now: Timestamp) -> ProviderError {
        error::decode(head, body, now)
    }

    fn decoder(&self, exchange: &Exchange) -> Box<dyn StreamDecoder> {
        let inner = AnthropicMessages.decoder(exchange);
        Box::new(chunks::Decoder::new(inner))
    }

    fn reframer(&self) -> Option<Box<dyn Reframer>> {
        Some(Box::new(chunks::Chunks::default()))
    }

    fn usage(&self, native: &[u8]) -> Result<Usage, DecodeError> {
        AnthropicMessages.usage(native)
    }
}

/// Anthropic's file store and the tools that it runs itself are not there; those that the caller runs (`bash_…`,
/// `computer_…`) are.
/// <https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock>
fn refuse_what_bedrock_lacks(request: &ChatRequest) -> Result<(), Refusal> {
    const SEARCH: &str = "web_search_options";
    const LACKING: [&str; 3] = ["web_search", "web_fetch", "code_execution"];
    let lacks = |tool: &str| {
        format!("Claude on Amazon Bedrock has no {tool}. Leave it out, or choose another provider.")
    };
    if request.extensions.contains_key(SEARCH) {
        return Err(Refusal::of(SEARCH, lacks("web search")));
    }
    for (index, tool) in request.tools.iter().enumerate() {
        if let Tool::Hosted { kind, .. } = tool
            && LACKING.iter().any(|lacking| kind.starts_with(lacking))
        {
            let tool = format!("tool of type {kind:?}");
            return Err(Refusal::of(format!("tools[{index}]"), lacks(&tool)));
        }
    }
    for (index, message) in request.messages.iter().enumerate() {
        for (place, part) in message.content().iter().enumerate() {
            if let Part::Image(media) | Part::Document(media) = part
                && matches!(media.source, Source::File(_))
            {
                let detail = "Bedrock has no file store of its own. Send the file inline.";
                let path = format!("messages[{index}].content[{place}]");
                return Err(Refusal::of(path, detail));
            }
        }
    }
    Ok(())
}

/// Whether some object of a body is of type `url`. Inside of a text the quotes would be escaped.
fn names_a_url(body: &[u8]) -> bool {
    memmem::find_iter(body, br#""url""#).any(|place| {
        let before = body.get(..place).unwrap_or_default().trim_ascii_end();
        let name = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end);
        name.is_some_and(|name| name.ends_with(br#""type""#))
    })
}

/// Takes the class of service out of the body, where Bedrock does not know it, and says it in a field.
fn move_tier(tier: ServiceTier, encoded: &mut Encoded) -> Result<(), Refusal> {
    encoded.body = splice::fields(&encoded.body, &[TIER_MEMBER], &[])?;
    let report = &mut encoded.report;
    report.carried.retain(|field| field != TIER_MEMBER);
    report.changed.retain(|change| change.field != TIER_MEMBER);
    report.dropped.retain(|loss| loss.field != TIER_MEMBER);
    let word = match tier {
        ServiceTier::Standard => "default",
        ServiceTier::Priority => "priority",
        ServiceTier::Flex => "flex",
        ServiceTier::Batch => {
            report.drop(TIER_MEMBER, "batches are sent through another endpoint");
            return Ok(());
        }
    };
    report.carry(TIER_MEMBER);
    encoded
        .fields
        .insert(TIER_FIELD, HeaderValue::from_static(word));
    Ok(())
}

/// What a body says itself of what else the fields say.
#[derive(Debug, Default, Deserialize)]
struct OwnMembers<'a> {
    #[serde(borrow)]
    anthropic_version: Option<&'a RawValue>,
    #[serde(borrow)]
    anthropic_beta: Option<&'a RawValue>,
}

impl OwnMembers<'_> {
    /// The beta features of the fields that Bedrock takes and those of the body, each once, as a list;
    /// `None` where the fields name none and the body stays as it is.
    fn betas_with(&self, fields: &HeaderMap, model: &str) -> Option<String> {
        let mut betas = betas::for_host(BetaHost::Bedrock, model, fields).kept;
        if betas.is_empty() {
            return None;
        }
        let own = self.anthropic_beta.map(RawValue::get).unwrap_or_default();
        let own: Vec<String> = serde_json::from_str(own).unwrap_or_default();
        for beta in own {
            if !betas.contains(&beta) {
                betas.push(beta);
            }
        }
        serde_json::to_string(&betas).ok()
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

    fn sent(body: &'static str, betas: Option<&'static str>) -> String {
        let capabilities = Capabilities::default();
        let target = Target {
            model: "us.anthropic.claude-opus-4-8",
            base_url: "https://bedrock-runtime.us-east-1.amazonaws.com",
            capabilities: &capabilities,
            host: &Host::NONE,
        };
        let mut fields = HeaderMap::new();
        if let Some(betas) = betas {
            fields.insert(betas::FIELD, HeaderValue::from_static(betas));
        }
        let request = AnthropicOnBedrock
            .request(&target, false, &fields, Bytes::from(body))
            .unwrap();
        assert!(!request.headers().contains_key(betas::FIELD));
        String::from_utf8(request.into_body().to_vec()).unwrap()
    }

    #[test]
    fn a_feature_that_stays_behind_is_reported_where_the_bytes_pass() {
        let capabilities = Capabilities::default();
        let target = Target {
            model: "us.anthropic.claude-opus-4-8",
            base_url: "https://bedrock-runtime.us-east-1.amazonaws.com",
            capabilities: &capabilities,
            host: &Host::NONE,
        };
        let mut fields = HeaderMap::new();
        let asked = HeaderValue::from_static("effort-2025-11-24,files-api-2025-04-14");
        fields.insert(betas::FIELD, asked);
        let mut report = Conversion::default();
        AnthropicOnBedrock.report_left_out(&target, &fields, &mut report);
        assert_eq!(report.dropped.len(), 1);
        assert!(report.dropped[0].reason.contains("files-api-2025-04-14"));
    }

    #[test]
    fn a_body_that_passes_keeps_every_byte_but_the_model_and_the_stream() {
        assert_eq!(
            sent(
                r#"{"model":"m","max_tokens":1e2, "x": {"b":12345678901234567890,"a":null},"stream":false}"#,
                None
            ),
            r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":1e2, "x": {"b":12345678901234567890,"a":null}}"#
        );
    }

    #[test]
    fn a_body_that_is_made_for_bedrock_keeps_its_own_version_and_betas() {
        let body =
            r#"{"anthropic_version":"bedrock-2024-01-01","anthropic_beta":["x"],"max_tokens":1}"#;
        assert_eq!(sent(body, None), body);
    }

    #[test]
    fn the_beta_features_that_bedrock_takes_stand_in_the_body_each_once() {
        assert_eq!(
            sent(
                r#"{"anthropic_beta":["own","context-1m-2025-08-07"],"model":"m"}"#,
                Some("context-1m-2025-08-07, files-api-2025-04-14,computer-use-2025-11-24")
            ),
            r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07","computer-use-2025-11-24","own"]}"#
        );
    }

    #[test]
    fn a_body_that_names_a_url_is_not_taken_as_it_is() {
        let taken = |body: &str| AnthropicOnBedrock.takes_as_written(body.as_bytes());
        assert!(!taken(
            r#"{"source":{"type" : "url","url":"https://a/b.png"}}"#
        ));
        assert!(taken(r#"{"source":{"type":"base64","data":"AAAA"}}"#));
        assert!(taken(
            r#"{"text":"write {\"type\":\"url\"}, not \"url\"","url":"url"}"#
        ));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let capabilities = Capabilities::default();
        let target = Target {
            model: "m",
            base_url: "https://a",
            capabilities: &capabilities,
            host: &Host::NONE,
        };
        let fields = HeaderMap::new();
        let body = Bytes::from_static(b"[]");
        assert!(
            AnthropicOnBedrock
                .request(&target, false, &fields, body)
                .is_err()
        );
    }
}
