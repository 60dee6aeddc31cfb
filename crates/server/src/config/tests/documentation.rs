//! `docs/configuration.md` beside the schema and the reader.

use serde_json::{Value, json};

use super::schema::{as_json, validator};
use super::*;

/// A credentials file of Google Cloud.
const GOOGLE_LOGIN: &str =
    r#"{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r"}"#;

/// The documentation, and the YAML blocks in it.
fn documentation() -> (String, Vec<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = fs::read_to_string(file).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect();
    (text, blocks)
}

#[test]
fn every_documented_example_is_valid() {
    let (_, blocks) = documentation();
    assert!(blocks.len() >= 6);
    let environment = |name: &str| match name {
        "CI_RPM" | "EU_HOST" | "OPENAI_BASE_URL" | "ANTHROPIC_BASE_URL" => None,
        name => Some(format!("what-{name}-holds")),
    };
    let validator = validator();
    for block in blocks {
        // The tests' machine has no mounted secrets.
        let text = block
            .replace("file:/run/secrets/operator-key", "a-text-of-the-operator")
            .replace(
                "file:/run/secrets/google.json",
                &format!("'{GOOGLE_LOGIN}'"),
            );
        if let Err(problems) = Config::parse(&text, "docs/configuration.md", &environment) {
            panic!("{problems}\n{block}");
        }
        assert!(validator.is_valid(&as_json(&block)), "{block}");
    }
}

/// One row of the documentation's table for every key, made from the schema.
fn rows(path: &str, schema: &Value, rows: &mut Vec<String>) {
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        if property["properties"].is_object() {
            self::rows(&path, property, rows);
        } else if property["items"]["properties"].is_object() {
            self::rows(&format!("{path}[]"), &property["items"], rows);
        } else if property["additionalProperties"].is_object() {
            self::rows(
                &format!("{path}.NAME"),
                &property["additionalProperties"],
                rows,
            );
        } else {
            let is_required = schema["required"]
                .as_array()
                .is_some_and(|it| it.contains(&json!(key)));
            let default = match &property["default"] {
                Value::Null if is_required => "required".to_owned(),
                Value::Null => String::new(),
                Value::String(text) => format!("`{text}`"),
                value => format!("`{value}`"),
            };
            let about = property["description"].as_str().unwrap();
            rows.push(format!("| `{path}` | {default} | {about} |"));
            for section in property["anyOf"].as_array().into_iter().flatten() {
                self::rows(&path, section, rows);
            }
        }
    }
}

#[test]
fn every_key_is_documented_as_the_schema_has_it() {
    let mut rows = vec![
        "| key | default | meaning |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ];
    self::rows("", &schema(), &mut rows);
    assert!(rows.len() > 40);
    let (text, _) = documentation();
    let (_, table) = text.split_once("for each entry of a list.\n\n").unwrap();
    assert_eq!(
        table,
        format!("{}\n", rows.join("\n")),
        "replace the table in docs/configuration.md"
    );
}
