//! What a request says of the cache: `x-trunkline-cache` and `Cache-Control`.

use std::time::Duration;

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};
use providers::face::InvalidRequest;

/// The field that is Trunkline's own.
pub(super) const FIELD: HeaderName = HeaderName::from_static("x-trunkline-cache");

/// What a request says of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Control {
    /// Whether it may be answered by the cache.
    pub(super) serves: bool,
    /// Whether its answer may be kept.
    pub(super) keeps: bool,
    /// How long its answer is kept.
    pub(super) ttl: Option<Duration>,
    /// How old the answer may be that it gets.
    pub(super) max_age: Option<Duration>,
    /// Whether an answer to something that means the same is wanted.
    pub(super) takes_alike: bool,
}

impl Control {
    const OPEN: Self = Self {
        serves: true,
        keeps: true,
        ttl: None,
        max_age: None,
        takes_alike: true,
    };

    /// Reads the fields of a request. `Cache-Control` is read as RFC 9111 §5.2.1 has it, which ignores what it
    /// does not know; of our own field, what is not known is refused.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, InvalidRequest> {
        let mut control = Self::OPEN;
        for value in headers.get_all(CACHE_CONTROL) {
            for directive in directives(value) {
                control.follow(&directive);
            }
        }
        for value in headers.get_all(FIELD) {
            for directive in directives(value) {
                if !control.follow(&directive) {
                    let detail = format!(
                        "`{directive}` is nothing that x-trunkline-cache may say: write `no-cache`, \
                         `no-store`, `ttl=SECONDS`, `max-age=SECONDS` or `exact`, with commas between them."
                    );
                    return Err(InvalidRequest::of(FIELD.as_str(), detail));
                }
            }
        }
        Ok(control)
    }

    /// Whether the cache has nothing to do with the request.
    pub(super) fn is_closed(&self) -> bool {
        !self.serves && !self.keeps
    }

    /// Follows one directive; answers whether it is known.
    fn follow(&mut self, directive: &str) -> bool {
        let Some((name, value)) = directive.split_once('=') else {
            match directive {
                "no-cache" => self.serves = false,
                "no-store" => self.keeps = false,
                "exact" => self.takes_alike = false,
                _ => return false,
            }
            return true;
        };
        match (name.trim(), seconds(value)) {
            ("ttl", Some(ttl)) if !ttl.is_zero() => self.ttl = Some(ttl),
            ("max-age", Some(age)) => self.max_age = Some(age),
            _ => return false,
        }
        true
    }
}

/// The directives of one field, in lower case.
fn directives(value: &http::HeaderValue) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    let directives: Vec<String> = text
        .split(',')
        .map(|directive| directive.trim().to_owned())
        .filter(|directive| !directive.is_empty())
        .collect();
    directives.into_iter()
}

fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim().trim_matches('"');
    text.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&'static str, &'static str)]) -> Result<Control, InvalidRequest> {
        let fields = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, http::HeaderValue::from_static(value))
        });
        Control::read(&fields.collect())
    }

    #[test]
    fn a_request_says_what_the_cache_may_do() {
        assert_eq!(read(&[]), Ok(Control::OPEN));
        let control = read(&[("x-trunkline-cache", "No-Cache, ttl=60 ,exact")]).unwrap();
        let expected = Control {
            serves: false,
            keeps: true,
            ttl: Some(Duration::from_mins(1)),
            max_age: None,
            takes_alike: false,
        };
        assert_eq!(control, expected);
        let control = read(&[("cache-control", "max-age=30, only-if-cached, no-store")]).unwrap();
        assert_eq!(control.max_age, Some(Duration::from_secs(30)));
        assert!(control.serves && !control.keeps && !control.is_closed());
        let closed = read(&[("x-trunkline-cache", "no-cache, no-store")]).unwrap();
        assert!(closed.is_closed());
    }

    #[test]
    fn what_is_not_known_is_refused_where_it_can_only_be_meant_for_us() {
        for wrong in [
            "off",
            "ttl=soon",
            "ttl=0",
            "ttl",
            "max-age=-1",
            "no-cache=1",
            "no-store=yes",
            "exact=maybe",
        ] {
            let refused = read(&[("x-trunkline-cache", wrong)]).unwrap_err();
            assert_eq!(refused.param.as_deref(), Some("x-trunkline-cache"));
            assert!(refused.detail.contains(wrong), "{}", refused.detail);
            assert_eq!(read(&[("cache-control", wrong)]), Ok(Control::OPEN));
        }
    }
}
