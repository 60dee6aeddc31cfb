//! Vertex AI, Google Cloud's platform: models of several publishers, each in its own format
//! (<https://cloud.google.com/vertex-ai/generative-ai/docs/start/quickstart>).
//!
//! | model | publisher | format |
//! | --- | --- | --- |
//! | `gemini-2.5-pro`, `google/…`, `endpoints/123…` | Google, and what was tuned from its models | Gemini |
//! | `claude-sonnet-4-5@20250929`, `anthropic/…` | Anthropic | Anthropic's messages |
//! | `meta/llama-4-…-maas` and other names with a publisher before `/` | the publisher | OpenAI's chat completions |
//!
//! URLs hold the project and the region that the provider is configured with ([`Host`]). Without a
//! project, the URLs are those of express mode, which takes an API key.

mod anthropic;
mod count;
mod gemini;
mod openai;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;

pub(crate) use anthropic::VERSION as ANTHROPIC_VERSION;
pub use anthropic::VertexAnthropic;
pub(crate) use count::counter;
pub use gemini::VertexGemini;
pub use openai::VertexOpenai;

use crate::credential::{self, Credential};
use crate::dialect::{Dialect, Refusal, Target};
use crate::host::Host;
use crate::url;

/// The region that is used when none is configured: requests go wherever there is room
/// (<https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations#global-endpoint>).
pub const DEFAULT_REGION: &str = "global";

/// Where the platform answers for a region: one region, `us` or `eu` (anywhere in them), or `global`.
pub fn base_url(region: &str) -> String {
    match region {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{region}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

/// Whose model it is, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Publisher {
    Google,
    Anthropic,
    Other,
}

impl Publisher {
    fn of(model: &str) -> Self {
        let model = without_resource(model);
        match model.split_once('/') {
            Some(("google" | "endpoints", _)) => Self::Google,
            Some(("anthropic", _)) => Self::Anthropic,
            Some(_) => Self::Other,
            None if model.starts_with("claude") => Self::Anthropic,
            None => Self::Google,
        }
    }
}

/// The formats in which the platform chats with a model.
pub fn dialects(model: &str) -> &'static [&'static dyn Dialect] {
    match Publisher::of(model) {
        Publisher::Google => &[&VertexGemini],
        Publisher::Anthropic => &[&VertexAnthropic],
        Publisher::Other => &[&VertexOpenai],
    }
}

/// A model's name without what full resource names put before it:
/// `projects/p/locations/l/publishers/google/models/m` is `google/m`.
fn without_resource(model: &str) -> std::borrow::Cow<'_, str> {
    match model.split_once("publishers/") {
        Some((_, rest)) => rest.replacen("/models/", "/", 1).into(),
        None => match model.split_once("/endpoints/") {
            Some((_, endpoint)) => format!("endpoints/{endpoint}").into(),
            None => model.into(),
        },
    }
}

/// `anthropic/m` is `m` of `anthropic`.
fn without_publisher<'m>(name: &'m str, publisher: &str) -> &'m str {
    let rest = name.strip_prefix(publisher);
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
}

/// The URL of a publisher's model with a verb.
pub(crate) fn model_url(
    target: &Target<'_>,
    publisher: &str,
    verb: &str,
) -> Result<String, Refusal> {
    let name = without_resource(target.model);
    let parent = parent(target)?;
    if let Some(endpoint) = name.strip_prefix("endpoints/") {
        let endpoint = url::segment(endpoint)?;
        return Ok(format!("{parent}/endpoints/{endpoint}:{verb}"));
    }
    let name = without_publisher(&name, publisher);
    // Versions stand behind `@`, which a path may hold as it is.
    let name = url::segment(name)?.replace("%40", "@");
    Ok(format!(
        "{parent}/publishers/{publisher}/models/{name}:{verb}"
    ))
}

