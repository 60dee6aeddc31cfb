//! Replicate: a prediction, which is waited for and then asked for until it is there
//! (<https://replicate.com/docs/reference/http#models.predictions.create>).

use bytes::Bytes;
use domain::chat::Conversion;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::HeaderValue;
use http::response::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Form, Picture};
use super::request::{Delivery, ImageRequest};
use super::size::shape_of;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::media::{failure, relay};
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "Replicate";

/// How many seconds it may keep the request open; more is not allowed.
const WAIT: HeaderValue = HeaderValue::from_static("wait=60");

const SHAPES: [&str; 11] = [
    "1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9",
];

pub(super) fn prepare(asked: &ImageRequest, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    asked.refuse_mask(VENDOR)?;
    asked.refuse_transparency(VENDOR, &mut report)?;
    asked.drop_quality(VENDOR, &mut report);
    if asked.delivery == Delivery::Url {
        report.carry("response_format");
    }
    let mut input = Map::new();
    input.insert("prompt".to_owned(), asked.prompt.clone().into());
    if asked.count > 1 {
        report.carry("n");
        input.insert("num_outputs".to_owned(), asked.count.into());
    }
    if let Some(shape) = shape_of(asked.size, &SHAPES, VENDOR, &mut report) {
        input.insert("aspect_ratio".to_owned(), shape.into());
    }
    if let Some(format) = asked.output_format.as_deref() {
        report.carry("output_format");
        // Its models say `jpg`.
        let format = if format == "jpeg" { "jpg" } else { format };
        input.insert("output_format".to_owned(), format.into());
    }
    if let Some(compression) = asked.output_compression {
        report.carry("output_compression");
        input.insert("output_quality".to_owned(), compression.into());
    }
    put_images(asked, &mut input, &mut report)?;
    asked.pass_others(VENDOR, &mut input, &mut report);
    let (url, body) = address(target, &input)?;
    let mut request = outgoing::post_json(&url, "application/json", &body)?;
    request.headers_mut().insert("prefer", WAIT);
    Ok(PreparedTask {
        request,
        report: Some(report),
        reader: Box::new(Reader {
            form: Form::of(asked),
            looks: 0,
        }),
    })
}

/// `owner/name` is a model that Replicate keeps ready; `owner/name:version` is one version of any.
fn address(target: &Target<'_>, input: &Map<String, Value>) -> Result<(String, Value), Refusal> {
    if let Some((_, version)) = target.model.split_once(':') {
        let url = format!("{}/v1/predictions", target.base_url);
        return Ok((url, json!({"version": version, "input": input})));
    }
    let Some((owner, name)) = target.model.split_once('/') else {
        return Err(Refusal::of(
            "model",
            "A model of Replicate is named `owner/name` or `owner/name:version`.",
        ));
    };
    let (owner, name) = (
        outgoing::path(owner, "model")?,
        outgoing::path(name, "model")?,
    );
    let url = format!("{}/v1/models/{owner}/{name}/predictions", target.base_url);
    Ok((url, json!({"input": input})))
}

/// Every model has its own name for the picture that it starts from; most say `input_image`.
fn put_images(
    asked: &ImageRequest,
    input: &mut Map<String, Value>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    match asked.images.as_slice() {
        [] => Ok(()),
        [image] => {
            report.change("image", "sent to Replicate as `input_image`; a model that calls it otherwise does not see it");
            input.insert("input_image".to_owned(), image.url(VENDOR)?.into());
            Ok(())
        }
        _ => Err(Refusal::of(
            "image",
            "The models of Replicate have no name in common for several pictures; send one.",
        )),
    }
}

/// Reads how the prediction stands.
struct Reader {
    form: Form,
    looks: u32,
}

#[derive(Deserialize)]
struct Prediction {
    status: String,
    output: Option<Output>,
    error: Option<Value>,
    urls: Option<Urls>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Urls {
    get: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Output {
    One(String),
    Several(Vec<String>),
}

impl TaskReader for Reader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let prediction: Prediction = serde_json::from_slice(&body).map_err(|error| {
            DecodeError::Malformed(format!("the prediction cannot be read: {error}"))
        })?;
        match prediction.status.as_str() {
            "succeeded" | "successful" => {
                let urls = match prediction.output {
                    None => Vec::new(),
                    Some(Output::One(url)) => vec![url],
                    Some(Output::Several(urls)) => urls,
                };
                let pictures: Vec<Picture> =
                    urls.iter().map(|url| Picture::at(url, None)).collect();
                let usage = Usage {
                    images: pictures.len() as u64,
                    ..Usage::default()
                };
                let form = self.form.clone();
                form.finish(head, pictures, usage, prediction.model)
            }
            "failed" | "canceled" | "aborted" => {
                let error = prediction.error.unwrap_or_default();
                let sentence = error.as_str().unwrap_or(&prediction.status);
                Err(failure::of_job(sentence).into())
            }
            _ => {
                if self.looks == relay::MAX_LOOKS {
                    let message = "the prediction did not end in time";
                    return Err(ProviderError::new(Cause::Timeout, message).into());
                }
                let urls = prediction.urls.ok_or_else(|| {
                    DecodeError::Malformed("the prediction does not say where to look".to_owned())
                })?;
                Ok(TaskStep::Again {
                    request: outgoing::get(&urls.get, "application/json")?,
                    after: relay::pause(self.looks),
                    reader: Box::new(Self {
                        form: self.form.clone(),
                        looks: self.looks + 1,
                    }),
                })
            }
        }
    }
}
