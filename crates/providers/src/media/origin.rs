//! Whose an address is that a provider's answer names.

use http::Uri;

/// Whether `address` is of the same origin as `base_url` (RFC 6454 §4) or, encrypted, of a host below one of
/// the vendor's `domains` while `base_url` is so too: some vendors spread their jobs over hosts.
pub(crate) fn is_own(base_url: &str, address: &Uri, domains: &[&str]) -> bool {
    let Ok(base) = base_url.parse::<Uri>() else {
        return false;
    };
    if base.scheme() == address.scheme()
        && base.host().is_some()
        && origin(&base) == origin(address)
    {
        return true;
    }
    let is_below = |uri: &Uri, domain: &str| {
        uri.host().is_some_and(|host| {
            host == domain
                || host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.ends_with('.'))
        })
    };
    address.scheme_str() == Some("https")
        && address.port_u16().is_none_or(|port| port == 443)
        && domains
            .iter()
            .any(|domain| is_below(&base, domain) && is_below(address, domain))
}

fn origin(uri: &Uri) -> (Option<&str>, Option<u16>) {
    let usual = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    (uri.host(), uri.port_u16().or(usual))
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn a_credential_stays_with_its_vendor() {
        for (base, address, expected) in [
            (
                "https://api.bfl.ai",
                "https://api.bfl.ai/v1/get_result?id=a",
                true,
            ),
            ("https://api.bfl.ai", "https://api.bfl.ai:443/v1", true),
            (
                "https://api.bfl.ai",
                "https://api.us1.bfl.ai/v1/get_result",
                true,
            ),
            ("https://api.bfl.ai", "http://api.bfl.ai/v1", false),
            ("https://api.bfl.ai", "http://api.us1.bfl.ai/v1", false),
            (
                "https://api.bfl.ai",
                "https://api.us1.bfl.ai:8443/v1",
                false,
            ),
            ("https://api.bfl.ai", "https://evilbfl.ai/v1", false),
            ("https://api.bfl.ai", "https://bfl.ai.evil.net/v1", false),
            ("https://proxy.example", "https://api.bfl.ai/v1", false),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/v1", true),
            ("http://127.0.0.1:9", "http://127.0.0.1:10/v1", false),
        ] {
            assert_eq!(
                is_own(base, &address.parse().unwrap(), &["bfl.ai"]),
                expected,
                "{base} {address}"
            );
        }
    }
}
