use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use domain::egress::Reach;
use domain::provider_error::Retry;
use http::{Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::credential::{Credential, Granted};

fn now() -> Timestamp {
    "2026-11-05T12:00:00Z".parse().unwrap()
}

fn begin(account: &Value) -> Step {
    Account::read(&account.to_string())
        .unwrap()
        .begin(now())
        .unwrap()
}

/// The request of a step, and what follows when the endpoint gives this answer.
fn ask(step: Step, status: u16, answer: &Value) -> (Request<Bytes>, Result<Step, Unobtained>) {
    let Step::Ask { request, then, .. } = step else {
        panic!("{step:?} asks nothing");
    };
    let answer = Response::builder()
        .status(status)
        .body(Bytes::from(answer.to_string()))
        .unwrap();
    (request, then(answer, now()))
}

fn granted(step: Step) -> (String, String) {
    match step {
        Step::Done(Granted {
            credential: Credential::Token(token),
            expires_at,
        }) => (token.reveal().clone(), expires_at.unwrap().to_string()),
        other => panic!("{other:?} is no token"),
    }
}

/// The fields of a posted form.
fn form(request: &Request<Bytes>) -> Vec<(String, String)> {
    let text = std::str::from_utf8(request.body()).unwrap();
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if *first == b'%' {
                let (digits, after) = after.split_at(2);
                let digits = std::str::from_utf8(digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = after;
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    text.split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn field(request: &Request<Bytes>, name: &str) -> String {
    let fields = form(request);
    let found = fields.into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("{name} is missing")).1
}

fn token(text: &str) -> Value {
    json!({"access_token": text, "expires_in": 3599, "token_type": "Bearer"})
}

/// A new key, in PEM.
fn key() -> (RsaKeyPair, String) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = pair.as_der().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    (pair, pem)
}

fn service_account(private_key: &str) -> Value {
    json!({
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "k1",
        "private_key": private_key,
        "client_email": "app@my-project.iam.gserviceaccount.com",
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com"
    })
}

#[test]
fn a_service_account_signs_that_it_is_itself() {
    let (pair, pem) = key();
    let account = service_account(&pem);
    let (request, next) = ask(begin(&account), 200, &token("ya29.a"));
    assert_eq!(request.uri(), "https://oauth2.googleapis.com/token");
    assert_eq!(
        field(&request, "grant_type"),
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    let assertion = field(&request, "assertion");
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(
        read(header),
        json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})
    );
    assert_eq!(
        read(claims),
        json!({
            "iss": "app@my-project.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": "https://oauth2.googleapis.com/token",
            "iat": 1_793_880_000,
            "exp": 1_793_883_600,
        })
    );
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    public.verify(signed.as_bytes(), &signature).unwrap();
    assert_eq!(
        granted(next.unwrap()),
        ("ya29.a".to_owned(), "2026-11-05T12:59:59Z".to_owned())
    );
    let account = Account::read(&account.to_string()).unwrap();
    assert_eq!(account.project(), Some("my-project"));
}

#[test]
fn a_persons_login_is_refreshed() {
    let account = json!({
        "type": "authorized_user",
        "client_id": "764086051850.apps.googleusercontent.com",
        "client_secret": "d-FL95Q19q7MQmFpd7hHD0Ty",
        "refresh_token": "1//0abc",
        "quota_project_id": "my-project"
    });
    let (request, next) = ask(begin(&account), 200, &token("ya29.u"));
    assert_eq!(field(&request, "refresh_token"), "1//0abc");
    assert_eq!(field(&request, "grant_type"), "refresh_token");
    assert_eq!(granted(next.unwrap()).0, "ya29.u");
}

#[test]
fn a_workloads_token_is_exchanged_and_then_acts_for_a_service_account() {
    let account = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k8s",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/app@p.iam.gserviceaccount.com:generateAccessToken",
        "service_account_impersonation": {"token_lifetime_seconds": 2800},
        "credential_source": {"file": "/var/run/secrets/token", "format": {"type": "json", "subject_token_field_name": "id_token"}}
    });
    let Step::Read { file, then } = begin(&account) else {
        panic!("it reads the token first");
    };
    assert_eq!(file.to_str(), Some("/var/run/secrets/token"));
    let step = then(Bytes::from_static(br#"{"id_token":"foreign"}"#), now()).unwrap();
    let (request, next) = ask(step, 200, &token("federated"));
    assert_eq!(request.uri(), "https://sts.googleapis.com/v1/token");
    assert_eq!(field(&request, "subject_token"), "foreign");
    assert_eq!(
        field(&request, "subject_token_type"),
        "urn:ietf:params:oauth:token-type:jwt"
    );
    let answer = json!({"accessToken": "ya29.i", "expireTime": "2026-11-05T12:46:40Z"});
    let (request, next) = ask(next.unwrap(), 200, &answer);
    assert!(request.uri().path().ends_with(":generateAccessToken"));
    assert_eq!(
        request.headers().get("authorization").unwrap(),
        "Bearer federated"
    );
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["lifetime"], "2800s");
    assert_eq!(
        granted(next.unwrap()),
        ("ya29.i".to_owned(), "2026-11-05T12:46:40Z".to_owned())
    );
}

