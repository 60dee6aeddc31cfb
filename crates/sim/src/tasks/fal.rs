//! fal, at once and by way of its queue, which is under `/queue` here and at a host of its own there.
//! See <https://docs.fal.ai/documentation/model-apis/inference/queue>.

use serde_json::{Value, json};

use super::house::unprocessable;
use super::{Asked, Output, SimTaskUsage, Understood, Wish, picture};
use crate::media;
use crate::vendor::Failure;

const QUEUE: &str = "/queue/";

/// What is to be made.
struct Order {
    count: u64,
    inline: bool,
    format: String,
    origin: String,
}

impl Order {
    fn result(&self, understood: &Understood<'_>) -> Value {
        let images: Vec<Value> = (0..self.count)
            .map(|number| {
                let digest = understood.digest.with_number(number);
                let kind = picture::media_type(&self.format);
                let url = if self.inline {
                    format!(
                        "data:{kind};base64,{}",
                        media::encode(&picture::make(&self.format, digest))
                    )
                } else {
                    format!(
                        "{}/delivery/{:016x}.{}",
                        self.origin,
                        digest.value(),
                        self.format
                    )
                };
                json!({"url": url, "width": 8, "height": 8, "content_type": kind})
            })
            .collect();
        let struck = vec![understood.refused; images.len()];
        json!({"images": images, "timings": {"inference": 0.5}, "seed": 42, "has_nsfw_concepts": struck, "prompt": understood.said})
    }
}

/// `POST /fal-ai/…`, also below `/queue`
pub(super) fn run(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let path = asked.path();
    let queued = path.starts_with(QUEUE);
    let model = path
        .strip_prefix(QUEUE)
        .unwrap_or_else(|| path.trim_start_matches('/'))
        .to_owned();
    let Some(prompt) = body["prompt"].as_str() else {
        return Err(unprocessable("prompt", "field required"));
    };
    let count = match &body["num_images"] {
        Value::Null => 1,
        number => match number.as_u64() {
            Some(number @ 1..=4) => number,
            _ => {
                return Err(unprocessable(
                    "num_images",
                    "ensure this value is less than or equal to 4",
                ));
            }
        },
    };
    match &body["image_size"] {
        Value::Null | Value::String(_) => {}
        size => {
            for side in ["width", "height"] {
                if !size[side]
                    .as_u64()
                    .is_some_and(|side| (1..=14_142).contains(&side))
                {
                    return Err(unprocessable(
                        "image_size",
                        "value is not a valid enumeration member",
                    ));
                }
            }
        }
    }
    let format = body["output_format"].as_str().unwrap_or("jpeg");
    if !["jpeg", "png", "webp"].contains(&format) {
        return Err(unprocessable(
            "output_format",
            "unexpected value; permitted: 'jpeg', 'png'",
        ));
    }
    let order = Order {
        count,
        inline: body["sync_mode"].as_bool() == Some(true),
        format: format.to_owned(),
        origin: asked.origin(),
    };
    // The queue's addresses name the application, without what stands below it.
    let application: Vec<&str> = model.split('/').take(2).collect();
    let below = format!(
        "{}{QUEUE}{}/requests",
        asked.origin(),
        application.join("/")
    );
    Ok(Wish {
        model,
        said: prompt.to_owned(),
        stream: false,
        make: Box::new(move |understood| {
            let usage = SimTaskUsage {
                images: order.count,
                ..SimTaskUsage::default()
            };
            let result = order.result(understood);
            if !queued {
                return (Output::Json(result), usage);
            }
            let id = format!(
                "{:016x}{:08x}",
                understood.digest.value(),
                understood.shelf.number()
            );
            understood.shelf.put_job(id.clone(), result);
            (Output::Json(standing(&below, &id, "IN_QUEUE")), usage)
        }),
    })
}

fn standing(below: &str, id: &str, status: &str) -> Value {
    json!({
        "status": status, "request_id": id, "queue_position": 0, "response_url": format!("{below}/{id}"),
        "status_url": format!("{below}/{id}/status"), "cancel_url": format!("{below}/{id}/cancel"),
    })
}

/// `GET /queue/…/requests/{id}/status` and `GET /queue/…/requests/{id}`: it is in progress when it is asked for first.
pub(super) fn look(asked: &Asked<'_>) -> Result<Output, Failure> {
    let path = asked.path();
    let (before, rest) = path.rsplit_once("/requests/").unwrap_or((path, ""));
    let below = format!("{}{before}/requests", asked.origin());
    let gone = || Failure::new(404, "Not Found", "Request not found");
    if let Some(id) = rest.strip_suffix("/status") {
        let job = asked.shelf.look(id).ok_or_else(gone)?;
        let status = if job.looks == 1 {
            "IN_PROGRESS"
        } else {
            "COMPLETED"
        };
        return Ok(Output::Status(
            if job.looks == 1 { 202 } else { 200 },
            standing(&below, id, status),
        ));
    }
    let job = asked.shelf.look(rest).ok_or_else(gone)?;
    Ok(Output::Json(job.done))
}
