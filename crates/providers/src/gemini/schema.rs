//! JSON Schema into the subset of `OpenAPI` 3.0 that models before Gemini 2.5 take
//! (<https://ai.google.dev/api/caching#Schema>). Later models take JSON Schema as it is.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::dialect::Refusal;

/// Nesting beyond which a schema is refused.
const MAX_DEPTH: usize = 64;

/// Subschemas beyond which a schema is refused: references that are written out can multiply.
const MAX_SUBSCHEMAS: usize = 10_000;

/// A schema in the subset.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OpenApi {
    /// The schema; `None` where it allows an object without properties, which the subset cannot say.
    pub(super) schema: Option<Value>,
    /// Keywords that constrain and were left out.
    pub(super) constraints: BTreeSet<String>,
    /// Keywords that only annotate and were left out.
    pub(super) annotations: BTreeSet<String>,
}

/// Translates a schema, blaming `field` where it cannot be.
pub(super) fn to_openapi(schema: &str, field: &str) -> Result<OpenApi, Refusal> {
    let root: Value = serde_json::from_str(schema)
        .map_err(|error| Refusal::of(field, format!("the schema is not valid JSON: {error}")))?;
    let mut translation = Translation {
        root: &root,
        field,
        open: Vec::new(),
        depth: 0,
        subschemas: 0,
        constraints: BTreeSet::new(),
        annotations: BTreeSet::new(),
    };
    let schema = translation.schema(&root)?;
    let has_content =
        schema.get("properties").is_some() || schema.get("type") != Some(&json!("OBJECT"));
    Ok(OpenApi {
        schema: (has_content && schema.as_object().is_some_and(|schema| !schema.is_empty()))
            .then_some(schema),
        constraints: translation.constraints,
        annotations: translation.annotations,
    })
}

struct Translation<'a> {
    root: &'a Value,
    field: &'a str,
    /// The references that are being written out, to find cycles.
    open: Vec<String>,
    depth: usize,
    subschemas: usize,
    constraints: BTreeSet<String>,
    annotations: BTreeSet<String>,
}

