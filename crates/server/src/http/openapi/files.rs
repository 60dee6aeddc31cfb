//! What the document says of files.

use serde_json::{Value, json};

/// The paths of files, in both vendors' shapes, and of links to media.
pub(super) fn paths() -> Value {
    let id =
        json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } });
    let query =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let text = json!({ "type": "string" });
    let done = |description: &str| {
        let schema = json!({ "type": "object", "description": "In the vendor's shape." });
        let content = json!({ "application/json": { "schema": schema } });
        json!({
            "200": { "description": description, "content": content },
            "default": { "description": "Not done, in the vendor's shape.", "content": content },
        })
    };
    let bytes = json!({
        "200": { "description": "The bytes." },
        "206": { "description": "The range of bytes that was asked for." },
        "416": { "description": "The file ends before the range." },
        "default": { "description": "Not done." },
    });
    let form = |purpose: bool| {
        let mut properties = json!({ "file": { "type": "string", "format": "binary" } });
        let mut required = vec!["file"];
        if purpose {
            properties["purpose"] = json!({ "enum": ["assistants", "batch", "evals", "fine-tune", "user_data", "vision"] });
            properties["expires_after[anchor]"] = json!({ "enum": ["created_at"] });
            properties["expires_after[seconds]"] =
                json!({ "type": "integer", "minimum": 3600, "maximum": 2_592_000 });
            required.push("purpose");
        }
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        json!({ "required": true, "content": { "multipart/form-data": { "schema": schema } } })
    };
    let of_vendor = |vendor: &str, is_openai: bool| {
        let operation = |name: &str| format!("{name}{vendor}");
        let wanted = if is_openai {
            vec![
                query("after", text.clone()),
                query(
                    "limit",
                    json!({ "type": "integer", "minimum": 1, "maximum": 10_000 }),
                ),
                query("order", json!({ "enum": ["asc", "desc"] })),
                query("purpose", text.clone()),
            ]
        } else {
            vec![
                query("after_id", text.clone()),
                query("before_id", text.clone()),
                query(
                    "limit",
                    json!({ "type": "integer", "minimum": 1, "maximum": 1_000 }),
                ),
            ]
        };
        let all = json!({
            "get": {
                "operationId": operation("listFiles"), "summary": "The key's files",
                "parameters": wanted, "responses": done("A page."),
            },
            "post": {
                "operationId": operation("createFile"),
                "summary": "Keep a file of at most `media.max_file` bytes",
                "requestBody": form(is_openai), "responses": done("The file."),
            },
        });
        let one = json!({
            "get": {
                "operationId": operation("retrieveFile"), "summary": "What is known of a file",
                "parameters": [id], "responses": done("The file."),
            },
            "delete": {
                "operationId": operation("deleteFile"), "summary": "Forget a file",
                "parameters": [id], "responses": done("It is gone."),
            },
        });
        let content = json!({ "get": {
            "operationId": operation("downloadFile"), "summary": "A file's bytes",
            "parameters": [id], "responses": bytes,
        } });
        (all, one, content)
    };
    let (all, one, content) = of_vendor("", true);
    let (all_anthropic, one_anthropic, content_anthropic) = of_vendor("Anthropic", false);
    json!({
        "/v1/files": all,
        "/v1/files/{id}": one,
        "/v1/files/{id}/content": content,
        "/anthropic/v1/files": all_anthropic,
        "/anthropic/v1/files/{id}": one_anthropic,
        "/anthropic/v1/files/{id}/content": content_anthropic,
        "/media/{id}": { "get": {
            "operationId": "readMedia", "summary": "A file, for whoever holds a link to it",
            "security": [],
            "parameters": [id, query("expires", json!({ "type": "integer" })), query("signature", text)],
            "responses": bytes,
        } },
    })
}
