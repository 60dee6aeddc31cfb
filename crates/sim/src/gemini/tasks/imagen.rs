//! Imagen's `predict`. See <https://ai.google.dev/gemini-api/docs/imagen>.

use serde_json::{Value, json};

use super::super::check::plain;
use super::super::error;
use super::{members, model};
use crate::media;
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish, picture};
use crate::vendor::Failure;

const PARAMETERS: [&str; 12] = [
    "sample_count",
    "aspect_ratio",
    "sample_image_size",
    "person_generation",
    "include_rai_reason",
    "output_options",
    "safety_setting",
    "language",
    "enhance_prompt",
    "add_watermark",
    "seed",
    "negative_prompt",
];

/// `POST /v1beta/models/{model}:predict`
pub(crate) fn predict(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let name = model(asked);
    if !name.starts_with("imagen") {
        return Err(error::unknown_model(name));
    }
    let root = Node::root(&body);
    members(&root, &["instances", "parameters"])?;
    let instances = body["instances"].as_array().map_or(&[][..], Vec::as_slice);
    let [instance] = instances else {
        return Err(plain("Invalid argument: exactly one instance is expected."));
    };
    let Some(prompt) = instance["prompt"]
        .as_str()
        .filter(|prompt| !prompt.is_empty())
    else {
        return Err(plain("Invalid argument: the instance has no prompt."));
    };
    let parameters = &body["parameters"];
    if let Some(node) = root.present("parameters") {
        members(&node, &PARAMETERS)?;
    }
    let count = match &parameters["sampleCount"] {
        Value::Null => 4,
        number => match number.as_u64() {
            Some(number @ 1..=4) => number,
            _ => {
                return Err(plain(
                    "Invalid argument: sampleCount must be between 1 and 4 (inclusive).",
                ));
            }
        },
    };
    if let Some(shape) = parameters["aspectRatio"].as_str()
        && !["1:1", "3:4", "4:3", "9:16", "16:9"].contains(&shape)
    {
        return Err(plain(format!(
            "Invalid argument: aspectRatio {shape} is not supported."
        )));
    }
    let media_type = parameters["outputOptions"]["mimeType"]
        .as_str()
        .unwrap_or("image/png");
    let format = match media_type {
        "image/png" => "png",
        "image/jpeg" => "jpeg",
        other => {
            return Err(plain(format!(
                "Invalid argument: mimeType {other} is not supported."
            )));
        }
    };
    let explains = parameters["includeRaiReason"].as_bool() == Some(true);
    Ok(Wish {
        model: name.to_owned(),
        said: prompt.to_owned(),
        stream: false,
        make: Box::new(move |understood| {
            if understood.refused {
                let reason = "Unable to show generated images. All images were filtered out because they violated usage guidelines.";
                let told = if explains {
                    json!({"predictions": [{"raiFilteredReason": reason}]})
                } else {
                    json!({})
                };
                return (Output::Json(told), SimTaskUsage::default());
            }
            let predictions: Vec<Value> = (0..count)
                .map(|number| {
                    let picture = picture::make(format, understood.digest.with_number(number));
                    json!({"mimeType": picture::media_type(format), "bytesBase64Encoded": media::encode(&picture)})
                })
                .collect();
            let usage = SimTaskUsage {
                images: count,
                ..SimTaskUsage::default()
            };
            (Output::Json(json!({"predictions": predictions})), usage)
        }),
    })
}
