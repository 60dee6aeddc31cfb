//! Edits and variations, which come as forms.

use super::images::{Class, Order, check_size, fulfilled};
use super::{file, form, one_of, plain, required, unknown_parameter};
use crate::media;
use crate::tasks::form::{Form, Part};
use crate::tasks::{Asked, Wish};
use crate::vendor::{Failure, field};

/// The most bytes of a picture.
const LARGEST: usize = 50 * 1024 * 1024;

pub(super) fn is_json(asked: &Asked<'_>) -> bool {
    field(asked.head, "content-type").is_some_and(|kind| kind.starts_with("application/json"))
}

const OF_EDITS: [&str; 18] = [
    "model",
    "prompt",
    "image",
    "mask",
    "background",
    "input_fidelity",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "quality",
    "response_format",
    "size",
    "stream",
    "user",
    "safety_identifier",
    "moderation",
    "markup",
];
const OF_VARIATIONS: [&str; 6] = ["model", "image", "n", "response_format", "size", "user"];

pub(super) fn edit(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let form = form(asked)?;
    let prompt = required(&form, "prompt")?;
    let order = order(asked, &form, &OF_EDITS, prompt)?;
    if let Some(mask) = form.get("mask") {
        let (mask, _) = file(mask)?;
        if media::image_type(&mask.bytes) != Some("image/png") {
            return Err(
                plain("Invalid mask image format - mask image must be a PNG.")
                    .at("mask")
                    .code("invalid_image_format"),
            );
        }
    }
    Ok(fulfilled(&required(&form, "model")?, order))
}

pub(super) fn vary(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let form = form(asked)?;
    let order = order(asked, &form, &OF_VARIATIONS, "a variation".to_owned())?;
    if order.class == Class::Gpt {
        return Err(plain(
            "Invalid value: this model does not make variations. Value must be 'dall-e-2'.",
        )
        .at("model")
        .code("invalid_value"));
    }
    if order.shown > 1 {
        return Err(plain("Only one image is allowed.").at("image"));
    }
    Ok(fulfilled(&required(&form, "model")?, order))
}

fn order(asked: &Asked<'_>, form: &Form, names: &[&str], prompt: String) -> Result<Order, Failure> {
    for part in form.parts() {
        let name = part.name.strip_suffix("[]").unwrap_or(&part.name);
        if !names.contains(&name) {
            return Err(unknown_parameter(&part.name));
        }
    }
    let class = Class::of(&required(form, "model")?)?;
    let images: Vec<&Part> = form.list("image").collect();
    if images.is_empty() {
        required(form, "image")?;
    }
    for image in &images {
        check_picture(image)?;
    }
    if images.len() > 16 {
        return Err(plain("You can provide up to 16 images.").at("image"));
    }
    let text = |name: &str| form.text(name);
    let number = |name: &str, least: usize, most: usize| match text(name)
        .map(|text| text.parse::<usize>())
    {
        None => Ok(None),
        Some(Ok(number)) if (least..=most).contains(&number) => Ok(Some(number)),
        Some(_) => Err(plain(format!(
            "Invalid '{name}': expected an integer from {least} to {most}."
        ))
        .at(name)),
    };
    let choice = |name: &str, supported: &[&str], default: &str| {
        let chosen = text(name).unwrap_or_else(|| default.to_owned());
        one_of(name, &chosen, supported).map(|()| chosen)
    };
    let size = text("size").unwrap_or_else(|| "auto".to_owned());
    if form.get("size").is_some() {
        check_size(&size, class)?;
    }
    if class == Class::Gpt && form.get("response_format").is_some() {
        return Err(unknown_parameter("response_format"));
    }
    let by_address = matches!(class, Class::DallE2 | Class::DallE3);
    let form_default = if by_address { "url" } else { "b64_json" };
    Ok(Order {
        class,
        prompt,
        count: number("n", 1, 10)?.unwrap_or(1),
        size,
        quality: choice(
            "quality",
            &["low", "medium", "high", "auto", "standard"],
            "auto",
        )?,
        background: choice("background", &["transparent", "opaque", "auto"], "auto")?,
        format: choice("output_format", &["png", "jpeg", "webp"], "png")?,
        as_url: choice("response_format", &["url", "b64_json"], form_default)? == "url",
        partial: number("partial_images", 0, 3)?.unwrap_or(0),
        stream: choice("stream", &["true", "false"], "false")? == "true",
        shown: images.len(),
        event: "image_edit",
        origin: asked.origin(),
    })
}

/// The media type must be one that is read, and the bytes must be what it says.
fn check_picture(part: &Part) -> Result<(), Failure> {
    let (part, _) = file(part)?;
    let told = part
        .content_type
        .as_deref()
        .unwrap_or("application/octet-stream");
    if !matches!(told, "image/png" | "image/jpeg" | "image/webp") {
        return Err(plain(format!(
            "Invalid file 'image': unsupported mimetype ('{told}'). Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'."
        ))
        .at("image")
        .code("unsupported_file_mimetype"));
    }
    if media::image_type(&part.bytes).is_none() {
        return Err(
            plain("Invalid image file or mode for image 1, please check your image file.")
                .code("invalid_image_file"),
        );
    }
    if part.bytes.len() > LARGEST {
        return Err(Failure::new(
            413,
            super::INVALID,
            "Image is too large. Maximum size is 50 MB.",
        ));
    }
    Ok(())
}
