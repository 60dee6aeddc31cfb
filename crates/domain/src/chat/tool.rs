//! Tools that a model may call.

use serde_json::value::RawValue;

use super::CacheControl;

/// A tool that the model may call.
#[derive(Debug, Clone)]
pub enum Tool {
    /// A function of the caller's.
    Function {
        /// Its name, in the caller's words.
        name: String,
        /// What it is for.
        description: Option<String>,
        /// Its parameters as JSON Schema, as the caller wrote it; `None` when it takes none.
        parameters: Option<Box<RawValue>>,
        /// Whether arguments must follow the schema exactly; `None` when not said.
        strict: Option<bool>,
        /// The prompt-cache breakpoint that stands after it.
        cache: Option<CacheControl>,
    },
    /// A tool that the provider itself runs; only its format knows what it means.
    Hosted {
        /// The wire format that it came in.
        format: &'static str,
        /// Its type, for reports.
        kind: String,
        /// The JSON as it was written.
        raw: Box<RawValue>,
    },
}

/// Whether and which tools the model calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
    /// One of these; `required` when at least one must be called (OpenAI's `allowed_tools`).
    Allowed {
        /// The names.
        names: Vec<String>,
        /// Whether one of them must be called.
        required: bool,
    },
}
