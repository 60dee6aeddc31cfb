//! Anthropic's refusals, in its own words, and the checks that give them.
//! See <https://docs.claude.com/en/api/errors>.

use serde_json::Value;

use crate::node::Node;
use crate::vendor::Failure;

pub(super) const INVALID: &str = "invalid_request_error";

/// A refusal that names its place itself.
pub(super) fn plain(message: impl Into<String>) -> Failure {
    Failure::new(400, INVALID, message)
}

/// A refusal of the value at `node`.
pub(super) fn bad(node: &Node<'_, '_>, problem: &str) -> Failure {
    let path = node.dotted();
    plain(if path.is_empty() {
        problem.to_owned()
    } else {
        format!("{path}: {problem}")
    })
}

pub(super) fn missing(parent: &Node<'_, '_>, key: &str) -> Failure {
    let path = parent.dotted();
    plain(if path.is_empty() {
        format!("{key}: Field required")
    } else {
        format!("{path}.{key}: Field required")
    })
}

pub(super) fn required<'v, 's>(
    parent: &'s Node<'v, '_>,
    key: &str,
) -> Result<Node<'v, 's>, Failure> {
    parent.get(key).ok_or_else(|| missing(parent, key))
}

/// An object with no members but these.
pub(super) fn object(node: &Node<'_, '_>, known: &[&str]) -> Result<(), Failure> {
    if !node.value.is_object() {
        return Err(bad(
            node,
            "Input should be a valid dictionary or object to extract fields from",
        ));
    }
    match node.members().find(|(key, _)| !known.contains(key)) {
        None => Ok(()),
        Some((_, member)) => Err(bad(&member, "Extra inputs are not permitted")),
    }
}

/// An object with any members.
pub(super) fn dictionary(node: &Node<'_, '_>) -> Result<(), Failure> {
    if node.value.is_object() {
        Ok(())
    } else {
        Err(bad(node, "Input should be a valid dictionary"))
    }
}

pub(super) fn list(node: &Node<'_, '_>) -> Result<(), Failure> {
    if node.value.is_array() {
        Ok(())
    } else {
        Err(bad(node, "Input should be a valid list"))
    }
}

pub(super) fn text<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    node.text()
        .ok_or_else(|| bad(node, "Input should be a valid string"))
}

pub(super) fn boolean(node: &Node<'_, '_>) -> Result<bool, Failure> {
    node.value
        .as_bool()
        .ok_or_else(|| bad(node, "Input should be a valid boolean"))
}

pub(super) fn integer(node: &Node<'_, '_>, least: i64) -> Result<u64, Failure> {
    let number = match node.value {
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| bad(node, "Input should be a valid integer"))?,
        _ => return Err(bad(node, "Input should be a valid integer")),
    };
    if number < least {
        return Err(bad(
            node,
            &format!("Input should be greater than or equal to {least}"),
        ));
    }
    Ok(number.unsigned_abs())
}

/// A number between zero and one.
pub(super) fn share(node: &Node<'_, '_>) -> Result<f64, Failure> {
    match node.value.as_f64() {
        None => Err(bad(node, "Input should be a valid number")),
        Some(number) if (0.0..=1.0).contains(&number) => Ok(number),
        Some(_) => Err(bad(node, "range: 0..1")),
    }
}

pub(super) fn one_of<'v>(node: &Node<'v, '_>, supported: &[&str]) -> Result<&'v str, Failure> {
    match node.text() {
        Some(value) if supported.contains(&value) => Ok(value),
        _ => Err(bad(node, &format!("Input should be {}", listed(supported)))),
    }
}

/// The `type` that tells the members of a union apart.
pub(super) fn tag<'v>(node: &Node<'v, '_>, supported: &[&str]) -> Result<&'v str, Failure> {
    if !node.value.is_object() {
        return Err(bad(
            node,
            "Input should be a valid dictionary or object to extract fields from",
        ));
    }
    let kind = required(node, "type")?;
    match kind.text() {
        Some(value) if supported.contains(&value) => Ok(value),
        _ => {
            let quoted: Vec<String> = supported.iter().map(|value| format!("'{value}'")).collect();
            let found = kind
                .text()
                .map_or_else(|| kind.value.to_string(), str::to_owned);
            let problem = format!(
                "Input tag '{found}' found using 'type' does not match any of the expected tags: {}",
                quoted.join(", ")
            );
            Err(bad(node, &problem))
        }
    }
}

/// Whether a text is made of the letters that ids and names may have.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// `'a', 'b' or 'c'`, as the vendor lists values.
fn listed(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
