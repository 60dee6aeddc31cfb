//! What the document says of batches.

use serde_json::{Map, Value, json};

/// The paths of batches, in both vendors' shapes.
pub(super) fn paths() -> Value {
    let mut paths = Map::new();
    paths.extend(openai());
    paths.extend(anthropic("/v1", "MessageBatch"));
    paths.extend(anthropic("/anthropic/v1", "MessageBatchUnderPrefix"));
    Value::Object(paths)
}

fn openai() -> [(String, Value); 3] {
    let made = json!({
        "type": "object",
        "required": ["input_file_id", "endpoint", "completion_window"],
        "properties": {
            "input_file_id": { "type": "string" },
            "endpoint": { "enum": gateway::batches::Endpoint::paths().collect::<Vec<_>>() },
            "completion_window": { "enum": ["24h"] },
            "metadata": { "type": ["object", "null"], "additionalProperties": { "type": "string" } },
            "output_expires_after": {
                "type": ["object", "null"],
                "required": ["anchor", "seconds"],
                "properties": {
                    "anchor": { "enum": ["created_at"] },
                    "seconds": { "type": "integer", "minimum": 3_600, "maximum": 2_592_000 },
                },
            },
        },
    });
    let listed = [query("after", &json!({ "type": "string" })), limit(100)];
    [
        (
            "/v1/batches".to_owned(),
            json!({
                "get": operation("listBatches", "The caller's batches, newest first", &listed),
                "post": with_body(operation("createBatch", "Make a batch of a file of requests", &[]), &made),
            }),
        ),
        (
            "/v1/batches/{id}".to_owned(),
            json!({ "get": operation("retrieveBatch", "How far a batch has come", &[id()]) }),
        ),
        (
            "/v1/batches/{id}/cancel".to_owned(),
            json!({ "post": operation("cancelBatch", "End a batch", &[id()]) }),
        ),
    ]
}

fn anthropic(prefix: &str, name: &str) -> [(String, Value); 4] {
    let made = json!({
        "type": "object",
        "required": ["requests"],
        "properties": {
            "requests": { "type": "array", "minItems": 1, "items": {
                "type": "object",
                "required": ["custom_id", "params"],
                "properties": {
                    "custom_id": { "type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$" },
                    "params": { "type": "object", "description": "The body of a message." },
                },
            } },
        },
    });
    let text = json!({ "type": "string" });
    let listed = [
        query("after_id", &text),
        query("before_id", &text),
        limit(1_000),
    ];
    let all = format!("{prefix}/messages/batches");
    let of = |verb: &str| format!("{verb}{name}");
    [
        (
            all.clone(),
            json!({
                "get": operation(&of("list"), "The caller's message batches, newest first", &listed),
                "post": with_body(operation(&of("create"), "Make a message batch of its requests", &[]), &made),
            }),
        ),
        (
            format!("{all}/{{id}}"),
            json!({
                "get": operation(&of("retrieve"), "How far a message batch has come", &[id()]),
                "delete": operation(&of("delete"), "Forget a message batch that has ended", &[id()]),
            }),
        ),
        (
            format!("{all}/{{id}}/results"),
            json!({ "get": operation(&of("resultsOf"), "What became of each request, a JSON object a line", &[id()]) }),
        ),
        (
            format!("{all}/{{id}}/cancel"),
            json!({ "post": operation(&of("cancel"), "End a message batch", &[id()]) }),
        ),
    ]
}

fn operation(id: &str, summary: &str, parameters: &[Value]) -> Value {
    let shape = json!({ "type": "object", "description": "In the vendor's shape." });
    let content = json!({ "application/json": { "schema": shape } });
    json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done.", "content": content },
            "default": { "description": "Not done, in the vendor's shape.", "content": content },
        },
    })
}

fn with_body(mut operation: Value, schema: &Value) -> Value {
    operation["requestBody"] =
        json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    operation
}

fn id() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } })
}

fn query(name: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "schema": schema })
}

fn limit(max: u32) -> Value {
    query(
        "limit",
        &json!({ "type": "integer", "minimum": 1, "maximum": max, "default": 20 }),
    )
}
