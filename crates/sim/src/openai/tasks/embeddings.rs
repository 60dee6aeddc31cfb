//! The rules of embeddings. See <https://platform.openai.com/docs/api-reference/embeddings/create>.

use serde_json::{Value, json};

use super::super::check::{bad, integer, one_of, required, sized, text, wrong_type};
use super::{GENEROUS, known, model, no_such_model, wish};
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish, vectors};
use crate::tokens;
use crate::vendor::Failure;

/// The most tokens of one input.
const LONGEST: u64 = 8_192;

/// `POST /v1/embeddings`
pub(crate) fn embed(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(
        &root,
        &["model", "input", "dimensions", "encoding_format", "user"],
    )?;
    let name = model(&root)?.to_owned();
    let largest = match name.as_str() {
        "text-embedding-3-large" => 3_072,
        "text-embedding-3-small" | "text-embedding-ada-002" | GENEROUS => 1_536,
        _ => return Err(no_such_model(&name)),
    };
    let input = required(&root, "input")?;
    let inputs = inputs(&input)?;
    let dimensions = match root.present("dimensions") {
        None => largest,
        Some(node) if name == "text-embedding-ada-002" => {
            return Err(bad(
                &node,
                "unsupported_parameter",
                "This model does not support specifying dimensions.",
            ));
        }
        Some(node) => integer(&node, 1, largest)?,
    };
    let dimensions = usize::try_from(dimensions).unwrap_or(1);
    let is_base64 = match root.present("encoding_format") {
        None => false,
        Some(format) => one_of(&format, &["float", "base64"])? == "base64",
    };
    // Wishes stand in the last of the inputs.
    let last = inputs
        .last()
        .map(|input| input.text.clone())
        .unwrap_or_default();
    let model = name.clone();
    Ok(wish(&name, &last, false, move |understood| {
        let count = inputs.len();
        let data: Vec<Value> = inputs
            .iter()
            .enumerate()
            .map(|(index, input)| {
                let said = if index + 1 == count {
                    understood.said
                } else {
                    &input.text
                };
                let vector = vectors::of(said, dimensions);
                let embedding = if is_base64 {
                    json!(vectors::base64(&vector))
                } else {
                    json!(vector)
                };
                json!({"object": "embedding", "index": index, "embedding": embedding})
            })
            .collect();
        let input_tokens = inputs.iter().map(|input| input.tokens).sum();
        let answer = json!({
            "object": "list", "data": data, "model": model,
            "usage": {"prompt_tokens": input_tokens, "total_tokens": input_tokens},
        });
        let usage = SimTaskUsage {
            input_tokens,
            ..SimTaskUsage::default()
        };
        (Output::Json(answer), usage)
    }))
}

/// One text, or the tokens of one.
struct Input {
    text: String,
    tokens: u64,
}

/// A text, texts, tokens, or lists of tokens.
fn inputs(node: &Node<'_, '_>) -> Result<Vec<Input>, Failure> {
    if node.value.is_string() {
        return Ok(vec![of_text(node)?]);
    }
    if !node.value.is_array() {
        return Err(wrong_type(node, "a string or an array"));
    }
    sized(node, 1, 2_048)?;
    if node.items().all(|item| item.value.is_u64()) {
        return Ok(vec![of_tokens(node)?]);
    }
    node.items()
        .map(|item| {
            if item.value.is_array() {
                of_tokens(&item)
            } else {
                of_text(&item)
            }
        })
        .collect()
}

fn of_text(node: &Node<'_, '_>) -> Result<Input, Failure> {
    let said = text(node)?;
    if said.is_empty() {
        let path = node.bracketed();
        return Err(bad(
            node,
            "empty_string",
            format!("Invalid '{path}': input cannot be an empty string."),
        ));
    }
    fits(node, tokens::of_text(said))?;
    Ok(Input {
        text: said.to_owned(),
        tokens: tokens::of_text(said),
    })
}

fn of_tokens(node: &Node<'_, '_>) -> Result<Input, Failure> {
    sized(node, 1, 2_048)?;
    for token in node.items() {
        integer(&token, 0, 200_000)?;
    }
    let tokens = node.items().count() as u64;
    fits(node, tokens)?;
    Ok(Input {
        text: node.value.to_string(),
        tokens,
    })
}

fn fits(node: &Node<'_, '_>, tokens: u64) -> Result<(), Failure> {
    if tokens <= LONGEST {
        return Ok(());
    }
    let message = format!(
        "This model's maximum context length is {LONGEST} tokens, however you requested {tokens} tokens ({tokens} in your prompt; 0 for the \
         completion). Please reduce your prompt; or completion length."
    );
    Err(super::plain(message).at(node.bracketed()))
}
