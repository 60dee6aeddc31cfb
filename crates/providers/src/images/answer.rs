//! Writes what a caller gets: an object with the pictures, or an event for each
//! (<https://platform.openai.com/docs/api-reference/images/object>).

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::usage::Usage;
use http::HeaderValue;
use http::response::Parts;
use serde_json::{Map, Value, json};

use super::OpenaiImages;
use super::collection::Collection;
use super::request::{Delivery, ImageRequest};
use super::size::Size;
use crate::dialect::DecodeError;
use crate::media::made_at;
use crate::task::{TaskAnswer, TaskStep};

/// A picture that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) held: Held,
    /// What it is, where the vendor says so.
    pub(super) media_type: Option<String>,
    /// The prompt as the vendor rewrote it.
    pub(super) revised_prompt: Option<String>,
}

/// Where a picture is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// Here, in standard base64.
    Base64(Arc<str>),
    /// At an address.
    Url(String),
}

/// Pictures, and what is told with them.
#[derive(Debug, Clone, Default)]
pub(super) struct Made {
    pub(super) pictures: Vec<Picture>,
    pub(super) usage: Usage,
    /// The model that answered, in the provider's words.
    pub(super) model: Option<String>,
    /// Seconds since 1970.
    pub(super) created: i64,
}

/// What of the request decides how the answer is written.
#[derive(Debug, Clone)]
pub(super) struct Form {
    is_edit: bool,
    prompt: String,
    pub(super) delivery: Delivery,
    stream: bool,
    size: String,
    quality: String,
    background: String,
}

impl Picture {
    /// A picture that came with the answer.
    pub(super) fn here(base64: impl Into<Arc<str>>, media_type: Option<&str>) -> Self {
        Self {
            held: Held::Base64(base64.into()),
            media_type: media_type.map(str::to_owned),
            revised_prompt: None,
        }
    }

    /// A picture at an address, which may itself hold it.
    pub(super) fn at(url: &str, media_type: Option<&str>) -> Self {
        let inline = url
            .strip_prefix("data:")
            .and_then(|data| data.split_once(";base64,"));
        match inline {
            Some((told, base64)) => Self::here(
                base64,
                Some(told).filter(|told| !told.is_empty()).or(media_type),
            ),
            None => Self {
                held: Held::Url(url.to_owned()),
                media_type: media_type.map(str::to_owned),
                revised_prompt: None,
            },
        }
    }
}

impl Form {
    pub(super) fn of(asked: &ImageRequest) -> Self {
        let or_auto = |text: &Option<String>| text.clone().unwrap_or_else(|| "auto".to_owned());
        Self {
            is_edit: asked.goal == OpenaiImages::Edits,
            prompt: asked.prompt.clone(),
            // The events of a stream hold bytes and nothing else.
            delivery: if asked.stream {
                Delivery::Base64
            } else {
                asked.delivery
            },
            stream: asked.stream,
            size: asked
                .size
                .map_or_else(|| "auto".to_owned(), |size| size.to_string()),
            quality: or_auto(&asked.quality),
            background: or_auto(&asked.background),
        }
    }

    /// What follows once a vendor is done: pictures that are elsewhere are fetched where the caller wants
    /// their bytes, and then everything is written.
    pub(super) fn finish(
        self,
        head: &Parts,
        pictures: Vec<Picture>,
        usage: Usage,
        model: Option<String>,
    ) -> Result<TaskStep, DecodeError> {
        if pictures.is_empty() {
            return Err(DecodeError::Malformed(
                "the answer holds no picture".to_owned(),
            ));
        }
        let made = Made {
            usage,
            model,
            created: made_at(head),
            ..Made::default()
        };
        Collection::new(self, made, pictures).next()
    }

    /// The answer.
    pub(super) fn answer(&self, made: &Made) -> TaskAnswer {
        let (body, content_type) = if self.stream {
            (self.events(made), "text/event-stream; charset=utf-8")
        } else {
            (self.object(made), "application/json")
        };
        TaskAnswer {
            body: body.into(),
            content_type: HeaderValue::from_static(content_type),
            usage: Some(made.usage),
            response_model: made.model.clone(),
        }
    }

