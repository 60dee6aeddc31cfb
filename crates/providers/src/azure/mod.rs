//! Azure OpenAI: OpenAI's formats at a resource of one's own
//! (<https://learn.microsoft.com/en-us/azure/ai-foundry/openai/reference>).
//!
//! The model of a request is the name of a deployment. There are two kinds of URLs, told apart by the
//! API version that the provider is configured with ([`Host::api_version`]):
//!
//! | API version | URL of chat completions |
//! | --- | --- |
//! | none, `v1`, `preview` | `{base}/openai/v1/chat/completions`, with `?api-version=` where one is given |
//! | a date, `2024-10-21` | `{base}/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21` |
//!
//! The base URL is that of the resource, `https://NAME.openai.azure.com`. A key goes into the field
//! `api-key`, an access token of Microsoft Entra ID into `Authorization`.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request};

use crate::credential::{self, Credential};
use crate::dialect::{Dialect, Refusal, Target};
use crate::elsewhere::Elsewhere;
use crate::host::Host;
use crate::hosts::{PastThoughts, Quirks, Serves};
use crate::openai::OpenaiChat;
use crate::openai::responses::OpenaiResponses;
use crate::url;

const API_KEY: HeaderName = HeaderName::from_static("api-key");

/// What Azure takes: what OpenAI takes, and nothing beside it.
pub const QUIRKS: Quirks = Quirks {
    past_thoughts: PastThoughts::Refused,
    additions: false,
    refused: &["top_k"],
    ..Quirks::NONE
};

/// What is particular about a resource of which nothing more is said.
pub fn host() -> Host {
    Host {
        quirks: &QUIRKS,
        serves: Serves::OPENAI,
        ..Host::NONE
    }
}

/// Chat completions.
///
/// What Azure adds to answers (`prompt_filter_results`, `content_filter_results`) is kept where bytes
/// pass and in whole answers; a stream's first chunk, which has it and no choices, begins nothing.
pub const CHAT: OnAzure<OpenaiChat> = OnAzure {
    dialect: OpenaiChat,
    endpoint: "chat/completions",
};

/// Responses; the body names the deployment.
pub const RESPONSES: OnAzure<OpenaiResponses> = OnAzure {
    dialect: OpenaiResponses,
    endpoint: "responses",
};

/// One of OpenAI's formats as Azure serves it: the same at other URLs.
#[derive(Debug)]
pub struct OnAzure<D> {
    dialect: D,
    endpoint: &'static str,
}

impl<D: Dialect> Elsewhere for OnAzure<D> {
    type Own = D;

    fn own(&self) -> &D {
        &self.dialect
    }

    fn request(
        &self,
        target: &Target<'_>,
        stream: bool,
        fields: &HeaderMap,
        body: Bytes,
    ) -> Result<Request<Bytes>, Refusal> {
        let mut request = self.dialect.request(target, stream, fields, body)?;
        url::replace(&mut request, &endpoint(target, self.endpoint)?)?;
        Ok(request)
    }
}

/// The URL of one of OpenAI's endpoints (`embeddings`, `images/generations`) for the target's deployment.
pub fn endpoint(target: &Target<'_>, endpoint: &str) -> Result<String, Refusal> {
    let Target {
        base_url,
        host: Host { api_version, .. },
        ..
    } = target;
    let Some(version) = api_version.as_deref() else {
        return Ok(format!("{base_url}/openai/v1/{endpoint}"));
    };
    let query = url::form(&[("api-version", version)]);
    if !is_dated(version) {
        return Ok(format!("{base_url}/openai/v1/{endpoint}?{query}"));
    }
    // These are the resource's own; their bodies or their queries name the deployment.
    let is_of_resource = ["responses", "files", "batches", "realtime"]
        .iter()
        .any(|own| endpoint.split('/').next() == Some(own));
    if is_of_resource {
        return Ok(format!("{base_url}/openai/{endpoint}?{query}"));
    }
    let deployment = url::segment(target.model)?;
    Ok(format!(
        "{base_url}/openai/deployments/{deployment}/{endpoint}?{query}"
    ))
}

/// The parameter of a realtime session's query that names the deployment.
pub(crate) fn model_parameter(host: &Host) -> &'static str {
    match &host.api_version {
        Some(version) if is_dated(version) => "deployment",
        _ => "model",
    }
}

/// Whether the version is one of those that are named after a day, `2025-04-01-preview`; the others
/// belong to the URLs with `v1`.
fn is_dated(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
}

/// Writes a key into `api-key` and a token into `Authorization`.
pub(crate) fn authorize(
    request: &mut Request<Bytes>,
    credential: &Credential,
) -> Result<(), Refusal> {
    let (name, value) = match credential {
        Credential::ApiKey(key) => (API_KEY, credential::field("", key)?),
        Credential::Token(token) => (AUTHORIZATION, credential::field("Bearer ", token)?),
        Credential::Aws(_) => {
            let wanted = "an API key or a token of Microsoft Entra ID";
            return Err(credential::wrong_kind("Azure OpenAI", wanted));
        }
    };
    request.headers_mut().insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;
    use domain::secret::Secret;

    use super::*;

    fn url_of(api_version: Option<&str>, model: &str, path: &str) -> Result<String, Refusal> {
        let host = Host {
            api_version: api_version.map(str::to_owned),
            ..Host::NONE
        };
        let target = Target {
            model,
            base_url: "https://eu.openai.azure.com",
            capabilities: &Capabilities::default(),
            host: &host,
        };
        endpoint(&target, path)
    }

    #[test]
    fn the_version_decides_on_the_kind_of_url() {
        let base = "https://eu.openai.azure.com/openai";
        for (version, path, expected) in [
            (None, "chat/completions", "/v1/chat/completions"),
            (
                Some("preview"),
                "chat/completions",
                "/v1/chat/completions?api-version=preview",
            ),
            (
                Some("2024-10-21"),
                "chat/completions",
                "/deployments/gpt%20five/chat/completions?api-version=2024-10-21",
            ),
            (
                Some("2024-10-21"),
                "embeddings",
                "/deployments/gpt%20five/embeddings?api-version=2024-10-21",
            ),
            (
                Some("2025-04-01-preview"),
                "responses",
                "/responses?api-version=2025-04-01-preview",
            ),
        ] {
            assert_eq!(
                url_of(version, "gpt five", path).unwrap(),
                format!("{base}{expected}")
            );
        }
    }

    #[test]
    fn a_deployment_leads_nowhere_else() {
        assert!(url_of(Some("2024-10-21"), "..", "chat/completions").is_err());
        let url = url_of(Some("2024-10-21"), "a/../../b?c", "chat/completions").unwrap();
        assert!(url.contains("/deployments/a%2F..%2F..%2Fb%3Fc/chat/"));
    }

    #[test]
    fn a_key_and_a_token_go_into_fields_of_their_own() {
        let secret = || Secret::new("s3cret".to_owned());
        for (credential, name, expected) in [
            (Credential::ApiKey(secret()), "api-key", "s3cret"),
            (
                Credential::Token(secret()),
                "authorization",
                "Bearer s3cret",
            ),
        ] {
            let mut request = Request::new(Bytes::new());
            authorize(&mut request, &credential).unwrap();
            let fields = request.headers();
            assert_eq!(fields.len(), 1);
            assert_eq!(fields.get(name).unwrap(), expected);
            assert!(fields.get(name).unwrap().is_sensitive());
        }
    }
}
