//! A JSON Schema as Anthropic's constrained output takes it.
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A schema that the provider accepts.
#[derive(Debug)]
pub(crate) struct Normalised {
    pub(crate) schema: Box<RawValue>,
    /// Paths of what the provider does not enforce; the model is told of it in the description.
    pub(crate) told: Vec<String>,
    /// Paths of alternatives that excluded one another and no longer do.
    pub(crate) widened: Vec<String>,
    /// Whether an object that was open is closed now.
    pub(crate) closed: bool,
}

/// Why a schema cannot be enforced at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unsupported {
    #[error("the schema is not a JSON object")]
    NotAnObject,
    #[error("the schema refers to itself")]
    Recursive,
    #[error("the schema refers to something outside of itself")]
    ForeignReference,
}

/// Closes every object, keeps what the provider enforces and moves the rest into the descriptions.
/// Annotations that constrain nothing (`$schema`, `examples`, …) are left out.
pub(crate) fn normalise(schema: &RawValue) -> Result<Normalised, Unsupported> {
    let Ok(Value::Object(root)) = serde_json::from_str(schema.get()) else {
        return Err(Unsupported::NotAnObject);
    };
    check_references(&root)?;
    let mut walk = Walk::default();
    let schema = walk.object(root, "");
    Ok(Normalised {
        schema: serde_json::value::to_raw_value(&schema).unwrap_or_default(),
        told: walk.told,
        widened: walk.widened,
        closed: walk.closed,
    })
}

#[derive(Debug, Default)]
struct Walk {
    told: Vec<String>,
    widened: Vec<String>,
    closed: bool,
}

impl Walk {
    fn schema(&mut self, schema: Value, path: &str) -> Value {
        match schema {
            Value::Object(map) => Value::Object(self.object(map, path)),
            other => other,
        }
    }

    fn object(&mut self, map: Map<String, Value>, path: &str) -> Map<String, Value> {
        let is_object = describes_object(&map);
        let was_closed = map.get("additionalProperties") == Some(&Value::Bool(false));
        let mut kept = Map::new();
        let mut told = Map::new();
        for (keyword, value) in map {
            let path = format!("{path}.{keyword}");
            match (keyword.as_str(), value) {
                ("$defs" | "definitions" | "properties", Value::Object(schemas)) => {
                    let schemas = schemas.into_iter().map(|(name, schema)| {
                        let schema = self.schema(schema, &format!("{path}.{name}"));
                        (name, schema)
                    });
                    kept.insert(keyword, Value::Object(schemas.collect()));
                }
                ("items", items @ Value::Object(_)) => {
                    kept.insert(keyword, self.schema(items, &path));
                }
                ("anyOf" | "allOf" | "oneOf", Value::Array(schemas)) => {
                    let schemas = schemas
                        .into_iter()
                        .enumerate()
                        .map(|(index, schema)| self.schema(schema, &format!("{path}[{index}]")));
                    let schemas = Value::Array(schemas.collect());
                    if keyword == "oneOf" {
                        self.widened.push(path);
                        kept.insert("anyOf".to_owned(), schemas);
                    } else {
                        kept.insert(keyword, schemas);
                    }
                }
                (
                    "type" | "enum" | "const" | "required" | "$ref" | "description" | "title"
                    | "default",
                    value,
                ) => {
                    kept.insert(keyword, value);
                }
                ("format", Value::String(format)) if is_enforced_format(&format) => {
                    kept.insert(keyword, Value::String(format));
                }
                ("minItems", Value::Number(least)) if least.as_u64().is_some_and(|n| n <= 1) => {
                    kept.insert(keyword, Value::Number(least));
                }
                ("additionalProperties", Value::Bool(false))
                | (
                    "$schema" | "$id" | "$anchor" | "$comment" | "examples" | "deprecated"
                    | "readOnly" | "writeOnly",
                    _,
                ) => {}
                ("additionalProperties", Value::Bool(true)) if is_object => {}
                (_, value) => {
                    self.told.push(path);
                    told.insert(keyword, value);
                }
            }
        }
        if is_object {
            self.closed |= !was_closed;
            kept.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        if !told.is_empty() {
            tell(&mut kept, &told);
        }
        kept
    }
}

fn describes_object(map: &Map<String, Value>) -> bool {
    match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => map.contains_key("properties"),
    }
}

/// The formats that the provider enforces.
fn is_enforced_format(format: &str) -> bool {
    matches!(
        format,
        "date-time"
            | "time"
            | "date"
            | "duration"
            | "email"
            | "hostname"
            | "uri"
            | "ipv4"
            | "ipv6"
            | "uuid"
    )
}

