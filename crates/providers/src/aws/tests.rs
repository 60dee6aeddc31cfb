//! The ways to keys, step by step, against what the services answer.

use std::path::Path;

use bytes::Bytes;
use domain::egress::Reach;
use domain::provider_error::Retry;
use domain::secret::Secret;
use http::{Request, Response};
use jiff::Timestamp;

use super::account::{Account, Origin};
use super::container::{Endpoint, Proof};
use super::machine::Metadata;
use super::sts::{Role, Sts};
use crate::credential::{AwsKeys, Credential, Granted, Step, Unobtained};

/// As the documentation of `AssumeRole` shows it.
const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <AssumedRoleId>ARO123EXAMPLE123:trunkline</AssumedRoleId>
      <Arn>arn:aws:sts::123456789012:assumed-role/demo/trunkline</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <SessionToken>
       AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22w==
      </SessionToken>
      <Expiration>2026-11-05T13:00:00Z</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleResult>
</AssumeRoleResponse>"#;

const KEYS: &str = r#"{"Code":"Success","LastUpdated":"2026-11-05T11:00:00Z","Type":"AWS-HMAC",
    "AccessKeyId":"ASIA1","SecretAccessKey":"secret","Token":"session","Expiration":"2026-11-05T17:00:00Z"}"#;

fn now() -> Timestamp {
    "2026-11-05T12:00:00Z".parse().unwrap()
}

fn account(origin: Origin, roles: &[&str]) -> Account {
    Account {
        origin,
        roles: roles.iter().map(|arn| Role::new(*arn)).collect(),
        sts: Sts {
            region: "eu-west-1".to_owned(),
            base_url: None,
        },
    }
}

fn permanent() -> Origin {
    Origin::Keys(AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("permanent".to_owned()),
        session_token: None,
    })
}

fn answer(status: u16, body: &'static str) -> Response<Bytes> {
    let answer = Response::builder().status(status);
    answer.body(Bytes::from_static(body.as_bytes())).unwrap()
}

/// The request of a step, and the step that follows when it is answered so.
fn asked(step: Step, reply: Response<Bytes>) -> (Request<Bytes>, Result<Step, Unobtained>) {
    match step {
        Step::Ask { request, then, .. } => (request, then(reply, now())),
        other => panic!("{other:?} asks nothing"),
    }
}

fn granted(step: Step) -> Granted {
    match step {
        Step::Done(granted) => granted,
        other => panic!("{other:?} is not the end"),
    }
}

fn keys(granted: Granted) -> AwsKeys {
    match granted.credential {
        Credential::Aws(keys) => keys,
        other => panic!("{other:?} are no keys"),
    }
}

fn authorization(request: &Request<Bytes>) -> &str {
    request.headers()["authorization"].to_str().unwrap()
}

#[test]
fn keys_without_roles_are_there_at_once() {
    let step = account(permanent(), &[]).begin(now()).unwrap();
    let granted = granted(step);
    assert_eq!(granted.expires_at, None);
    assert_eq!(keys(granted).access_key_id, "AKIDEXAMPLE");
}

#[test]
fn a_role_is_assumed_with_a_signed_form() {
    let step = account(permanent(), &["arn:aws:iam::123456789012:role/demo"]);
    let (request, next) = asked(step.begin(now()).unwrap(), answer(200, ASSUMED));
    assert_eq!(request.uri(), "https://sts.eu-west-1.amazonaws.com/");
    assert_eq!(
        request.body(),
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdemo&RoleSessionName=trunkline"
    );
    assert!(
        authorization(&request)
            .contains("Credential=AKIDEXAMPLE/20261105/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date")
    );
    let granted = granted(next.unwrap());
    assert_eq!(
        granted.expires_at,
        Some("2026-11-05T13:00:00Z".parse().unwrap())
    );
    let keys = keys(granted);
    assert_eq!(keys.access_key_id, "ASIAIOSFODNN7EXAMPLE");
    assert_eq!(
        keys.session_token.unwrap().reveal(),
        "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22w=="
    );
}

#[test]
fn each_role_of_a_chain_is_assumed_with_the_keys_of_the_one_before() {
    let chain = account(permanent(), &["arn:one", "arn:two"]);
    let (first, next) = asked(chain.begin(now()).unwrap(), answer(200, ASSUMED));
    let (second, last) = asked(next.unwrap(), answer(200, ASSUMED));
    assert!(authorization(&first).contains("Credential=AKIDEXAMPLE/"));
    assert!(authorization(&second).contains("Credential=ASIAIOSFODNN7EXAMPLE/"));
    assert!(second.headers().contains_key("x-amz-security-token"));
    assert!(String::from_utf8_lossy(second.body()).contains("RoleArn=arn%3Atwo"));
    granted(last.unwrap());
}

