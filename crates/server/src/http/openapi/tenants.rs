//! What the document says of organisations, projects, applications and users.

use serde_json::{Value, json};

/// The paths of tenants.
pub(super) fn paths() -> Value {
    let mut paths = json!({});
    for (plural, kind) in [
        ("organizations", "Organization"),
        ("projects", "Project"),
        ("applications", "Application"),
        ("users", "User"),
    ] {
        paths[format!("/api/v1/admin/{plural}")] = all(plural, kind);
        paths[format!("/api/v1/admin/{plural}/{{id}}")] = one(kind);
    }
    paths
}

fn all(plural: &str, kind: &str) -> Value {
    let query =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let text = json!({ "type": "string" });
    let mut parameters = vec![
        query(
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
        ),
        query("cursor", text.clone()),
        query("organization_id", text.clone()),
        query("archived", json!({ "type": "boolean" })),
    ];
    if kind == "Application" {
        parameters.push(query("project_id", text));
    }
    let page = json!({
        "type": "object", "properties": {
            "items": { "type": "array", "items": tenant(kind) },
            "next_cursor": { "type": ["string", "null"] },
        },
    });
    let what = kind.to_lowercase();
    json!({
        "get": {
            "operationId": format!("list{kind}s"), "summary": format!("{plural}, newest first"),
            "parameters": parameters,
            "responses": answers("200", "A page.", &page),
        },
        "post": {
            "operationId": format!("create{kind}"), "summary": format!("Make one {what}"),
            "requestBody": body(&new(kind), true),
            "responses": answers("201", "It was made.", &tenant(kind)),
        },
    })
}

fn one(kind: &str) -> Value {
    let id =
        json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } });
    let what = kind.to_lowercase();
    let mut change = new(kind);
    if let Some(properties) = change["properties"].as_object_mut() {
        properties.remove("organization_id");
        properties.remove("project_id");
        properties.insert("archived".to_owned(), json!({ "type": "boolean" }));
    }
    change["required"] = json!([]);
    json!({
        "get": {
            "operationId": format!("retrieve{kind}"), "summary": format!("One {what}"),
            "parameters": [id],
            "responses": answers("200", "As it is.", &tenant(kind)),
        },
        "patch": {
            "operationId": format!("change{kind}"),
            "summary": "Change what is named; `archived: false` brings it back into service",
            "parameters": [id],
            "requestBody": body(&change, false),
            "responses": answers("200", "As it is now.", &tenant(kind)),
        },
        "delete": {
            "operationId": format!("archive{kind}"),
            "summary": "Take it out of service: nothing that belongs to it is admitted within a second",
            "parameters": [id],
            "responses": answers("200", "As it is now.", &tenant(kind)),
        },
    })
}

fn new(kind: &str) -> Value {
    let text = json!({ "type": "string" });
    let mut properties = json!({ "name": { "type": "string", "minLength": 1, "maxLength": 128 } });
    match kind {
        "Project" => {
            properties["organization_id"] = text;
            properties["settings"] = settings();
        }
        "Application" => properties["project_id"] = text,
        "User" => {
            properties["organization_id"] = text;
            properties["email"] = json!({ "type": ["string", "null"], "maxLength": 254 });
        }
        _ => {}
    }
    json!({ "type": "object", "required": ["name"], "additionalProperties": false, "properties": properties })
}

fn tenant(kind: &str) -> Value {
    let mut tenant = new(kind);
    tenant["properties"]["id"] = json!({ "type": "string" });
    tenant["properties"]["organization_id"] = json!({ "type": "string" });
    tenant["properties"]["created_at"] = json!({ "type": "string", "format": "date-time" });
    tenant["properties"]["archived_at"] =
        json!({ "type": ["string", "null"], "format": "date-time" });
    tenant
}

fn settings() -> Value {
    json!({
        "type": "object", "additionalProperties": false, "properties": {
            "regions": {
                "type": "array", "items": { "type": "string", "pattern": "^[a-z0-9-]{1,64}$" }, "maxItems": 100,
                "description": "Where calls may be answered; empty permits all",
            },
            "flags": {
                "type": "object", "maxProperties": 100,
                "additionalProperties": { "type": ["boolean", "string"] },
            },
            "payloads": {
                "type": "object", "required": ["keep"], "properties": {
                    "keep": { "enum": ["none", "full"] },
                    "retention_seconds": { "type": "integer", "minimum": 1, "description": "With `full`" },
                },
            },
        },
    })
}

fn body(schema: &Value, is_required: bool) -> Value {
    json!({ "required": is_required, "content": { "application/json": { "schema": schema } } })
}

fn answers(status: &str, description: &str, data: &Value) -> Value {
    let envelope = json!({ "$ref": "#/components/schemas/Envelope" });
    let schema =
        json!({ "allOf": [envelope, { "type": "object", "properties": { "data": data } }] });
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    json!({
        status: { "description": description, "content": content(&schema) },
        "default": { "description": "Not done; `error` says why.", "content": content(&envelope) },
    })
}
