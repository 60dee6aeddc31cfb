//! Counts of tokens at Vertex AI, by each publisher's own endpoint. Other publishers have none.
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/count-tokens>

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError};
use http::Request;
use serde_json::Value;

use super::anthropic::{VERSION, request_to};
use super::{
    Publisher, VertexAnthropic, VertexGemini, model_url, parent, without_publisher,
    without_resource,
};
use crate::count::{Counted, Counter};
use crate::dialect::{DecodeError, Dialect, Refusal, Target};
use crate::openai::fields::Fields;
use crate::{anthropic, gemini, passing, splice};

/// What a count takes of a request to generate
/// (<https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/countTokens>).
const COUNTED: [&str; 4] = ["contents", "systemInstruction", "tools", "generationConfig"];

/// What else a request to generate has, and a count refuses, in both spellings.
const NOT_COUNTED: [&str; 10] = [
    "model",
    CACHED,
    "cached_content",
    "labels",
    "modelArmorConfig",
    "model_armor_config",
    "safetySettings",
    "safety_settings",
    "toolConfig",
    "tool_config",
];

/// What the platform keeps of a prompt, which it would count if it took it.
const CACHED: &str = "cachedContent";

/// Who counts for a model; `None` where nobody does.
pub(crate) fn counter(model: &str) -> Option<&'static dyn Counter> {
    match Publisher::of(model) {
        Publisher::Google => Some(&Contents),
        Publisher::Anthropic => Some(&Messages),
        Publisher::Other => None,
    }
}

/// `{model}:countTokens`.
struct Contents;

impl Counter for Contents {
    fn dialect(&self) -> &'static dyn Dialect {
        &VertexGemini
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let Counted {
            body,
            is_verbatim,
            report,
            ..
        } = counted;
        let url = model_url(target, "google", "countTokens")?;
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let fields = Fields::read_body(text).map_err(passing::refusal)?;
        if fields.look(CACHED).is_some() || fields.look("cached_content").is_some() {
            report.carried.retain(|field| field != CACHED);
            report.drop(CACHED, "Vertex AI counts without what it keeps of a prompt");
        }
        let body = if is_verbatim {
            splice::fields(&body, &NOT_COUNTED, &[])?
        } else {
            splice::only(&body, &COUNTED)?
        };
        passing::post(&url, body)
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        gemini::count::read(answer)
    }
}

/// `count-tokens:rawPredict`, whose body names the model. The documentation's example names no version; Anthropic's
/// own client (`anthropic` 2.11.0 for Python, `lib/vertex/_client.py`) sends it, as it does with messages.
struct Messages;

impl Counter for Messages {
    fn dialect(&self) -> &'static dyn Dialect {
        &VertexAnthropic
    }

    fn request(
        &self,
        target: &Target<'_>,
        counted: Counted<'_>,
    ) -> Result<Request<Bytes>, Refusal> {
        let parent = parent(target)?;
        let url = format!("{parent}/publishers/anthropic/models/count-tokens:rawPredict");
        let name = without_resource(target.model);
        let name = Value::from(without_publisher(&name, "anthropic")).to_string();
        let body = splice::fields(
            &anthropic::count::message(&counted)?,
            &["model", "anthropic_version"],
            &[("anthropic_version", VERSION), ("model", &name)],
        )?;
        request_to(&url, target, false, counted.fields, body)
    }

    fn read(&self, answer: &[u8]) -> Result<u64, DecodeError> {
        anthropic::count::read(answer)
    }

    /// Only some models are counted, and only in some regions.
    fn cannot_count(&self, failure: &ProviderError) -> bool {
        failure.cause == Cause::NotFound || failure.message.contains("not servable in region")
    }
}
