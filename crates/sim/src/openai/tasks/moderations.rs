//! The rules of moderations. See <https://platform.openai.com/docs/api-reference/moderations/create>.

use serde_json::{Map, Value, json};

use super::super::check::{array, object, one_of, required, sized, text, wrong_type};
use super::{GENEROUS, known, no_such_model, wish};
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish};
use crate::vendor::Failure;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// `POST /v1/moderations`
pub(crate) fn judge(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(&root, &["model", "input"])?;
    let name = match root.present("model") {
        None => "omni-moderation-latest".to_owned(),
        Some(model) => text(&model)?.to_owned(),
    };
    if !(name == GENEROUS
        || name.starts_with("omni-moderation")
        || name.starts_with("text-moderation"))
    {
        return Err(no_such_model(&name));
    }
    let inputs = inputs(&required(&root, "input")?)?;
    let said = inputs.join("\n");
    let model = if name.ends_with("latest") {
        "omni-moderation-2024-09-26".to_owned()
    } else {
        name.clone()
    };
    Ok(wish(&name, &said, false, move |understood| {
        let results: Vec<Value> = inputs
            .iter()
            .map(|input| result(input, understood.refused))
            .collect();
        let answer = json!({"id": format!("modr-sim{:016x}", understood.sequence), "model": model, "results": results});
        (Output::Json(answer), SimTaskUsage::default())
    }))
}

/// A text, texts, or parts of one message.
fn inputs(node: &Node<'_, '_>) -> Result<Vec<String>, Failure> {
    if let Some(said) = node.text() {
        return Ok(vec![said.to_owned()]);
    }
    if !node.value.is_array() {
        return Err(wrong_type(node, "a string or an array"));
    }
    array(node)?;
    sized(node, 1, 2_048)?;
    if node.items().all(|item| item.value.is_string()) {
        return node
            .items()
            .map(|item| text(&item).map(str::to_owned))
            .collect();
    }
    let mut words = Vec::new();
    for item in node.items() {
        object(&item, &["type", "text", "image_url"])?;
        if one_of(&required(&item, "type")?, &["text", "image_url"])? == "text" {
            words.push(text(&required(&item, "text")?)?.to_owned());
        } else {
            let image = required(&item, "image_url")?;
            object(&image, &["url"])?;
            text(&required(&image, "url")?)?;
        }
    }
    Ok(vec![words.join("\n")])
}

/// What speaks of killing is taken for violence, and so is everything when a refusal is wished for.
fn result(input: &str, refused: bool) -> Value {
    let words = input.to_lowercase();
    let is_violent = refused || words.contains("kill");
    let mut categories = Map::new();
    let mut scores = Map::new();
    let mut applied = Map::new();
    for category in CATEGORIES {
        let struck = is_violent && category == "violence";
        categories.insert(category.to_owned(), struck.into());
        scores.insert(
            category.to_owned(),
            if struck { 0.93.into() } else { 0.0001.into() },
        );
        applied.insert(category.to_owned(), json!(["text"]));
    }
    json!({"flagged": is_violent, "categories": categories, "category_scores": scores, "category_applied_input_types": applied})
}