#[test]
fn a_web_identity_is_read_from_its_file_and_not_signed() {
    let origin = Origin::WebIdentity {
        token_file: "/var/run/token".into(),
        role: Role {
            external_id: Some("x/1".to_owned()),
            ..Role::new("arn:one")
        },
    };
    let step = account(origin, &[]).begin(now()).unwrap();
    let Step::Read { file, then } = step else {
        panic!("{step:?} reads no file");
    };
    assert_eq!(file, Path::new("/var/run/token"));
    let step = then(Bytes::from_static(b"a.b.c\n"), now()).unwrap();
    let (request, next) = asked(step, answer(200, ASSUMED));
    assert_eq!(
        request.body(),
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aone&RoleSessionName=trunkline&ExternalId=x%2F1&WebIdentityToken=a.b.c"
    );
    assert!(!request.headers().contains_key("authorization"));
    granted(next.unwrap());
}

#[test]
fn a_refusal_of_the_token_service_is_told_in_its_words() {
    let refusal = |status, body| {
        let step = account(permanent(), &["arn:one"]).begin(now()).unwrap();
        asked(step, answer(status, body)).1.unwrap_err()
    };
    let denied = refusal(
        403,
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User &quot;u&quot; may not</Message></Error></ErrorResponse>",
    );
    assert_eq!(
        denied.detail,
        "AWS STS gives no keys of arn:one (403): AccessDenied: User \"u\" may not"
    );
    assert_eq!(denied.retry, Retry::Never);
    assert_eq!(refusal(503, "").retry, Retry::Now);
    assert!(refusal(200, "<a/>").detail.contains("something else"));
}

#[test]
fn a_container_shows_its_token_to_its_own_endpoint_only() {
    let token = || Proof::Token(Secret::new("Basic abc".to_owned()));
    let endpoint = Endpoint::of_ecs("/v2/credentials/1", token()).unwrap();
    let step = account(Origin::Container(endpoint), &[]).begin(now());
    let (request, next) = asked(step.unwrap(), answer(200, KEYS));
    assert_eq!(request.uri(), "http://169.254.170.2/v2/credentials/1");
    assert_eq!(authorization(&request), "Basic abc");
    assert_eq!(keys(granted(next.unwrap())).access_key_id, "ASIA1");

    for address in [
        "https://keys.example.com/",
        "http://127.0.0.1:8080/creds",
        "http://[::1]/creds",
        "http://[fd00:ec2::23]/v1/credentials",
        "http://169.254.170.23/v1/credentials",
        "http://localhost/creds",
    ] {
        assert!(Endpoint::at(address, token()).is_ok(), "{address}");
    }
    for address in [
        "http://keys.example.com/",
        "http://169.254.170.2.example.com/",
        "ftp://127.0.0.1/",
        "/creds",
        "http://10.0.0.1/",
    ] {
        assert!(Endpoint::at(address, token()).is_err(), "{address}");
    }
}

#[test]
fn a_containers_token_may_stand_in_a_file() {
    let proof = Proof::File("/var/run/proof".into());
    let endpoint = Endpoint::at("http://169.254.170.23/v1/credentials", proof).unwrap();
    let step = account(Origin::Container(endpoint), &[]).begin(now());
    let Ok(Step::Read { then, .. }) = step else {
        panic!("{step:?} reads no file");
    };
    let step = then(Bytes::from_static(b"proof\n"), now()).unwrap();
    assert!(matches!(
        &step,
        Step::Ask {
            reach: Reach::Any,
            ..
        }
    ));
    let (request, _) = asked(step, answer(200, KEYS));
    assert_eq!(authorization(&request), "proof");
}

#[test]
fn a_machine_is_asked_in_three_steps() {
    let account = account(Origin::Machine(Metadata::default()), &[]);
    let (session, next) = asked(account.begin(now()).unwrap(), answer(200, "session\n"));
    assert_eq!(session.method(), "PUT");
    assert_eq!(session.uri(), "http://169.254.169.254/latest/api/token");
    assert_eq!(
        session.headers()["x-aws-ec2-metadata-token-ttl-seconds"],
        "21600"
    );
    let (role, next) = asked(next.unwrap(), answer(200, "demo"));
    assert_eq!(role.headers()["x-aws-ec2-metadata-token"], "session");
    let (keys_request, next) = asked(next.unwrap(), answer(200, KEYS));
    assert_eq!(
        keys_request.uri(),
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/demo"
    );
    let granted = granted(next.unwrap());
    assert_eq!(
        granted.expires_at,
        Some("2026-11-05T17:00:00Z".parse().unwrap())
    );
}

#[test]
fn a_machine_without_a_role_and_a_refusal_inside_a_success_are_told() {
    let account = account(Origin::Machine(Metadata::default()), &[]);
    let role = || {
        let begun = account.begin(now()).unwrap();
        asked(begun, answer(200, "session")).1.unwrap()
    };
    let none = asked(role(), answer(404, "")).1.unwrap_err();
    assert!(none.detail.contains("instance profile"));
    let keys = asked(role(), answer(200, "demo")).1.unwrap();
    let refused =
        r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role"}"#;
    let refusal = asked(keys, answer(200, refused)).1.unwrap_err();
    assert_eq!(
        refusal.detail,
        "the machine's metadata service gives no AWS keys (200): AssumeRoleUnauthorizedAccess: EC2 cannot assume the role"
    );
}
