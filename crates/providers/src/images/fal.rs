//! fal: `POST /{model}`, answered at once by `fal.run` and by way of a queue at `queue.fal.run`; which of the
//! two it is, the answer tells (<https://docs.fal.ai/documentation/model-apis/inference/queue>).

use bytes::Bytes;
use domain::chat::Conversion;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::Usage;
use http::response::Parts;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Form, Picture};
use super::request::{Delivery, ImageRequest};
use crate::dialect::{DecodeError, Refusal, Target};
use crate::media::{failure, relay};
use crate::outgoing;
use crate::task::{PreparedTask, TaskReader, TaskStep};

const VENDOR: &str = "fal";

pub(super) fn prepare(asked: &ImageRequest, target: &Target<'_>) -> Result<PreparedTask, Refusal> {
    let mut report = asked.report(VENDOR);
    asked.refuse_mask(VENDOR)?;
    asked.refuse_transparency(VENDOR, &mut report)?;
    asked.drop_quality(VENDOR, &mut report);
    if asked.delivery == Delivery::Url {
        report.carry("response_format");
    }
    if asked.output_compression.is_some() {
        report.drop(
            "output_compression",
            "fal decides how a picture is compressed",
        );
    }
    let mut body = Map::new();
    body.insert("prompt".to_owned(), asked.prompt.clone().into());
    if asked.count > 1 {
        report.carry("n");
    }
    body.insert("num_images".to_owned(), asked.count.into());
    if let Some(size) = asked.size {
        report.carry("size");
        let pixels = json!({"width": size.width, "height": size.height});
        body.insert("image_size".to_owned(), pixels);
    }
    put_format(asked, &mut body, &mut report)?;
    put_images(asked, target.model, &mut body, &mut report)?;
    let form = Form::of(asked);
    if form.delivery == Delivery::Base64 {
        // The pictures come with the answer, and nothing is kept there.
        body.insert("sync_mode".to_owned(), true.into());
    }
    asked.pass_others(VENDOR, &mut body, &mut report);
    let model = outgoing::path(target.model, "model")?;
    let url = format!("{}/{model}", target.base_url);
    Ok(PreparedTask {
        request: outgoing::post_json(&url, "application/json", &Value::Object(body))?,
        report: Some(report),
        reader: Box::new(Reader { form, looks: 0 }),
    })
}

fn put_format(
    asked: &ImageRequest,
    body: &mut Map<String, Value>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    match asked.output_format.as_deref() {
        None => {}
        Some(format @ ("png" | "jpeg" | "webp")) => {
            report.carry("output_format");
            body.insert("output_format".to_owned(), format.into());
        }
        Some(other) => {
            return Err(Refusal::of(
                "output_format",
                format!(
                    "fal does not write `{other}`; `output_format` may be `png`, `jpeg` and `webp`."
                ),
            ));
        }
    }
    Ok(())
}

/// One picture is `image_url`, several are `image_urls`; the models whose names end in `edit` take a list.
fn put_images(
    asked: &ImageRequest,
    model: &str,
    body: &mut Map<String, Value>,
    report: &mut Conversion,
) -> Result<(), Refusal> {
    let mut urls = Vec::with_capacity(asked.images.len());
    for image in &asked.images {
        urls.push(image.url(VENDOR)?);
        report.carry("image");
    }
    let takes_list = model.ends_with("/edit") || model.ends_with("/multi");
    match urls.as_slice() {
        [] => {}
        [one] if !takes_list => {
            body.insert("image_url".to_owned(), one.clone().into());
        }
        _ => {
            body.insert("image_urls".to_owned(), urls.into());
        }
    }
    Ok(())
}

/// Reads the pictures, or where the queue will have them.
struct Reader {
    form: Form,
    looks: u32,
}

#[derive(Deserialize)]
struct Answer {
    images: Option<Vec<Image>>,
    image: Option<Image>,
    prompt: Option<String>,
    has_nsfw_concepts: Option<Vec<bool>>,
    status: Option<String>,
    status_url: Option<String>,
    response_url: Option<String>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Image {
    url: String,
    content_type: Option<String>,
}

impl TaskReader for Reader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
            DecodeError::Malformed(format!("the answer cannot be read: {error}"))
        })?;
        if answer.status.is_some() || answer.status_url.is_some() {
            return self.queued(answer);
        }
        let images = answer
            .images
            .unwrap_or_else(|| answer.image.into_iter().collect());
        let struck = answer.has_nsfw_concepts.unwrap_or_default();
        if !struck.is_empty() && struck.iter().all(|struck| *struck) {
            // Its filter paints them black.
            let message = "fal withheld every picture: its safety filter struck";
            return Err(ProviderError::new(Cause::ContentPolicy, message).into());
        }
        let prompt = answer.prompt.filter(|prompt| !prompt.is_empty());
        let pictures: Vec<Picture> = images
            .iter()
            .map(|image| Picture {
                revised_prompt: prompt.clone(),
                ..Picture::at(&image.url, image.content_type.as_deref())
            })
            .collect();
        let usage = Usage {
            images: pictures.len() as u64,
            ..Usage::default()
        };
        self.form.clone().finish(head, pictures, usage, None)
    }
}

impl Reader {
    /// `IN_QUEUE`, `IN_PROGRESS` and `COMPLETED`, after which the result is at another address.
    fn queued(&self, answer: Answer) -> Result<TaskStep, DecodeError> {
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            let sentence = error
                .as_str()
                .map_or_else(|| error.to_string(), str::to_owned);
            return Err(failure::of_job(&sentence).into());
        }
        let done = answer.status.as_deref() == Some("COMPLETED");
        let next = if done {
            answer.response_url
        } else {
            answer.status_url
        };
        let url = next.ok_or_else(|| {
            DecodeError::Malformed("the queue does not say where to look".to_owned())
        })?;
        if self.looks == relay::MAX_LOOKS {
            return Err(ProviderError::new(Cause::Timeout, "the job did not end in time").into());
        }
        Ok(TaskStep::Again {
            request: outgoing::get(&url, "application/json")?,
            after: if done {
                std::time::Duration::ZERO
            } else {
                relay::pause(self.looks)
            },
            reader: Box::new(Self {
                form: self.form.clone(),
                looks: self.looks + 1,
            }),
        })
    }
}
