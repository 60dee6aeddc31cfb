//! `POST /v1/messages/count_tokens`: how many tokens of input a message would be.
//! <https://platform.claude.com/docs/en/api/messages-count-tokens>

use bytes::Bytes;
use domain::chat::ChatRequest;
use domain::name::ModelName;
use http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AnthropicMessages;
use super::face::{envelope, parse};
use crate::count::{CountFace, Counted, Counter, unreadable};
use crate::dialect::{DecodeError, Dialect, Refusal, Target};
use crate::face::{Asked, Face, InvalidRequest};
use crate::kind::ProviderKind;
use crate::passing::refusal;
use crate::{splice, url};

/// What a count takes of a message; anything else is refused.
const COUNTED: [&str; 11] = [
    "model",
    "messages",
    "cache_control",
    "context_management",
    "mcp_servers",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

/// Counts the input of a message.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl CountFace for CountTokens {
    fn face(&self) -> &'static dyn Face {
        &AnthropicMessages
    }

    fn model(&self, _: &Asked, body: &Bytes) -> Result<ModelName, InvalidRequest> {
        Ok(envelope::of_count(body)?.model)
    }

    fn spliced(&self, body: &Bytes, _: ProviderKind, model: &str) -> Result<Bytes, Refusal> {
        let envelope = envelope::of_count(body).map_err(refusal)?;
        Ok(AnthropicMessages.splice(&envelope, body, model).body)
    }

    fn parse(&self, asked: &Asked, body: &Bytes) -> Result<ChatRequest, InvalidRequest> {
        parse::count(asked, body)
    }

    fn render(&self, tokens: u64) -> Value {
        json!({"input_tokens": tokens})
    }
}

/// Anthropic's own count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageCounter;

impl Counter for MessageCounter {
    fn dialect(&self) -> &'static dyn Dialect {
        &AnthropicMessages
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let body = message(&counted)?;
        let mut request = AnthropicMessages.request(target, false, counted.fields, body)?;
        let address = format!("{}/v1/messages/count_tokens", target.base_url);
        url::replace(&mut request, &address)?;
        Ok(request)
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        read(answer)
    }
}

/// What is counted of a message, wherever it is counted.
pub(crate) fn message(counted: &Counted<'_>) -> Result<Bytes, Refusal> {
    if counted.is_verbatim {
        Ok(counted.body.clone())
    } else {
        splice::only(&counted.body, &COUNTED)
    }
}

/// Reads a count.
pub(crate) fn read(answer: &[u8]) -> Result<u64, DecodeError> {
    #[derive(Deserialize)]
    struct Count {
        input_tokens: u64,
    }
    let count: Count = serde_json::from_slice(answer).map_err(unreadable)?;
    Ok(count.input_tokens)
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use domain::tokenizer::Tokenizers;
    use http::HeaderValue;

    use super::*;
    use crate::count::Counting;
    use crate::host::Host;
    use crate::task::{Task as _, TaskStep};

    const COUNT: Counting<CountTokens> = Counting(CountTokens);
    const BODY: &str = r#"{"model":"alias","messages":[{"role":"user","content":"hello world"}],"system":"Be kind."}"#;

    fn target<'a>(model: &'a str, capabilities: &'a Capabilities) -> Target<'a> {
        Target {
            model,
            base_url: "https://api.anthropic.com",
            capabilities,
            host: &Host::NONE,
        }
    }

    #[test]
    fn anthropic_is_asked_with_the_callers_own_words() {
        let capabilities = Capabilities::default();
        let mut asked = Asked::default();
        asked
            .headers
            .insert("anthropic-beta", HeaderValue::from_static("new-2027-01-01"));
        let target = target("claude-opus-5", &capabilities);
        let body = Bytes::from_static(BODY.as_bytes());
        let kind = ProviderKind::Anthropic;
        assert!(
            COUNT
                .answer(&asked, &body, kind, &target, &Tokenizers::default())
                .unwrap()
                .is_none()
        );
        let prepared = COUNT.prepare(&asked, &body, kind, &target).unwrap();
        let request = prepared.request;
        assert_eq!(
            request.uri(),
            "https://api.anthropic.com/v1/messages/count_tokens"
        );
        assert_eq!(request.headers()["anthropic-beta"], "new-2027-01-01");
        assert_eq!(request.body(), &BODY.replace("alias", "claude-opus-5"));
        let head = http::Response::new(()).into_parts().0;
        let counted = Bytes::from_static(br#"{"input_tokens":7,"new":1}"#);
        let Ok(TaskStep::Done(answer)) = prepared.reader.read(&head, counted.clone()) else {
            panic!("the count is read");
        };
        assert_eq!(answer.body, counted);
        let nothing = prepared.reader.read(&head, Bytes::from_static(b"{}"));
        assert!(matches!(nothing, Err(DecodeError::Malformed(_))));
    }

    #[test]
    fn the_models_of_others_are_estimated_and_the_answer_says_so() {
        let capabilities = Capabilities::default();
        let body = Bytes::from_static(BODY.as_bytes());
        let target = target("gpt-5.4", &capabilities);
        let (asked, none) = (Asked::default(), Tokenizers::default());
        let answer = COUNT.answer(&asked, &body, ProviderKind::Openai, &target, &none);
        let answer = answer.unwrap().unwrap();
        assert_eq!(answer.body, r#"{"input_tokens":17,"estimated":true}"#);
    }

    #[test]
    fn a_count_needs_no_bound_on_the_output() {
        let body = Bytes::from_static(BODY.as_bytes());
        let envelope = COUNT.envelope(&Asked::default(), &body).unwrap();
        assert_eq!(envelope.model.as_str(), "alias");
        let empty = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
        let refusal = COUNT.envelope(&Asked::default(), &empty).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("messages"));
    }
}
