//! Azure as a vendor of OpenAI's formats: its keys and tokens, its errors, and what it adds about filtered content.
//! Reference: <https://learn.microsoft.com/azure/ai-foundry/openai/reference>.

use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::issuer::{Audience, Standing, standing};
use crate::openai::OpenAi;
use crate::record::Face;
use crate::route::query;
use crate::vendor::{Failure, Knock, Vendor, bearer, field, is_invalid_key};

/// Azure OpenAI.
pub(crate) struct Azure;

/// The kind of those errors that come from Azure and not from OpenAI's models.
const OWN: &str = "azure";

fn own(status: u16, code: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(status, OWN, message).code(code)
}

/// The refusal of a deployment that was never made.
pub(crate) fn no_deployment() -> Failure {
    own(
        404,
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, \
         please wait a moment and try again.",
    )
}

/// Checks the version of the API that a path asks for: named by its date, but for `/openai/v1`, which needs none.
fn version(head: &Parts) -> Result<(), Failure> {
    let told = query(head, "api-version");
    if head.uri.path().starts_with("/openai/v1/") {
        return match told {
            None | Some("preview" | "latest" | "v1") => Ok(()),
            Some(_) => Err(own(400, "BadRequest", "API version not supported")),
        };
    }
    let is_date = |version: &str| {
        let date = version.strip_suffix("-preview").unwrap_or(version);
        let parts: Vec<&str> = date.split('-').collect();
        matches!(parts.as_slice(), [year, month, day] if year.len() == 4 && month.len() == 2 && day.len() == 2)
            && date
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    match told {
        Some(version) if is_date(version) || version == "preview" => Ok(()),
        _ => Err(own(404, "404", "Resource not found")),
    }
}

impl Vendor for Azure {
    fn authenticate(&self, knock: &Knock<'_>) -> Result<(), Failure> {
        let wrong_key = || {
            own(
                401,
                "401",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active \
                 subscription and use a correct regional API endpoint for your resource.",
            )
        };
        let wrong_token = || {
            own(
                401,
                "Unauthorized",
                "Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired.",
            )
        };
        match (field(knock.head, "api-key"), bearer(knock.head)) {
            (Some(key), _) if is_invalid_key(key) => return Err(wrong_key()),
            (Some(_), _) => {}
            (None, Some(token)) => {
                let standing = standing(knock.seed, Audience::Entra, "", token, knock.now);
                if standing != Standing::Good {
                    return Err(wrong_token());
                }
            }
            (None, None) => return Err(wrong_key()),
        }
        version(knock.head)
    }

    fn error(&self, face: Face, failure: &Failure, request_id: &str) -> Value {
        if failure.kind == OWN {
            return json!({"error": {"code": failure.code, "message": failure.message}});
        }
        let mut error = OpenAi.error(face, failure, request_id);
        if failure.code == Some("content_filter")
            && let Some(error) = error["error"].as_object_mut()
        {
            error.insert("type".to_owned(), Value::Null);
            error.insert("status".to_owned(), json!(400));
            error.insert(
                "innererror".to_owned(),
                json!({"code": "ResponsibleAIPolicyViolation", "content_filter_result": filtered("violence")}),
            );
        }
        error
    }

    fn failure(&self, face: Face, status: u16, retry_after: Option<u64>, model: &str) -> Failure {
        let failure = match status {
            400 => Failure::new(
                400,
                "invalid_request_error",
                "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt \
                 and retry. To learn more about our content filtering policies please read our documentation: \
                 https://go.microsoft.com/fwlink/?linkid=2198766",
            )
            .at("prompt")
            .code("content_filter"),
            401 => own(401, "401", "Access denied due to invalid subscription key or wrong API endpoint."),
            403 => own(403, "403", "Access denied due to Virtual Network/Firewall rules."),
            404 => no_deployment(),
            408 => own(408, "Timeout", "The operation was timeout."),
            429 => own(
                429,
                "429",
                format!(
                    "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded call rate limit of your current \
                     OpenAI S0 pricing tier. Please retry after {} seconds. Please go here: https://aka.ms/oai/quotaincrease if you would \
                     like to further increase the default rate limit.",
                    retry_after.unwrap_or(1)
                ),
            ),
            503 => own(503, "ServiceUnavailable", "The service is temporarily unable to process your request. Please try again later."),
            _ => return OpenAi.failure(face, status, retry_after, model),
        };
        failure.retry_after(retry_after)
    }

    fn overloaded_status(&self, _face: Face) -> u16 {
        500
    }

    fn not_json(&self, face: Face, problem: &serde_json::Error) -> Failure {
        OpenAi.not_json(face, problem)
    }

    fn no_such_path(&self, _method: &str, _path: &str) -> Failure {
        own(404, "404", "Resource not found")
    }

    fn wrong_method(&self, _method: &str, _path: &str) -> Failure {
        own(404, "404", "Resource not found")
    }

    fn models(&self) -> Result<Value, Failure> {
        OpenAi.models()
    }

    fn model(&self, name: &str) -> Result<Value, Failure> {
        OpenAi.model(name)
    }

    fn fields(&self, request_id: &str, failure: Option<&Failure>, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(request_id) {
            fields.insert("apim-request-id", id.clone());
            fields.insert("x-request-id", id);
        }
        for (name, value) in [
            ("x-ms-region", "Simulated Region"),
            ("x-ratelimit-remaining-requests", "999"),
            ("x-ratelimit-remaining-tokens", "199000"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        if let Some(seconds) = failure.and_then(|failure| failure.retry_after) {
            let milliseconds = seconds.saturating_mul(1000);
            fields.insert("retry-after-ms", HeaderValue::from(milliseconds));
        }
    }

    fn request_id(&self, hash: u64, sequence: u64) -> String {
        format!("{hash:016x}-sim-{sequence:08x}")
    }
}

/// What the filters say of harmless content.
pub(crate) fn unfiltered() -> Value {
    filtered("")
}

/// What the filters say of content in which they found one thing.
fn filtered(found: &str) -> Value {
    let mut results = json!({});
    if let Some(results) = results.as_object_mut() {
        for category in ["hate", "self_harm", "sexual", "violence"] {
            let is_found = category == found;
            let severity = if is_found { "medium" } else { "safe" };
            results.insert(
                category.to_owned(),
                json!({"filtered": is_found, "severity": severity}),
            );
        }
    }
    results
}

/// What the filters say of the prompt.
pub(crate) fn prompt_filter_results() -> Value {
    json!([{"prompt_index": 0, "content_filter_results": unfiltered()}])
}
