//! Where an HTTP API begins.

use std::net::IpAddr;

use http::Uri;
use serde_json::{Value, json};

use super::scalar::{Misfit, Scalar};

/// An absolute `http` or `https` URL without user, query, fragment, or slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl {
    text: String,
    uri: Uri,
}

impl BaseUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The last piece of the path; empty when there is no path.
    pub(super) fn last_segment(&self) -> &str {
        self.uri
            .path()
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default()
    }

    /// The URL without `ending`, when it ends so.
    pub(super) fn without(&self, ending: &str) -> Option<&str> {
        self.text.strip_suffix(ending)
    }

    /// Whether the host is certainly in this machine or its network: `localhost`, or an address of a
    /// private range. A name may still turn out to be.
    pub(super) fn is_private(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        match host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
        {
            Ok(address) => match address.to_canonical() {
                IpAddr::V4(v4) => {
                    v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified()
                }
                IpAddr::V6(v6) => {
                    v6.is_loopback()
                        || v6.is_unique_local()
                        || v6.is_unicast_link_local()
                        || v6.is_unspecified()
                }
            },
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

impl Scalar for BaseUrl {
    const EXPECTED: &'static str = "an absolute URL such as `https://api.example.com/v1`";
    /// Someone may have written a password into it.
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        let has_scheme = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        if !has_scheme(text) {
            return Err(Misfit::because("it begins with `https://` or `http://`"));
        }
        if text.contains(['?', '#']) {
            return Err(Misfit::because(
                "it has no query and no fragment (`?`, `#`)",
            ));
        }
        let text = text.trim_end_matches('/');
        let uri: Uri = text.parse().map_err(|_| {
            Misfit::because("it has a host, maybe a port and a path, and no spaces")
        })?;
        let authority = uri.authority().map_or("", http::uri::Authority::as_str);
        if authority.contains('@') {
            return Err(Misfit {
                reason: Some("it has no user and password before `@`".to_owned()),
                suggestion: Some("put the credential into `api_key`".to_owned()),
            });
        }
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        if uri.host().is_none_or(str::is_empty) || (has_port && uri.port_u16().is_none()) {
            return Err(Misfit::because(
                "it has a host, and a port from 1 to 65535 if any",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            uri,
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_does_not_count() {
        let url = BaseUrl::parse("https://api.example.com/v1/").unwrap();
        assert_eq!(url.as_str(), "https://api.example.com/v1");
        assert_eq!(url.last_segment(), "v1");
        assert_eq!(
            BaseUrl::parse("http://[::1]:8080").unwrap().last_segment(),
            ""
        );
    }

    #[test]
    fn private_hosts_are_recognised_where_they_are_certain() {
        for (url, is_private) in [
            ("http://localhost:11434/v1", true),
            ("http://127.0.0.1", true),
            ("http://10.1.2.3", true),
            ("http://169.254.169.254", true),
            ("http://[::1]:8080", true),
            ("http://[fd00::1]", true),
            ("https://api.openai.com/v1", false),
            ("https://8.8.8.8", false),
        ] {
            assert_eq!(
                BaseUrl::parse(url).unwrap().is_private(),
                is_private,
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "api.openai.com/v1",
            "ftp://example.com",
            "https://",
            "https:///v1",
            "https://ann:secret@example.com",
            "https://example.com/v1?key=1",
            "https://example.com/v1#top",
            "https://example.com:99999",
            "https://exa mple.com",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}
