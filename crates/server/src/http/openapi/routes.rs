//! What the document says of routes.

use serde_json::{Value, json};

/// The paths of routes.
pub(super) fn paths() -> Value {
    let enveloped = |data: Value| {
        let envelope = json!({ "$ref": "#/components/schemas/Envelope" });
        let data = json!({ "type": "object", "properties": { "data": data } });
        json!({ "application/json": { "schema": { "allOf": [envelope, data] } } })
    };
    let failure = json!({
        "description": "Not done; `error` says why.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Envelope" } } },
    });
    let text = json!({ "type": "string" });
    let number = json!({ "type": ["number", "null"] });
    let target = json!({
        "type": "object",
        "properties": {
            "position": { "type": "integer", "minimum": 1 }, "provider": text, "model": text,
            "standing": { "enum": ["primary", "fallback"] }, "reason": text,
            "expected_cost_usd": { "type": ["string", "null"], "description": "US dollars, nine decimals." },
            "region": { "type": ["string", "null"] }, "weight": { "type": "integer" },
            "priority": { "type": "integer" }, "quality": number, "latency_ms": number,
            "in_flight": { "type": "integer" }, "headroom": number, "is_out": { "type": "boolean" },
        },
    });
    let explanation = json!({
        "type": "object",
        "properties": {
            "model": text, "route": { "type": ["string", "null"] }, "strategy": { "type": ["string", "null"] },
            "is_permitted": { "type": "boolean", "description": "Whether the key permits the model." },
            "input_tokens": { "type": "integer" }, "expected_output_tokens": { "type": "integer" },
            "attempts": { "type": "integer" },
            "has_session": { "type": "boolean" }, "variant": { "type": ["string", "null"] },
            "targets": { "type": "array", "items": target },
            "left_out": { "type": "array", "items": {
                "type": "object", "properties": { "target": text, "reason": text },
            } },
        },
    });
    let supposed = json!({
        "type": "object", "required": ["model"],
        "description": "A chat request in OpenAI's format, or as little of it as is known, with what stands beside one.",
        "properties": {
            "model": text,
            "messages": { "type": "array", "items": { "type": "object" } },
            "input_tokens": { "type": "integer", "minimum": 0, "description": "Its size, where the request is not given." },
            "max_output_tokens": { "type": "integer", "minimum": 0 },
            "stream": { "type": "boolean" },
            "key_id": { "type": "string", "description": "The key that asks; left out, the one that is shown." },
            "headers": { "type": "object", "additionalProperties": text },
            "preferred_provider": text,
            "fallback_order": { "type": "array", "items": text },
            "fallback_enabled": { "type": "boolean" },
            "performance_weighting": { "type": "number", "minimum": 0, "maximum": 1 },
            "cost_optimization_enabled": { "type": "boolean" },
            "max_retries": { "type": "integer", "minimum": 0, "maximum": 9 },
        },
    });
    let route = json!({ "type": "object", "properties": {
        "name": text, "strategy": text, "strict": { "type": "boolean" },
        "sticky": { "type": "array", "items": text }, "regions": { "type": "array", "items": text },
        "targets": { "type": "array", "items": { "type": "object" } },
        "fallback": { "type": "array", "items": text },
        "fallback_context_window": { "type": "array", "items": text },
        "fallback_content_policy": { "type": "array", "items": text },
        "fallback_rate_limit": { "type": "array", "items": text },
        "shadow": { "type": ["object", "null"] }, "continue": { "type": "boolean" },
        "safe_reply": { "type": ["string", "null"] }, "read_only": { "type": "boolean" },
    } });
    let page = json!({ "type": "object", "properties": {
        "items": { "type": "array", "items": route }, "next_cursor": { "type": ["string", "null"] },
    } });
    json!({
        "/api/v1/admin/routes": { "get": {
            "operationId": "listRoutes", "summary": "The routes of the configuration, by name",
            "parameters": [{ "name": "cursor", "in": "query", "schema": text }],
            "responses": {
                "200": { "description": "A page.", "content": enveloped(page) },
                "default": failure.clone(),
            },
        } },
        "/api/v1/admin/routes/shadows": { "get": {
            "operationId": "compareShadows",
            "summary": "Of every route that has a shadow, its calls beside their copies",
            "parameters": [
                { "name": "route", "in": "query", "schema": text },
                { "name": "since", "in": "query", "schema": { "type": "string", "format": "date-time" } },
                { "name": "until", "in": "query", "schema": { "type": "string", "format": "date-time" } },
            ],
            "responses": {
                "200": { "description": "Both sides.", "content": enveloped(comparisons()) },
                "default": failure.clone(),
            },
        } },
        "/api/v1/admin/routes/explain": { "post": {
            "operationId": "explainRoute", "summary": "Where a chat request would go, in which order and why",
            "requestBody": { "required": true, "content": { "application/json": { "schema": supposed } } },
            "responses": {
                "200": { "description": "The explanation.", "content": enveloped(explanation) },
                "default": failure,
            },
        } },
    })
}

/// Calls of routes beside their copies.
fn comparisons() -> Value {
    let count = json!({ "type": "integer" });
    let quantiles = json!({
        "type": ["object", "null"], "properties": { "p50": count, "p95": count },
    });
    let side = json!({ "type": "object", "properties": {
        "failed": count, "unpriced": count, "output_tokens": count,
        "cost_usd": { "type": "string", "description": "US dollars, nine decimals" },
        "latency_ms": quantiles, "time_to_first_token_ms": quantiles,
        "finish_reasons": { "type": "object", "additionalProperties": count },
    } });
    let time = json!({ "type": "string", "format": "date-time" });
    let comparison = json!({ "type": "object", "properties": {
        "route": { "type": "string" }, "model": { "type": "string" }, "calls": count,
        "unmatched": count, "original": side, "shadow": side,
    } });
    json!({ "type": "object", "properties": {
        "since": time, "until": time, "items": { "type": "array", "items": comparison },
    } })
}
