//! `GET /openapi.json` and `GET /schema/config.json`

use axum::Json;
use serde_json::{Map, Value, json};

use crate::config;

mod batches;
mod cache;
mod cost;
mod faces;
mod files;
mod gemini_files;
mod limits;
mod passing;
mod realtime;
mod replicas;
mod routes;
mod tenants;

/// `GET /openapi.json`
pub async fn document() -> Json<Value> {
    Json(specification())
}

/// `GET /schema/config.json`: the JSON Schema of the configuration.
pub async fn config_schema() -> Json<Value> {
    Json(config::schema())
}

/// The OpenAPI document (3.1) of every route. Bodies of the vendor-compatible faces are the vendor's;
/// the document says where they are described.
pub fn specification() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Trunkline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "One API in front of every AI provider.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "key": [] }],
        "paths": faces::described().chain(passing::described()).chain(ours(&files::paths())).chain(ours(&gemini_files::paths())).chain(ours(&batches::paths())).chain(ours(&cache::paths())).chain(ours(&realtime::paths())).chain(ours(&replicas::paths())).chain(ours(&routes::paths())).chain(ours(&tenants::paths())).chain(ours(&cost::paths())).chain(ours(&limits::paths())).chain(ours(&paths())).collect::<Map<String, Value>>(),
        "components": {
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "description": "A Trunkline key (tl_…)." },
            },
            "schemas": ours(&schemas()).chain(ours(&limits::schemas())).collect::<Map<String, Value>>(),
        },
    })
}

fn ours(paths: &Value) -> impl Iterator<Item = (String, Value)> {
    paths.as_object().cloned().unwrap_or_default().into_iter()
}

