//! How fixtures tell a provider's error.

use domain::provider_error::{ProviderError, Retry};
use serde_json::{Value, json};

/// What an `error.json` says of `error`.
pub(crate) fn told(error: &ProviderError) -> Value {
    let mut told = json!({
        "cause": error.cause.as_str(),
        "message": error.message,
        "retry": match error.retry {
            Retry::Never => json!("never"),
            Retry::Now => json!("now"),
            Retry::After(wait) => json!({"after_ms": wait.as_millis()}),
        },
    });
    let optional = [
        ("status", error.status.map(Value::from)),
        ("native_type", error.native_type.clone().map(Value::from)),
        ("code", error.code.clone().map(Value::from)),
        ("param", error.param.clone().map(Value::from)),
        ("shows_body", error.body.as_ref().map(|_| Value::from(true))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            told[name] = value;
        }
    }
    told
}
