//! Gemini's picture models: `generateContent` with the modality `IMAGE`
//! (<https://ai.google.dev/gemini-api/docs/image-generation>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::chat::Conversion;
use domain::usage::Usage;
use http::response::Parts;
use serde_json::{Map, Value, json};

use super::answer::{Form, Picture};
use super::request::ImageRequest;
use super::size::shape_of;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::kind::ProviderKind;
use crate::media::generated::Generated;
use crate::media::google;
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "Gemini";

/// The shapes it knows (<https://ai.google.dev/gemini-api/docs/image-generation#aspect_ratios>).
const SHAPES: [&str; 10] = [
    "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9",
];

pub(super) fn prepare(
    asked: &ImageRequest,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    asked.refuse_count(VENDOR, 1, &mut report)?;
    asked.refuse_mask(VENDOR)?;
    asked.refuse_transparency(VENDOR, &mut report)?;
    asked.drop_quality(VENDOR, &mut report);
    asked.deliver_inline(VENDOR, &mut report);
    asked.drop_others(VENDOR, &mut report);
    drop_format(asked, &mut report);
    let mut parts = Vec::with_capacity(asked.images.len() + 1);
    for image in &asked.images {
        let (media_type, bytes) = image.bytes(VENDOR)?;
        report.carry("image");
        parts.push(json!({"inlineData": {"mimeType": media_type, "data": STANDARD.encode(bytes)}}));
    }
    parts.push(json!({"text": asked.prompt}));
    let body = json!({
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": generation_config(asked, target.model, &mut report),
    });
    let url = google::url(kind, target, "generateContent")?;
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "application/json", &body)?,
        report: Some(report),
        reader: Box::new(Reader(Form::of(asked))),
    })
}

/// Pictures, their shape and, of models since the third generation, their resolution.
fn generation_config(asked: &ImageRequest, model: &str, report: &mut Conversion) -> Value {
    let mut config = Map::new();
    if let Some(shape) = shape_of(asked.size, &SHAPES, VENDOR, report) {
        config.insert("aspectRatio".to_owned(), shape.into());
    }
    let name = model.rsplit('/').next().unwrap_or(model);
    if name.starts_with("gemini-3")
        && let Some(size) = asked.size
    {
        let resolution = match size.longest() {
            ..=1_536 => "1K",
            1_537..=3_072 => "2K",
            _ => "4K",
        };
        config.insert("imageSize".to_owned(), resolution.into());
    }
    let mut generation = json!({"responseModalities": ["IMAGE"]});
    if let (false, Some(fields)) = (config.is_empty(), generation.as_object_mut()) {
        fields.insert("imageConfig".to_owned(), config.into());
    }
    generation
}

/// It chooses the format of a picture itself; the answer says which.
fn drop_format(asked: &ImageRequest, report: &mut Conversion) {
    if asked.output_format.is_some() {
        report.drop(
            "output_format",
            "Gemini chooses the format; the answer's `output_format` says which",
        );
    }
    if asked.output_compression.is_some() {
        report.drop(
            "output_compression",
            "Gemini chooses the format and how it is compressed",
        );
    }
}

struct Reader(Form);

impl TaskReader for Reader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let generated = Generated::read(&body)?;
        let pictures: Vec<Picture> = generated
            .blobs()
            .filter(|blob| blob.mime_type.starts_with("image/"))
            .map(|blob| Picture::here(&*blob.data, Some(&blob.mime_type)))
            .collect();
        if pictures.is_empty() {
            return Err(generated.nothing("picture"));
        }
        let usage = match generated.usage()? {
            // Where the counts are not told apart, all but the thoughts is pictures.
            Some(usage) if usage.output_image_tokens == 0 => Usage {
                output_image_tokens: usage.output_tokens.saturating_sub(usage.reasoning_tokens),
                ..usage
            },
            Some(usage) => usage,
            None => Usage {
                images: pictures.len() as u64,
                ..Usage::default()
            },
        };
        self.0
            .clone()
            .finish(head, pictures, usage, generated.model())
    }
}