/// Puts what is not enforced where the model reads it.
fn tell(kept: &mut Map<String, Value>, told: &Map<String, Value>) {
    let constraints = Value::Object(told.clone()).to_string();
    let description = match kept.get("description").and_then(Value::as_str) {
        Some(description) => format!("{description}\n\nMust also satisfy: {constraints}"),
        None => format!("Must satisfy: {constraints}"),
    };
    kept.insert("description".to_owned(), Value::String(description));
}

/// Refuses references that lead in a circle or out of the schema.
fn check_references(root: &Map<String, Value>) -> Result<(), Unsupported> {
    let mut graph = BTreeMap::new();
    for section in ["$defs", "definitions"] {
        if let Some(Value::Object(definitions)) = root.get(section) {
            for (name, schema) in definitions {
                let mut references = BTreeSet::new();
                collect_references(schema, &mut references)?;
                graph.insert(name.clone(), references);
            }
        }
    }
    let mut references = BTreeSet::new();
    collect_references(&Value::Object(root.clone()), &mut references)?;
    if references.iter().any(|name| !graph.contains_key(name)) {
        return Err(Unsupported::ForeignReference);
    }
    // What refers to nothing that is left is no part of a circle; what remains when nothing more can be
    // taken away is one.
    while !graph.is_empty() {
        let before = graph.len();
        let names: BTreeSet<String> = graph.keys().cloned().collect();
        graph.retain(|_, references| references.iter().any(|name| names.contains(name)));
        if graph.len() == before {
            return Err(Unsupported::Recursive);
        }
    }
    Ok(())
}

fn collect_references(schema: &Value, found: &mut BTreeSet<String>) -> Result<(), Unsupported> {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let name = reference
                    .strip_prefix("#/$defs/")
                    .or_else(|| reference.strip_prefix("#/definitions/"));
                match name {
                    Some(name) => {
                        found.insert(name.replace("~1", "/").replace("~0", "~"));
                    }
                    None if reference == "#" => return Err(Unsupported::Recursive),
                    None => return Err(Unsupported::ForeignReference),
                }
            }
            map.values()
                .try_for_each(|value| collect_references(value, found))
        }
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| collect_references(value, found)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalised(schema: &str) -> Result<(Value, Vec<String>, bool), Unsupported> {
        let raw: Box<RawValue> = serde_json::from_str(schema).unwrap();
        let normalised = normalise(&raw)?;
        let schema = serde_json::from_str(normalised.schema.get()).unwrap();
        Ok((schema, normalised.told, normalised.closed))
    }

    #[test]
    fn a_closed_schema_stays_as_it_is_in_its_order() {
        let schema = r#"{"type":"object","properties":{"z":{"type":["string","null"]},"a":{"type":"integer"}},"required":["z","a"],"additionalProperties":false}"#;
        let raw: Box<RawValue> = serde_json::from_str(schema).unwrap();
        let normalised = normalise(&raw).unwrap();
        assert_eq!(normalised.schema.get(), schema);
        assert!(normalised.told.is_empty());
        assert!(!normalised.closed);
    }

    #[test]
    fn what_is_not_enforced_is_told_to_the_model() {
        let (schema, told, closed) = normalised(
            r#"{"type":"object","properties":{"name":{"type":"string","minLength":3,"description":"Who"}}}"#,
        )
        .unwrap();
        assert_eq!(
            schema["properties"]["name"]["description"],
            "Who\n\nMust also satisfy: {\"minLength\":3}"
        );
        assert_eq!(told, [".properties.name.minLength"]);
        assert!(closed);
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn a_property_may_bear_the_name_of_a_keyword() {
        let (schema, told, _) = normalised(
            r#"{"type":"object","properties":{"minLength":{"type":"integer"},"pattern":{"type":"string"}}}"#,
        )
        .unwrap();
        assert_eq!(schema["properties"]["minLength"]["type"], "integer");
        assert!(told.is_empty(), "{told:?}");
    }

    #[test]
    fn references_may_neither_circle_nor_leave_the_schema() {
        let circle = r##"{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"items":{"$ref":"#/$defs/a"}}}}"##;
        assert_eq!(normalised(circle).unwrap_err(), Unsupported::Recursive);
        let root = r##"{"type":"object","properties":{"child":{"$ref":"#"}}}"##;
        assert_eq!(normalised(root).unwrap_err(), Unsupported::Recursive);
        let foreign = r#"{"$ref":"https://example.com/schema.json"}"#;
        assert_eq!(
            normalised(foreign).unwrap_err(),
            Unsupported::ForeignReference
        );
        let chain = r##"{"$ref":"#/$defs/a","$defs":{"a":{"properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"type":"string"}}}"##;
        assert!(normalised(chain).is_ok());
    }
}
