//! What the document says of files in Gemini's shape.

use serde_json::{Map, Value, json};

/// Where Gemini's clients look for files: at the root, and under their own prefix.
const PREFIXES: [(&str, &str); 2] = [("", ""), ("/gemini", "UnderPrefix")];

/// The paths of files in Gemini's shape, and of their uploads.
pub(super) fn paths() -> Value {
    let mut paths = Map::new();
    for (prefix, mark) in PREFIXES {
        let named = |verb: &str| format!("{verb}Gemini{mark}");
        let listed = [
            query(
                "pageSize",
                &json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 10 }),
            ),
            query("pageToken", &json!({ "type": "string" })),
        ];
        paths.insert(
            format!("{prefix}/v1beta/files"),
            json!({ "get": operation(&named("listFiles"), "The caller's files, newest first", &listed) }),
        );
        paths.insert(
            format!("{prefix}/v1beta/files/{{id}}"),
            json!({
                "get": operation(&named("retrieveFile"), "What is known of a file; its bytes with `:download`", &[id()]),
                "delete": operation(&named("deleteFile"), "Forget a file", &[id()]),
            }),
        );
        paths.insert(
            format!("{prefix}/upload/v1beta/files"),
            uploaded(&named("uploadFile")),
        );
    }
    paths.insert(
        "/upload/v1/files".to_owned(),
        uploaded("uploadFileGeminiV1"),
    );
    Value::Object(paths)
}

fn uploaded(id: &str) -> Value {
    let summary = "Begin a resumable upload, whose address is in `x-goog-upload-url`, or send a piece of one there";
    let field =
        |name: &str| json!({ "name": name, "in": "header", "schema": { "type": "string" } });
    let parameters = [
        query("upload_id", &json!({ "type": "string" })),
        field("x-goog-upload-protocol"),
        field("x-goog-upload-command"),
        field("x-goog-upload-offset"),
    ];
    json!({ "post": operation(id, summary, &parameters) })
}

fn operation(id: &str, summary: &str, parameters: &[Value]) -> Value {
    let shape = json!({ "type": "object", "description": "In the vendor's shape." });
    let content = json!({ "application/json": { "schema": shape } });
    json!({
        "operationId": id,
        "summary": summary,
        "externalDocs": { "url": "https://ai.google.dev/api/files" },
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done.", "content": content },
            "default": { "description": "Not done, in the vendor's shape.", "content": content },
        },
    })
}

fn id() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } })
}

fn query(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}