#[expect(clippy::too_many_lines, reason = "a flat list of routes")]
fn paths() -> Value {
    let answer = |description: &str, schema: Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    let enveloped = |data: Value| {
        json!({
            "allOf": [
                { "$ref": "#/components/schemas/Envelope" },
                { "type": "object", "properties": { "data": data } },
            ],
        })
    };
    let page_of = |item: &str| {
        enveloped(json!({
            "type": "object",
            "properties": {
                "items": { "type": "array", "items": { "$ref": format!("#/components/schemas/{item}") } },
                "next_cursor": { "type": ["string", "null"] },
            },
        }))
    };
    let query =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let path = |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let failure = answer(
        "Not done; `error` says why.",
        json!({ "$ref": "#/components/schemas/Envelope" }),
    );
    json!({
        "/api/v1/db/logs": { "get": {
            "operationId": "listCalls", "summary": "Recorded calls, newest first; an admin sees all, a key its own",
            "parameters": [
                query("limit", json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 })),
                query("cursor", json!({ "type": "string" })),
                query("state", json!({ "enum": ["settled", "estimated", "cancelled", "failed"] })),
                query("provider", json!({ "type": "string" })),
                query("request_model", json!({ "type": "string" })),
                query("organization_id", json!({ "type": "string" })),
                query("project_id", json!({ "type": "string" })),
                query("application_id", json!({ "type": "string" })),
                query("user_id", json!({ "type": "string" })),
                query("key_id", json!({ "type": "string" })),
                query("client_request_id", json!({ "type": "string" })),
                query("batch_id", json!({ "type": "string" })),
                query("since", json!({ "type": "string", "format": "date-time" })),
                query("until", json!({ "type": "string", "format": "date-time" })),
            ],
            "responses": { "200": answer("A page.", page_of("Call")), "default": failure.clone() },
        } },
        "/api/v1/db/logs/{request_id}": { "get": {
            "operationId": "retrieveCall", "summary": "One recorded call",
            "parameters": [path("request_id")],
            "responses": {
                "200": answer("The call.", enveloped(json!({ "$ref": "#/components/schemas/Call" }))),
                "default": failure.clone(),
            },
        } },
        "/api/v1/db/logs/{request_id}/payload": { "get": {
            "operationId": "retrievePayload",
            "summary": "What was said in a call, where `payloads.keep` wants it kept",
            "parameters": [path("request_id")],
            "responses": {
                "200": answer("Request and response as they were sent.", enveloped(json!({
                    "type": "object", "properties": {
                        "request_id": { "type": "string" }, "request": { "type": "string" },
                        "response": { "type": "string" },
                        "keep_until": { "type": "string", "format": "date-time" },
                    },
                }))),
                "default": failure.clone(),
            },
        } },
        "/api/ai/health": { "get": {
            "operationId": "getHealth", "summary": "How providers, the store, shared state and the cache are doing",
            "responses": {
                "200": answer("Calls are served.", health()),
                "503": answer("No provider answers, or the process is stopping.", health()),
            },
        } },
        "/api/ai/chat": {
            "post": {
                "operationId": "chat",
                "summary": "Answer a chat, whole or streamed, with camelCase names, the provider and the cost",
                "requestBody": { "required": true, "content": { "application/json": { "schema": {
                    "type": "object", "required": ["model", "messages"],
                    "properties": {
                        "model": { "type": "string" }, "messages": { "type": "array", "items": { "type": "object" } },
                        "maxTokens": { "type": "integer", "minimum": 1 }, "temperature": { "type": "number" },
                        "topP": { "type": "number" }, "stream": { "type": "boolean" },
                        "preferredProvider": { "type": "string", "description": "Tried first where it has the model." },
                        "fallbackEnabled": { "type": "boolean", "default": true, "description": "Whether others are tried when the first does not answer." },
                        "fallbackOrder": { "type": "array", "items": { "type": "string" }, "description": "The providers that are tried after the first, in this order." },
                        "costOptimizationEnabled": { "type": "boolean", "default": false, "description": "The cheapest target is tried first." },
                        "performanceWeighting": { "type": "number", "minimum": 0, "maximum": 1, "description": "How much speed counts against cost." },
                        "maxRetries": { "type": "integer", "minimum": 0, "maximum": 9, "description": "How often one target is asked again." },
                        "cache": { "type": "object", "properties": { "enabled": { "type": "boolean" }, "ttlSeconds": { "type": "integer", "minimum": 1 } } },
                    },
                } } } },
                "responses": {
                    "200": { "description": "The answer.", "content": {
                        "application/json": { "schema": { "type": "object" } },
                        "text/event-stream": { "schema": { "type": "string" } },
                    } },
                    "default": answer("Not done.", json!({ "type": "object", "properties": { "error": { "type": "object" } } })),
                },
            },
            "get": {
                "operationId": "chatOverWebSocket",
                "summary": "Several chats at a time over WebSocket: chat and cancel in; chunk, answer, error, done out",
                "responses": {
                    "101": { "description": "The conversation begins." },
                    "default": answer("Not begun.", json!({ "type": "object" })),
                },
            },
        },
        "/v1/responses/{id}": {
            "get": {
                "operationId": "retrieveResponse", "summary": "An answer that is kept, or as far as it is",
                "parameters": [
                    path("id"), query("stream", json!({ "type": "boolean" })),
                    query("starting_after", json!({ "type": "integer", "minimum": 0 })),
                ],
                "responses": {
                    "200": answer("The answer as it was given.", json!({ "type": "object" })),
                    "default": answer("Not done, in the vendor's shape.", json!({ "type": "object" })),
                },
            },
            "delete": {
                "operationId": "deleteResponse", "summary": "Forget an answer that is kept",
                "parameters": [path("id")],
                "responses": {
                    "200": answer("It is forgotten.", json!({ "type": "object" })),
                    "default": answer("Not done, in the vendor's shape.", json!({ "type": "object" })),
                },
            },
        },
        "/v1/responses/{id}/cancel": { "post": {
            "operationId": "cancelResponse",
            "summary": "Have an answer end that is made in the background",
            "parameters": [path("id")],
            "responses": {
                "200": answer("The answer as it is.", json!({ "type": "object" })),
                "default": answer("Not done, in the vendor's shape.", json!({ "type": "object" })),
            },
        } },
        "/v1/responses/{id}/input_items": { "get": {
            "operationId": "listResponseInputItems",
            "summary": "What an answer that is kept was asked with",
            "parameters": [
                path("id"), query("after", json!({ "type": "string" })),
                query("limit", json!({ "type": "integer", "minimum": 1, "maximum": 100 })),
                query("order", json!({ "type": "string", "enum": ["asc", "desc"] })),
            ],
            "responses": {
                "200": answer("A page.", json!({ "type": "object" })),
                "default": answer("Not done, in the vendor's shape.", json!({ "type": "object" })),
            },
        } },
        "/api/v1/admin/keys": {
            "get": {
                "operationId": "listKeys", "summary": "Virtual keys, never their texts",
                "parameters": [query("cursor", json!({ "type": "string" }))],
                "responses": { "200": answer("A page.", page_of("Key")), "default": failure.clone() },
            },
            "post": {
                "operationId": "createKey", "summary": "Make a key; its text is in the answer, this once",
                "requestBody": { "required": true, "content": { "application/json": { "schema": {
                    "$ref": "#/components/schemas/NewKey" } } } },
                "responses": {
                    "201": answer("The key.", enveloped(json!({ "$ref": "#/components/schemas/Key" }))),
                    "default": failure.clone(),
                },
            },
        },
        "/api/v1/admin/keys/{id}": { "delete": {
            "operationId": "revokeKey", "summary": "End a key now", "parameters": [path("id")],
            "responses": {
                "200": answer("The key as it was.", enveloped(json!({ "$ref": "#/components/schemas/Key" }))),
                "default": failure.clone(),
            },
        } },
        "/api/v1/admin/keys/{id}/rotate": { "post": {
            "operationId": "rotateKey", "summary": "Give a key a new text; it is in the answer, this once",
            "parameters": [path("id")],
            "requestBody": { "content": { "application/json": { "schema": {
                "type": "object", "additionalProperties": false,
                "properties": { "grace_seconds": { "type": "integer", "minimum": 0, "default": 0 } },
            } } } },
            "responses": {
                "200": answer("The key.", enveloped(json!({ "$ref": "#/components/schemas/Key" }))),
                "default": failure,
            },
        } },
        "/": { "get": plain("welcome", "Says what this is") },
        "/healthz": { "get": plain("live", "The process runs") },
        "/readyz": { "get": plain("ready", "Requests are served; 503 while stopping") },
        "/metrics": { "get": plain("metrics", "Metrics in Prometheus' text format") },
        "/openapi.json": { "get": plain("openapi", "This document") },
        "/schema/config.json": { "get": plain("configSchema", "The JSON Schema of the configuration") },
    })
}

