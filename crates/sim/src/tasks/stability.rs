//! Stability's pictures. See <https://platform.stability.ai/docs/api-reference#tag/Generate>.

use serde_json::json;

use super::form::Form;
use super::{Asked, Output, SimTaskUsage, Wish, picture};
use crate::media;
use crate::vendor::{Failure, field};

const SHAPES: [&str; 9] = [
    "1:1", "2:3", "3:2", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9",
];

/// `POST /v2beta/stable-image/…`
pub(super) fn make(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let operation = asked
        .path()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let form = Form::read(asked.head, asked.body)
        .map_err(|_| bad("content-type: must be multipart/form-data"))?;
    let accept = field(asked.head, "accept").unwrap_or("*/*");
    if !["image/*", "application/json", "*/*"].contains(&accept) {
        return Err(bad("accept: must be one of image/*, application/json"));
    }
    let prompt = form.text("prompt").filter(|prompt| !prompt.is_empty());
    let prompt = prompt.ok_or_else(|| bad("prompt: is required"))?;
    if prompt.chars().count() > 10_000 {
        return Err(bad("prompt: must be at most 10000 characters"));
    }
    let image = form.get("image");
    if let Some(image) = image {
        if image.file_name.is_none() || media::image_type(&image.bytes).is_none() {
            return Err(bad("image: must be a jpeg, png or webp image"));
        }
        if operation != "inpaint" {
            one_number(&form, "strength", 0.0, 1.0)?
                .ok_or_else(|| bad("strength: is required when image is provided"))?;
        }
    }
    let formats: &[&str] = if operation == "sd3" {
        &["png", "jpeg"]
    } else {
        &["png", "jpeg", "webp"]
    };
    let format = form
        .text("output_format")
        .unwrap_or_else(|| "png".to_owned());
    one_of("output_format", &format, formats)?;
    match operation.as_str() {
        "inpaint" if image.is_none() => return Err(bad("image: is required")),
        "core" if image.is_some() => return Err(bad("image: is not allowed")),
        "sd3" => check_diffusion(&form, image.is_some())?,
        _ => {}
    }
    if let Some(shape) = form.text("aspect_ratio") {
        one_of("aspect_ratio", &shape, &SHAPES)?;
    }
    one_number(&form, "seed", 0.0, 4_294_967_294.0)?;
    let as_json = accept == "application/json";
    let model = form
        .text("model")
        .unwrap_or_else(|| format!("stable-image-{operation}"));
    Ok(Wish {
        model,
        said: prompt,
        stream: false,
        make: Box::new(move |understood| {
            let made = picture::make(&format, understood.digest);
            let finish = if understood.refused {
                "CONTENT_FILTERED"
            } else {
                "SUCCESS"
            };
            let usage = SimTaskUsage {
                images: 1,
                ..SimTaskUsage::default()
            };
            let output = if as_json {
                Output::Json(
                    json!({"image": media::encode(&made), "finish_reason": finish, "seed": 343_940_597}),
                )
            } else {
                Output::Bytes(picture::media_type(&format), made)
            };
            (output, usage)
        }),
    })
}

fn check_diffusion(form: &Form, has_image: bool) -> Result<(), Failure> {
    let model = form
        .text("model")
        .unwrap_or_else(|| "sd3.5-large".to_owned());
    one_of(
        "model",
        &model,
        &[
            "sd3.5-large",
            "sd3.5-large-turbo",
            "sd3.5-medium",
            "sd3.5-flash",
        ],
    )?;
    let mode = form
        .text("mode")
        .unwrap_or_else(|| "text-to-image".to_owned());
    one_of("mode", &mode, &["text-to-image", "image-to-image"])?;
    if (mode == "image-to-image") != has_image {
        return Err(bad(
            "image: is required when mode is image-to-image, and not allowed otherwise",
        ));
    }
    if has_image && form.get("aspect_ratio").is_some() {
        return Err(bad(
            "aspect_ratio: is not allowed when mode is image-to-image",
        ));
    }
    Ok(())
}

fn one_of(name: &str, value: &str, supported: &[&str]) -> Result<(), Failure> {
    if supported.contains(&value) {
        return Ok(());
    }
    Err(bad(&format!(
        "{name}: must be one of {}",
        supported.join(", ")
    )))
}

fn one_number(form: &Form, name: &str, least: f64, most: f64) -> Result<Option<f64>, Failure> {
    match form.text(name).map(|text| text.parse::<f64>()) {
        None => Ok(None),
        Some(Ok(number)) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(bad(&format!(
            "{name}: must be a number between {least} and {most}"
        ))),
    }
}

fn bad(sentence: &str) -> Failure {
    Failure::new(400, "bad_request", sentence)
}
