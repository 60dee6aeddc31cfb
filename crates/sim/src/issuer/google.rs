//! Google's token endpoints.
//! See <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>,
//! <https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token> and
//! <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>.

use serde_json::{Value, json};

use super::form::Form;
use super::service_account::EMAIL;
use super::token::{Audience, Standing, issue, standing};
use super::{Answer, Request};
use crate::vendor::{bearer, is_invalid_key};

/// How long a token lives, in seconds.
const LIFE: u64 = 3600;
/// How far a caller's clock may be off, in seconds.
const SKEW: u64 = 300;
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn refused(error: &str, description: &str) -> Answer {
    (
        400,
        json!({"error": error, "error_description": description}),
    )
}

fn granted(request: &Request<'_>) -> Value {
    let token = issue(request.seed, Audience::Google, "", request.now + LIFE);
    json!({"access_token": token, "expires_in": LIFE, "token_type": "Bearer"})
}

/// `POST /token`.
pub(super) fn token(request: &Request<'_>) -> Answer {
    let Some(form) = Form::of(request.head, request.body) else {
        return refused("invalid_request", "Missing required parameter: grant_type");
    };
    match form.get("grant_type") {
        None => refused("invalid_request", "Missing required parameter: grant_type"),
        Some(JWT_BEARER) => match form.get("assertion") {
            None => refused("invalid_request", "Missing required parameter: assertion"),
            Some(assertion) => asserted(request, assertion),
        },
        Some("refresh_token") => refreshed(request, &form),
        Some(other) => refused(
            "unsupported_grant_type",
            &format!("Invalid grant_type: {other}"),
        ),
    }
}

fn asserted(request: &Request<'_>, assertion: &str) -> Answer {
    let claims = match request.account.claims(assertion) {
        Ok(claims) => claims,
        Err(unsound) => return refused("invalid_grant", unsound.0),
    };
    if claims["iss"] != EMAIL {
        return refused("invalid_grant", "Invalid grant: account not found");
    }
    let (issued, until) = (claims["iat"].as_u64(), claims["exp"].as_u64());
    let (Some(issued), Some(until)) = (issued, until) else {
        return refused(
            "invalid_grant",
            "Invalid JWT: 'iat' and 'exp' are required.",
        );
    };
    let is_timely = issued <= request.now + SKEW
        && until + SKEW > request.now
        && until > issued
        && until - issued <= LIFE;
    if !is_timely {
        let sentence = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
            Check your iat and exp values in the JWT claim.";
        return refused("invalid_grant", sentence);
    }
    if !claims["aud"]
        .as_str()
        .is_some_and(|aud| aud.ends_with("/token"))
    {
        return refused(
            "invalid_grant",
            "Invalid JWT: 'aud' is not the token endpoint.",
        );
    }
    let Some(scope) = claims["scope"].as_str().filter(|scope| !scope.is_empty()) else {
        let sentence = "Invalid OAuth scope or ID token audience provided.";
        return refused("invalid_scope", sentence);
    };
    if !scope.split(' ').any(|scope| scope == CLOUD) {
        let sentence = format!("Not a scope of the simulated Google: {scope}. Ask for {CLOUD}.");
        return refused("invalid_scope", &sentence);
    }
    (200, granted(request))
}

/// The token of a user who once agreed.
fn refreshed(request: &Request<'_>, form: &Form) -> Answer {
    for key in ["client_id", "client_secret", "refresh_token"] {
        match form.get(key) {
            None => {
                return refused(
                    "invalid_request",
                    &format!("Missing required parameter: {key}"),
                );
            }
            Some(value) if is_invalid_key(value) && key == "refresh_token" => {
                return refused("invalid_grant", "Token has been expired or revoked.");
            }
            Some(value) if is_invalid_key(value) => {
                let refusal = json!({"error": "invalid_client", "error_description": "The OAuth client was not found."});
                return (401, refusal);
            }
            Some(_) => {}
        }
    }
    let mut answer = granted(request);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("scope".to_owned(), json!(CLOUD));
    }
    (200, answer)
}

/// `POST /v1/token`: a token of somebody else's for one of Google's (RFC 8693).
pub(super) fn exchange(request: &Request<'_>) -> Answer {
    // The call takes a form as the RFC has it, and JSON with the same names in camel case.
    let form = Form::of(request.head, request.body);
    let json_body: Value = serde_json::from_slice(request.body).unwrap_or(Value::Null);
    let get = |key: &str, camel: &str| {
        let value = form.as_ref().and_then(|form| form.get(key));
        value.or_else(|| json_body[camel].as_str()).unwrap_or("")
    };
    if get("grant_type", "grantType") != EXCHANGE {
        return refused(
            "unsupported_grant_type",
            "Invalid value for \"grant_type\".",
        );
    }
    let audience = get("audience", "audience");
    if !audience.starts_with("//iam.googleapis.com/") {
        return refused("invalid_request", "Invalid value for \"audience\".");
    }
    if get("requested_token_type", "requestedTokenType") != ACCESS_TOKEN {
        return refused(
            "invalid_request",
            "Invalid value for \"requested_token_type\".",
        );
    }
    if get("scope", "scope").is_empty() {
        return refused("invalid_scope", "Invalid value for \"scope\".");
    }
    let kind = get("subject_token_type", "subjectTokenType");
    if !kind.starts_with("urn:ietf:params:") {
        return refused(
            "invalid_request",
            "Invalid value for \"subject_token_type\".",
        );
    }
    let subject = get("subject_token", "subjectToken");
    if subject.is_empty() || is_invalid_key(subject) {
        let sentence = "The given credential is rejected by the attribute condition.";
        return refused("invalid_grant", sentence);
    }
    let mut answer = granted(request);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("issued_token_type".to_owned(), json!(ACCESS_TOKEN));
    }
    (200, answer)
}

/// `POST …/serviceAccounts/{email}:generateAccessToken`: a token to act as that account.
pub(super) fn impersonate(request: &Request<'_>, email: &str) -> Answer {
    let refuse = |code: u16, status: &str, message: &str| {
        (
            code,
            json!({"error": {"code": code, "message": message, "status": status}}),
        )
    };
    let token = bearer(request.head).unwrap_or_default();
    if standing(request.seed, Audience::Google, "", token, request.now) != Standing::Good {
        let sentence = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.";
        return refuse(401, "UNAUTHENTICATED", sentence);
    }
    if email != EMAIL {
        let sentence = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).";
        return refuse(403, "PERMISSION_DENIED", sentence);
    }
    let Ok(body) = serde_json::from_slice::<Value>(request.body) else {
        return refuse(400, "INVALID_ARGUMENT", "Invalid JSON payload received.");
    };
    if body["scope"].as_array().is_none_or(Vec::is_empty) {
        return refuse(400, "INVALID_ARGUMENT", "Scope required.");
    }
    let life = match &body["lifetime"] {
        Value::Null => Some(LIFE),
        told => told
            .as_str()
            .and_then(|told| told.strip_suffix('s'))
            .and_then(|told| told.parse().ok())
            .filter(|life| (1..=LIFE).contains(life)),
    };
    let Some(life) = life else {
        let sentence = "Lifetime must be between 1 and 3600 seconds.";
        return refuse(400, "INVALID_ARGUMENT", sentence);
    };
    let until = request.now + life;
    let token = issue(request.seed, Audience::Google, "", until);
    (
        200,
        json!({"accessToken": token, "expireTime": crate::clock::written(until)}),
    )
}
