//! What the document says of realtime sessions.

use serde_json::{Value, json};

/// The paths of realtime sessions.
pub(super) fn paths() -> Value {
    json!({
        "/v1/realtime": { "get": {
            "operationId": "connectRealtime",
            "summary": "A realtime session over WebSocket; the events are the vendor's",
            "externalDocs": { "url": "https://platform.openai.com/docs/api-reference/realtime" },
            "parameters": [
                {
                    "name": "model", "in": "query", "schema": { "type": "string" },
                    "description": "Needed but where a client secret that names one is shown.",
                },
                {
                    "name": "x-client-request-id", "in": "header",
                    "schema": { "type": "string", "maxLength": 256 },
                    "description": "Stands in the rows of all of the session's responses.",
                },
            ],
            "responses": {
                "101": { "description": "The session begins." },
                "default": answer("Not begun, in the vendor's shape."),
            },
        } },
        "/v1/realtime/client_secrets": { "post": making(
            "createClientSecret",
            "Make a secret that opens realtime sessions for a while, in the place of the caller's key",
            &json!({
                "type": "object", "additionalProperties": false,
                "properties": {
                    "expires_after": { "type": "object", "properties": {
                        "anchor": { "enum": ["created_at"] },
                        "seconds": { "type": "integer", "minimum": 10, "maximum": 7_200, "default": 600 },
                    } },
                    "session": { "type": "object", "required": ["type"], "properties": {
                        "type": { "enum": ["realtime", "transcription"] }, "model": { "type": "string" },
                    } },
                },
            }),
        ) },
        "/v1/realtime/sessions": { "post": making(
            "createRealtimeSession",
            "The same as the beta asked for it",
            &json!({ "type": "object", "properties": { "model": { "type": "string" } } }),
        ) },
        "/v1/realtime/transcription_sessions": { "post": making(
            "createRealtimeTranscriptionSession",
            "The same for sessions that write down what is said, as the beta asked for it",
            &json!({ "type": "object", "properties": { "input_audio_transcription": { "type": "object" } } }),
        ) },
        "/v1/realtime/calls": { "post": not_here("createRealtimeCall", "Calls over WebRTC are not taken") },
        "/v1/realtime/calls/{rest}": { "post": not_here("steerRealtimeCall", "Calls over SIP are not taken") },
        "/v1/realtime/translations": {
            "get": not_here("connectRealtimeTranslation", "Translation sessions are not served"),
        },
        "/v1/realtime/translations/{rest}": {
            "post": not_here("createTranslationSecret", "Translation sessions are not served"),
        },
    })
}

fn not_here(id: &str, summary: &str) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "responses": { "501": answer("What to use instead, in the vendor's shape.") },
    })
}

fn making(id: &str, summary: &str, body: &Value) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "requestBody": { "content": { "application/json": { "schema": body } } },
        "responses": {
            "200": answer("The secret, this once, and the session that it opens, in the vendor's shape."),
            "default": answer("Not made, in the vendor's shape."),
        },
    })
}

fn answer(description: &str) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": { "type": "object" } } } })
}
