//! The JSON Schema of the configuration (draft 2020-12), written down while the sections name their
//! keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::{Fields, ListOr, Section};
use super::node::{Content, Kind, Node, Place};
use super::problem::Complaint;
use super::scalar::Scalar;

/// The schema of a whole file whose sections are named by `S`.
pub(super) fn of<S: Section>() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trunkline's configuration",
    });
    if let (Some(schema), Value::Object(section)) = (schema.as_object_mut(), section::<S>()) {
        schema.extend(section);
        let reference = json!({
            "type": "string",
            "pattern": "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}",
            "description": "A value with references to the environment: ${NAME} or \
             ${NAME:-default}.",
        });
        schema.insert("$defs".to_owned(), json!({ "reference": reference }));
    }
    schema
}

fn section<S: Section>() -> Value {
    let mut outline = Outline::default();
    let _: Option<S> = S::read(&mut outline);
    let mut schema = json!({
        "type": "object",
        "properties": outline.properties,
        "additionalProperties": false,
    });
    if !outline.required.is_empty() {
        schema["required"] = json!(outline.required);
    }
    schema
}

/// What a scalar may be: itself, or a text with references.
fn scalar<T: Scalar>() -> Value {
    let own = T::schema();
    let is_any_text =
        own["type"] == "string" && own.get("pattern").is_none() && own.get("enum").is_none();
    if is_any_text {
        return own;
    }
    json!({ "anyOf": [own, { "$ref": "#/$defs/reference" }] })
}

/// The same, or nothing.
fn optional(mut schema: Value) -> Value {
    if let Some(alternatives) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        alternatives.push(json!({ "type": "null" }));
    } else {
        let own = schema["type"].take();
        schema["type"] = json!([own, "null"]);
    }
    schema
}

/// An example or a default as the file would have it.
fn written<T: Scalar>(text: &str) -> Value {
    let node = Node {
        place: Place { line: 1, column: 1 },
        content: Content::Scalar {
            text: text.trim_matches('"').to_owned(),
            is_quoted: T::ACCEPTS == [Kind::Text],
        },
    };
    node.to_json()
}

/// Collects what a section names.
#[derive(Default)]
struct Outline {
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl Outline {
    fn add(&mut self, key: &'static str, mut schema: Value, about: &str, notes: Value) {
        schema["description"] = json!(about);
        if let (Some(schema), Value::Object(notes)) = (schema.as_object_mut(), notes) {
            schema.extend(notes);
        }
        self.properties.insert(key.to_owned(), schema);
    }
}

impl Fields for Outline {
    fn required<T: Scalar>(&mut self, key: &'static str, example: &str, about: &str) -> Option<T> {
        let notes = json!({ "examples": [written::<T>(example)] });
        self.add(key, scalar::<T>(), about, notes);
        self.required.push(key);
        None
    }

    fn optional<T: Scalar>(&mut self, key: &'static str, example: &str, about: &str) -> Option<T> {
        let notes = json!({ "examples": [written::<T>(example)] });
        self.add(key, optional(scalar::<T>()), about, notes);
        None
    }

    fn or<T: Scalar>(&mut self, key: &'static str, default: &str, about: &str) -> Option<T> {
        let notes = json!({ "default": written::<T>(default) });
        self.add(key, optional(scalar::<T>()), about, notes);
        None
    }

    fn list<T: Scalar>(&mut self, key: &'static str, default: &[&str], about: &str) -> Vec<T> {
        let list = json!({ "type": "array", "items": scalar::<T>() });
        let default: Vec<Value> = default.iter().map(|text| written::<T>(text)).collect();
        self.add(key, optional(list), about, json!({ "default": default }));
        Vec::new()
    }

    fn some<T: Scalar>(&mut self, key: &'static str, about: &str) -> Vec<T> {
        let list = json!({ "type": "array", "items": scalar::<T>(), "minItems": 1 });
        self.add(key, optional(list), about, json!({}));
        Vec::new()
    }

    fn list_or_section<T: Scalar, S: Section>(
        &mut self,
        key: &'static str,
        about: &str,
    ) -> Option<ListOr<T, S>> {
        let list = json!({ "type": "array", "items": scalar::<T>() });
        let either = json!({ "anyOf": [list, section::<S>(), { "type": "null" }] });
        self.add(key, either, about, json!({ "default": [] }));
        None
    }

    fn section<S: Section>(&mut self, key: &'static str, about: &str) -> Option<S> {
        self.optional_section(key, about)
    }

    fn optional_section<S: Section>(&mut self, key: &'static str, about: &str) -> Option<S> {
        self.add(key, optional(section::<S>()), about, json!({}));
        None
    }

    fn some_sections<S: Section>(&mut self, key: &'static str, about: &str) -> Option<Vec<S>> {
        let list = json!({ "type": "array", "items": section::<S>(), "minItems": 1 });
        self.add(key, list, about, json!({}));
        self.required.push(key);
        None
    }

    fn sections<S: Section>(&mut self, key: &'static str, about: &str) -> Vec<Option<S>> {
        let list = json!({ "type": "array", "items": section::<S>() });
        self.add(key, optional(list), about, json!({}));
        Vec::new()
    }

    fn named_sections<K: Scalar + Ord, S: Section>(
        &mut self,
        key: &'static str,
        example: &str,
        about: &str,
    ) -> Option<BTreeMap<K, Option<S>>> {
        let mut each = section::<S>();
        // A name with nothing after it is a section without keys, unless one of them must be there.
        if each.get("required").is_none() {
            each = optional(each);
        }
        let mut names = K::schema();
        names["examples"] = json!([example]);
        let map = json!({ "type": "object", "propertyNames": names, "additionalProperties": each });
        self.add(key, optional(map), about, json!({}));
        None
    }

    fn is_given(&self, _: &str) -> bool {
        false
    }

    fn refuse(&mut self, _: &str, _: Complaint) {}
}
