//! Replicate's predictions. See <https://replicate.com/docs/reference/http>.

use serde_json::{Value, json};

use super::{Asked, Output, SimTaskUsage, Wish};
use crate::clock;
use crate::vendor::{Failure, field};

/// `POST /v1/models/{owner}/{name}/predictions` and `POST /v1/predictions`
pub(super) fn create(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let path = asked.path();
    let invalid = |detail: &str| Failure::new(422, "Input validation failed", detail);
    let of_path = path
        .strip_prefix("/v1/models/")
        .and_then(|rest| rest.strip_suffix("/predictions"));
    let model = match (of_path, body["version"].as_str()) {
        (Some(model), _) => model.to_owned(),
        (None, Some(version)) if !version.is_empty() => version.to_owned(),
        (None, _) => return Err(invalid("- version is required\n")),
    };
    let Some(prompt) = body["input"]["prompt"].as_str() else {
        return Err(invalid("- input: prompt is required\n"));
    };
    let count = match &body["input"]["num_outputs"] {
        Value::Null => 1,
        number => match number.as_u64() {
            Some(number @ 1..=4) => number,
            _ => {
                return Err(invalid(
                    "- input.num_outputs: Must be less than or equal to 4\n",
                ));
            }
        },
    };
    let format = body["input"]["output_format"]
        .as_str()
        .unwrap_or("webp")
        .to_owned();
    if !["webp", "jpg", "png"].contains(&format.as_str()) {
        return Err(invalid(
            "- input.output_format: input.output_format must be one of the following: \"webp\", \"jpg\", \"png\"\n",
        ));
    }
    let waits = field(asked.head, "prefer").is_some_and(|prefer| prefer.starts_with("wait"));
    let origin = asked.origin();
    let input = body["input"].clone();
    Ok(Wish {
        model: model.clone(),
        said: prompt.to_owned(),
        stream: false,
        make: Box::new(move |understood| {
            let id = format!(
                "sim{:016x}{:08x}",
                understood.digest.value(),
                understood.shelf.number()
            );
            let urls: Vec<String> = (0..count)
                .map(|number| format!("{origin}/delivery/{id}-{number}.{format}"))
                .collect();
            let mut prediction = json!({
                "id": id, "model": model, "version": "hidden", "input": input, "logs": "", "output": null, "data_removed": false,
                "error": null, "source": "api", "status": "starting", "created_at": clock::written(understood.now),
                "urls": {"get": format!("{origin}/v1/predictions/{id}"), "cancel": format!("{origin}/v1/predictions/{id}/cancel")},
            });
            let mut done = prediction.clone();
            if understood.refused {
                done["status"] = json!("failed");
                done["error"] = json!(
                    "NSFW content detected. Try running it again, or try a different prompt."
                );
            } else {
                done["status"] = json!("succeeded");
                done["output"] = json!(urls);
                done["metrics"] = json!({"image_count": count, "predict_time": 0.5});
            }
            understood.shelf.put_job(id, done);
            // Whoever waits finds it under way, since the wait is too short for half of the world's models.
            prediction["status"] = json!(if waits { "processing" } else { "starting" });
            let usage = SimTaskUsage {
                images: count,
                ..SimTaskUsage::default()
            };
            (
                Output::Status(if waits { 202 } else { 201 }, prediction),
                usage,
            )
        }),
    })
}

/// `GET /v1/predictions/{id}`: it is still under way when it is asked for first.
pub(super) fn look(asked: &Asked<'_>) -> Result<Output, Failure> {
    let id = asked.path().rsplit('/').next().unwrap_or_default();
    let job = asked.shelf.look(id).ok_or_else(|| {
        Failure::new(
            404,
            "Not Found",
            "The requested resource could not be found.",
        )
    })?;
    let mut told = job.done;
    if job.looks == 1 {
        told["status"] = json!("processing");
        told["output"] = Value::Null;
        told["error"] = Value::Null;
    }
    Ok(Output::Json(told))
}
