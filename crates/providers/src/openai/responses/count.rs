//! `POST /v1/responses/input_tokens` and `POST /v1/responses/compact`: what a request would take, and a
//! conversation made shorter. OpenAI answers both for its own models.
//! <https://platform.openai.com/docs/api-reference/responses/input-tokens>,
//! <https://platform.openai.com/docs/api-reference/responses/compact>

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::ChatRequest;
use domain::name::ModelName;
use domain::problem::Problem;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::envelope::text;
use super::super::fields::Fields;
use super::super::usage;
use super::{OpenaiResponses, parse};
use crate::count::{CountFace, Counted, Counter, unreadable};
use crate::dialect::{DecodeError, Dialect, Refusal, Target};
use crate::face::{Asked, Face, InvalidRequest};
use crate::kind::ProviderKind;
use crate::passing::{self, Seen, refusal, required_model, tokens};
use crate::task::{PreparedTask, Task, TaskEnvelope};

/// Counts the input of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountInput;

/// Makes a conversation shorter, which only OpenAI can: what comes back is sealed by it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compact;

impl CountFace for CountInput {
    fn face(&self) -> &'static dyn Face {
        &OpenaiResponses
    }

    fn continues_answers(&self) -> bool {
        true
    }

    fn model(&self, _: &Asked, body: &Bytes) -> Result<ModelName, InvalidRequest> {
        required_model(&mut Fields::read_body(text(body)?)?)
    }

    fn spliced(&self, body: &Bytes, _: ProviderKind, model: &str) -> Result<Bytes, Refusal> {
        let span = passing::model_span(body).map_err(refusal)?;
        Ok(passing::with_model(body, span, model))
    }

    fn parse(&self, _: &Asked, body: &Bytes) -> Result<ChatRequest, InvalidRequest> {
        parse::request(body)
    }

    fn render(&self, tokens: u64) -> Value {
        json!({"object": "response.input_tokens", "input_tokens": tokens})
    }
}

/// OpenAI's own count, for who asks in its words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InputCounter;

impl Counter for InputCounter {
    fn dialect(&self) -> &'static dyn Dialect {
        &OpenaiResponses
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let url = format!("{}/responses/input_tokens", target.base_url);
        passing::post(&url, counted.body)
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        #[derive(Deserialize)]
        struct Count {
            input_tokens: u64,
        }
        let count: Count = serde_json::from_slice(answer).map_err(unreadable)?;
        Ok(count.input_tokens)
    }

    /// A host that speaks this format need not count: it does not know the path. Of a model that is not known, the
    /// answer says so.
    fn cannot_count(&self, failure: &ProviderError) -> bool {
        failure.cause == Cause::NotFound && failure.code.as_deref() != Some("model_not_found")
    }
}

impl Task for Compact {
    fn operation(&self) -> Operation {
        Operation::Chat
    }

    fn continues_answers(&self) -> bool {
        true
    }

    /// What is kept of a conversation is reckoned to be a tenth of it.
    fn envelope(&self, _: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let input = tokens(body.len());
        let mut fields = Fields::read_body(text(body)?)?;
        Ok(TaskEnvelope {
            model: required_model(&mut fields)?,
            stream: false,
            estimate: Usage::text(input, input / 10),
        })
    }

    fn prepare(
        &self,
        _: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        if !is_openai(kind, target) {
            let what = "compactions, which only OpenAI can read back";
            return Err(passing::not_served(kind, what));
        }
        let span = passing::model_span(body).map_err(refusal)?;
        let body = passing::with_model(body, span, target.model);
        let url = format!("{}/responses/compact", target.base_url);
        passing::task(&url, body, |_, body| {
            #[derive(Deserialize)]
            struct Compacted<'a> {
                #[serde(borrow)]
                usage: Option<&'a RawValue>,
            }
            let compacted: Compacted<'_> =
                serde_json::from_slice(body).map_err(passing::unreadable)?;
            Ok(Seen {
                usage: match compacted.usage {
                    Some(native) => usage::read(native.get().as_bytes())?,
                    None => None,
                },
                model: None,
            })
        })
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        OpenaiResponses.render_error(problem, request_id)
    }
}

/// Whether the target has OpenAI's own endpoints for answers.
fn is_openai(kind: ProviderKind, target: &Target<'_>) -> bool {
    kind == ProviderKind::Openai && target.host.serves.responses
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use domain::tokenizer::Tokenizers;

    use super::*;
    use crate::count::Counting;
    use crate::host::Host;
    use crate::hosts::Serves;

    const BODY: &str =
        r#"{"model": "alias", "input": "Hello world", "previous_response_id": null}"#;

    fn with_target<T>(serves: Serves, test: impl FnOnce(&Target<'_>) -> T) -> T {
        let host = Host {
            serves,
            ..Host::NONE
        };
        test(&Target {
            model: "gpt-5.4",
            base_url: "https://api.openai.com/v1",
            capabilities: &Capabilities::default(),
            host: &host,
        })
    }

    #[test]
    fn openai_is_asked_in_the_callers_own_words() {
        for (task, path) in [
            (&Counting(CountInput) as &dyn Task, "input_tokens"),
            (&Compact, "compact"),
        ] {
            let body = Bytes::from_static(BODY.as_bytes());
            let asked = Asked::default();
            let prepared = with_target(Serves::OPENAI, |target| {
                let kind = ProviderKind::Openai;
                let answer = task.answer(&asked, &body, kind, target, &Tokenizers::default());
                assert!(answer.unwrap().is_none());
                task.prepare(&asked, &body, kind, target).unwrap()
            });
            let uri = format!("https://api.openai.com/v1/responses/{path}");
            assert_eq!(prepared.request.uri(), uri.as_str());
            assert_eq!(prepared.request.body(), &BODY.replace("alias", "gpt-5.4"));
        }
    }

    #[test]
    fn others_models_are_estimated_and_never_compacted() {
        let body = Bytes::from_static(BODY.as_bytes());
        let asked = Asked::default();
        let (answer, refused) = with_target(Serves::UNKNOWN, |target| {
            let kind = ProviderKind::Cohere;
            let none = Tokenizers::default();
            let answer = Counting(CountInput)
                .answer(&asked, &body, kind, target, &none)
                .unwrap();
            (
                answer.unwrap(),
                Compact.prepare(&asked, &body, kind, target),
            )
        });
        let counted: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(counted["object"], "response.input_tokens");
        assert_eq!(counted["estimated"], true);
        assert!(counted["input_tokens"].as_u64().unwrap() > 2);
        let Err(refused) = refused else {
            panic!("nobody else compacts")
        };
        assert_eq!(refused.param.as_deref(), Some("model"));
    }
}
