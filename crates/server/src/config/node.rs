//! The configuration as a tree of nodes that know their place in the file.

use std::fmt;

use serde_json::{Map, Value};

/// A place in a file, in characters, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One node. It has no `Debug`: its texts may be secrets.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// What a node holds.
#[derive(Clone)]
pub(super) enum Content {
    /// Nothing, `~` or `null`.
    Nothing,
    /// A single value; a quoted one is always text.
    Scalar { text: String, is_quoted: bool },
    /// `[a, b]`, or lines that begin with `-`.
    List(Vec<Node>),
    /// Keys and values in the order of the file; a key may wrongly stand there twice.
    Mapping(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Place,
    pub(super) value: Node,
}

/// What a node is to JSON, by YAML's core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    Boolean,
    Integer,
    Decimal,
    Text,
    List,
    Mapping,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Boolean => "true or false",
            Self::Integer | Self::Decimal => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Mapping => "keys and values",
        })
    }
}

impl Node {
    /// What the node is to JSON.
    pub(super) fn kind(&self) -> Kind {
        match &self.content {
            Content::Nothing => Kind::Nothing,
            Content::Scalar {
                is_quoted: true, ..
            } => Kind::Text,
            Content::Scalar { text, .. } => plain_kind(text),
            Content::List(_) => Kind::List,
            Content::Mapping(_) => Kind::Mapping,
        }
    }

    /// The same tree as JSON: of a key that stands there twice, the first.
    pub(super) fn to_json(&self) -> Value {
        match &self.content {
            Content::Nothing => Value::Null,
            Content::Scalar { text, .. } => match self.kind() {
                Kind::Text => Value::String(text.clone()),
                // JSON spells these as YAML does, but for a few (`+1`, `.5`) that then stay text.
                _ => serde_json::from_str(&text.to_lowercase())
                    .unwrap_or_else(|_| Value::String(text.clone())),
            },
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Mapping(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    map.entry(&entry.key)
                        .or_insert_with(|| entry.value.to_json());
                }
                Value::Object(map)
            }
        }
    }
}

/// What an unquoted text that is not empty is.
fn plain_kind(text: &str) -> Kind {
    if matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE") {
        return Kind::Boolean;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_numeric = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Kind::Integer
    } else if text.chars().all(is_numeric) && text.parse::<f64>().is_ok() {
        Kind::Decimal
    } else {
        Kind::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_text_is_what_the_core_schema_says() {
        for (text, kind) in [
            ("true", Kind::Boolean),
            ("yes", Kind::Text),
            ("600", Kind::Integer),
            ("-1", Kind::Integer),
            ("0.25", Kind::Decimal),
            ("1e3", Kind::Decimal),
            ("inf", Kind::Text),
            ("10s", Kind::Text),
            ("2026-01-01", Kind::Text),
            ("127.0.0.1:8080", Kind::Text),
        ] {
            assert_eq!(plain_kind(text), kind, "{text}");
        }
    }
}
