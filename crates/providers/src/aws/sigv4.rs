//! AWS Signature Version 4, in the `Authorization` field.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use bytes::Bytes;
use domain::secret::Secret;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{Request, Uri};
use jiff::Timestamp;

use crate::credential::{self, AwsKeys};
use crate::dialect::Refusal;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Fields that the HTTP client or a proxy writes or rewrites after the request was signed.
const UNSIGNED: [&str; 11] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "expect",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-amzn-trace-id",
];

/// Where a signature holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The region that answers, such as `us-east-1`.
    pub region: &'a str,
    /// The name under which the service checks signatures, such as `bedrock` or `sts`.
    pub service: &'a str,
}

/// The name under which S3 checks signatures.
pub(crate) const S3: &str = "s3";

/// Marks a request as one for S3, which checks signatures under its own name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForStorage;

/// Signs a request: writes `x-amz-date`, `x-amz-security-token` where the keys have one, and
/// `Authorization`. A signature that is there already is replaced. The request's URI must be absolute, its
/// path and query already percent-encoded and without `.` and `..` segments; path segments are encoded once more
/// for every service but S3. The signature holds for five minutes around `now`.
pub fn sign(
    request: &mut Request<Bytes>,
    keys: &AwsKeys,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<(), Refusal> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = now.strftime("%Y%m%d").to_string();
    let headers = request.headers_mut();
    headers.insert("x-amz-date", field(&time)?);
    headers.remove("x-amz-security-token");
    if let Some(token) = &keys.session_token {
        headers.insert("x-amz-security-token", credential::field("", token)?);
    }
    let signed = SignedFields::of(request)?;
    let canonical = canonical_request(request, &signed, scope.service);

    let place = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!(
        "{ALGORITHM}\n{time}\n{place}\n{}",
        hex(digest(&SHA256, canonical.as_bytes()).as_ref())
    );
    let key = signing_key(&keys.secret_access_key, &date, scope);
    let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());

    let mut authorization = field(&format!(
        "{ALGORITHM} Credential={}/{place}, SignedHeaders={}, Signature={signature}",
        keys.access_key_id,
        signed.names()
    ))?;
    authorization.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, authorization);
    Ok(())
}

/// The fields that are signed, by name.
struct SignedFields(BTreeMap<String, String>);

impl SignedFields {
    fn of(request: &Request<Bytes>) -> Result<Self, Refusal> {
        let mut fields = BTreeMap::new();
        fields.insert(HOST.as_str().to_owned(), host(request.uri())?);
        for name in request.headers().keys() {
            if *name != HOST && !UNSIGNED.contains(&name.as_str()) {
                fields.insert(name.as_str().to_owned(), values(request, name)?);
            }
        }
        Ok(Self(fields))
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.join(";")
    }
}

/// What the HTTP client writes into the `Host` field: the port only where it is not the scheme's own.
fn host(uri: &Uri) -> Result<String, Refusal> {
    let Some(host) = uri.host() else {
        return Err(refusal("The provider's base URL must be absolute."));
    };
    let own_port = match uri.scheme_str() {
        Some("http") => 80,
        _ => 443,
    };
    Ok(match uri.port_u16() {
        Some(port) if port != own_port => format!("{host}:{port}"),
        _ => host.to_owned(),
    })
}

/// The values of a field, each without the white space around it and with single spaces in it.
fn values(request: &Request<Bytes>, name: &HeaderName) -> Result<String, Refusal> {
    let mut joined = String::new();
    for value in request.headers().get_all(name) {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| refusal("A field of the request is not UTF-8 and cannot be signed."))?;
        if !joined.is_empty() {
            joined.push(',');
        }
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        joined.push_str(&words.join(" "));
    }
    Ok(joined)
}

fn canonical_request(request: &Request<Bytes>, signed: &SignedFields, service: &str) -> String {
    let uri = request.uri();
    let mut canonical = format!("{}\n", request.method());
    if service == S3 {
        canonical.push_str(uri.path());
    } else {
        encode_path(uri.path(), &mut canonical);
    }
    canonical.push('\n');
    canonical.push_str(&canonical_query(uri.query().unwrap_or_default()));
    canonical.push('\n');
    for (name, value) in &signed.0 {
        canonical.push_str(name);
        canonical.push(':');
        canonical.push_str(value);
        canonical.push('\n');
    }
    canonical.push('\n');
    canonical.push_str(&signed.names());
    canonical.push('\n');
    canonical.push_str(&hex(digest(&SHA256, request.body()).as_ref()));
    canonical
}

/// Encodes what stands between the slashes of a path that is encoded already.
fn encode_path(path: &str, out: &mut String) {
    if path.is_empty() {
        out.push('/');
    }
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        percent_encode(segment, out);
    }
}

/// Writes text in the form that may stand in a path segment or a query (RFC 3986 §2.3).
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
}

/// The parameters in the order of their names and then of their values.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// A key that is good for one day, one region and one service.
fn signing_key(secret: &Secret<String>, date: &str, scope: Scope<'_>) -> hmac::Key {
    let first = Secret::new(format!("AWS4{}", secret.reveal()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, first.reveal().as_bytes());
    [date, scope.region, scope.service, "aws4_request"]
        .into_iter()
        .fold(key, |key, word| {
            let next = hmac::sign(&key, word.as_bytes());
            hmac::Key::new(hmac::HMAC_SHA256, next.as_ref())
        })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn field(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::try_from(text).map_err(|_| {
        refusal("The AWS access key id or region holds characters that no field may have.")
    })
}

fn refusal(detail: &str) -> Refusal {
    Refusal {
        detail: detail.to_owned(),
        param: None,
    }
}

#[cfg(test)]
mod tests;
