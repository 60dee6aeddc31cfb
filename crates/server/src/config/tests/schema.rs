//! The schema beside the reader.

use serde_json::{Value, json};

use super::*;

pub(super) fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

pub(super) fn as_json(text: &str) -> Value {
    match yaml::parse(text) {
        Ok(root) => match root.to_json() {
            // An editor has nothing to say about an empty file.
            Value::Null => json!({}),
            value => value,
        },
        Err((place, complaint)) => panic!("{place:?} {complaint:?}"),
    }
}

#[test]
fn the_schema_agrees_with_the_reader_as_far_as_it_can() {
    jsonschema::draft202012::meta::validate(&schema()).unwrap();
    let validator = validator();
    for (folder, is_valid) in [("valid", true), ("shape", false), ("meaning", true)] {
        for (file, text) in files(folder) {
            let errors: Vec<String> = validator
                .iter_errors(&as_json(&text))
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert_eq!(
                errors.is_empty(),
                is_valid,
                "{}: {errors:#?}",
                file.display()
            );
        }
    }
}

/// Whatever the schema calls wrong, the reader calls wrong too, at the same place.
#[test]
fn the_reader_sees_every_error_of_the_schema() {
    let validator = validator();
    for (file, text) in files("shape") {
        let name = file.file_name().unwrap().to_str().unwrap();
        let problems = Config::parse(&text, name, &environment).unwrap_err();
        let paths: Vec<String> = problems
            .0
            .iter()
            .map(|problem| problem.path.clone())
            .collect();
        for error in validator.iter_errors(&as_json(&text)) {
            let mut path = path::Path::default();
            for step in error.instance_path().as_str().split('/').skip(1) {
                path = match step.parse() {
                    Ok(index) => path.index(index),
                    Err(_) => path.key(step),
                };
            }
            let path = path.to_string();
            assert!(
                paths.iter().any(|other| other.starts_with(&path)),
                "{name}: only the schema refuses {path}: {error}"
            );
        }
    }
}

#[test]
fn every_key_of_the_schema_is_described_and_has_a_default_or_an_example() {
    fn visit(path: &str, schema: &Value) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            assert!(
                property["description"]
                    .as_str()
                    .is_some_and(|it| it.ends_with('.')),
                "{path}"
            );
            let kind = property["type"].to_string();
            if !kind.contains("object") && !kind.contains("array") {
                assert!(
                    !property["default"].is_null() || !property["examples"].is_null(),
                    "{path}"
                );
            }
            visit(&path, property);
            visit(&path, &property["items"]);
            visit(&path, &property["additionalProperties"]);
            for either in property["anyOf"].as_array().into_iter().flatten() {
                visit(&path, either);
            }
        }
    }
    let schema = schema();
    assert!(schema["properties"]["server"].is_object());
    visit("", &schema);
}

#[test]
fn defaults_and_examples_fit_their_own_schema() {
    fn visit(path: &str, schema: &Value, root: &Value) {
        let written = schema["examples"].as_array().cloned().unwrap_or_default();
        for value in written.iter().chain(schema.get("default")) {
            let mut own = schema.clone();
            own["$defs"] = root["$defs"].clone();
            let validator = jsonschema::draft202012::new(&own).unwrap();
            assert!(validator.is_valid(value), "{path}: {value}");
        }
        match schema {
            Value::Object(object) => {
                object
                    .iter()
                    .for_each(|(key, value)| visit(&format!("{path}/{key}"), value, root));
            }
            Value::Array(items) => items.iter().for_each(|item| visit(path, item, root)),
            _ => {}
        }
    }
    let schema = schema();
    visit("", &schema, &schema);
}
