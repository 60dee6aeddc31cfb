//! Names in the two manners: `maxTokens` and `max_tokens`.

use serde_json::Value;

/// Members whose values are the caller's own, with names of their own.
const OPAQUE: [&str; 6] = [
    "parameters",
    "schema",
    "metadata",
    "logitBias",
    "logit_bias",
    "arguments",
];

/// `max_tokens` → `maxTokens`; a path keeps its dots and brackets.
pub(super) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut is_after_underscore = false;
    for character in name.chars() {
        if character == '_' && !camel.is_empty() && !camel.ends_with(['.', ']']) {
            is_after_underscore = true;
        } else if std::mem::take(&mut is_after_underscore) {
            camel.extend(character.to_uppercase());
        } else {
            camel.push(character);
        }
    }
    camel
}

/// `maxTokens` → `max_tokens`.
pub(super) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
            snake.push(character.to_ascii_lowercase());
        } else {
            snake.push(character);
        }
    }
    snake
}

/// A value with every member named as [`camel`] has it.
pub(super) fn camel_keys(value: Value) -> Value {
    keys(value, camel)
}

/// A value with every member named as [`snake`] has it.
pub(super) fn snake_keys(value: Value) -> Value {
    keys(value, snake)
}

fn keys(value: Value, name: fn(&str) -> String) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(|item| keys(item, name)).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(key, value)| {
                let is_opaque = OPAQUE.contains(&key.as_str());
                let value = if is_opaque { value } else { keys(value, name) };
                (name(&key), value)
            });
            Value::Object(members.collect())
        }
        other => other,
    }
}