#[test]
fn a_workloads_token_may_be_behind_a_url() {
    let account = json!({
        "type": "external_account",
        "audience": "a",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "client_id": "c",
        "client_secret": "s",
        "credential_source": {"url": "http://169.254.169.254/token?api-version=1", "headers": {"Metadata": "true"}}
    });
    let step = begin(&account);
    assert!(matches!(
        step,
        Step::Ask {
            reach: Reach::Any,
            ..
        }
    ));
    let Step::Ask { request, then, .. } = step else {
        unreachable!("it asks");
    };
    assert_eq!(request.headers().get("metadata").unwrap(), "true");
    let step = then(Response::new(Bytes::from_static(b"plain\n")), now()).unwrap();
    let (request, next) = ask(step, 200, &token("federated"));
    assert_eq!(field(&request, "subject_token"), "plain");
    assert_eq!(
        request.headers().get("authorization").unwrap(),
        "Basic Yzpz"
    );
    assert_eq!(granted(next.unwrap()).0, "federated");
}

#[test]
fn an_account_acts_for_another() {
    let account = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/x:generateAccessToken",
        "delegates": ["d"],
        "source_credentials": {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    });
    let (_, next) = ask(begin(&account), 200, &token("own"));
    let answer = json!({"accessToken": "theirs", "expireTime": "2026-11-05T13:00:00Z"});
    let (request, next) = ask(next.unwrap(), 200, &answer);
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(body["delegates"], json!(["d"]));
    assert_eq!(granted(next.unwrap()).0, "theirs");
}

#[test]
fn a_machine_asks_its_metadata_server() {
    let step = Account::Machine.begin(now()).unwrap();
    let (request, next) = ask(step, 200, &token("ya29.m"));
    assert_eq!(request.uri().host(), Some("metadata.google.internal"));
    assert_eq!(request.headers().get("metadata-flavor").unwrap(), "Google");
    assert_eq!(granted(next.unwrap()).0, "ya29.m");
}

#[test]
fn a_refusal_in_the_middle_ends_the_way() {
    let account = json!({
        "type": "impersonated_service_account",
        "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/x:generateAccessToken",
        "source_credentials": {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    });
    let (_, next) = ask(begin(&account), 200, &token("own"));
    let refusal = json!({"error": {"code": 403, "message": "Permission 'iam.serviceAccounts.getAccessToken' denied", "status": "PERMISSION_DENIED"}});
    let (_, next) = ask(next.unwrap(), 403, &refusal);
    let refusal = next.unwrap_err();
    assert_eq!(refusal.retry, Retry::Never);
    assert!(
        refusal
            .detail
            .ends_with("PERMISSION_DENIED: Permission 'iam.serviceAccounts.getAccessToken' denied"),
        "{}",
        refusal.detail
    );
}

#[test]
fn a_file_that_is_not_usable_is_told_apart_and_not_quoted() {
    let (_, pem) = key();
    for (file, told) in [
        (json!({"type": "robot"}), "its `type` is `robot`"),
        (json!({"client_email": "a"}), "it has no `type`"),
        (
            json!({"type": "service_account"}),
            "`client_email` is missing",
        ),
        (
            service_account("hush hush"),
            "does not begin with -----BEGIN PRIVATE KEY-----",
        ),
        (
            service_account(&pem.replace("MII", "hush")),
            "its `private_key`",
        ),
        (
            {
                let mut account = service_account(&pem);
                account["token_uri"] = json!("http://example.com");
                account
            },
            "its `token_uri` is not an https:// URL",
        ),
        (
            json!({"type": "external_account", "audience": "a", "subject_token_type": "t",
                "credential_source": {"environment_id": "aws1"}}),
            "neither a `file` nor a `url`",
        ),
    ] {
        let InvalidAccount(reason) = Account::read(&file.to_string()).unwrap_err();
        assert!(reason.contains(told), "{reason}");
        assert!(!reason.contains("hush"), "{reason}");
    }
    assert!(Account::read("not JSON").is_err());
}

#[test]
fn an_account_prints_no_secret() {
    let (_, pem) = key();
    let account = Account::read(&service_account(&pem).to_string()).unwrap();
    assert!(!format!("{account:?}").contains("BEGIN"));
    let step = account.begin(now()).unwrap();
    assert!(!format!("{step:?}").contains("assertion"));
}
