//! Google's dialect of schemas, a subset of `OpenAPI` 3.0, into JSON Schema
//! (<https://ai.google.dev/api/caching#Schema>).

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::face::InvalidRequest;
use crate::openai::fields::{Kind, wrong_type};

/// Reads a schema. Types become lower-case, `nullable` becomes a type of its own, bounds that protobuf
/// writes as strings become numbers, and the properties stand in the order that the schema asks for. What
/// the dialect does not know stays as it is.
pub(super) fn to_json_schema(raw: &RawValue, path: &str) -> Result<Box<RawValue>, InvalidRequest> {
    if Kind::of(raw.get()) != Some(Kind::Object) {
        return Err(wrong_type(
            path.to_owned(),
            "an object",
            Kind::of(raw.get()),
        ));
    }
    let unreadable = |error: serde_json::Error| {
        InvalidRequest::of(
            path,
            format!("`{path}` cannot be read as a schema: {error}."),
        )
    };
    let value: Value = serde_json::from_str(raw.get()).map_err(unreadable)?;
    to_raw_value(&schema(value)).map_err(unreadable)
}

// JSON deeper than serde reads does not arrive here, so the recursion is bounded.
fn schema(value: Value) -> Value {
    let Value::Object(google) = value else {
        return value;
    };
    let mut out = Map::new();
    let mut is_nullable = false;
    let mut ordering = Vec::new();
    for (keyword, value) in google {
        match (keyword.as_str(), value) {
            ("type", Value::String(kind)) => match kind.to_ascii_lowercase().as_str() {
                "type_unspecified" => {}
                kind => {
                    out.insert(keyword, json!(kind));
                }
            },
            ("nullable", Value::Bool(nullable)) => is_nullable = nullable,
            ("propertyOrdering" | "property_ordering", Value::Array(names)) => ordering = names,
            // Enumerations are marked as such; JSON Schema knows no such format.
            ("format", Value::String(format)) if format == "enum" => {}
            ("properties", Value::Object(properties)) => {
                let properties = properties.into_iter().map(|(name, it)| (name, schema(it)));
                out.insert(keyword, Value::Object(properties.collect()));
            }
            ("items", value) => {
                out.insert(keyword, schema(value));
            }
            ("additionalProperties" | "additional_properties", value) => {
                out.insert("additionalProperties".to_owned(), schema(value));
            }
            ("anyOf" | "any_of", Value::Array(alternatives)) => {
                let alternatives = alternatives.into_iter().map(schema);
                out.insert("anyOf".to_owned(), alternatives.collect());
            }
            ("defs" | "$defs", Value::Object(definitions)) => {
                let definitions = definitions.into_iter().map(|(name, it)| (name, schema(it)));
                out.insert("$defs".to_owned(), Value::Object(definitions.collect()));
            }
            ("ref", Value::String(reference)) => {
                out.insert("$ref".to_owned(), json!(reference));
            }
            ("example", value) => {
                out.insert("examples".to_owned(), json!([value]));
            }
            (
                "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties"
                | "maxProperties" | "min_items" | "max_items" | "min_length" | "max_length"
                | "min_properties" | "max_properties",
                value,
            ) => {
                out.insert(in_camel_case(&keyword), count(value));
            }
            (_, value) => {
                out.insert(keyword, value);
            }
        }
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties") {
        order(properties, &ordering);
    }
    if is_nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

/// 64-bit numbers are strings in protobuf's JSON.
fn count(value: Value) -> Value {
    match value.as_str().and_then(|digits| digits.parse::<u64>().ok()) {
        Some(count) => json!(count),
        None => value,
    }
}

fn in_camel_case(keyword: &str) -> String {
    match keyword.split_once('_') {
        Some((bound, of)) => {
            let mut letters = of.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            bound.chars().chain(first).chain(letters).collect()
        }
        None => keyword.to_owned(),
    }
}

/// Models write properties in the order in which a schema names them.
fn order(properties: &mut Map<String, Value>, names: &[Value]) {
    let mut ordered = Map::new();
    for name in names.iter().filter_map(Value::as_str) {
        if let Some((name, property)) = properties.remove_entry(name) {
            ordered.insert(name, property);
        }
    }
    if !ordered.is_empty() {
        ordered.append(properties);
        *properties = ordered;
    }
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    } else if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives.push(json!({ "type": "null" }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json_schema(google: &Value) -> Value {
        schema(google.clone())
    }

    #[test]
    fn types_are_lower_case_and_null_is_one_of_them() {
        let google = json!({
            "type": "OBJECT",
            "properties": {
                "city": {"type": "STRING", "nullable": true, "format": "enum", "enum": ["A", "B"]},
                "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "minItems": "1", "max_items": "5"},
                "either": {"any_of": [{"type": "INTEGER", "format": "int64"}, {"type": "NUMBER"}], "nullable": true}
            },
            "required": ["city"]
        });
        assert_eq!(
            json_schema(&google),
            json!({
                "type": "object",
                "properties": {
                    "city": {"type": ["string", "null"], "enum": ["A", "B", null]},
                    "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 5},
                    "either": {"anyOf": [{"type": "integer", "format": "int64"}, {"type": "number"}, {"type": "null"}]}
                },
                "required": ["city"]
            })
        );
    }

    #[test]
    fn properties_stand_in_the_order_that_is_asked_for() {
        let google = json!({
            "properties": {"a": {}, "b": {}, "c": {}},
            "propertyOrdering": ["c", "a", "ghost"]
        });
        assert_eq!(
            json_schema(&google).to_string(),
            r#"{"properties":{"c":{},"a":{},"b":{}}}"#
        );
    }

    #[test]
    fn a_property_may_have_the_name_of_a_keyword() {
        let google =
            json!({"properties": {"nullable": {"type": "BOOLEAN"}, "type": {"type": "STRING"}}});
        assert_eq!(
            json_schema(&google),
            json!({"properties": {"nullable": {"type": "boolean"}, "type": {"type": "string"}}})
        );
    }

    #[test]
    fn a_json_schema_stays_one() {
        let schema = json!({
            "type": "object", "title": "T", "additionalProperties": false,
            "properties": {"n": {"type": ["integer", "null"], "exclusiveMinimum": 0}},
            "$defs": {"x": {"type": "string"}}
        });
        assert_eq!(json_schema(&schema), schema);
    }
}
