//! Requests that cost nothing and show whether a provider answers, and whether it takes a key.

use bytes::Bytes;
use http::{Method, Request};

use crate::anthropic::{VERSION_FIELD, VERSION_WITH_SAMPLING};
use crate::dialect::Refusal;
use crate::host::Host;
use crate::kind::ProviderKind;

/// A request that costs nothing.
pub struct Probe {
    /// The request, without its credential.
    pub request: Request<Bytes>,
    /// Whether it is sent with the credential, so that its status says whether that is good.
    pub shows_key: bool,
}

impl ProviderKind {
    /// What a provider at `base_url` is asked: for its list of models where its vendor has one, and otherwise
    /// for anything, without a credential. `None` where it is not asked over a network.
    pub fn probe(self, base_url: &str, host: &Host) -> Result<Option<Probe>, Refusal> {
        let root = self.root(base_url, host)?;
        let list = match self {
            // https://platform.openai.com/docs/api-reference/models/list
            Self::Openai => "/models",
            // https://platform.claude.com/docs/en/api/models-list
            Self::Anthropic => "/v1/models?limit=1",
            // https://ai.google.dev/api/models#method:-models.list
            Self::Gemini => "/v1beta/models?pageSize=1",
            // https://docs.cohere.com/reference/list-models
            Self::Cohere => "/v1/models?page_size=1",
            Self::AzureOpenai
            | Self::Vertex
            | Self::Bedrock
            | Self::Stability
            | Self::BlackForestLabs
            | Self::Fal
            | Self::Replicate
            | Self::Elevenlabs
            | Self::Deepgram => "/",
            Self::Sim => return Ok(None),
        };
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(format!("{root}{list}"));
        if self == Self::Anthropic {
            request = request.header(VERSION_FIELD, VERSION_WITH_SAMPLING);
        }
        let request = request.body(Bytes::new()).map_err(|error| {
            Refusal::of("base_url", format!("No request can be made: {error}."))
        })?;
        Ok(Some(Probe {
            request,
            shows_key: list != "/",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(kind: ProviderKind, base_url: &str) -> (String, bool) {
        let probe = kind.probe(base_url, &Host::NONE).unwrap().unwrap();
        (probe.request.uri().to_string(), probe.shows_key)
    }

    #[test]
    fn a_list_of_models_is_asked_for_where_there_is_one() {
        for (kind, base_url, expected) in [
            (
                ProviderKind::Openai,
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/models",
            ),
            (
                ProviderKind::Gemini,
                "https://g.example",
                "https://g.example/v1beta/models?pageSize=1",
            ),
            (
                ProviderKind::Anthropic,
                "https://a.example",
                "https://a.example/v1/models?limit=1",
            ),
        ] {
            assert_eq!(asked(kind, base_url), (expected.to_owned(), true));
        }
        let anthropic = ProviderKind::Anthropic.probe("https://a.example", &Host::NONE);
        let request = anthropic.unwrap().unwrap().request;
        assert!(request.headers().contains_key(VERSION_FIELD));
    }

    #[test]
    fn who_has_no_list_is_asked_without_a_key() {
        let expected = ("https://r.openai.azure.com/".to_owned(), false);
        assert_eq!(
            asked(ProviderKind::AzureOpenai, "https://r.openai.azure.com"),
            expected
        );
        let sim = ProviderKind::Sim.probe("http://sim.invalid", &Host::NONE);
        assert!(sim.unwrap().is_none());
    }
}
