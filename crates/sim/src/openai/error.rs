//! OpenAI's errors that are not about one parameter.
//! See <https://platform.openai.com/docs/guides/error-codes>.

use serde_json::{Value, json};

use super::check::{INVALID, plain};
use crate::vendor::Failure;

pub(super) fn object(failure: &Failure) -> Value {
    json!({"error": {"message": failure.message, "type": failure.kind, "param": failure.param, "code": failure.code}})
}

pub(super) fn not_json() -> Failure {
    plain(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. \
         The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble figuring out how to fix this, \
         please contact us through our help center at help.openai.com.)",
    )
}

pub(crate) fn unknown_model(model: &str) -> Failure {
    Failure::new(
        404,
        INVALID,
        format!("The model `{model}` does not exist or you do not have access to it."),
    )
    .code("model_not_found")
}

/// Where only what is said is written down, the session names the model, and the handshake none.
pub(crate) fn needless_model() -> Failure {
    let message = "You must not provide a model parameter for transcription sessions.";
    Failure::new(400, INVALID, message).code("invalid_model")
}

pub(super) fn too_long(context: u64, input: u64) -> Failure {
    let message = format!(
        "This model's maximum context length is {context} tokens. However, your messages resulted in {input} tokens. \
         Please reduce the length of the messages."
    );
    plain(message)
        .at("messages")
        .code("context_length_exceeded")
}

pub(super) fn no_key() -> Failure {
    let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth \
        (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser \
        and are prompted for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys.";
    Failure::new(401, INVALID, message)
}

pub(super) fn wrong_key(key: &str) -> Failure {
    let shown: String = key.chars().take(4).collect();
    let message = format!(
        "Incorrect API key provided: {shown}***. You can find your API key at https://platform.openai.com/account/api-keys."
    );
    Failure::new(401, INVALID, message).code("invalid_api_key")
}

/// OpenAI's own words for a status.
pub(super) fn of_status(status: u16, retry_after: Option<u64>, model: &str) -> Failure {
    let failure = match status {
        400 => plain("Invalid request (simulated)."),
        401 => wrong_key("sim-directive"),
        402 => Failure::new(402, "insufficient_quota", "You have run out of credits.")
            .code("insufficient_quota"),
        403 => Failure::new(403, INVALID, "Country, region, or territory not supported")
            .code("unsupported_country_region_territory"),
        404 => unknown_model(model),
        408 => Failure::new(408, "server_error", "Request timed out."),
        409 => Failure::new(
            409,
            INVALID,
            "The resource was updated by another request. Please try again.",
        ),
        413 => Failure::new(413, INVALID, "Request body is too large."),
        422 => Failure::new(
            422,
            INVALID,
            "Unable to process the request despite the format being correct.",
        ),
        429 => {
            let wait = retry_after.unwrap_or(1);
            let message = format!(
                "Rate limit reached for {model} in organization org-sim on requests per min (RPM): Limit 3, Used 3, Requested 1. \
                 Please try again in {wait}s. Visit https://platform.openai.com/account/rate-limits to learn more."
            );
            Failure::new(429, "requests", message).code("rate_limit_exceeded")
        }
        503 => Failure::new(
            503,
            "server_error",
            "The engine is currently overloaded, please try again later.",
        ),
        405..=499 => Failure::new(
            status,
            INVALID,
            format!("The request failed with status {status} (simulated)."),
        ),
        _ => Failure::new(
            status,
            "server_error",
            "The server had an error while processing your request. Sorry about that! You can retry your request, \
             or contact us through our help center at help.openai.com if the error persists.",
        ),
    };
    failure.retry_after(retry_after)
}
