//! Google's refusals, in its own words.
//! See <https://ai.google.dev/gemini-api/docs/troubleshooting> and <https://cloud.google.com/apis/design/errors>.

use serde_json::json;

use crate::node::Node;
use crate::vendor::Failure;

pub(super) const INVALID: &str = "INVALID_ARGUMENT";

/// A refusal that names its place itself, if it names one.
pub(super) fn plain(message: impl Into<String>) -> Failure {
    Failure::new(400, INVALID, message)
}

/// A refusal of what stands at `node`, after the shape was found right.
pub(super) fn bad(node: &Node<'_, '_>, problem: &str) -> Failure {
    plain(format!(
        "* GenerateContentRequest.{}: {problem}\n",
        snake_path(node)
    ))
}

/// Violations of the shape, all at once.
pub(super) fn misshapen(violations: &[(String, String)]) -> Failure {
    let sentences: Vec<&str> = violations
        .iter()
        .map(|(_, sentence)| sentence.as_str())
        .collect();
    let fields: Vec<_> = violations
        .iter()
        .map(|(field, sentence)| json!({"field": field, "description": sentence}))
        .collect();
    plain(sentences.join("\n")).detail(
        json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}),
    )
}

/// `generation_config.stop_sequences[0]`: the place in the names of the protocol buffer.
pub(super) fn snake_path(node: &Node<'_, '_>) -> String {
    let mut path = String::new();
    for character in node.bracketed().chars() {
        if character.is_ascii_uppercase() {
            path.push('_');
        }
        path.push(character.to_ascii_lowercase());
    }
    path
}

/// Whether a JSON key names a field: as it stands in the protocol buffer, or in camel case
/// (<https://protobuf.dev/programming-guides/json/>).
pub(super) fn is_named(key: &str, field: &str) -> bool {
    if key == field {
        return true;
    }
    let mut letters = key.bytes();
    let mut after_underscore = false;
    for byte in field.bytes() {
        if byte == b'_' {
            after_underscore = true;
            continue;
        }
        let expected = if after_underscore {
            byte.to_ascii_uppercase()
        } else {
            byte
        };
        after_underscore = false;
        if letters.next() != Some(expected) {
            return false;
        }
    }
    letters.next().is_none()
}

/// The member of a message that is called `field`, unless it is absent or `null`.
pub(super) fn field<'v, 's>(node: &'s Node<'v, '_>, field: &str) -> Option<Node<'v, 's>> {
    node.members()
        .find(|(key, value)| is_named(key, field) && !value.value.is_null())
        .map(|(_, value)| value)
}

/// A number, also where it is written as text.
pub(super) fn number(node: &Node<'_, '_>) -> f64 {
    node.value
        .as_f64()
        .or_else(|| node.text()?.parse().ok())
        .unwrap_or(0.0)
}

/// A whole number, also where it is written as text or with a fraction of zero.
pub(super) fn integer(node: &Node<'_, '_>) -> i64 {
    node.value
        .as_i64()
        .or_else(|| node.text()?.parse().ok())
        .or_else(|| format!("{:.0}", node.value.as_f64()?).parse().ok())
        .unwrap_or(0)
}

/// The text of a field, or an empty one.
pub(super) fn text_of<'v>(node: &Node<'v, '_>, name: &str) -> &'v str {
    field(node, name)
        .and_then(|node| node.text())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_two_names() {
        for key in ["max_output_tokens", "maxOutputTokens"] {
            assert!(is_named(key, "max_output_tokens"));
        }
        for key in [
            "maxoutputtokens",
            "max_outputTokens",
            "maxOutputTokensX",
            "maxOutput",
        ] {
            assert!(!is_named(key, "max_output_tokens"), "{key}");
        }
    }
}
