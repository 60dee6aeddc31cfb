//! Signatures of requests, version 4, as the service checks them.
//! See <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use http::request::Parts;

use super::keys::Key;
use crate::clock;
use crate::escape::{decoded, encoded};
use crate::issuer::Standing;
use crate::vendor::field;

/// How far the signer's clock may be off, in seconds.
const SKEW: u64 = 300;

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// There is none.
    Missing,
    /// It lacks something, named here.
    Incomplete(String),
    /// Nobody knows the key or its session token.
    UnknownKey,
    /// The session token's time is over.
    ExpiredKey,
    /// The request was signed too long ago, or for another region or service.
    Misplaced(String),
    /// It is not the signature of this request.
    Wrong,
}

/// Checks the signature of a request to `service`; gives back the id of the key it was signed with.
pub(crate) fn verify(
    head: &Parts,
    body: &[u8],
    service: &str,
    seed: u64,
    now: u64,
) -> Result<String, Unsigned> {
    let told = field(head, "authorization")
        .and_then(|told| told.strip_prefix("AWS4-HMAC-SHA256"))
        .ok_or(Unsigned::Missing)?;
    let part = |name: &str| {
        told.split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .ok_or_else(|| {
                Unsigned::Incomplete(format!("Authorization header requires '{name}' parameter."))
            })
    };
    let (credential, signed_fields, signature) = (
        part("Credential")?,
        part("SignedHeaders")?,
        part("Signature")?,
    );
    let scope: Vec<&str> = credential.split('/').collect();
    let &[key_id, day, region, told_service, "aws4_request"] = scope.as_slice() else {
        return Err(Unsigned::Incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.".to_owned(),
        ));
    };
    let time = field(head, "x-amz-date").ok_or_else(|| {
        Unsigned::Incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
                .to_owned(),
        )
    })?;
    timely(time, day, now)?;
    if told_service != service {
        return Err(Unsigned::Misplaced(format!(
            "Credential should be scoped to correct service: '{service}'."
        )));
    }
    let (secret, standing) = Key::known(seed, key_id, field(head, "x-amz-security-token"), now);
    match standing {
        Standing::Good => {}
        Standing::Expired => return Err(Unsigned::ExpiredKey),
        Standing::Unknown => return Err(Unsigned::UnknownKey),
    }
    let canonical = canonical(head, body, service, signed_fields)?;
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{day}/{region}/{service}/aws4_request\n{}",
        hex(digest(&SHA256, canonical.as_bytes()).as_ref())
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for step in [day, region, service, "aws4_request"] {
        key = sign(&key, step.as_bytes());
    }
    if hex(&sign(&key, to_sign.as_bytes())) != signature {
        return Err(Unsigned::Wrong);
    }
    Ok(key_id.to_owned())
}

fn timely(time: &str, day: &str, now: u64) -> Result<(), Unsigned> {
    let signed = clock::read_compact(time).ok_or_else(|| {
        Unsigned::Incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{time}'. See http://en.wikipedia.org/wiki/ISO_8601"
        ))
    })?;
    if !time.starts_with(day) {
        return Err(Unsigned::Misplaced(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{time}'."
        )));
    }
    let (now_told, limit) = (clock::compact(now), "5 min.");
    if signed + SKEW < now {
        let oldest = clock::compact(now - SKEW);
        return Err(Unsigned::Misplaced(format!(
            "Signature expired: {time} is now earlier than {oldest} ({now_told} - {limit})"
        )));
    }
    if signed > now + SKEW {
        let newest = clock::compact(now + SKEW);
        return Err(Unsigned::Misplaced(format!(
            "Signature not yet current: {time} is still later than {newest} ({now_told} + {limit})"
        )));
    }
    Ok(())
}

/// The request as both sides write it down.
fn canonical(
    head: &Parts,
    body: &[u8],
    service: &str,
    signed_fields: &str,
) -> Result<String, Unsigned> {
    let names: Vec<&str> = signed_fields.split(';').collect();
    let must_be_signed = head
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-"))
        .chain(["host"]);
    let unsigned: Vec<&str> = must_be_signed
        .filter(|name| !names.contains(name))
        .collect();
    if !unsigned.is_empty() || !names.is_sorted() {
        return Err(Unsigned::Incomplete(format!(
            "'{}' must be a 'SignedHeader' in the AWS Authorization.",
            unsigned.first().unwrap_or(&"host")
        )));
    }
    let mut canonical = String::new();
    let path = head.uri.path();
    // S3 alone takes the path as it is.
    let path = match service {
        "s3" => path.to_owned(),
        _ => encoded(path, b"/"),
    };
    let query = canonical_query(head.uri.query().unwrap_or_default());
    // Writing into a text cannot fail.
    write!(canonical, "{}\n{path}\n{query}\n", head.method).ok();
    for name in &names {
        let value = value_of(head, name).ok_or_else(|| {
            Unsigned::Incomplete(format!("The signed header '{name}' is absent."))
        })?;
        writeln!(canonical, "{name}:{value}").ok();
    }
    let hash = hex(digest(&SHA256, body).as_ref());
    if field(head, "x-amz-content-sha256").is_some_and(|told| told != hash) {
        return Err(Unsigned::Wrong);
    }
    write!(canonical, "\n{signed_fields}\n{hash}").ok();
    Ok(canonical)
}

/// A field's values, trimmed and joined; the host also where HTTP/2 tells it elsewhere.
fn value_of(head: &Parts, name: &str) -> Option<String> {
    let values: Vec<String> = head
        .headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    if !values.is_empty() {
        return Some(values.join(","));
    }
    (name == "host")
        .then(|| head.uri.authority().map(ToString::to_string))
        .flatten()
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(&decoded(key), b""), encoded(&decoded(value), b""))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join("&")
}

fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
        .as_ref()
        .to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
