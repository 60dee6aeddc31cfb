//! A value that a JSON Schema allows, chosen by seed: the arguments of simulated tool calls and simulated structured output.
//! Google's `OpenAPI` subset (upper-case types, `nullable`) is read as well.

use serde_json::{Map, Number, Value};

use crate::digest::Draws;
use crate::pattern;

/// How deep optional parts are followed.
const DEEP: usize = 5;
/// Where a schema that never ends is given up.
const BOTTOM: usize = 32;
/// The most values that one sample holds, so that a schema which doubles itself ends too.
const MANY: usize = 4096;

/// One value that `schema` allows; texts are made from `words`.
pub(crate) fn sample(schema: &Value, words: &[&str], draws: &mut Draws) -> Value {
    Sampler {
        root: schema,
        words,
        draws,
        left: MANY,
    }
    .value(schema, 0)
}

struct Sampler<'a> {
    root: &'a Value,
    words: &'a [&'a str],
    draws: &'a mut Draws,
    /// How many more values may be made.
    left: usize,
}

impl Sampler<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > BOTTOM || self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        let Some(object) = schema.as_object() else {
            return Value::String(self.words(2));
        };
        if let Some(target) = object.get("$ref").and_then(Value::as_str) {
            let target = target
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
                .cloned()
                .unwrap_or(Value::Null);
            return self.value(&target, depth + 1);
        }
        if let Some(only) = object.get("const") {
            return only.clone();
        }
        if let Some(allowed) = object.get("enum").and_then(Value::as_array) {
            return self.draws.pick(allowed).cloned().unwrap_or(Value::Null);
        }
        if let Some(parts) = object.get("allOf").and_then(Value::as_array) {
            let merged = self.merged(object, parts);
            return self.value(&merged, depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(branches) = object.get(key).and_then(Value::as_array) {
                return self.branch(branches, depth);
            }
        }
        match type_of(object).as_str() {
            "object" => self.object(object, depth),
            "array" => self.array(object, depth),
            "string" => Value::String(self.string(object)),
            "integer" => self.integer(object),
            "number" => self.number(object),
            "boolean" => Value::Bool(self.draws.below(2) == 0),
            _ => Value::Null,
        }
    }

    /// The first branch where it is late (the first branch of a recursive schema is most often its end), any branch before.
    fn branch(&mut self, branches: &[Value], depth: usize) -> Value {
        let is_null = |branch: &&Value| {
            branch
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|name| name.eq_ignore_ascii_case("null"))
        };
        let simple = |branch: &&Value| {
            branch.get("$ref").is_none()
                && branch.get("properties").is_none()
                && branch.get("items").is_none()
        };
        let useful: Vec<&Value> = branches.iter().filter(|branch| !is_null(branch)).collect();
        let chosen = if depth < DEEP {
            self.draws.pick(&useful).copied()
        } else {
            branches
                .iter()
                .find(is_null)
                .or_else(|| branches.iter().find(simple))
                .or(useful.first().copied())
        };
        chosen.map_or(Value::Null, |branch| self.value(branch, depth + 1))
    }

    fn merged(&self, object: &Map<String, Value>, parts: &[Value]) -> Value {
        let mut merged = object.clone();
        merged.remove("allOf");
        for part in parts {
            let part = match part
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| target.strip_prefix('#'))
            {
                Some(pointer) => self.root.pointer(pointer).unwrap_or(part),
                None => part,
            };
            for (key, value) in part.as_object().into_iter().flatten() {
                match (merged.get_mut(key), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) => {
                        known.extend(more.iter().cloned());
                    }
                    _ => {
                        merged.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        Value::Object(merged)
    }

    fn object(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut members = Map::new();
        for (name, schema) in object
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let wanted =
                required.contains(&name.as_str()) || (depth < DEEP && self.draws.below(2) == 0);
            if wanted {
                let value = self.value(schema, depth + 1);
                members.insert(name.clone(), value);
            }
        }
        for name in required {
            if !members.contains_key(name) {
                members.insert(name.to_owned(), Value::String(self.words(1)));
            }
        }
        Value::Object(members)
    }

    fn array(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let mut items = Vec::new();
        for schema in object
            .get("prefixItems")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            items.push(self.value(schema, depth + 1));
        }
        let least = bound(object, "minItems").unwrap_or(u64::from(depth < DEEP));
        let spread = if depth < DEEP { 2 } else { 0 };
        let most = bound(object, "maxItems")
            .unwrap_or(u64::MAX)
            .clamp(least, least.saturating_add(spread));
        let count = least + self.draws.below(most - least + 1);
        let unique = object
            .get("uniqueItems")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if let Some(schema) = object.get("items").filter(|schema| schema.is_object()) {
            for _ in 0..count.min(1_000) * 8 {
                if items.len() as u64 >= count {
                    break;
                }
                let item = self.value(schema, depth + 1);
                if !(unique && items.contains(&item)) {
                    items.push(item);
                }
            }
        }
        Value::Array(items)
    }

    fn string(&mut self, object: &Map<String, Value>) -> String {
        if let Some(text) = object
            .get("pattern")
            .and_then(Value::as_str)
            .and_then(|pattern| pattern::sample(pattern, self.draws))
        {
            return text;
        }
        let formatted = match object.get("format").and_then(Value::as_str) {
            Some("date") => "2026-11-21",
            Some("date-time") => "2026-11-21T09:30:00Z",
            Some("time") => "09:30:00Z",
            Some("duration") => "PT15M",
            Some("email") => "someone@example.com",
            Some("hostname") => "example.com",
            Some("uri" | "url") => "https://example.com/simulated",
            Some("uuid") => "5157c1b7-2722-4a95-9e37-79b97f4a7c15",
            Some("ipv4") => "192.0.2.17",
            Some("ipv6") => "2001:db8::17",
            _ => return self.bounded(object),
        };
        formatted.to_owned()
    }

    fn bounded(&mut self, object: &Map<String, Value>) -> String {
        let least = usize::try_from(bound(object, "minLength").unwrap_or(0))
            .unwrap_or(0)
            .min(10_000);
        let most =
            usize::try_from(bound(object, "maxLength").unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut text = self.words(2);
        while text.chars().count() < least {
            text.push(' ');
            text.push_str(&self.words(1));
        }
        text.chars().take(most).collect()
    }

    /// Some words of the caller, or of our own where it said none.
    fn words(&mut self, most: u64) -> String {
        let own = ["simulated", "value", "north", "seven"];
        let source = if self.words.is_empty() {
            &own[..]
        } else {
            self.words
        };
        let count = 1 + self.draws.below(most);
        let chosen: Vec<&str> = (0..count)
            .filter_map(|_| self.draws.pick(source).copied())
            .collect();
        chosen.join(" ")
    }

    fn integer(&mut self, object: &Map<String, Value>) -> Value {
        let step = object
            .get("multipleOf")
            .and_then(Value::as_i64)
            .filter(|step| *step > 0)
            .unwrap_or(1);
        let above = |key: &str, more: i64| {
            object
                .get(key)
                .and_then(whole)
                .map(|bound| bound.saturating_add(more))
        };
        let least = above("minimum", 0).or_else(|| above("exclusiveMinimum", 1));
        let most = above("maximum", 0).or_else(|| above("exclusiveMaximum", -1));
        let least = least.unwrap_or_else(|| most.map_or(1, |most| most.min(1)));
        let most = most.unwrap_or_else(|| least.saturating_add(99)).max(least);
        let first = least
            .div_euclid(step)
            .saturating_add(i64::from(least.rem_euclid(step) != 0));
        let room = most.div_euclid(step).saturating_sub(first).clamp(0, 99);
        let offset =
            i64::try_from(self.draws.below(u64::try_from(room).unwrap_or(0) + 1)).unwrap_or(0);
        Value::from(first.saturating_add(offset).saturating_mul(step))
    }

    fn number(&mut self, object: &Map<String, Value>) -> Value {
        if object.contains_key("multipleOf") {
            return self.integer(object);
        }
        let bound = |key: &str| object.get(key).and_then(Value::as_f64);
        let least = bound("minimum").or(bound("exclusiveMinimum"));
        let most = bound("maximum").or(bound("exclusiveMaximum"));
        let (least, most) = match (least, most) {
            (Some(least), Some(most)) => (least, most),
            (Some(least), None) => (least, least + 100.0),
            (None, Some(most)) => (most - 100.0, most),
            (None, None) => (0.0, 100.0),
        };
        // Quarters are exact in binary, so the text of the number is short.
        let share = f64::from(u8::try_from(1 + self.draws.below(3)).unwrap_or(1)) / 4.0;
        Number::from_f64(least + (most - least) * share).map_or(Value::Null, Value::Number)
    }
}