impl Translation<'_> {
    fn schema(&mut self, schema: &Value) -> Result<Value, Refusal> {
        self.subschemas += 1;
        if self.subschemas > MAX_SUBSCHEMAS || self.depth > MAX_DEPTH {
            return Err(Refusal::of(
                self.field,
                "the schema is too large for this model once its references are written out",
            ));
        }
        let Some(object) = schema.as_object() else {
            // `true` allows anything and so does an empty schema.
            return Ok(json!({}));
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, object);
        }
        self.depth += 1;
        let translated = self.keywords(object);
        self.depth -= 1;
        translated.map(Value::Object)
    }

    /// Writes out what a reference points to. A cycle ends as an object of any shape.
    fn reference(
        &mut self,
        reference: &str,
        around: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        if self.open.iter().any(|open| open == reference) {
            self.constraints.insert("$ref to itself".to_owned());
            return Ok(json!({ "type": "OBJECT" }));
        }
        let target = reference
            .strip_prefix('#')
            .and_then(|pointer| self.root.pointer(pointer));
        let Some(target) = target else {
            let detail = format!("the schema refers to {reference}, which is not in it");
            return Err(Refusal::of(self.field, detail));
        };
        self.open.push(reference.to_owned());
        let translated = self.schema(target);
        self.open.pop();
        let mut translated = translated?;
        if let (Some(description), Some(schema)) =
            (around.get("description"), translated.as_object_mut())
        {
            schema.insert("description".to_owned(), description.clone());
        }
        Ok(translated)
    }

    fn keywords(&mut self, schema: &Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
        let mut out = Map::new();
        for (keyword, value) in schema {
            match keyword.as_str() {
                "type" => kinds(value, &mut out),
                "description" | "nullable" | "minItems" | "maxItems" | "minimum" | "maximum"
                | "minLength" | "maxLength" | "minProperties" | "maxProperties"
                | "propertyOrdering" => {
                    out.insert(keyword.clone(), value.clone());
                }
                "format" => self.format(value, &mut out),
                "enum" => enumeration(value.as_array().map_or(&[], Vec::as_slice), &mut out),
                "const" => enumeration(std::slice::from_ref(value), &mut out),
                "items" => {
                    let items = self.schema(value)?;
                    out.insert("items".to_owned(), items);
                }
                "properties" => self.properties(value, &mut out)?,
                "required" => {
                    out.insert("required".to_owned(), value.clone());
                }
                "anyOf" | "oneOf" => self.any_of(value, &mut out)?,
                "allOf" => self.all_of(value, &mut out)?,
                "$defs" | "definitions" => {}
                "$schema" | "$id" | "$comment" | "title" | "default" | "examples" | "example"
                | "deprecated" | "readOnly" | "writeOnly" => {
                    self.annotations.insert(keyword.clone());
                }
                _ => {
                    self.constraints.insert(keyword.clone());
                }
            }
        }
        complete(&mut out);
        Ok(out)
    }

    fn format(&mut self, value: &Value, out: &mut Map<String, Value>) {
        const KNOWN: [&str; 6] = ["enum", "date-time", "float", "double", "int32", "int64"];
        if value.as_str().is_some_and(|format| KNOWN.contains(&format)) {
            out.insert("format".to_owned(), value.clone());
        } else {
            self.constraints.insert("format".to_owned());
        }
    }

    fn properties(&mut self, value: &Value, out: &mut Map<String, Value>) -> Result<(), Refusal> {
        let mut properties = Map::new();
        for (name, property) in value.as_object().into_iter().flatten() {
            properties.insert(name.clone(), self.schema(property)?);
        }
        // An empty `properties` is refused: "should be non-empty for OBJECT type".
        if !properties.is_empty() {
            out.insert("properties".to_owned(), Value::Object(properties));
        }
        Ok(())
    }

    fn any_of(&mut self, value: &Value, out: &mut Map<String, Value>) -> Result<(), Refusal> {
        let mut alternatives = Vec::new();
        for alternative in value.as_array().into_iter().flatten() {
            if alternative.get("type").and_then(Value::as_str) == Some("null") {
                out.insert("nullable".to_owned(), Value::Bool(true));
            } else {
                alternatives.push(self.schema(alternative)?);
            }
        }
        if let [Value::Object(single)] = alternatives.as_slice() {
            merge(out, single);
        } else {
            out.insert("anyOf".to_owned(), Value::Array(alternatives));
        }
        Ok(())
    }

    fn all_of(&mut self, value: &Value, out: &mut Map<String, Value>) -> Result<(), Refusal> {
        for part in value.as_array().into_iter().flatten() {
            if let Value::Object(part) = self.schema(part)? {
                merge(out, &part);
            }
        }
        Ok(())
    }
}

/// A type, or several of which `null` makes the value nullable.
fn kinds(value: &Value, out: &mut Map<String, Value>) {
    let kinds: Vec<&str> = match value {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if kinds.contains(&"null") {
        out.insert("nullable".to_owned(), Value::Bool(true));
    }
    let kinds: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "null").collect();
    match kinds.as_slice() {
        [] => {}
        [kind] => {
            out.insert("type".to_owned(), Value::String(kind.to_ascii_uppercase()));
        }
        several => {
            let alternatives = several
                .iter()
                .map(|kind| json!({ "type": kind.to_ascii_uppercase() }))
                .collect();
            out.insert("anyOf".to_owned(), Value::Array(alternatives));
        }
    }
}

