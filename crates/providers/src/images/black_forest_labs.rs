//! Black Forest Labs: `POST /v1/{model}` takes a job, whose result is asked for until it is there
//! (<https://docs.bfl.ai/quick_start/generating_images>).

use bytes::Bytes;
use domain::chat::Conversion;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::response::Parts;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::{Form, Picture};
use super::request::{Delivery, ImageRequest, Shown};
use super::size::{Size, shape_of};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::media::{failure, relay};
use crate::openai::media::encode_base64;
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "Black Forest Labs";

/// The most pictures that the FLUX.2 models start from; the others take one.
const MAX_IMAGES: usize = 8;

const SHAPES: [&str; 9] = [
    "1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9", "9:21", "21:9",
];

pub(super) fn prepare(asked: &ImageRequest, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    asked.refuse_count(VENDOR, 1, &mut report)?;
    // Its masks say by whiteness where to edit, not by transparency.
    asked.refuse_mask(VENDOR)?;
    asked.refuse_transparency(VENDOR, &mut report)?;
    asked.drop_quality(VENDOR, &mut report);
    if asked.delivery == Delivery::Url {
        report.carry("response_format");
    }
    if asked.output_compression.is_some() {
        report.drop(
            "output_compression",
            "Black Forest Labs decides how a picture is compressed",
        );
    }
    let mut body = Map::new();
    body.insert("prompt".to_owned(), asked.prompt.clone().into());
    put_size(asked.size, target.model, &mut body, &mut report);
    put_images(asked, target.model, &mut body, &mut report)?;
    match asked.output_format.as_deref() {
        None => {
            // Its own default is `jpeg`; OpenAI's is this.
            body.insert("output_format".to_owned(), "png".into());
        }
        Some(format @ ("png" | "jpeg")) => {
            report.carry("output_format");
            body.insert("output_format".to_owned(), format.into());
        }
        Some(other) => {
            return Err(Refusal::of(
                "output_format",
                format!(
                    "Black Forest Labs does not write `{other}`; `output_format` may be `png` and `jpeg`."
                ),
            ));
        }
    }
    asked.pass_others(VENDOR, &mut body, &mut report);
    let model = outgoing::path(target.model, "model")?;
    let url = format!("{}/v1/{model}", target.base_url);
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "application/json", &Value::Object(body))?,
        report: Some(report),
        reader: Box::new(Taken(Form::of(asked))),
    })
}

/// Some models are asked for a shape, the others for pixels, which must be a multiple of 16.
fn put_size(
    size: Option<Size>,
    model: &str,
    body: &mut Map<String, Value>,
    report: &mut Conversion,
) {
    if model.contains("ultra") || model.contains("kontext") {
        if let Some(shape) = shape_of(size, &SHAPES, VENDOR, report) {
            body.insert("aspect_ratio".to_owned(), shape.into());
        }
        return;
    }
    let Some(size) = size else {
        return;
    };
    let near = |side: u32| (side.saturating_add(8) / 16 * 16).clamp(256, 2_048);
    let (width, height) = (near(size.width), near(size.height));
    if (width, height) == (size.width, size.height) {
        report.carry("size");
    } else {
        report.change("size", format!("Black Forest Labs makes sides of 256 to 2048 pixels in steps of 16: {width}x{height} is sent"));
    }
    body.insert("width".to_owned(), width.into());
    body.insert("height".to_owned(), height.into());
}

/// `input_image`, `input_image_2` and so on; each an address or base64.
fn put_images(
    asked: &ImageRequest,
    model: &str,
    body: &mut Map<String, Value>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    let most = if model.starts_with("flux-2") || model.contains("kontext") {
        MAX_IMAGES
    } else {
        1
    };
    if asked.images.len() > most {
        return Err(Refusal::of(
            "image",
            format!(
                "This model of Black Forest Labs starts from at most {most} pictures, not {}.",
                asked.images.len()
            ),
        ));
    }
    for (number, image) in asked.images.iter().enumerate() {
        let name = match number {
            0 => "input_image".to_owned(),
            more => format!("input_image_{}", more + 1),
        };
        let value = match image {
            Shown::Bytes { bytes, .. } => encode_base64(bytes),
            other => other.url(VENDOR)?,
        };
        body.insert(name, value.into());
        report.carry("image");
    }
    Ok(())
}

/// Reads that the job was taken.
struct Taken(Form);

#[derive(Deserialize)]
struct Job {
    polling_url: String,
}

impl TaskReader for Taken {
    fn read(&self, _: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let job: Job = serde_json::from_slice(&body)
            .map_err(|error| DecodeError::Malformed(format!("the job cannot be read: {error}")))?;
        Awaited {
            form: self.0.clone(),
            url: job.polling_url,
            looks: 0,
        }
        .look()
    }
}

/// Reads how the job stands.
struct Awaited {
    form: Form,
    url: String,
    looks: u32,
}

#[derive(Deserialize)]
struct Standing {
    status: String,
    result: Option<Sample>,
    details: Option<Value>,
}

#[derive(Deserialize)]
struct Sample {
    sample: Option<String>,
    prompt: Option<String>,
}

impl Awaited {
    fn look(self) -> Result<TaskStep, DecodeError> {
        if self.looks == relay::MAX_LOOKS {
            return Err(ProviderError::new(Cause::Timeout, "the job did not end in time").into());
        }
        Ok(TaskStep::Again {
            request: outgoing::get(&self.url, "application/json")?,
            after: relay::pause(self.looks),
            reader: Box::new(self),
        })
    }
}

impl TaskReader for Awaited {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let standing: Standing = serde_json::from_slice(&body)
            .map_err(|error| DecodeError::Malformed(format!("the job cannot be read: {error}")))?;
        match standing.status.as_str() {
            "Ready" => {
                let result = standing
                    .result
                    .and_then(|result| Some((result.sample?, result.prompt)));
                let (sample, prompt) = result.ok_or_else(|| {
                    DecodeError::Malformed("the job is done and names no picture".to_owned())
                })?;
                let picture = Picture {
                    revised_prompt: prompt,
                    ..Picture::at(&sample, None)
                };
                let usage = Usage {
                    images: 1,
                    ..Usage::default()
                };
                self.form.clone().finish(head, vec![picture], usage, None)
            }
            "Request Moderated" | "Content Moderated" => {
                let message = format!("Black Forest Labs refused it: {}", standing.status);
                Err(ProviderError::new(Cause::ContentPolicy, message).into())
            }
            "Error" | "Failed" | "Task not found" => {
                let details = standing
                    .details
                    .map_or(standing.status, |details| details.to_string());
                Err(failure::of_job(&details).into())
            }
            // `Pending`, and whatever other words there may be for "not yet".
            _ => Self {
                form: self.form.clone(),
                url: self.url.clone(),
                looks: self.looks + 1,
            }
            .look(),
        }
    }
}
