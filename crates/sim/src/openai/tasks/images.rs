//! The rules of pictures. See <https://platform.openai.com/docs/api-reference/images>.

use serde_json::{Value, json};

use super::super::check::{boolean, integer, one_of as word, plain, required, short_text, text};
use super::{GENEROUS, blocked, images_form, known, model, no_such_model, unknown_parameter, wish};
use crate::media;
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Understood, Wish, picture};
use crate::tokens;
use crate::vendor::Failure;

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `gpt-image-…`: answers with base64, and is billed by the token.
    Gpt,
    /// `dall-e-3`
    DallE3,
    /// `dall-e-2`
    DallE2,
    /// Everything.
    Generous,
}

impl Class {
    pub(super) fn of(model: &str) -> Result<Self, Failure> {
        match model {
            GENEROUS => Ok(Self::Generous),
            "dall-e-3" => Ok(Self::DallE3),
            "dall-e-2" => Ok(Self::DallE2),
            _ if model.starts_with("gpt-image-") => Ok(Self::Gpt),
            _ => Err(no_such_model(model)),
        }
    }

    fn is_by_token(self) -> bool {
        matches!(self, Self::Gpt | Self::Generous)
    }
}

/// The parameters of new pictures and of edits, read.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) class: Class,
    pub(super) prompt: String,
    pub(super) count: usize,
    pub(super) size: String,
    pub(super) quality: String,
    pub(super) background: String,
    pub(super) format: String,
    pub(super) as_url: bool,
    pub(super) partial: usize,
    pub(super) stream: bool,
    /// Pictures that were shown.
    pub(super) shown: usize,
    pub(super) event: &'static str,
    pub(super) origin: String,
}

const OF_GPT: [&str; 16] = [
    "model",
    "prompt",
    "background",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "partial_images",
    "quality",
    "size",
    "stream",
    "user",
    "safety_identifier",
    "input_fidelity",
    "images",
    "mask",
];
const OF_DALLE: [&str; 8] = [
    "model",
    "prompt",
    "n",
    "quality",
    "response_format",
    "size",
    "style",
    "user",
];

/// `POST /v1/images/generations`
pub(crate) fn generate(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    let order = order(asked, &root, "image_generation")?;
    for name in ["images", "mask", "input_fidelity"] {
        if root.get(name).is_some() {
            return Err(unknown_parameter(name));
        }
    }
    Ok(fulfilled(model(&root)?, order))
}

/// `POST /v1/images/edits`, as a form or as JSON with addresses.
pub(crate) fn edit(asked: &Asked<'_>) -> Result<Wish, Failure> {
    if !images_form::is_json(asked) {
        return images_form::edit(asked);
    }
    let body = asked.json()?;
    let root = Node::root(&body);
    let mut order = order(asked, &root, "image_edit")?;
    let images = required(&root, "images")?;
    super::super::check::sized(&images, 1, 16)?;
    for image in images.items() {
        super::super::check::object(&image, &["image_url", "file_id"])?;
        let Some(url) = image.present("image_url") else {
            required(&image, "file_id")?;
            continue;
        };
        check_url(&url)?;
    }
    order.shown = images.items().count();
    Ok(fulfilled(model(&root)?, order))
}

/// `POST /v1/images/variations`
pub(crate) fn vary(asked: &Asked<'_>) -> Result<Wish, Failure> {
    images_form::vary(asked)
}

fn check_url(url: &Node<'_, '_>) -> Result<(), Failure> {
    let value = text(url)?;
    let Some(data) = value.strip_prefix("data:") else {
        return if value.starts_with("https://") || value.starts_with("http://") {
            Ok(())
        } else {
            Err(super::super::check::bad(
                url,
                "invalid_value",
                "Invalid 'images': expected a valid URL.",
            ))
        };
    };
    let picture = data
        .split_once(";base64,")
        .and_then(|(_, base64)| media::decode_standard(base64));
    match picture.as_deref().and_then(media::image_type) {
        Some(_) => Ok(()),
        None => Err(plain("Invalid image data.").code("invalid_image_file")),
    }
}

