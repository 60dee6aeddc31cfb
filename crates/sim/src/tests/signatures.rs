//! Requests signed by Amazon's own library (botocore 1.44.5, on 21 November 2026 at midnight), and what became of them on the way.

use crate::{AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, Options, Sim};
use serde_json::Value;

use super::ask::{Answer, cases, send};

async fn sent(sim: &Sim, case: &Value) -> Answer {
    let fields: Vec<(&str, &str)> = case["fields"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let part = |key: &str| case[key].as_str().unwrap();
    let body = part("body").to_owned();
    send(sim, part("method"), part("uri"), &fields, body.into()).await
}

#[tokio::test]
async fn a_signature_is_accepted_for_the_request_it_was_made_for_and_no_other() {
    let sim = Sim::default();
    for case in cases(include_str!("signed.jsonl")) {
        let answer = sent(&sim, &case).await;
        assert_eq!(
            answer.status,
            case["status"],
            "{}: {}",
            case["name"],
            answer.pieces.concat().escape_ascii()
        );
    }
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes() {
    for (now, status) in [
        (1_795_219_200 + 300, 200),
        (1_795_219_200 + 301, 403),
        (1_795_219_200 - 300, 200),
        (1_795_219_200 - 301, 403),
    ] {
        let sim = Sim::new(Options {
            seed: 0,
            now: clock(now),
        });
        let case = cases(include_str!("signed.jsonl")).next().unwrap();
        let answer = sent(&sim, &case).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 403 {
            assert!(
                answer
                    .field("x-amzn-errortype")
                    .starts_with("InvalidSignatureException")
            );
            assert!(
                answer.text().contains("Signature expired")
                    || answer.text().contains("not yet current")
            );
        }
    }
}

/// A clock that stands.
fn clock(now: u64) -> fn() -> u64 {
    match now {
        1_795_219_500 => || 1_795_219_500,
        1_795_219_501 => || 1_795_219_501,
        1_795_218_900 => || 1_795_218_900,
        _ => || 1_795_218_899,
    }
}

#[test]
fn the_documented_key_is_as_long_as_amazons() {
    assert_eq!(
        (AWS_ACCESS_KEY_ID.len(), AWS_SECRET_ACCESS_KEY.len()),
        (20, 40)
    );
}
