//! Cohere's errors.
//! See <https://docs.cohere.com/reference/errors>.

use crate::vendor::Failure;

/// Errors have no class but their status.
const KIND: &str = "error";

pub(super) fn plain(status: u16, message: impl Into<String>) -> Failure {
    Failure::new(status, KIND, message)
}

pub(super) fn unknown_model(model: &str) -> Failure {
    plain(
        404,
        format!(
            "model '{model}' not found, make sure the correct model ID was used and that you have access to the model."
        ),
    )
}

/// Cohere's own words for a status.
pub(super) fn of_status(status: u16, retry_after: Option<u64>, model: &str) -> Failure {
    let message = match status {
        401 => "invalid api token".to_owned(),
        402 => "Please add or update your payment method at https://dashboard.cohere.com/billing?tab=payment to continue".to_owned(),
        403 => "you do not have permission to perform this action".to_owned(),
        404 => return unknown_model(model).retry_after(retry_after),
        413 => "request body too large".to_owned(),
        422 => "unprocessable entity: the request is malformed".to_owned(),
        429 => "You are using a Trial key, which is limited to 20 API calls / minute. You can continue to use the Trial key for free or \
                upgrade to a Production key with higher rate limits at 'https://dashboard.cohere.com/api-keys'. Contact us on \
                'https://discord.gg/XW44jPfYJu' or email us at support@cohere.com with any questions"
            .to_owned(),
        498 => "request blocked: the content is not allowed".to_owned(),
        499 => "request cancelled".to_owned(),
        501 => "not implemented".to_owned(),
        503 => "the model is overloaded, please try again later".to_owned(),
        504 => "gateway timeout".to_owned(),
        400..=499 => format!("invalid request: the request failed with status {status} (simulated)"),
        _ => "internal server error, this has been reported to our developers.".to_owned(),
    };
    plain(status, message).retry_after(retry_after)
}