fn order(asked: &Asked<'_>, root: &Node<'_, '_>, event: &'static str) -> Result<Order, Failure> {
    let name = model(root)?;
    let class = Class::of(name)?;
    match class {
        Class::Gpt => known(root, &OF_GPT)?,
        Class::DallE3 | Class::DallE2 => known(root, &OF_DALLE)?,
        Class::Generous => known(root, &[&OF_GPT[..], &OF_DALLE[..]].concat())?,
    }
    let prompt = required(root, "prompt")?;
    let longest = match class {
        Class::Gpt | Class::Generous => 32_000,
        Class::DallE3 => 4_000,
        Class::DallE2 => 1_000,
    };
    let prompt = short_text(&prompt, longest)?;
    if prompt.is_empty() {
        return Err(plain("Invalid 'prompt': empty string.")
            .at("prompt")
            .code("empty_string"));
    }
    let most = if class == Class::DallE3 { 1 } else { 10 };
    let number = |name: &str, least: i64, most: i64| {
        root.present(name)
            .map(|node| integer(&node, least, most))
            .transpose()
    };
    let choice = |name: &str, supported: &[&str], default: &str| {
        let chosen = root
            .present(name)
            .map(|node| word(&node, supported))
            .transpose();
        chosen.map(|chosen| chosen.unwrap_or(default).to_owned())
    };
    let flag = |name: &str| root.present(name).map(|node| boolean(&node)).transpose();
    let stream = flag("stream")?.unwrap_or(false);
    let partial = number("partial_images", 0, 3)?;
    if partial.is_some() && !stream {
        return Err(plain(
            "The 'partial_images' parameter is only supported when 'stream' is true.",
        )
        .at("partial_images"));
    }
    let qualities: &[&str] = match class {
        Class::Gpt => &["low", "medium", "high", "auto"],
        Class::DallE3 => &["standard", "hd"],
        Class::DallE2 => &["standard"],
        Class::Generous => &["low", "medium", "high", "auto", "standard", "hd"],
    };
    let order = Order {
        class,
        prompt: prompt.to_owned(),
        count: usize::try_from(number("n", 1, most)?.unwrap_or(1)).unwrap_or(1),
        size: size(root, class)?,
        quality: choice("quality", qualities, "auto")?,
        background: choice("background", &["transparent", "opaque", "auto"], "auto")?,
        format: choice("output_format", &["png", "jpeg", "webp"], "png")?,
        as_url: choice("response_format", &["url", "b64_json"], default_form(class))? == "url",
        partial: usize::try_from(partial.unwrap_or(0)).unwrap_or(0),
        stream,
        shown: 0,
        event,
        origin: asked.origin(),
    };
    choice("moderation", &["low", "auto"], "auto")?;
    choice("style", &["vivid", "natural"], "vivid")?;
    if number("output_compression", 0, 100)?.is_some() && order.format == "png" {
        return Err(
            plain("Compression less than 100 is not supported for PNG output format.")
                .at("output_compression"),
        );
    }
    Ok(order)
}

/// Older models answer with addresses unless told otherwise.
fn default_form(class: Class) -> &'static str {
    if class.is_by_token() {
        "b64_json"
    } else {
        "url"
    }
}

fn size(root: &Node<'_, '_>, class: Class) -> Result<String, Failure> {
    let Some(node) = root.present("size") else {
        return Ok("auto".to_owned());
    };
    let size = text(&node)?;
    check_size(size, class)?;
    Ok(size.to_owned())
}

pub(super) fn check_size(size: &str, class: Class) -> Result<(), Failure> {
    let supported: &[&str] = match class {
        Class::Gpt => &["1024x1024", "1536x1024", "1024x1536", "auto"],
        Class::DallE3 => &["1024x1024", "1792x1024", "1024x1792"],
        Class::DallE2 => &["256x256", "512x512", "1024x1024"],
        Class::Generous => {
            let is_size = size == "auto"
                || size.split_once('x').is_some_and(|(width, height)| {
                    width.parse::<u32>().is_ok() && height.parse::<u32>().is_ok()
                });
            if is_size {
                return Ok(());
            }
            &["1024x1024", "1536x1024", "1024x1536", "auto"]
        }
    };
    super::one_of("size", size, supported)
}