/// What a job names a publisher's model by. What was tuned has an endpoint, and jobs want to know its model, which
/// no name of an endpoint tells.
pub(crate) fn resource(model: &str) -> Result<String, Refusal> {
    let name = without_resource(model);
    if name.starts_with("endpoints/") {
        return Err(Refusal::of(
            "model",
            "Batches take no endpoints of Vertex AI.",
        ));
    }
    let (publisher, name) = match (name.split_once('/'), Publisher::of(model)) {
        (Some((publisher, name)), _) => (publisher, name),
        (None, Publisher::Anthropic) => ("anthropic", &*name),
        (None, _) => ("google", &*name),
    };
    Ok(format!("publishers/{publisher}/models/{name}"))
}

/// What stands before publishers, endpoints and jobs.
pub(crate) fn parent(target: &Target<'_>) -> Result<String, Refusal> {
    let Target {
        base_url,
        host: Host {
            project, region, ..
        },
        ..
    } = target;
    let Some(project) = project else {
        return Ok(format!("{base_url}/v1"));
    };
    let project = url::segment(project)?;
    let region = url::segment(region.as_deref().unwrap_or(DEFAULT_REGION))?;
    Ok(format!(
        "{base_url}/v1/projects/{project}/locations/{region}"
    ))
}

/// Writes a token into `Authorization`, and the key of express mode into `x-goog-api-key`
/// (<https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview>).
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    credential: &Credential,
) -> Result<(), Refusal> {
    match credential {
        Credential::Token(token) => {
            let value = credential::field("Bearer ", token)?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Credential::ApiKey(key) => {
            let value = credential::field("", key)?;
            request.headers_mut().insert("x-goog-api-key", value);
        }
        Credential::Aws(_) => {
            let wanted = "an access token of Google Cloud or an API key of express mode";
            return Err(credential::wrong_kind("Vertex AI", wanted));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;

    #[test]
    fn the_publisher_is_told_by_the_name() {
        for (model, publisher) in [
            ("gemini-2.5-pro", Publisher::Google),
            ("google/gemini-2.5-pro", Publisher::Google),
            ("publishers/google/models/gemini-2.5-pro", Publisher::Google),
            ("endpoints/1234567890", Publisher::Google),
            (
                "projects/p/locations/l/endpoints/1234567890",
                Publisher::Google,
            ),
            ("claude-sonnet-4-5@20250929", Publisher::Anthropic),
            ("anthropic/claude-opus-4-7", Publisher::Anthropic),
            (
                "projects/p/locations/l/publishers/anthropic/models/claude-x",
                Publisher::Anthropic,
            ),
            (
                "meta/llama-4-maverick-17b-128e-instruct-maas",
                Publisher::Other,
            ),
            ("deepseek-ai/deepseek-v3.1-maas", Publisher::Other),
        ] {
            assert_eq!(Publisher::of(model), publisher, "{model}");
        }
    }

    #[test]
    fn each_region_has_its_address() {
        for (region, url) in [
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
            (
                "europe-west4",
                "https://europe-west4-aiplatform.googleapis.com",
            ),
        ] {
            assert_eq!(base_url(region), url);
        }
    }

    #[test]
    fn a_model_stays_within_its_publisher() {
        let host = Host {
            project: Some("my-project".to_owned()),
            region: Some("us-east5".to_owned()),
            ..Host::NONE
        };
        let url = |model: &str, publisher: &str| {
            let target = Target {
                model,
                base_url: "https://v",
                capabilities: &Capabilities::default(),
                host: &host,
            };
            model_url(&target, publisher, "rawPredict")
        };
        let parent = "https://v/v1/projects/my-project/locations/us-east5";
        assert_eq!(
            url("claude-sonnet-4-5@20250929", "anthropic").unwrap(),
            format!("{parent}/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict")
        );
        assert_eq!(
            url("projects/p/locations/l/endpoints/12", "google").unwrap(),
            format!("{parent}/endpoints/12:rawPredict")
        );
        assert_eq!(
            url("google/../../x", "google").unwrap(),
            format!("{parent}/publishers/google/models/..%2F..%2Fx:rawPredict")
        );
        for model in ["", "google/", "endpoints/..", ".."] {
            assert!(url(model, "google").is_err(), "{model}");
        }
    }
}