/// The subset's enumerations are of strings; `null` among them makes the value nullable.
fn enumeration(values: &[Value], out: &mut Map<String, Value>) {
    let strings: Vec<Value> = values
        .iter()
        .filter(|value| !value.is_null())
        .map(|value| match value {
            Value::String(_) => value.clone(),
            other => Value::String(other.to_string()),
        })
        .collect();
    if strings.len() < values.len() {
        out.insert("nullable".to_owned(), Value::Bool(true));
    }
    out.insert("type".to_owned(), json!("STRING"));
    out.insert("enum".to_owned(), Value::Array(strings));
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (keyword, value) in from {
        match (into.get_mut(keyword), value) {
            (Some(Value::Object(have)), Value::Object(more)) => {
                have.extend(
                    more.iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
            }
            (Some(Value::Array(have)), Value::Array(more)) if keyword == "required" => {
                have.extend(more.iter().cloned());
            }
            (Some(_), _) => {}
            (None, _) => {
                into.insert(keyword.clone(), value.clone());
            }
        }
    }
}

/// Adds what the subset demands: a type, strings where an enumeration is, items where an array is, and
/// only properties that are there among the required ones.
fn complete(schema: &mut Map<String, Value>) {
    if schema.contains_key("enum") {
        schema.insert("type".to_owned(), json!("STRING"));
    }
    if !schema.contains_key("type") && !schema.contains_key("anyOf") {
        if schema.contains_key("properties") {
            schema.insert("type".to_owned(), json!("OBJECT"));
        } else if schema.contains_key("items") {
            schema.insert("type".to_owned(), json!("ARRAY"));
        }
    }
    if schema.get("type") == Some(&json!("ARRAY")) && !schema.contains_key("items") {
        schema.insert("items".to_owned(), json!({ "type": "STRING" }));
    }
    if let Some(Value::Array(mut required)) = schema.remove("required") {
        let properties = schema.get("properties").and_then(Value::as_object);
        required.retain(|name| {
            name.as_str()
                .is_some_and(|name| properties.is_some_and(|known| known.contains_key(name)))
        });
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openapi(schema: &Value) -> Value {
        to_openapi(&schema.to_string(), "tools")
            .unwrap()
            .schema
            .unwrap()
    }

    #[test]
    fn references_are_written_out() {
        let schema = json!({
            "type": "object",
            "properties": {"to": {"$ref": "#/$defs/City", "description": "where"}},
            "$defs": {"City": {"type": "object", "properties": {"name": {"type": "string"}}}}
        });
        assert_eq!(
            openapi(&schema),
            json!({"type": "OBJECT", "properties": {"to": {
                "type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "description": "where"
            }}})
        );
    }

    #[test]
    fn a_schema_that_contains_itself_ends() {
        let schema = json!({
            "type": "object",
            "properties": {"child": {"$ref": "#"}, "leaf": {"type": "string"}}
        });
        let translated = to_openapi(&schema.to_string(), "tools").unwrap();
        assert!(translated.constraints.contains("$ref to itself"));
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let mut definitions = Map::new();
        for level in 0..20 {
            let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            definitions.insert(
                format!("l{level}"),
                json!({"type": "object", "properties": {"a": next, "b": next}}),
            );
        }
        definitions.insert("l20".to_owned(), json!({"type": "string"}));
        let schema = json!({"$ref": "#/$defs/l0", "$defs": definitions});
        assert!(to_openapi(&schema.to_string(), "tools").is_err());
    }

    #[test]
    fn null_becomes_nullable_wherever_it_stands() {
        for schema in [
            json!({"type": ["string", "null"]}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"oneOf": [{"type": "null"}, {"type": "string"}]}),
        ] {
            assert_eq!(
                openapi(&schema),
                json!({"nullable": true, "type": "STRING"}),
                "{schema}"
            );
        }
    }

    #[test]
    fn enumerations_become_strings() {
        assert_eq!(
            openapi(&json!({"type": "integer", "enum": [1, 2, null]})),
            json!({"type": "STRING", "nullable": true, "enum": ["1", "2"]})
        );
        assert_eq!(
            openapi(&json!({"const": "x"})),
            json!({"type": "STRING", "enum": ["x"]})
        );
    }

    #[test]
    fn what_is_left_out_is_named() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "title": "T",
            "additionalProperties": false,
            "properties": {"n": {"type": "integer", "exclusiveMinimum": 0, "default": 1}}
        });
        let translated = to_openapi(&schema.to_string(), "tools").unwrap();
        let names = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(&translated.constraints),
            "additionalProperties exclusiveMinimum"
        );
        assert_eq!(names(&translated.annotations), "$schema default title");
    }

    #[test]
    fn an_object_without_properties_is_left_out() {
        let translated = to_openapi(r#"{"type":"object","properties":{}}"#, "tools").unwrap();
        assert_eq!(translated.schema, None);
    }

    #[test]
    fn an_array_gets_items_and_unknown_required_names_go() {
        let schema =
            json!({"properties": {"tags": {"type": "array"}}, "required": ["tags", "ghost"]});
        assert_eq!(
            openapi(&schema),
            json!({
                "properties": {"tags": {"type": "ARRAY", "items": {"type": "STRING"}}},
                "type": "OBJECT", "required": ["tags"]
            })
        );
    }
}
