//! What the document says of corrected prices, vendors' invoices and the ledger's books.

use serde_json::{Value, json};

/// The paths of costs and of the ledger's books.
pub(super) fn paths() -> Value {
    let query =
        |name: &str, schema: Value| json!({ "name": name, "in": "query", "schema": schema });
    let text = json!({ "type": "string" });
    let time = json!({ "type": "string", "format": "date-time" });
    let money = json!({ "type": "string", "description": "US dollars, nine decimals" });
    let count = json!({ "type": "integer" });
    json!({
        "/api/v1/admin/cost/rerate": { "post": {
            "operationId": "rerate",
            "summary": "Correct what calls cost by the prices that are known now; `next_cursor` goes on",
            "requestBody": { "content": { "application/json": { "schema": {
                "type": "object", "additionalProperties": false, "properties": {
                    "since": time, "until": time, "provider": text, "model": text,
                    "dry_run": { "type": "boolean", "default": false }, "cursor": text,
                },
            } } } },
            "responses": answers("What it came to.", &json!({
                "calls": count, "adjusted": count, "not_computable": count, "amount_usd": money,
                "models": { "type": "array", "items": { "type": "object" } },
                "next_cursor": { "type": ["string", "null"] },
            })),
        } },
        "/api/v1/admin/cost/reconcile": { "post": {
            "operationId": "reconcile",
            "summary": "Compare a vendor's usage or cost export, which is the body, with the ledger by day and model",
            "parameters": [
                { "name": "provider", "in": "query", "required": true, "schema": text },
                query("columns", json!({ "type": "string", "example": "day=Date,model=SKU,cost=Amount" })),
                query("threshold_usd", text.clone()),
                query("threshold_percent", json!({ "type": "number", "minimum": 0, "maximum": 100, "default": 1 })),
            ],
            "requestBody": { "required": true, "content": {
                "text/csv": { "schema": text }, "application/json": { "schema": {} },
            } },
            "responses": answers("Both sides and their difference.", &json!({
                "days": { "type": "array", "items": { "type": "string", "format": "date" } },
                "rows": { "type": "array", "items": { "type": "object" } },
                "total": { "type": "object" }, "beyond_threshold": count,
            })),
        } },
        "/api/v1/admin/ledger/check": { "get": {
            "operationId": "checkLedger",
            "summary": "Go through the ledger's books: every row's rules, and that sums are those of the rows",
            "parameters": [query("since", time.clone()), query("until", time.clone())],
            "responses": answers("What was found.", &json!({
                "since": time, "until": time, "agrees": { "type": "boolean" }, "calls": count,
                "adjustments": count, "recomputed": count, "cost_usd": money, "adjusted_usd": money,
                "found": count, "findings": { "type": "array", "items": text },
            })),
        } },
    })
}

fn answers(description: &str, properties: &Value) -> Value {
    let envelope = json!({ "$ref": "#/components/schemas/Envelope" });
    let data = json!({ "type": "object", "properties": properties });
    let schema =
        json!({ "allOf": [envelope, { "type": "object", "properties": { "data": data } }] });
    let content = |schema: &Value| json!({ "application/json": { "schema": schema } });
    json!({
        "200": { "description": description, "content": content(&schema) },
        "default": { "description": "Not done; `error` says why.", "content": content(&envelope) },
    })
}
