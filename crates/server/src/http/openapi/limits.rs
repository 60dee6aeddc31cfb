//! What the document says of limits and of what operators are told.

use serde_json::{Value, json};

/// The paths.
pub(super) fn paths() -> Value {
    let failure = json!({ "description": "Not done; `error` says why.", "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/Envelope" },
    } } });
    let limit = || {
        json!({ "description": "The limit.", "content": { "application/json": { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Envelope" },
            { "type": "object", "properties": { "data": { "$ref": "#/components/schemas/Limit" } } },
        ] } } } })
    };
    let body = json!({ "required": true, "content": { "application/json": { "schema": {
        "$ref": "#/components/schemas/NewLimit" } } } });
    let id =
        json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } });
    let page = |of: &str| {
        json!({ "description": "A page.", "content": { "application/json": { "schema": { "allOf": [
            { "$ref": "#/components/schemas/Envelope" },
            { "type": "object", "properties": { "data": { "type": "object", "properties": {
                "items": { "type": "array", "items": { "$ref": format!("#/components/schemas/{of}") } },
                "next_cursor": { "type": ["string", "null"] },
            } } } },
        ] } } } })
    };
    let cursor = || json!([{ "name": "cursor", "in": "query", "schema": { "type": "string" } }]);
    let list_and_make = |list: &str, make: &str, what: &str| {
        json!({
            "get": {
                "operationId": list, "summary": format!("{what}, with how much of them is used up"),
                "parameters": cursor(),
                "responses": { "200": page("Limit"), "default": failure.clone() },
            },
            "post": {
                "operationId": make, "summary": "Make one; it takes effect at once",
                "requestBody": body.clone(),
                "responses": { "201": limit(), "default": failure.clone() },
            },
        })
    };
    json!({
        "/api/v1/admin/limits": list_and_make("listLimits", "createLimit", "Limits"),
        "/api/v1/admin/budgets": list_and_make("listBudgets", "createBudget", "Limits of dollars"),
        "/api/v1/admin/limits/{id}": {
            "get": {
                "operationId": "getLimit", "summary": "One limit",
                "parameters": [id.clone()],
                "responses": { "200": limit(), "default": failure.clone() },
            },
            "put": {
                "operationId": "replaceLimit",
                "summary": "Change a limit; where it counts the same, the count goes on",
                "parameters": [id.clone()], "requestBody": body.clone(),
                "responses": { "200": limit(), "default": failure.clone() },
            },
            "delete": {
                "operationId": "removeLimit", "summary": "Remove a limit",
                "parameters": [id],
                "responses": { "200": limit(), "default": failure.clone() },
            },
        },
        "/api/v1/admin/events": { "get": {
            "operationId": "listEvents", "summary": "What happened that operators want to hear of, newest first",
            "parameters": cursor(),
            "responses": { "200": page("Event"), "default": failure },
        } },
    })
}

/// The shapes.
pub(super) fn schemas() -> Value {
    let part = |what: &str| json!({ "type": "string", "description": format!("{what}, or `each` for a count of its own for each") });
    let mut properties = json!({
        "name": { "type": "string", "minLength": 1, "maxLength": 128 },
        "organization": part("The organisation"),
        "project": part("The project"),
        "user": part("The user"),
        "application": part("The application"),
        "key": part("The key"),
        "provider": part("The provider that answers"),
        "model": part("The model that answers, `*` standing for any text"),
        "requests": { "type": "integer", "minimum": 1 },
        "tokens": { "type": "integer", "minimum": 1 },
        "concurrency": { "type": "integer", "minimum": 1 },
        "usd": { "type": ["string", "number"], "description": "Dollars; one of the four is given" },
        "per": { "enum": ["minute", "hour", "day", "week", "month", "total"] },
        "queue": { "type": "object", "properties": {
            "max_wait_seconds": { "type": "number", "minimum": 0, "maximum": 600 },
            "max_waiting": { "type": "integer", "minimum": 1 },
        } },
        "alerts": { "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 100 } },
    });
    let new = json!({
        "type": "object", "additionalProperties": false, "required": ["name"], "properties": properties.clone(),
    });
    let shown = json!({
        "id": { "type": "string", "description": "lim_…" },
        "read_only": { "type": "boolean", "description": "Whether it stands in the configuration" },
        "created_at": { "type": "string", "format": "date-time" },
        "usage": { "type": "array", "items": { "type": "object", "properties": {
            "subject": { "type": "object", "description": "Whose count it is" },
            "taken": { "type": ["integer", "string"] },
            "held": { "type": ["integer", "string"] },
            "left": { "type": ["integer", "string"] },
            "waiting": { "type": "integer" },
            "resets_at": { "type": ["string", "null"], "format": "date-time" },
        } } },
    });
    if let (Some(properties), Some(shown)) = (properties.as_object_mut(), shown.as_object()) {
        properties.extend(shown.clone());
    }
    json!({
        "NewLimit": new,
        "Limit": { "type": "object", "properties": properties },
        "Event": { "type": "object", "properties": {
            "id": { "type": "string", "description": "evt_…" },
            "at": { "type": "string", "format": "date-time" },
            "kind": { "enum": ["budget_alert", "rate_alert", "prompt_cache_unread"] },
            "organization_id": { "type": "string" },
            "project_id": { "type": "string" },
            "detail": { "type": "object" },
        } },
    })
}
