//! Vertex AI as a vendor of Google's and Anthropic's formats.
//! Reference: <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference> and
//! <https://docs.claude.com/en/api/claude-on-vertex-ai>.

pub(crate) mod jobs;

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use crate::anthropic::Anthropic;
use crate::gemini::Gemini;
use crate::issuer::{Audience, Standing, standing};
use crate::record::Face;
use crate::route::query;
use crate::vendor::{Failure, Knock, Vendor, bearer, field, is_invalid_key};

/// Vertex AI.
pub(crate) struct Vertex;

/// The version of Anthropic's format that a body names here.
pub(crate) const ANTHROPIC_VERSION: &str = "vertex-2023-10-16";

/// The refusal of a model that nobody publishes.
pub(crate) fn no_publisher_model(head: &Parts) -> Failure {
    let path = head.uri.path();
    let name = path
        .split_once("/projects/")
        .map_or(path, |(_, rest)| rest)
        .rsplit_once(':')
        .map_or(path, |(name, _)| name);
    let message = format!(
        "Publisher Model `projects/{name}` was not found or your project does not have access to it. Please ensure you are using a valid \
         model version. For more information, see: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions"
    );
    Failure::new(404, "NOT_FOUND", message)
}

/// Whether an error is Anthropic's own, and not Google's about it.
fn is_anthropics(face: Face, failure: &Failure) -> bool {
    face == Face::Anthropic
        && failure
            .kind
            .starts_with(|letter: char| letter.is_ascii_lowercase())
}

fn unauthenticated(reason: &str) -> Failure {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication \
        credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.";
    Failure::new(401, "UNAUTHENTICATED", message).detail(json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "aiplatform.googleapis.com"},
    }))
}

impl Vendor for Vertex {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        // Keys are for the paths without a project.
        let is_express = !knock.head.uri.path().contains("/projects/");
        let key = field(knock.head, "x-goog-api-key").or_else(|| query(knock.head, "key"));
        match (key.filter(|_| is_express), bearer(knock.head)) {
            (Some(key), _) if is_invalid_key(key) => Gemini.authenticate(knock).and(Ok(())),
            (Some(_), _) => Ok(()),
            (None, None) => Err(unauthenticated("CREDENTIALS_MISSING")),
            (None, Some(token)) => {
                match standing(knock.seed, Audience::Google, "", token, knock.now) {
                    Standing::Good => Ok(()),
                    Standing::Expired => Err(unauthenticated("ACCESS_TOKEN_EXPIRED")),
                    Standing::Unknown => Err(unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")),
                }
            }
        }
    }

    fn error(&self, face: Face, failure: &Failure, request_id: &str) -> Value {
        if is_anthropics(face, failure) {
            Anthropic.error(face, failure, request_id)
        } else {
            Gemini.error(face, failure, request_id)
        }
    }

    fn failure(&self, face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        match status {
            429 => {
                let message = "Resource exhausted. Please try again later. Please refer to \
                    https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details.";
                Failure::new(429, "RESOURCE_EXHAUSTED", message).retry_after(retry_after)
            }
            400 | 413 | 500 | 529 if face == Face::Anthropic => {
                Anthropic.failure(face, status, retry_after, model)
            }
            _ => Gemini.failure(face, status, retry_after, model),
        }
    }

    fn overloaded_status(&self, face: Face) -> u16 {
        if face == Face::Anthropic { 529 } else { 503 }
    }

    fn not_json(&self, face: Face, problem: &serde_json::Error) -> Failure {
        Gemini.not_json(face, problem)
    }

    fn no_such_path(&self, method: &str, path: &str) -> Failure {
        Gemini.no_such_path(method, path)
    }

    fn wrong_method(&self, method: &str, path: &str) -> Failure {
        Gemini.wrong_method(method, path)
    }

    fn models(&self) -> Result<Value, Failure> {
        Err(Gemini.no_such_path("GET", "models"))
    }

    fn model(&self, _name: &str) -> Result<Value, Failure> {
        Err(Gemini.no_such_path("GET", "model"))
    }

    fn fields(&self, request_id: &str, failure: Option<&Failure>, fields: &mut HeaderMap) {
        Gemini.fields(request_id, failure, fields);
    }

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("req_vrtx_sim{hash:016x}{sequence:08x}")
    }
}
