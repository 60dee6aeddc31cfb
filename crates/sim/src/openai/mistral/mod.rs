//! Mistral's chat completions, which share OpenAI's path: its models are told by their names. They take less than
//! OpenAI's, and say some things in another way.
//! Reference: <https://docs.mistral.ai/api/endpoint/chat>.

mod reply;
mod request;

pub(super) use reply::{stream, whole};
pub(super) use request::in_openais_words;

/// How the names of its models begin.
const FAMILIES: [&str; 7] = [
    "mistral-",
    "ministral-",
    "magistral-",
    "codestral-",
    "devstral-",
    "pixtral-",
    "open-mi",
];

/// Whether the model is one of Mistral's.
pub(super) fn has(model: &str) -> bool {
    FAMILIES.iter().any(|family| model.starts_with(family))
}

/// Whether the model shows its thoughts (<https://docs.mistral.ai/capabilities/reasoning>).
pub(super) fn thinks(model: &str) -> bool {
    model.starts_with("magistral-")
}
