//! Bodies of `application/x-www-form-urlencoded`.
//! See <https://url.spec.whatwg.org/#application/x-www-form-urlencoded>.

use http::request::Parts;

use crate::vendor::field;

/// The fields of a form, in order.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form; `None` where the body is said to be something else, or is not text.
    pub(super) fn of(head: &Parts, body: &[u8]) -> Option<Self> {
        let kind = field(head, "content-type")?;
        if !kind.starts_with("application/x-www-form-urlencoded") {
            return None;
        }
        Some(Self::parsed(std::str::from_utf8(body).ok()?))
    }

    pub(super) fn parsed(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        });
        Self(pairs.collect())
    }

    /// The value of a field, unless it is absent or empty.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == key)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }
}

fn decoded(text: &str) -> String {
    crate::escape::decoded(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_unescaped() {
        let form = Form::parsed("a=1+2&b=%2Fx%C3%A9&c&d=");
        assert_eq!(form.get("a"), Some("1 2"));
        assert_eq!(form.get("b"), Some("/xé"));
        assert_eq!(
            (form.get("c"), form.get("d"), form.get("e")),
            (None, None, None)
        );
    }
}
