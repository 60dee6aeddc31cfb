//! `models/{model}:countTokens`: how many tokens of input a request would be
//! (<https://ai.google.dev/api/tokens#method:-models.counttokens>).

use std::ops::Range;

use bytes::Bytes;
use domain::chat::ChatRequest;
use domain::name::ModelName;
use http::Request;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::face::{envelope, fields, parse};
use super::{Gemini, model_path};
use crate::count::{CountFace, Counted, Counter, unreadable};
use crate::dialect::{DecodeError, Dialect, Refusal, Target};
use crate::face::{Asked, Face, InvalidRequest};
use crate::kind::ProviderKind;
use crate::openai::envelope::{span, text};
use crate::openai::fields::Fields;
use crate::passing::{self, refusal};
use crate::splice;

/// The field that holds a whole request; without it, the contents stand at the top.
const WHOLE: &str = "generateContentRequest";

/// Counts the input of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl CountFace for CountTokens {
    fn face(&self) -> &'static dyn Face {
        &Gemini
    }

    fn model(&self, asked: &Asked, body: &Bytes) -> Result<ModelName, InvalidRequest> {
        let question = Question::read(body)?;
        envelope::read(asked, question.request.as_bytes()).map_err(|it| question.placed(it))?;
        envelope::model(asked)
    }

    /// The Gemini API takes a whole request where others take only what stands in it.
    fn spliced(&self, body: &Bytes, kind: ProviderKind, model: &str) -> Result<Bytes, Refusal> {
        let question = Question::read(body).map_err(refusal)?;
        let spliced = if kind != ProviderKind::Gemini {
            body.slice_ref(question.request.as_bytes())
        } else if let Some(span) = question.model {
            passing::with_model(body, span, &model_path(model)?)
        } else {
            body.clone()
        };
        Ok(envelope::splice(&spliced).body)
    }

    fn parse(&self, asked: &Asked, body: &Bytes) -> Result<ChatRequest, InvalidRequest> {
        let question = Question::read(body)?;
        let request = parse::request(asked, question.request.as_bytes());
        request.map_err(|invalid| question.placed(invalid))
    }

    fn place(&self, body: &Bytes, field: String) -> String {
        match Question::read(body) {
            Ok(question) => question.place(field),
            Err(_) => field,
        }
    }

    fn render(&self, tokens: u64) -> Value {
        json!({
            "totalTokens": tokens,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}],
        })
    }
}

/// The count of the Gemini API.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContentCounter;

impl Counter for ContentCounter {
    fn dialect(&self) -> &'static dyn Dialect {
        &Gemini
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let model = model_path(target.model)?;
        let url = format!("{}/v1beta/{model}:countTokens", target.base_url);
        let body = if counted.is_verbatim {
            counted.body
        } else {
            // Beside the contents, instructions and tools stand in a whole request only, which repeats its model.
            let name = Value::from(model).to_string();
            let whole = splice::fields(&counted.body, &["model"], &[("model", &name)])?;
            [format!(r#"{{"{WHOLE}":"#).as_bytes(), &whole, b"}"]
                .concat()
                .into()
        };
        passing::post(&url, body)
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        read(answer)
    }
}

/// Reads a count, which is left out where it is zero.
pub(crate) fn read(answer: &[u8]) -> Result<u64, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        #[serde(default)]
        total_tokens: u64,
    }
    if !answer.trim_ascii_start().starts_with(b"{") {
        return Err(DecodeError::Malformed(
            "the count is no JSON object".to_owned(),
        ));
    }
    let count: Count = serde_json::from_slice(answer).map_err(unreadable)?;
    Ok(count.total_tokens)
}

/// What a caller asks.
struct Question<'a> {
    /// The request as `generateContent` takes it.
    request: &'a str,
    /// Where the name of the model stands that a whole request repeats.
    model: Option<Range<usize>>,
    is_whole: bool,
}

impl<'a> Question<'a> {
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
            param: invalid.param.map(|param| self.place(param)),
            ..invalid
        }
    }

    /// Where a field of what is counted stands.
    fn place(&self, field: String) -> String {
        if self.is_whole && field != "model" {
            format!("{WHOLE}.{field}")
        } else {
            field
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use domain::tokenizer::Tokenizers;

    use super::*;
    use crate::count::Counting;
    use crate::host::Host;
    use crate::task::{Task as _, TaskStep};

    const COUNT: Counting<CountTokens> = Counting(CountTokens);
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
            let own = COUNT.answer(&asked(), &body, kind, &target, &Tokenizers::default());
            assert!(own.unwrap().is_none());
            let prepared = COUNT.prepare(&asked(), &body, kind, &target).unwrap();
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
            let answer = COUNT.answer(&asked(), &body, kind, &target, &none);
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
            COUNT.envelope(&asked(), &body).unwrap_err().param
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
