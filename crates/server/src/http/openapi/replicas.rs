//! What the document says of replicas.

use serde_json::{Value, json};

/// The paths.
pub(super) fn paths() -> Value {
    json!({
        "/api/v1/admin/replicas": { "get": {
            "operationId": "listReplicas",
            "summary": "The processes that serve this installation, the oldest first",
            "responses": {
                "200": { "description": "All of them.", "content": { "application/json": { "schema": {
                    "allOf": [
                        { "$ref": "#/components/schemas/Envelope" },
                        { "type": "object", "properties": { "data": {
                            "type": "object",
                            "properties": {
                                "items": { "type": "array", "items": replica() },
                                "next_cursor": { "type": "null" },
                            },
                        } } },
                    ],
                } } } },
                "default": { "description": "Not done; `error` says why.", "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Envelope" },
                } } },
            },
        } },
    })
}

fn replica() -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "description": "rep_…" },
            "started_at": time,
            "seen_at": time,
            "seen_ms_ago": { "type": "integer", "minimum": 0 },
            "version": { "type": "string" },
            "address": { "type": "string", "description": "Its machine's name and where it listens" },
            "shared": { "type": "boolean", "description": "Whether it shares what limits count" },
            "is_this": { "type": "boolean", "description": "Whether it answered this request" },
        },
    })
}
