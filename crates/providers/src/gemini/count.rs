//! `models/{model}:countTokens`: how many tokens of input a request would be
//! (<https://ai.google.dev/api/tokens#method:-models.counttokens>).

use std::ops::Range;

use bytes::Bytes;
use domain::call::Operation;
use domain::chat::ChatRequest;
use domain::problem::Problem;
use domain::tokenizer::Tokenizers;
use domain::usage::Usage;
use http::StatusCode;
use http::response::Parts;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::face::{envelope, fields, parse, problem};
use super::model_path;
use crate::count;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::face::{Asked, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::envelope::{span, text};
use crate::openai::fields::Fields;
use crate::outgoing::JSON;
use crate::passing::{self, Seen};
use crate::task::{PreparedTask, Task, TaskAnswer, TaskEnvelope};

/// The field that holds a whole request; without it, the contents stand at the top.
const WHOLE: &str = "generateContentRequest";

/// Counts the input of a request. The Gemini API itself is asked; for other models the answer is an
/// estimate, and says so in a field `estimated` beside `totalTokens`. Counting is free.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl Task for CountTokens {
    fn operation(&self) -> Operation {
        Operation::TokenCount
    }

    fn envelope(&self, asked: &Asked, body: &Bytes) -> Result<TaskEnvelope, InvalidRequest> {
        let counted = Counted::read(body)?;
        envelope::read(asked, counted.request.as_bytes()).map_err(|it| counted.placed(it))?;
        Ok(TaskEnvelope {
            model: envelope::model(asked)?,
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
        if kind == ProviderKind::Gemini {
            return Ok(None);
        }
        let request = request(asked, body).map_err(refusal)?;
        let tokens = count::input_tokens(&request, target.model, tokenizers);
        let counted = json!({
            "totalTokens": tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
            "estimated": true,
        });
        Ok(Some(TaskAnswer {
            body: Bytes::from(counted.to_string()),
            content_type: JSON,
            usage: Some(Usage::default()),
            response_model: None,
        }))
    }

    fn prepare(
        &self,
        _: &Asked,
        body: &Bytes,
        kind: ProviderKind,
        target: &Target<'_>,
    ) -> Result<PreparedTask, Refusal> {
        if kind != ProviderKind::Gemini {
            return Err(Refusal {
                detail: format!("A provider of kind {} counts no contents.", kind.as_str()),
                param: None,
            });
        }
        let model = model_path(target.model)?;
        let url = format!("{}/v1beta/{model}:countTokens", target.base_url);
        let body = match Counted::read(body).map_err(refusal)?.model {
            Some(span) => passing::with_model(body, span, &model),
            None => body.clone(),
        };
        passing::task(&url, envelope::splice(&body).body, observe)
    }

    fn render_error(&self, problem: &Problem, request_id: &str) -> (StatusCode, Bytes) {
        (problem.status(), problem::body(problem, request_id))
    }
}

/// What is counted.
struct Counted<'a> {
    /// The request as `generateContent` takes it.
    request: &'a str,
    /// Where the name of the model stands that a whole request repeats.
    model: Option<Range<usize>>,
    is_whole: bool,
}

impl<'a> Counted<'a> {
    fn read(body: &'a [u8]) -> Result<Self, InvalidRequest> {
        let text = text(body)?;
        let mut fields = Fields::read_body(text)?.in_camel_case()?;
        let Some(raw) = fields.take(WHOLE) else {
            return Ok(Self {
                request: text,
                model: None,
                is_whole: false,
            });
        };
        if fields.look("contents").is_some() {
            return Err(InvalidRequest::of(
                "contents",
                format!("`contents` and `{WHOLE}` exclude each other."),
            ));
        }
        let whole: &'a RawValue = raw;
        let model = fields::read(whole, WHOLE.to_owned())?.take("model");
        Ok(Self {
            request: whole.get(),
            model: model.map(|model| span(text, model.get())),
            is_whole: true,
        })
    }

    /// A refusal whose field stands inside of what is counted.
    fn placed(&self, invalid: InvalidRequest) -> InvalidRequest {
        InvalidRequest {
            param: invalid.param.map(|param| match param.as_str() {
                "model" => param,
                _ if self.is_whole => format!("{WHOLE}.{param}"),
                _ => param,
            }),
            ..invalid
        }
    }
}

fn request(asked: &Asked, body: &[u8]) -> Result<ChatRequest, InvalidRequest> {
    let counted = Counted::read(body)?;
    parse::request(asked, counted.request.as_bytes()).map_err(|invalid| counted.placed(invalid))
}

fn refusal(invalid: InvalidRequest) -> Refusal {
    Refusal {
        detail: invalid.detail,
        param: invalid.param,
    }
}

/// The vendor's count passes. A count of zero is left out.
fn observe(_: &Parts, body: &[u8]) -> Result<Seen, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        #[serde(default)]
        #[expect(dead_code, reason = "whether it is a count is all that is asked")]
        total_tokens: u64,
    }
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::Malformed(
            "the count is no JSON object".to_owned(),
        ));
    }
    serde_json::from_slice::<Count>(body)
        .map_err(|error| DecodeError::Malformed(format!("the count is not readable: {error}")))?;
    Ok(Seen {
        usage: Some(Usage::default()),
        model: None,
    })
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;
    use crate::task::TaskStep;

    const BODY: &str = r#"{"contents":[{"parts":[{"text":"hello world"}]}]}"#;
    const WHOLE_BODY: &str = r#"{"generate_content_request":{"model":"models/fast","contents":[{"parts":[{"text":"hello world"}]}],"systemInstruction":{"parts":[{"text":"Be kind."}]}}}"#;

    fn target<'a>(model: &'a str, capabilities: &'a Capabilities) -> Target<'a> {
        Target {
            model,
            base_url: "https://generativelanguage.googleapis.com",
            capabilities,
            host: &Host::NONE,
        }
    }

    fn asked() -> Asked {
        Asked {
            model: Some("fast".parse().unwrap()),
            ..Asked::default()
        }
    }

    #[test]
    fn google_is_asked_with_the_callers_own_words() {
        let capabilities = Capabilities::default();
        let target = target("gemini-3-flash", &capabilities);
        for (body, sent) in [
            (BODY, BODY.to_owned()),
            (
                WHOLE_BODY,
                WHOLE_BODY.replace("models/fast", "models/gemini-3-flash"),
            ),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let kind = ProviderKind::Gemini;
            let own = CountTokens.answer(&asked(), &body, kind, &target, &Tokenizers::default());
            assert!(own.unwrap().is_none());
            let prepared = CountTokens.prepare(&asked(), &body, kind, &target).unwrap();
            assert_eq!(
                prepared.request.uri(),
                "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-flash:countTokens"
            );
            assert_eq!(prepared.request.body(), &sent);
            let head = http::Response::new(()).into_parts().0;
            let counted = Bytes::from_static(br#"{"totalTokens": 7, "new": 1}"#);
            let Ok(TaskStep::Done(answer)) = prepared.reader.read(&head, counted.clone()) else {
                panic!("the count is read");
            };
            assert_eq!(answer.body, counted);
            let nothing = prepared.reader.read(&head, Bytes::from_static(b"[]"));
            assert!(matches!(nothing, Err(DecodeError::Malformed(_))));
        }
    }

    #[test]
    fn the_models_of_others_are_estimated_and_the_answer_says_so() {
        let capabilities = Capabilities::default();
        let target = target("gpt-5.4", &capabilities);
        let count = |body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            let (kind, none) = (ProviderKind::Openai, Tokenizers::default());
            let answer = CountTokens.answer(&asked(), &body, kind, &target, &none);
            let answer: serde_json::Value =
                serde_json::from_slice(&answer.unwrap().unwrap().body).unwrap();
            assert_eq!(answer["estimated"], true);
            answer["totalTokens"].as_u64().unwrap()
        };
        assert!(count(BODY) > 2);
        assert!(count(WHOLE_BODY) > count(BODY));
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        let refused = |body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            CountTokens.envelope(&asked(), &body).unwrap_err().param
        };
        assert_eq!(refused("{}").as_deref(), Some("contents"));
        assert_eq!(
            refused(r#"{"generateContentRequest":{"contents":[]}}"#).as_deref(),
            Some("generateContentRequest.contents")
        );
        assert_eq!(
            refused(r#"{"contents":[{}],"generateContentRequest":{}}"#).as_deref(),
            Some("contents")
        );
    }
}
