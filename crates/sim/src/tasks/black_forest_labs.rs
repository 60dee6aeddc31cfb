//! Black Forest Labs: a job is taken, and its result asked for. See <https://docs.bfl.ai/quick_start/generating_images>.

use serde_json::{Value, json};

use super::house::unprocessable;
use super::{Asked, Output, SimTaskUsage, Wish, picture};
use crate::media;
use crate::route::query;
use crate::vendor::Failure;

/// `POST /v1/flux-…`
pub(super) fn submit(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let model = asked
        .path()
        .strip_prefix("/v1/")
        .unwrap_or_default()
        .to_owned();
    let Some(prompt) = body["prompt"].as_str() else {
        return Err(unprocessable("prompt", "Field required"));
    };
    for (name, most) in [("width", 2_048), ("height", 2_048)] {
        match &body[name] {
            Value::Null => {}
            side => match side.as_u64() {
                Some(side) if (256..=most).contains(&side) && side % 16 == 0 => {}
                _ => {
                    return Err(unprocessable(
                        name,
                        "Input should be a multiple of 16 between 256 and 2048",
                    ));
                }
            },
        }
    }
    let format = match &body["output_format"] {
        Value::Null => "jpeg",
        format => match format.as_str() {
            Some(format @ ("jpeg" | "png")) => format,
            _ => {
                return Err(unprocessable(
                    "output_format",
                    "Input should be 'jpeg' or 'png'",
                ));
            }
        },
    }
    .to_owned();
    if let Some(image) = body["input_image"].as_str() {
        let is_url = image.starts_with("https://") || image.starts_with("http://");
        let bytes = media::decode_standard(image);
        if !is_url && bytes.as_deref().and_then(media::image_type).is_none() {
            return Err(unprocessable("input_image", "Invalid image"));
        }
    }
    let origin = asked.origin();
    Ok(Wish {
        model,
        said: prompt.to_owned(),
        stream: false,
        make: Box::new(move |understood| {
            let id = format!(
                "{:016x}{:08x}",
                understood.digest.value(),
                understood.shelf.number()
            );
            let done = if understood.refused {
                json!({"id": id, "status": "Request Moderated", "result": null, "progress": null, "details": {"Moderation Reasons": ["Simulated"]}})
            } else {
                let sample =
                    format!("{origin}/delivery/{id}.{format}?se=2026-11-21T00%3A10%3A00Z&sig=sim");
                let result = json!({"sample": sample, "prompt": understood.said, "seed": 42, "start_time": understood.now, "end_time": understood.now, "duration": 1.5});
                json!({"id": id, "status": "Ready", "result": result, "progress": null, "details": null})
            };
            understood.shelf.put_job(id.clone(), done);
            let usage = SimTaskUsage {
                images: 1,
                ..SimTaskUsage::default()
            };
            let told = json!({"id": id, "polling_url": format!("{origin}/v1/get_result?id={id}"), "cost": 4.0, "input_mp": 0.0, "output_mp": 1.0});
            (Output::Json(told), usage)
        }),
    })
}

/// `GET /v1/get_result?id=…`: it is not there when it is asked for first.
pub(super) fn result(asked: &Asked<'_>) -> Result<Output, Failure> {
    let Some(id) = query(asked.head, "id") else {
        return Err(Failure::new(422, "missing", "Field required").at("query.id"));
    };
    let Some(job) = asked.shelf.look(id) else {
        return Ok(Output::Status(
            404,
            json!({"id": id, "status": "Task not found", "result": null}),
        ));
    };
    if job.looks == 1 {
        return Ok(Output::Json(
            json!({"id": id, "status": "Pending", "result": null, "progress": 0.4, "details": null}),
        ));
    }
    Ok(Output::Json(job.done))
}

/// `GET /delivery/{name}`: a picture that was made, for whoever knows its address.
pub(super) fn delivery(asked: &Asked<'_>) -> Result<Output, Failure> {
    let name = asked.path().rsplit('/').next().unwrap_or_default();
    let Some((id, format)) = name.rsplit_once('.') else {
        return Err(Failure::new(404, "Not Found", "Not Found"));
    };
    let digest = crate::digest::Digest::new(asked.seed).with(id.as_bytes());
    Ok(Output::Bytes(
        picture::media_type(format),
        picture::make(format, digest),
    ))
}
