//! `POST /v1/messages/count_tokens`: how many tokens of input a message would be.
//! <https://platform.claude.com/docs/en/api/messages-count-tokens>

use bytes::Bytes;
use domain::call::Operation;
use domain::problem::Problem;
use domain::tokenizer::Tokenizers;
use domain::usage::Usage;
use http::header::HeaderValue;
use http::response::Parts;
use http::{Request, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;

use super::AnthropicMessages;
use crate::count;
use crate::dialect::{DecodeError, Dialect as _, Refusal, Target};
use crate::face::{Asked, Face as _, InvalidRequest};
use crate::kind::ProviderKind;
use crate::task::{PreparedTask, Task, TaskAnswer, TaskEnvelope, TaskReader, TaskStep};

/// Counts the input of a message. Anthropic itself is asked; for the models of others the answer is an
/// estimate, and says so in a field `estimated` beside `input_tokens`. Counting is free.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl Task for CountTokens {
    fn operation(&self) -> Operation {
        Operation::TokenCount
    }

    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let envelope = super::face::envelope::of_count(body)?;
        Ok(TaskEnvelope {
            model: envelope.model,
            stream: false,
            estimate: Usage::default(),
        })
    }

    fn answer(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
        tokenizers: &Tokenizers,
    ) -> Result<Option<TaskAnswer>, Refusal> {
        if kind == ProviderKind::Anthropic {
            return Ok(None);
        }
        let request = super::face::parse::count(asked, body).map_err(|invalid| Refusal {
            detail: invalid.detail,
            param: invalid.param,
        })?;
        let counted = json!({
            "input_tokens": count::input_tokens(&request, target.model, tokenizers),
            "estimated": true,
        });
        Ok(Some(TaskAnswer {
            body: Bytes::from(counted.to_string()),
            content_type: HeaderValue::from_static("application/json"),
            usage: Some(Usage::default()),
            response_model: None,
        }))
    }

    fn prepare(
        &self,
        asked: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        if kind != ProviderKind::Anthropic {
            let detail = format!("A provider of kind {} counts no messages.", kind.as_str());
            return Err(Refusal {
                detail,
                param: None,
            });
        }
        let refuse = |detail: String| Refusal {
            detail,
            param: None,
        };
        let envelope =
            super::face::envelope::of_count(body).map_err(|invalid| refuse(invalid.detail))?;
        let face = AnthropicMessages;
        let spliced = face.splice(&envelope, body, target.model).body;
        let fields = face.forwarded(asked);
        let mut request: Request<Bytes> = face.request(target, false, &fields, spliced)?;
        let uri: Uri = format!("{}/v1/messages/count_tokens", target.base_url)
            .parse()
            .map_err(|error| refuse(format!("The provider's base URL is not usable: {error}.")))?;
        *request.uri_mut() = uri;
        Ok(PreparedTask {
            request,
            report: None,
            reader: Box::new(CountReader),
        })
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        AnthropicMessages.render_error(problem, request_id)
    }
}

/// Passes the vendor's count on.
struct CountReader;

impl TaskReader for CountReader {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        #[derive(Deserialize)]
        struct Counted {
            #[expect(dead_code, reason = "whether it is there is all that is asked")]
            input_tokens: u64,
        }
        serde_json::from_slice::<Counted>(&body).map_err(|error| {
            DecodeError::Malformed(format!("the count is not readable: {error}"))
        })?;
        Ok(TaskStep::Done(TaskAnswer {
            body,
            content_type: HeaderValue::from_static("application/json"),
            usage: Some(Usage::default()),
            response_model: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

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
            CountTokens
                .answer(&asked, &body, kind, &target, &Tokenizers::default())
                .unwrap()
                .is_none()
        );
        let prepared = CountTokens.prepare(&asked, &body, kind, &target).unwrap();
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
        let answer = CountTokens.answer(&asked, &body, ProviderKind::Openai, &target, &none);
        let answer = answer.unwrap().unwrap();
        assert_eq!(answer.body, r#"{"input_tokens":17,"estimated":true}"#);
    }

    #[test]
    fn a_count_needs_no_bound_on_the_output() {
        let body = Bytes::from_static(BODY.as_bytes());
        let envelope = CountTokens.envelope(&Asked::default(), &body).unwrap();
        assert_eq!(envelope.model.as_str(), "alias");
        let empty = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
        let refusal = CountTokens.envelope(&Asked::default(), &empty).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("messages"));
    }
}