/// A route that needs no key.
fn plain(id: &str, summary: &str) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "security": [],
        "responses": { "200": { "description": summary } },
    })
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let maybe_text = json!({ "type": ["string", "null"] });
    let maybe_time = json!({ "type": ["string", "null"], "format": "date-time" });
    let rate = json!({ "type": "object", "properties": {
        "rpm": { "type": ["integer", "null"], "minimum": 1 },
        "tpm": { "type": ["integer", "null"], "minimum": 1 },
        "concurrency": { "type": ["integer", "null"], "minimum": 1 },
        "queue": { "type": ["object", "null"], "required": ["max_wait_seconds"], "properties": {
            "max_wait_seconds": { "type": "number", "minimum": 0, "maximum": 600 },
            "max_waiting": { "type": "integer", "minimum": 1, "default": 100 },
        } },
    } });
    let priority = json!({ "enum": ["low", "normal", "high"], "default": "normal" });
    let budget = json!({ "type": ["object", "null"], "required": ["usd", "per"], "properties": {
        "usd": { "type": ["string", "number"] },
        "per": { "enum": ["hour", "day", "week", "month", "total"] },
    } });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    json!({
        "Envelope": {
            "type": "object", "required": ["success", "data", "error", "timestamp", "request_id"],
            "properties": {
                "success": { "type": "boolean" },
                "data": {},
                "error": maybe_text,
                "problem": { "type": "object", "description": "RFC 9457" },
                "timestamp": { "type": "string", "format": "date-time" },
                "request_id": text,
            },
        },
        "Call": {
            "type": "object", "additionalProperties": true,
            "properties": {
                "request_id": text, "client_request_id": maybe_text, "batch_id": text,
                "started_at": { "type": "string", "format": "date-time" },
                "ended_at": { "type": "string", "format": "date-time" },
                "state": { "enum": ["settled", "estimated", "cancelled", "failed"] },
                "operation": text, "face": text, "provider": maybe_text,
                "request_model": text, "response_model": maybe_text, "route": maybe_text, "variant": text,
                "shadow_of": { "type": "string", "description": "The call that it is a copy of; its answer went to nobody" },
                "key_id": text, "project_id": text, "application_id": text, "user_id": text,
                "status": { "type": ["integer", "null"] }, "error_type": maybe_text,
                "attempts": { "type": "array", "items": { "type": "object" } },
                "usage": { "type": "object" },
                "cost_usd": { "type": ["string", "null"], "description": "US dollars, nine decimals" },
                "adjusted_cost_usd": { "type": "string", "description": "What it costs after corrections, where there are any" },
                "cache": { "enum": ["bypass", "miss", "hit", "semantic_hit"] },
                "saved_usd": { "type": "string", "description": "What it would have cost; of answers of the cache only" },
                "latency_ms": { "type": "integer" },
                "time_to_first_token_ms": { "type": ["integer", "null"] },
                "overhead_ms": { "type": "number" },
            },
        },
        "NewKey": {
            "type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 128 },
                "models": texts, "addresses": texts, "rate": rate, "priority": priority, "budget": budget,
                "project_id": text, "application_id": text, "user_id": text,
                "admin": { "type": "boolean", "default": false }, "expires_at": maybe_time,
            },
        },
        "Key": {
            "type": "object",
            "properties": {
                "id": text, "organization_id": text, "project_id": text,
                "application_id": maybe_text, "user_id": maybe_text,
                "name": text, "role": { "enum": ["admin", "member"] },
                "key": { "type": "string", "description": "Only where the key was made or rotated" },
                "prefix": text, "last_four": text, "models": texts, "addresses": texts,
                "rate": rate, "priority": priority, "budget": budget, "read_only": { "type": "boolean" },
                "created_at": { "type": "string", "format": "date-time" },
                "rotated_at": maybe_time, "previous_valid_until": maybe_time,
                "expires_at": maybe_time, "revoked_at": maybe_time,
            },
        },
    })
}

/// How everything is doing.
fn health() -> Value {
    let status = json!({ "enum": ["healthy", "degraded", "unhealthy"] });
    let service = json!({ "type": "object", "properties": {
        "status": { "enum": ["healthy", "degraded", "unhealthy", "disabled"] },
    } });
    let provider = json!({ "type": "object", "properties": {
        "status": status, "latencyMs": { "type": ["integer", "null"] },
        "errorRate": { "type": "number", "minimum": 0, "maximum": 1 },
        "circuit": { "enum": ["closed", "half_open", "open"] },
    } });
    json!({ "type": "object", "properties": {
        "status": status,
        "services": { "type": "object", "properties": {
            "providers": { "type": "object", "additionalProperties": provider },
            "store": service, "shared": service, "cache": service,
        } },
        "metrics": { "type": "object", "additionalProperties": { "type": "integer" } },
    } })
}
