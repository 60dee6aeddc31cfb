//! What a machine in a cloud can ask about itself: the metadata services of Google, Microsoft and Amazon, and Amazon's for
//! containers.
//! See <https://cloud.google.com/compute/docs/metadata/querying-metadata>,
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token> and
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html>.

use http::{Method, Response};
use serde_json::{Value, json};

use super::form::Form;
use super::token::{Audience, Standing, issue, standing};
use super::{Request, entra, written};
use crate::aws::Key;
use crate::body::SimBody;
use crate::clock;
use crate::vendor::field;

const GOOGLE: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const AZURE: &str = "/metadata/identity/oauth2/token";
const AWS_TOKEN: &str = "/latest/api/token";
const AWS_ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const AWS_CONTAINER: &str = "/v2/credentials/";
/// The role of the simulated machine.
const ROLE: &str = "simulated-role";
/// How long what is given out lives, in seconds.
const LIFE: u64 = 21_600;

/// Whether a path is one of the metadata services'.
pub(super) fn is_known(path: &str) -> bool {
    [GOOGLE, AZURE, AWS_TOKEN].contains(&path)
        || path.starts_with(AWS_ROLES)
        || path.starts_with(AWS_CONTAINER)
}

/// Answers what a machine asks about itself.
pub(super) fn respond(request: &Request<'_>) -> Response<SimBody> {
    let path = request.head.uri.path();
    let is_get = request.head.method == Method::GET;
    if path == AWS_TOKEN {
        return session(request);
    }
    if !is_get {
        return text(405, "Method Not Allowed");
    }
    match path {
        GOOGLE => google(request),
        AZURE => azure(request),
        _ if path.starts_with(AWS_CONTAINER) => keys(request, "container"),
        _ => {
            let token = field(request.head, "x-aws-ec2-metadata-token").unwrap_or_default();
            let standing = standing(request.seed, Audience::AwsMetadata, "", token, request.now);
            if standing != Standing::Good {
                return text(401, "Unauthorized");
            }
            match path.strip_prefix(AWS_ROLES) {
                Some("") => text(200, ROLE),
                Some(ROLE) => keys(request, ROLE),
                _ => text(404, "Not Found"),
            }
        }
    }
}

fn text(status: u16, sentence: &str) -> Response<SimBody> {
    written(status, "text/plain", sentence.to_owned())
}

fn answered(value: &Value) -> Response<SimBody> {
    written(200, "application/json", value.to_string())
}

fn google(request: &Request<'_>) -> Response<SimBody> {
    if field(request.head, "metadata-flavor") != Some("Google") {
        return text(403, "Missing required header: Metadata-Flavor: Google");
    }
    let token = issue(request.seed, Audience::Google, "", request.now + 3599);
    answered(&json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
}

fn azure(request: &Request<'_>) -> Response<SimBody> {
    let refuse = |sentence: &str| {
        let refusal = json!({"error": "invalid_request", "error_description": sentence});
        written(400, "application/json", refusal.to_string())
    };
    if field(request.head, "metadata") != Some("true") {
        return refuse("Required metadata header not specified");
    }
    let query = Form::parsed(request.head.uri.query().unwrap_or_default());
    if query.get("api-version").is_none() {
        return refuse("Required query variable 'api-version' is missing");
    }
    let Some(resource) = query.get("resource") else {
        return refuse("Required query variable 'resource' is missing");
    };
    let token = entra::issued(request, resource, LIFE);
    // This service writes its numbers as texts.
    answered(&json!({
        "access_token": token,
        "client_id": "51c7c1b7-2722-4a95-9e37-79b97f4a7c15",
        "expires_in": LIFE.to_string(),
        "expires_on": (request.now + LIFE).to_string(),
        "not_before": request.now.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    }))
}

/// `PUT /latest/api/token`: a session with the metadata service.
fn session(request: &Request<'_>) -> Response<SimBody> {
    if request.head.method != Method::PUT {
        return text(405, "Method Not Allowed");
    }
    let life = field(request.head, "x-aws-ec2-metadata-token-ttl-seconds")
        .and_then(|life| life.parse::<u64>().ok())
        .filter(|life| (1..=LIFE).contains(life));
    match life {
        Some(life) => text(
            200,
            &issue(request.seed, Audience::AwsMetadata, "", request.now + life),
        ),
        None => text(400, "Bad Request"),
    }
}

fn keys(request: &Request<'_>, about: &str) -> Response<SimBody> {
    let until = request.now + LIFE;
    let key = Key::temporary(request.seed, about, until);
    answered(&json!({
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": clock::written(request.now),
        "AccessKeyId": key.id,
        "SecretAccessKey": key.secret,
        "Token": key.session_token,
        "Expiration": clock::written(until),
        "RoleArn": format!("arn:aws:iam::000000000000:role/{ROLE}"),
    }))
}
