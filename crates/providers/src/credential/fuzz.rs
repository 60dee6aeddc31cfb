//! Whatever whoever gives out credentials answers, nothing panics, and the way to one ends.

use std::time::Duration;

use bolero::check;
use bytes::Bytes;
use domain::secret::Secret;
use http::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{AwsKeys, Credential, Granted, Source, Step};
use crate::aws::account::{Account, Origin};
use crate::aws::container::{Endpoint, Proof};
use crate::aws::machine::Metadata;
use crate::aws::sts::{Role, Sts};
use crate::{entra, google};

/// More steps than any way has.
const MAX_STEPS: usize = 16;

fn google(account: &Value) -> Source {
    Source::Google(google::Account::read(&account.to_string()).unwrap())
}

fn aws(origin: Origin) -> Source {
    Source::Aws(Account {
        origin,
        roles: vec![
            Role::new("arn:aws:iam::1:role/a"),
            Role::new("arn:aws:iam::1:role/b"),
        ],
        sts: Sts {
            region: "eu-west-1".to_owned(),
            base_url: None,
        },
    })
}

fn entra(proof: entra::Proof) -> Source {
    Source::Entra(entra::Account::Application {
        tenant: "t".to_owned(),
        client: "c".to_owned(),
        proof,
        authority: entra::AUTHORITY.to_owned(),
    })
}

/// A source of every kind that has to be asked.
fn sources() -> Vec<Source> {
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"});
    let external = |source: Value| {
        google(&json!({
            "type": "external_account", "audience": "a", "token_url": "https://sts.googleapis.com/v1/token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": source,
            "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/x:generateAccessToken",
        }))
    };
    let keys = AwsKeys {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: Secret::new("permanent".to_owned()),
        session_token: None,
    };
    vec![
        google(&user),
        google(&json!({
            "type": "impersonated_service_account", "source_credentials": user,
            "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/x:generateAccessToken",
        })),
        external(
            json!({"file": "/token", "format": {"type": "json", "subject_token_field_name": "id_token"}}),
        ),
        external(json!({"url": "http://169.254.169.254/token", "headers": {"Metadata": "true"}})),
        Source::Google(google::Account::Machine),
        entra(entra::Proof::Secret(Secret::new("s".to_owned()))),
        entra(entra::Proof::File("/token".into())),
        Source::Entra(entra::Account::Machine { client: None }),
        aws(Origin::Keys(keys)),
        aws(Origin::WebIdentity {
            token_file: "/token".into(),
            role: Role::new("arn:aws:iam::1:role/web"),
        }),
        aws(Origin::Container(
            Endpoint::of_ecs("/v2/credentials/x", Proof::None).unwrap(),
        )),
        aws(Origin::Machine(Metadata::default())),
    ]
}

/// Goes the whole way with one answer to whatever is asked.
fn go(source: &Source, status: u16, answer: &[u8]) -> Option<Granted> {
    let now: Timestamp = "2026-11-05T12:00:00Z".parse().unwrap();
    let mut step = source.begin(now).ok()?;
    for _ in 0..MAX_STEPS {
        step = match step {
            Step::Done(granted) => return Some(granted),
            Step::Ask { then, .. } => {
                let answer = Bytes::copy_from_slice(answer);
                let answer = Response::builder().status(status).body(answer).unwrap();
                then(answer, now).ok()?
            }
            Step::Read { then, .. } => then(Bytes::copy_from_slice(answer), now).ok()?,
        };
    }
    panic!("the way has no end");
}

#[test]
fn no_answer_makes_the_way_to_a_credential_panic() {
    let sources = sources();
    check!()
        .with_test_time(Duration::from_secs(2))
        .for_each(|answer: &[u8]| {
            for source in &sources {
                for status in [200, 400, 503] {
                    go(source, status, answer);
                }
            }
        });
}

/// Answers that are nearly right, which reach further than bytes without sense.
#[test]
fn no_answer_with_a_piece_missing_makes_the_way_to_a_credential_panic() {
    let token = json!({
        "access_token": "t", "accessToken": "t", "id_token": "i", "token_type": "Bearer", "expires_in": 3599,
        "expireTime": "2026-11-05T13:00:00Z", "expires_on": "1793966400", "Code": "Success", "AccessKeyId": "A",
        "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-11-05T17:00:00Z",
    })
    .to_string();
    let sources = sources();
    let granted = sources
        .iter()
        .filter_map(|source| go(source, 200, token.as_bytes()));
    let tokens = granted.filter(|granted| matches!(granted.credential, Credential::Token(_)));
    assert!(
        tokens.count() >= 6,
        "whole, it is what most of them wait for"
    );
    check!()
        .with_type::<(usize, usize, Vec<u8>)>()
        .with_test_time(Duration::from_secs(2))
        .for_each(|(from, length, put)| {
            let bytes = token.as_bytes();
            let from = from % bytes.len();
            let to = (from + length % 40).min(bytes.len());
            let answer = [&bytes[..from], put, &bytes[to..]].concat();
            for source in &sources {
                go(source, 200, &answer);
            }
        });
}
