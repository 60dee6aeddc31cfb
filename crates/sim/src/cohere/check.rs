//! Cohere's refusals, in its own words, and the checks that give them.

use serde_json::Value;

use super::error::plain;
use crate::node::Node;
use crate::vendor::Failure;

const PAGE: &str = "For proper usage, please refer to https://docs.cohere.com/v2/reference/chat";

/// A refusal of a request that is well-formed.
pub(super) fn bad(problem: &str) -> Failure {
    plain(400, problem)
}

pub(super) fn invalid(problem: impl std::fmt::Display) -> Failure {
    plain(400, format!("invalid request: {problem}"))
}

pub(super) fn wrong_type(node: &Node<'_, '_>, expected: &str) -> Failure {
    let found = match node.value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    plain(
        400,
        format!(
            "invalid type: parameter {} is of type {found} but should be of type {expected}. {PAGE}",
            node.bracketed()
        ),
    )
}

/// An object with no members but these.
pub(super) fn object(node: &Node<'_, '_>, known: &[&str]) -> Result<(), Failure> {
    if !node.value.is_object() {
        return Err(wrong_type(node, "object"));
    }
    match node.members().find(|(key, _)| !known.contains(key)) {
        None => Ok(()),
        Some((_, member)) => Err(plain(
            422,
            format!(
                "unknown field: parameter {} is not a valid field. {PAGE}",
                member.bracketed()
            ),
        )),
    }
}

pub(super) fn required<'v, 's>(
    parent: &'s Node<'v, '_>,
    key: &str,
) -> Result<Node<'v, 's>, Failure> {
    parent.present(key).ok_or_else(|| {
        let path = parent.bracketed();
        let separator = if path.is_empty() { "" } else { "." };
        invalid(format!("{path}{separator}{key} is required"))
    })
}

pub(super) fn text<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    node.text().ok_or_else(|| wrong_type(node, "string"))
}

pub(super) fn boolean(node: &Node<'_, '_>) -> Result<bool, Failure> {
    node.value.as_bool().ok_or_else(|| wrong_type(node, "bool"))
}

pub(super) fn list(node: &Node<'_, '_>) -> Result<(), Failure> {
    if node.value.is_array() {
        Ok(())
    } else {
        Err(wrong_type(node, "array"))
    }
}

pub(super) fn integer(node: &Node<'_, '_>, least: i64, most: i64) -> Result<u64, Failure> {
    let number = node
        .value
        .as_i64()
        .ok_or_else(|| wrong_type(node, "integer"))?;
    if (least..=most).contains(&number) {
        return Ok(number.unsigned_abs());
    }
    let path = node.bracketed();
    Err(invalid(if most == i64::MAX {
        format!("{path} must be greater than or equal to {least}")
    } else {
        format!("{path} must be between {least} and {most} inclusive")
    }))
}

pub(super) fn share(node: &Node<'_, '_>, least: f64, most: f64) -> Result<f64, Failure> {
    let number = node
        .value
        .as_f64()
        .ok_or_else(|| wrong_type(node, "number"))?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(invalid(format!(
        "{} must be between {least} and {most} inclusive",
        node.bracketed()
    )))
}

pub(super) fn one_of<'v>(node: &Node<'v, '_>, supported: &[&str]) -> Result<&'v str, Failure> {
    let value = text(node)?;
    if supported.contains(&value) {
        Ok(value)
    } else {
        Err(invalid(format!(
            "{} must be one of {}, got '{value}'",
            node.bracketed(),
            supported.join(", ")
        )))
    }
}
