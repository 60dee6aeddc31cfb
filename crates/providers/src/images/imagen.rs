//! Google's Imagen: `POST /v1beta/models/{model}:predict`
//! (<https://ai.google.dev/gemini-api/docs/imagen>).

use bytes::Bytes;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::response::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Form, Picture};
use super::request::ImageRequest;
use super::size::shape_of;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::kind::ProviderKind;
use crate::media::google;
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "Imagen";

const SHAPES: [&str; 5] = ["1:1", "3:4", "4:3", "9:16", "16:9"];

/// Whether a model of Google's is one of these.
pub(super) fn is_imagen(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("imagen")
}

pub(super) fn prepare(
    asked: &ImageRequest,
    kind: ProviderKind,
    target: &Target<'_>,
) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    asked.refuse_images(VENDOR)?;
    asked.refuse_mask(VENDOR)?;
    asked.refuse_count(VENDOR, 4, &mut report)?;
    asked.refuse_transparency(VENDOR, &mut report)?;
    asked.drop_quality(VENDOR, &mut report);
    asked.deliver_inline(VENDOR, &mut report);
    asked.drop_others(VENDOR, &mut report);
    let mut parameters = Map::new();
    parameters.insert("sampleCount".to_owned(), asked.count.into());
    parameters.insert("includeRaiReason".to_owned(), true.into());
    if let Some(shape) = shape_of(asked.size, &SHAPES, VENDOR, &mut report) {
        parameters.insert("aspectRatio".to_owned(), shape.into());
    }
    let mut output = Map::new();
    match asked.output_format.as_deref() {
        None => {}
        Some(format @ ("png" | "jpeg")) => {
            report.carry("output_format");
            output.insert("mimeType".to_owned(), format!("image/{format}").into());
        }
        Some(other) => {
            return Err(Refusal::of(
                "output_format",
                format!(
                    "Imagen does not write `{other}`; `output_format` may be `png` and `jpeg`."
                ),
            ));
        }
    }
    if let Some(compression) = asked.output_compression {
        report.carry("output_compression");
        output.insert("compressionQuality".to_owned(), compression.into());
    }
    if !output.is_empty() {
        parameters.insert("outputOptions".to_owned(), Value::Object(output));
    }
    let body = json!({"instances": [{"prompt": asked.prompt}], "parameters": parameters});
    let url = google::url(kind, target, "predict")?;
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "application/json", &body)?,
        report: Some(report),
        reader: Box::new(Reader(Form::of(asked))),
    })
}

struct Reader(Form);

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    predictions: Vec<Prediction>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Prediction {
    mime_type: Option<String>,
    bytes_base64_encoded: Option<String>,
    prompt: Option<String>,
    rai_filtered_reason: Option<String>,
}

impl TaskReader for Reader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            DecodeError::Malformed(format!("the answer cannot be read: {error}"))
        })?;
        let mut pictures = Vec::new();
        let mut withheld = None;
        for prediction in answer.predictions {
            if let Some(base64) = prediction.bytes_base64_encoded {
                pictures.push(Picture {
                    revised_prompt: prediction.prompt,
                    ..Picture::here(base64, prediction.mime_type.as_deref())
                });
            } else {
                withheld = withheld.or(prediction.rai_filtered_reason);
            }
        }
        if pictures.is_empty() {
            let reason = withheld
                .unwrap_or_else(|| "every picture was withheld by the vendor's policy".to_owned());
            let message = crate::failure::clean(&reason);
            return Err(ProviderError::new(Cause::ContentPolicy, message).into());
        }
        let usage = Usage {
            images: pictures.len() as u64,
            ..Usage::default()
        };
        self.0.clone().finish(head, pictures, usage, None)
    }
}
