//! How the router and the hosts behind it say no.
//! See <https://huggingface.co/docs/text-generation-inference/reference/api_reference> for the words of its own server.

use serde_json::{Value, json};

use crate::vendor::Failure;

const INVALID: &str = "invalid_request_error";

/// A failure whose body is what is told.
fn told(status: u16, kind: &'static str, message: &str, body: Value) -> Failure {
    Failure::new(status, kind, message).detail(body)
}

/// A sentence of the router's.
pub(super) fn sentence(status: u16, message: impl Into<String>) -> Failure {
    let message = message.into();
    let body = json!({"error": message});
    told(status, "error", &message, body)
}

/// A sentence of the server that runs a model.
fn of_server(status: u16, kind: &'static str, message: &str) -> Failure {
    told(
        status,
        kind,
        message,
        json!({"error": message, "error_type": kind}),
    )
}

/// What does not fit the published schema.
pub(super) fn misfit(message: &str) -> Failure {
    of_server(
        422,
        "validation",
        &format!("Input validation error: {message}"),
    )
}

/// What a strict host behind the router refuses, as it says it.
pub(super) fn of_host(message: &str) -> Failure {
    let body = json!({"message": message, "type": INVALID, "param": "validation_error", "code": "wrong_api_format"});
    told(400, INVALID, message, body)
}

/// A model that no host serves.
pub(super) fn not_supported(model: &str) -> Failure {
    let message =
        format!("The requested model '{model}' is not supported by any provider you have enabled.");
    let body = json!({"error": {"message": message, "type": INVALID, "param": "model", "code": "model_not_supported"}});
    told(400, INVALID, &message, body)
}

/// The words for a status.
pub(super) fn of_status(status: u16, retry_after: Option<u64>, model: &str) -> Failure {
    let failure = match status {
        400 => of_host("Invalid request (simulated)."),
        401 => sentence(401, "Invalid username or password."),
        402 => sentence(
            402,
            "You have exceeded your monthly included credits for Inference Providers.",
        ),
        403 => sentence(
            403,
            "This authentication method does not have sufficient permissions to call Inference Providers on behalf of user sim",
        ),
        404 => sentence(404, "Not Found"),
        422 => misfit("simulated"),
        424 => of_server(424, "generation", "Request failed during generation"),
        429 => of_server(429, "overloaded", "Model is overloaded"),
        500 => of_server(500, "incomplete_generation", "Incomplete generation"),
        503 => sentence(503, format!("Model {model} is currently loading")),
        _ => sentence(
            status,
            format!("The request failed with status {status} (simulated)."),
        ),
    };
    failure.retry_after(retry_after)
}
