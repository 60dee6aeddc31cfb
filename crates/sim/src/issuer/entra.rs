//! Microsoft Entra's token endpoint.
//! See <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>.

use serde_json::json;

use super::form::Form;
use super::token::{Audience, issue};
use super::{Answer, Request};
use crate::clock;
use crate::vendor::is_invalid_key;

/// How long a token lives, in seconds.
const LIFE: u64 = 3599;
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The audiences whose tokens Microsoft's AI services take.
const SERVICES: [&str; 3] = [
    "https://cognitiveservices.azure.com",
    "https://ai.azure.com",
    "https://ml.azure.com",
];

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(super) fn token(request: &Request<'_>, tenant: &str) -> Answer {
    let refuse = |status: u16, error: &str, code: u32, sentence: &str| {
        refused(request, status, error, code, sentence)
    };
    if is_invalid_key(tenant) {
        let sentence = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        );
        return refuse(400, "invalid_request", 90_002, &sentence);
    }
    let form = Form::of(request.head, request.body).unwrap_or_else(|| Form::parsed(""));
    let needed = |key: &str| {
        let sentence = format!("The request body must contain the following parameter: '{key}'.");
        refuse(400, "invalid_request", 900_144, &sentence)
    };
    match form.get("grant_type") {
        None => return needed("grant_type"),
        Some("client_credentials") => {}
        Some(other) => {
            let sentence = format!("The app requested an unsupported grant type '{other}'.");
            return refuse(400, "unsupported_grant_type", 70_003, &sentence);
        }
    }
    let Some(client) = form.get("client_id") else {
        return needed("client_id");
    };
    if is_invalid_key(client) {
        let sentence = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'."
        );
        return refuse(400, "unauthorized_client", 700_016, &sentence);
    }
    if let Some(refusal) = client_proof(&form, &refuse) {
        return refusal;
    }
    let Some(scope) = form.get("scope") else {
        return needed("scope");
    };
    let Some(resource) = scope.strip_suffix("/.default") else {
        let sentence = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default \
             suffixed to the resource identifier (application ID URI)."
        );
        return refuse(400, "invalid_scope", 1_002_012, &sentence);
    };
    let token = issued(request, resource, LIFE);
    let answer = json!({"token_type": "Bearer", "expires_in": LIFE, "ext_expires_in": LIFE, "access_token": token});
    (200, answer)
}

/// A token for one resource.
pub(super) fn issued(request: &Request<'_>, resource: &str, life: u64) -> String {
    let audience = if SERVICES.contains(&resource.trim_end_matches('/')) {
        Audience::Entra
    } else {
        Audience::EntraElsewhere
    };
    issue(request.seed, audience, "", request.now + life)
}

/// Checks the client's secret or its signed assertion; gives back the refusal.
fn client_proof(form: &Form, refuse: &impl Fn(u16, &str, u32, &str) -> Answer) -> Option<Answer> {
    let unsound = |code: u32, sentence: &str| Some(refuse(401, "invalid_client", code, sentence));
    match (form.get("client_secret"), form.get("client_assertion")) {
        (Some(secret), None) if is_invalid_key(secret) => unsound(
            7_000_215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID.",
        ),
        (None, Some(_)) if form.get("client_assertion_type") != Some(ASSERTION) => unsound(
            50_027,
            "The 'client_assertion_type' is missing or not supported.",
        ),
        (None, Some(assertion))
            if is_invalid_key(assertion) || assertion.split('.').count() != 3 =>
        {
            unsound(50_027, "JWT token is invalid or malformed.")
        }
        (Some(_), None) | (None, Some(_)) => None,
        (Some(_), Some(_)) | (None, None) => unsound(
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        ),
    }
}

fn refused(request: &Request<'_>, status: u16, error: &str, code: u32, sentence: &str) -> Answer {
    let id = "51c7c1b7-2722-4a95-9e37-79b97f4a7c15";
    let time = clock::written(request.now).replace('T', " ");
    let answer = json!({
        "error": error,
        "error_description": format!("AADSTS{code}: {sentence} Trace ID: {id} Correlation ID: {id} Timestamp: {time}"),
        "error_codes": [code],
        "timestamp": time,
        "trace_id": id,
        "correlation_id": id,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    (status, answer)
}