/// The type a schema asks for: the first that is not `null`, in lower case, or what its keywords suggest.
fn type_of(object: &Map<String, Value>) -> String {
    let named = match object.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .or(Some("null")),
        _ => None,
    };
    match named {
        Some(name) => name.to_ascii_lowercase(),
        None if object.contains_key("properties") => "object".to_owned(),
        None if object.contains_key("items") => "array".to_owned(),
        None => "string".to_owned(),
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        value
            .as_f64()
            .and_then(|number| format!("{:.0}", number.ceil()).parse().ok())
    })
}

/// A size in a schema; Google writes sizes as text.
fn bound(object: &Map<String, Value>, key: &str) -> Option<u64> {
    let value = object.get(key)?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use serde_json::json;

    #[test]
    fn a_sample_is_valid_for_its_schema_whatever_the_seed() {
        let schemas = [
            json!({"type": "object"}),
            json!({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 7}}, "required": ["city"], "additionalProperties": false}),
            json!({"type": "object", "properties": {"unit": {"enum": ["c", "f"]}, "kind": {"const": "x"}, "on": {"type": ["boolean", "null"]}}, "required": ["unit", "kind", "on"]}),
            json!({"type": "array", "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "minItems": 2, "maxItems": 3}),
            json!({"type": "array", "items": {"type": "integer", "multipleOf": 5}, "uniqueItems": true, "minItems": 3}),
            json!({"type": "string", "minLength": 30, "maxLength": 31}),
            json!({"type": "string", "pattern": "^[a-z]{3}-[0-9]{4}$"}),
            json!({"$defs": {"tree": {"type": "object", "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["value", "children"]}}, "$ref": "#/$defs/tree"}),
            json!({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}]}),
            json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "integer", "maximum": -5}}, "required": ["b"]}]}),
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false, "minItems": 2}),
        ];
        for schema in schemas {
            let validator = jsonschema::validator_for(&schema).unwrap();
            for seed in 0..50 {
                let value = sample(
                    &schema,
                    &["Paris", "\u{1f600}", "say \"hi\""],
                    &mut Draws::new(Digest::new(seed)),
                );
                assert!(
                    validator.is_valid(&value),
                    "{schema} does not allow {value}"
                );
            }
        }
    }

    #[test]
    fn the_types_of_openapi_are_read_too() {
        let schema = json!({"type": "OBJECT", "properties": {"names": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "2"}}, "required": ["names"]});
        let value = sample(&schema, &[], &mut Draws::new(Digest::new(3)));
        assert!(
            value["names"]
                .as_array()
                .is_some_and(|names| names.len() >= 2 && names.iter().all(Value::is_string)),
            "{value}"
        );
    }
}
