//! What passes to a vendor's own API, in the document.

use serde_json::{Map, Value, json};

/// The methods by which it may be asked.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// What passes, by its path.
pub(super) fn described() -> impl Iterator<Item = (String, Value)> {
    let provider = json!({ "name": "provider", "in": "path", "required": true, "schema": { "type": "string" } });
    let named = json!({
        "name": "provider", "in": "query", "schema": { "type": "string" },
        "description": "The provider that is meant, where several could be",
    });
    [
        (
            "/passthrough/{provider}/{path}",
            "passToProvider",
            "A request to the provider's own API",
            provider,
        ),
        (
            "/v1/fine_tuning/{path}",
            "passToFineTuning",
            "A request to OpenAI's fine-tuning",
            named,
        ),
    ]
    .into_iter()
    .map(|(path, id, summary, parameter)| {
        let operation = |method: &str| {
            json!({
                "operationId": format!("{id}By{}", method.to_ascii_uppercase()),
                "summary": summary,
                "parameters": [
                    parameter,
                    { "name": "path", "in": "path", "required": true, "schema": { "type": "string" },
                      "description": "Of any number of segments" },
                ],
                "responses": { "default": { "description": "What the provider answers." } },
            })
        };
        let operations: Map<String, Value> = METHODS
            .iter()
            .map(|method| ((*method).to_owned(), operation(method)))
            .collect();
        (path.to_owned(), Value::Object(operations))
    })
}