    fn object(&self, made: &Made) -> String {
        let pictures = made.pictures.iter();
        let data: Vec<Value> = pictures.map(|picture| self.datum(picture)).collect();
        let mut answer = json!({"created": made.created, "data": data});
        if let Some(fields) = answer.as_object_mut() {
            let format = made.pictures.first().and_then(format_of);
            fields.extend(format.map(|format| ("output_format".to_owned(), format.into())));
            let size = made.pictures.first().and_then(size_of);
            fields.extend(size.map(|size| ("size".to_owned(), size.to_string().into())));
            fields.extend(usage(&made.usage).map(|usage| ("usage".to_owned(), usage)));
        }
        answer.to_string()
    }

    fn datum(&self, picture: &Picture) -> Value {
        let mut datum = Map::new();
        let (name, value) = match (&picture.held, self.delivery) {
            (Held::Base64(base64), Delivery::Base64) => ("b64_json", base64.to_string()),
            (Held::Base64(base64), Delivery::Url) => {
                let media_type = picture.media_type.as_deref().unwrap_or("image/png");
                ("url", format!("data:{media_type};base64,{base64}"))
            }
            (Held::Url(url), _) => ("url", url.clone()),
        };
        datum.insert(name.to_owned(), value.into());
        if let Some(prompt) = &picture.revised_prompt
            && *prompt != self.prompt
        {
            datum.insert("revised_prompt".to_owned(), prompt.clone().into());
        }
        datum.into()
    }

    fn events(&self, made: &Made) -> String {
        let name = if self.is_edit {
            "image_edit.completed"
        } else {
            "image_generation.completed"
        };
        let mut stream = String::new();
        for (number, picture) in made.pictures.iter().enumerate() {
            let Held::Base64(base64) = &picture.held else {
                continue;
            };
            let mut event = json!({
                "type": name,
                "b64_json": &**base64,
                "created_at": made.created,
                "size": size_of(picture).map_or_else(|| self.size.clone(), |size| size.to_string()),
                "quality": self.quality,
                "background": self.background,
                "output_format": format_of(picture).unwrap_or("png"),
            });
            // The usage is of all pictures together; it is told once.
            let is_last = number + 1 == made.pictures.len();
            if let (Some(usage), Some(fields), true) =
                (usage(&made.usage), event.as_object_mut(), is_last)
            {
                fields.insert("usage".to_owned(), usage);
            }
            // Writing to a string cannot fail.
            write!(stream, "event: {name}\ndata: {event}\n\n").ok();
        }
        stream
    }
}

/// `png` of `image/png`.
fn format_of(picture: &Picture) -> Option<&str> {
    let (_, format) = picture.media_type.as_deref()?.split_once('/')?;
    Some(if format == "jpg" { "jpeg" } else { format })
}

/// The size of a picture that is here, where its format tells it at once (<https://www.w3.org/TR/png-3/#11IHDR>).
fn size_of(picture: &Picture) -> Option<Size> {
    let Held::Base64(base64) = &picture.held else {
        return None;
    };
    let start = STANDARD.decode(base64.get(..32)?).ok()?;
    let side = |place: usize| {
        let bytes = start.get(place..place + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let is_png = start.starts_with(b"\x89PNG\r\n\x1a\n");
    Some(Size {
        width: is_png.then(|| side(16)).flatten()?,
        height: side(20)?,
    })
}

/// The tokens, where the vendor counts them.
fn usage(usage: &Usage) -> Option<Value> {
    (usage.total_tokens() > 0).then(|| {
        json!({
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {
                "text_tokens": usage.input_tokens.saturating_sub(usage.input_image_tokens),
                "image_tokens": usage.input_image_tokens,
            },
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {
                "text_tokens": usage.output_tokens.saturating_sub(usage.output_image_tokens),
                "image_tokens": usage.output_image_tokens,
            },
            "total_tokens": usage.total_tokens(),
        })
    })
}