/// The wish for what was ordered.
pub(super) fn fulfilled(model: &str, order: Order) -> Wish {
    let said = order.prompt.clone();
    wish(model, &said, order.stream, move |understood| {
        make(&order, understood)
    })
}

fn make(order: &Order, understood: &Understood<'_>) -> (Output, SimTaskUsage) {
    if understood.refused {
        let failure = blocked(
            "If you believe this is an error, contact us at help.openai.com. safety_violations=[simulated].",
        );
        return (Output::Refused(failure), SimTaskUsage::default());
    }
    let each = match order.quality.as_str() {
        "low" => 272,
        "high" => 4_160,
        _ => 1_056,
    };
    let said = tokens::of_text(understood.said);
    let shown = tokens::IMAGE * order.shown as u64;
    let made = order.count as u64;
    let usage = if order.class.is_by_token() {
        SimTaskUsage {
            input_tokens: said + shown,
            output_tokens: each * made,
            images: made,
            ..SimTaskUsage::default()
        }
    } else {
        SimTaskUsage {
            images: made,
            ..SimTaskUsage::default()
        }
    };
    let told = json!({
        "input_tokens": said + shown,
        "input_tokens_details": {"image_tokens": shown, "text_tokens": said},
        "output_tokens": each * made,
        "total_tokens": said + shown + each * made,
    });
    let output = if order.stream {
        Output::Events(events(order, understood, &told))
    } else {
        Output::Json(object(order, understood, &told))
    };
    (output, usage)
}

fn object(order: &Order, understood: &Understood<'_>, told: &Value) -> Value {
    let data: Vec<Value> = (0..order.count)
        .map(|number| {
            let digest = understood.digest.with_number(number as u64);
            let mut datum = if order.as_url {
                let name = format!("{:016x}.{}", digest.value(), order.format);
                json!({"url": format!("{}/delivery/{name}", order.origin)})
            } else {
                json!({"b64_json": media::encode(&picture::make(&order.format, digest))})
            };
            if order.class == Class::DallE3 {
                datum["revised_prompt"] = json!(format!("Simulated: {}", understood.said));
            }
            datum
        })
        .collect();
    if !order.class.is_by_token() {
        return json!({"created": understood.now, "data": data});
    }
    json!({
        "created": understood.now,
        "background": if order.background == "transparent" { "transparent" } else { "opaque" },
        "data": data,
        "output_format": order.format,
        "quality": if order.quality == "auto" { "medium" } else { &order.quality },
        "size": if order.size == "auto" { "1024x1024" } else { &order.size },
        "usage": told,
    })
}

fn events(
    order: &Order,
    understood: &Understood<'_>,
    told: &Value,
) -> Vec<(Option<&'static str>, Value)> {
    let (partial, completed) = if order.event == "image_edit" {
        ("image_edit.partial_image", "image_edit.completed")
    } else {
        (
            "image_generation.partial_image",
            "image_generation.completed",
        )
    };
    let event = |name: &'static str, number: usize| {
        let digest = understood.digest.with_number(number as u64);
        json!({
            "type": name,
            "b64_json": media::encode(&picture::make(&order.format, digest)),
            "created_at": understood.now,
            "size": if order.size == "auto" { "1024x1024" } else { &order.size },
            "quality": if order.quality == "auto" { "medium" } else { &order.quality },
            "background": if order.background == "transparent" { "transparent" } else { "opaque" },
            "output_format": order.format,
        })
    };
    let mut events = Vec::new();
    for number in 0..order.partial {
        let mut shown = event(partial, 100 + number);
        shown["partial_image_index"] = json!(number);
        events.push((Some(partial), shown));
    }
    for number in 0..order.count {
        let mut shown = event(completed, number);
        shown["usage"] = told.clone();
        events.push((Some(completed), shown));
    }
    events
}
