//! References to the environment: `${NAME}`, `${NAME:-default}`, and `$${` for a literal `${`.
//!
//! They are resolved after the file is parsed and inside of values only, so that what a variable holds
//! is never read as YAML.

use std::borrow::Cow;

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text in which references stand for what they refer to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether any of it came from the environment.
    pub(super) has_references: bool,
}

/// Why a text's references do not resolve.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// These variables are not set and have no default.
    Missing(Vec<String>),
    /// A `${` is not followed by a name and `}`.
    Malformed,
}

/// Resolves the references in `text`. As in a shell, a default stands in for an empty variable too.
pub(super) fn resolve<'a>(
    text: &'a str,
    environment: Environment<'_>,
) -> Result<Resolved<'a>, Unresolved> {
    if !text.contains("${") {
        return Ok(Resolved {
            text: Cow::Borrowed(text),
            has_references: false,
        });
    }
    let mut resolved = String::new();
    let mut has_references = false;
    let mut missing = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            resolved.push_str(before);
            resolved.push_str("${");
            rest = after;
            continue;
        }
        resolved.push_str(before);
        let (inside, after) = after.split_once('}').ok_or(Unresolved::Malformed)?;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            return Err(Unresolved::Malformed);
        }
        has_references = true;
        let value = match default {
            Some(default) => environment(name)
                .filter(|value| !value.is_empty())
                .or_else(|| Some(default.to_owned())),
            None => environment(name),
        };
        match value {
            Some(value) => resolved.push_str(&value),
            None => missing.push(name.to_owned()),
        }
        rest = after;
    }
    resolved.push_str(rest);
    if !missing.is_empty() {
        return Err(Unresolved::Missing(missing));
    }
    Ok(Resolved {
        text: Cow::Owned(resolved),
        has_references,
    })
}

/// Whether a text is one reference without a default and nothing else, so that it holds no value itself.
pub(super) fn is_one_variable(text: &str) -> bool {
    let inside = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(is_name)
}

/// A name as POSIX has it (<https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html>).
fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<String, Unresolved> {
        let environment = |name: &str| match name {
            "HOST" => Some("example.com".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        resolve(text, &environment).map(|resolved| resolved.text.into_owned())
    }

    #[test]
    fn references_stand_anywhere_in_a_text() {
        for (text, expected) in [
            ("${HOST}", "example.com"),
            (
                "https://${HOST}:${PORT:-443}/v1",
                "https://example.com:443/v1",
            ),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("${ABSENT:-}", ""),
            ("$${HOST}", "${HOST}"),
            ("$HOST costs $5", "$HOST costs $5"),
        ] {
            assert_eq!(resolved(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_a_variable_holds_is_not_resolved_again() {
        assert_eq!(resolved("${NESTED}"), Ok("${HOST}".to_owned()));
    }

    #[test]
    fn a_text_beside_a_reference_is_a_value() {
        assert!(is_one_variable("${A}"));
        for text in ["a", "a${A}", "${A:-a}", "${A}${B}", "$${A}"] {
            assert!(!is_one_variable(text), "{text}");
        }
    }

    #[test]
    fn every_missing_variable_is_named() {
        let missing = vec!["A".to_owned(), "B".to_owned()];
        assert_eq!(
            resolved("${A}${HOST}${B}"),
            Err(Unresolved::Missing(missing))
        );
    }

    #[test]
    fn a_reference_has_a_name_and_an_end() {
        for text in ["${", "${}", "${A", "${1A}", "${a b}", "${A-x}"] {
            assert_eq!(resolved(text), Err(Unresolved::Malformed), "{text}");
        }
    }
}
