//! The cache's part of the OpenAPI document.

use serde_json::{Value, json};

/// The paths of the cache's administration.
#[expect(clippy::too_many_lines, reason = "a flat list of routes")]
pub(super) fn paths() -> Value {
    let answer = |description: &str, schema: Value| {
        json!({ "description": description, "content": { "application/json": { "schema": {
            "allOf": [
                { "$ref": "#/components/schemas/Envelope" },
                { "type": "object", "properties": { "data": schema } },
            ],
        } } } })
    };
    let failure = answer("Not done; `error` says why.", json!({}));
    let query = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string" } });
    json!({
        "/api/v1/admin/cache": {
            "get": {
                "operationId": "cacheStats",
                "summary": "What the cache of this process keeps, and what happened since it began",
                "responses": {
                    "200": answer("The counts.", json!({ "type": "object" })),
                    "default": failure.clone(),
                },
            },
            "delete": {
                "operationId": "purgeCache",
                "summary": "Forget answers: of one organization or project, or all",
                "parameters": [query("organization_id"), query("project_id")],
                "responses": {
                    "200": answer("How many this process had.", json!({
                        "type": "object", "properties": { "purged": { "type": "integer" } },
                    })),
                    "default": failure.clone(),
                },
            },
        },
        "/api/v1/admin/cache/prompts": { "get": {
            "operationId": "promptCacheReport",
            "summary": "What keys had written into vendors' prompt caches, and whether it was read",
            "responses": {
                "200": answer("By key, model name and model; what was wasted most comes first.", json!({
                    "type": "object", "properties": { "lines": { "type": "array", "items": {
                        "type": "object", "properties": {
                            "organization_id": { "type": "string" },
                            "project_id": { "type": "string" },
                            "key_id": { "type": "string" },
                            "name": { "type": "string" },
                            "provider": { "type": "string" },
                            "model": { "type": "string" },
                            "written_tokens": { "type": "integer" },
                            "read_tokens": { "type": "integer" },
                            "unread_tokens": { "type": "integer" },
                            "wasted_usd": { "type": ["string", "null"] },
                            "saved_usd": { "type": ["string", "null"] },
                        },
                    } } },
                })),
                "default": failure.clone(),
            },
        } },
        "/api/v1/admin/cache/frequent": { "get": {
            "operationId": "frequentRequests",
            "summary": "What was asked most often, of the calls whose payloads are kept and whose answers a key shares",
            "parameters": [
                { "name": "key_id", "in": "query", "required": true, "schema": { "type": "string" } },
                { "name": "since", "in": "query", "schema": { "type": "string", "format": "date-time" } },
                { "name": "limit", "in": "query", "schema": {
                    "type": "integer", "minimum": 1, "maximum": 1000, "default": 100,
                } },
            ],
            "responses": {
                "200": answer("The most frequent first.", json!({ "type": "object", "properties": {
                    "looked_at": { "type": "integer" },
                    "not_kept": { "type": "integer" },
                    "requests": { "type": "array", "items": { "type": "object", "properties": {
                        "request_id": { "type": "string" },
                        "times": { "type": "integer" },
                        "request_model": { "type": "string" },
                        "last_at": { "type": "string", "format": "date-time" },
                        "expected_cost_usd": { "type": ["string", "null"] },
                    } } },
                } })),
                "default": failure.clone(),
            },
        } },
        "/api/v1/admin/cache/warm": { "post": {
            "operationId": "warmCache",
            "summary": "Ask again what was asked in a call, on behalf of a key, so that its answer is kept",
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "required": ["key_id", "request_id"], "additionalProperties": false,
                "properties": {
                    "key_id": { "type": "string" },
                    "request_id": { "type": "string" },
                    "ttl_seconds": { "type": "integer", "minimum": 1 },
                },
            } } } },
            "responses": {
                "200": answer("What came of it, and what it cost.", json!({
                    "type": "object", "properties": {
                        "request_id": { "type": "string" },
                        "outcome": { "enum": ["kept", "known", "not_kept"] },
                        "cost_usd": { "type": ["string", "null"] },
                    },
                })),
                "default": failure.clone(),
            },
        } },
        "/api/v1/admin/cache/feedback": { "post": {
            "operationId": "cacheFeedback",
            "summary": "Say that an answer was wrong; it is not given again",
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "required": ["request_id", "verdict"], "additionalProperties": false,
                "properties": {
                    "request_id": { "type": "string" },
                    "verdict": { "enum": ["wrong", "right"] },
                },
            } } } },
            "responses": {
                "200": answer("Whether an answer was forgotten, or the other replicas were told to.", json!({
                    "type": "object", "properties": {
                        "evicted": { "type": "boolean" },
                        "told": { "type": "boolean" },
                    },
                })),
                "default": failure,
            },
        } },
    })
}
