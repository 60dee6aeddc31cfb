//! Google's endpoints beside its chats: vectors, Imagen, and the models of `generateContent` that make pictures and speech.
//! Reference: <https://ai.google.dev/api>.

pub(crate) mod batches;
pub(crate) mod embeddings;
pub(crate) mod imagen;
pub(crate) mod made;

use serde_json::Value;

use super::check::plain;
use crate::node::Node;
use crate::tasks::Asked;
use crate::vendor::Failure;

/// The model that a path names before its verb.
fn model<'a>(asked: &Asked<'a>) -> &'a str {
    let path = asked.path();
    let name = path.rsplit_once("/models/").map_or(path, |(_, name)| name);
    name.rsplit_once(':').map_or(name, |(model, _)| model)
}

/// An object with no members but these, spelled in camel case or as the protocol buffer does.
fn members(node: &Node<'_, '_>, known: &[&str]) -> Result<(), Failure> {
    if !node.value.is_object() {
        return Err(plain("Invalid JSON payload received. Expected an object."));
    }
    match node.members().find(|(name, _)| {
        !known
            .iter()
            .any(|known| super::check::is_named(name, known))
    }) {
        None => Ok(()),
        Some((name, _)) => {
            let place = node.bracketed();
            let place = if place.is_empty() {
                String::new()
            } else {
                format!(" at '{place}'")
            };
            Err(plain(format!(
                "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
            )))
        }
    }
}

/// The member of this name, in either spelling.
fn member<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    let object = value.as_object()?;
    let found = object
        .iter()
        .find(|(name, _)| super::check::is_named(name, field));
    found.map(|(_, value)| value)
}

/// The texts of a content's parts.
fn said(content: &Value) -> String {
    let parts = member(content, "parts").and_then(Value::as_array);
    let texts = parts
        .into_iter()
        .flatten()
        .filter_map(|part| part["text"].as_str());
    texts.collect::<Vec<_>>().join("\n")
}
