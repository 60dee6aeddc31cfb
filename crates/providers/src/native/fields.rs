//! Which fields go along with a request that passes, and come back with its answer.

use http::header::{CONNECTION, HeaderMap, HeaderName};

/// Fields of requests that stay here. Those of one connection (RFC 9110 §7.6.1); what the client writes
/// anew; credentials, and what chooses among the accounts that the operator's credential opens; who the
/// caller is; and conditions, since an answer that says "unchanged" would have nothing to meter.
const STAY: [&str; 42] = [
    "accept-encoding",
    "api-key",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "openai-organization",
    "openai-project",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "token",
    "traceparent",
    "tracestate",
    "baggage",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "via",
    "x-api-key",
    "x-auth-token",
    "x-client-ip",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-goog-user-project",
    "x-key",
    "x-real-ip",
    "xi-api-key",
];

/// Families of fields that stay here.
const FAMILIES: [&str; 6] = [
    "cf-",
    "sec-",
    "x-amz-",
    "x-amzn-",
    "x-forwarded-",
    "x-trunkline-",
];

/// Fields of answers that come back: what the body is, how to read it, and when to try again. What else a
/// provider says (who its customer is, what the customer's limits are, cookies) is the operator's.
const COME_BACK: [&str; 15] = [
    "accept-ranges",
    "anthropic-version",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
    "openai-processing-ms",
    "openai-version",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
];

/// The caller's end-to-end fields, without credentials.
#[must_use]
pub fn onward(headers: &HeaderMap) -> HeaderMap {
    let named = of_connection(headers);
    kept(headers, |name| {
        !STAY.contains(&name)
            && !FAMILIES.iter().any(|family| name.starts_with(family))
            && !named.iter().any(|other| other == name)
    })
}

/// The fields of the provider's answer that the caller sees.
#[must_use]
pub fn back(headers: &HeaderMap) -> HeaderMap {
    let named = of_connection(headers);
    kept(headers, |name| {
        COME_BACK.contains(&name) && !named.iter().any(|other| other == name)
    })
}

fn kept(headers: &HeaderMap, is_kept: impl Fn(&str) -> bool) -> HeaderMap {
    let fields = headers.iter().filter(|(name, _)| is_kept(name.as_str()));
    let mut kept = HeaderMap::new();
    for (name, value) in fields {
        kept.append(HeaderName::clone(name), value.clone());
    }
    kept
}

/// The fields that `Connection` says are of the connection.
fn of_connection(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(CONNECTION).iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        fields
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn end_to_end_fields_go_along_and_no_others() {
        let asked = fields(&[
            ("content-type", "application/json"),
            ("anthropic-beta", "one"),
            ("anthropic-beta", "two"),
            ("authorization", "Bearer tl_1"),
            ("x-api-key", "tl_1"),
            ("x-goog-api-key", "tl_1"),
            ("cookie", "a=b"),
            ("host", "gateway"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("openai-organization", "org-other"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-trunkline-report", "cost"),
            ("x-amz-security-token", "stolen"),
            ("accept-encoding", "br"),
        ]);
        let onward = onward(&asked);
        assert_eq!(names(&onward), ["content-type", "anthropic-beta"]);
        assert_eq!(onward.get_all("anthropic-beta").iter().count(), 2);
    }

    #[test]
    fn an_answer_tells_nothing_of_the_operators_account() {
        let answered = fields(&[
            ("content-type", "application/json"),
            ("retry-after", "2"),
            ("openai-organization", "org-operator"),
            ("anthropic-organization-id", "org"),
            ("x-ratelimit-limit-requests", "5"),
            ("set-cookie", "__cf_bm=1"),
            ("x-request-id", "req_other"),
            ("location", "https://elsewhere"),
            ("transfer-encoding", "chunked"),
        ]);
        assert_eq!(names(&back(&answered)), ["content-type", "retry-after"]);
    }
}
