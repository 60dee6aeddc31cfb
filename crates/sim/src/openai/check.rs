//! OpenAI's refusals, in its own words and codes, and the checks that give them.
//! See <https://platform.openai.com/docs/guides/error-codes>.

use serde_json::Value;

use crate::node::Node;
use crate::vendor::Failure;

pub(super) const INVALID: &str = "invalid_request_error";

/// A refusal without a parameter or code.
pub(super) fn plain(message: impl Into<String>) -> Failure {
    Failure::new(400, INVALID, message)
}

/// A refusal of the value at `node`.
pub(super) fn bad(node: &Node<'_, '_>, code: &'static str, message: impl Into<String>) -> Failure {
    plain(message).at(node.bracketed()).code(code)
}

pub(super) fn wrong_type(node: &Node<'_, '_>, expected: &str) -> Failure {
    let path = node.bracketed();
    bad(
        node,
        "invalid_type",
        format!(
            "Invalid type for '{path}': expected {expected}, but got {} instead.",
            kind_of(node.value)
        ),
    )
}

pub(super) fn missing(parent: &Node<'_, '_>, key: &str) -> Failure {
    let path = parent.bracketed();
    let path = if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    };
    plain(format!("Missing required parameter: '{path}'."))
        .at(path)
        .code("missing_required_parameter")
}

pub(super) fn wrong_value(node: &Node<'_, '_>, supported: &[&str]) -> Failure {
    let value = node
        .text()
        .map_or_else(|| node.value.to_string(), str::to_owned);
    bad(
        node,
        "invalid_value",
        format!(
            "Invalid value: '{value}'. Supported values are: {}.",
            listed(supported)
        ),
    )
}

pub(super) fn unsupported_parameter(node: &Node<'_, '_>, instead: Option<&str>) -> Failure {
    let path = node.bracketed();
    let hint = instead
        .map(|instead| format!(" Use '{instead}' instead."))
        .unwrap_or_default();
    bad(
        node,
        "unsupported_parameter",
        format!("Unsupported parameter: '{path}' is not supported with this model.{hint}"),
    )
}

pub(super) fn text<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    node.text().ok_or_else(|| wrong_type(node, "a string"))
}

pub(super) fn boolean(node: &Node<'_, '_>) -> Result<bool, Failure> {
    node.value
        .as_bool()
        .ok_or_else(|| wrong_type(node, "a boolean"))
}

pub(super) fn array(node: &Node<'_, '_>) -> Result<(), Failure> {
    if node.value.is_array() {
        Ok(())
    } else {
        Err(wrong_type(node, "an array of objects"))
    }
}

/// An object with no members but these.
pub(super) fn object(node: &Node<'_, '_>, known: &[&str]) -> Result<(), Failure> {
    if !node.value.is_object() {
        return Err(wrong_type(node, "an object"));
    }
    match node.members().find(|(key, _)| !known.contains(key)) {
        None => Ok(()),
        Some((_, member)) => {
            let path = member.bracketed();
            Err(plain(format!("Unknown parameter: '{path}'."))
                .at(path)
                .code("unknown_parameter"))
        }
    }
}

pub(super) fn one_of<'v>(node: &Node<'v, '_>, supported: &[&str]) -> Result<&'v str, Failure> {
    let value = match node.value {
        Value::String(value) => value,
        Value::Array(_) | Value::Object(_) | Value::Bool(_) | Value::Number(_) | Value::Null => {
            return Err(wrong_type(node, &format!("one of {}", listed(supported))));
        }
    };
    if supported.contains(&value.as_str()) {
        Ok(value)
    } else {
        Err(wrong_value(node, supported))
    }
}

pub(super) fn integer(node: &Node<'_, '_>, least: i64, most: i64) -> Result<i64, Failure> {
    let number = node
        .value
        .as_i64()
        .ok_or_else(|| wrong_type(node, "an integer"))?;
    if number < least {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': integer below minimum value. Expected a value >= {least}, but got {number} instead."
        );
        return Err(bad(node, "integer_below_min_value", message));
    }
    if number > most {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': integer above maximum value. Expected a value <= {most}, but got {number} instead."
        );
        return Err(bad(node, "integer_above_max_value", message));
    }
    Ok(number)
}

pub(super) fn decimal(node: &Node<'_, '_>, least: f64, most: f64) -> Result<f64, Failure> {
    let number = node
        .value
        .as_f64()
        .ok_or_else(|| wrong_type(node, "a decimal"))?;
    if number < least {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': decimal below minimum value. Expected a value >= {least}, but got {number} instead."
        );
        return Err(bad(node, "decimal_below_min_value", message));
    }
    if number > most {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': decimal above maximum value. Expected a value <= {most}, but got {number} instead."
        );
        return Err(bad(node, "decimal_above_max_value", message));
    }
    Ok(number)
}

/// A text of at most `most` characters.
pub(super) fn short_text<'v>(node: &Node<'v, '_>, most: usize) -> Result<&'v str, Failure> {
    let value = text(node)?;
    let length = value.chars().count();
    if length > most {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {most}, but got a string with length {length} instead."
        );
        return Err(bad(node, "string_above_max_length", message));
    }
    Ok(value)
}

/// The name of a tool or a schema: `^[a-zA-Z0-9_-]{1,64}$`.
pub(super) fn name<'v>(node: &Node<'v, '_>) -> Result<&'v str, Failure> {
    let value = short_text(node, 64)?;
    if value.is_empty() {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead."
        );
        return Err(bad(node, "empty_string", message));
    }
    if !value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(bad(node, "invalid_value", message));
    }
    Ok(value)
}

/// An array with between `least` and `most` items.
pub(super) fn sized(node: &Node<'_, '_>, least: usize, most: usize) -> Result<usize, Failure> {
    array(node)?;
    let length = node.items().count();
    if length < least {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': empty array. Expected an array with minimum length {least}, but got an empty array instead."
        );
        return Err(bad(node, "empty_array", message));
    }
    if length > most {
        let path = node.bracketed();
        let message = format!(
            "Invalid '{path}': array too long. Expected an array with maximum length {most}, but got an array with length {length} instead."
        );
        return Err(bad(node, "array_above_max_length", message));
    }
    Ok(length)
}

/// The required member `key`.
pub(super) fn required<'v, 's>(
    parent: &'s Node<'v, '_>,
    key: &str,
) -> Result<Node<'v, 's>, Failure> {
    parent.get(key).ok_or_else(|| missing(parent, key))
}

/// `'a', 'b', and 'c'`, as OpenAI lists values.
fn listed(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
