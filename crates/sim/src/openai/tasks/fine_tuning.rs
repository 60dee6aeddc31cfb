//! Fine-tuning jobs, which make a step each time they are looked at.
//! See <https://platform.openai.com/docs/api-reference/fine-tuning>.

use serde_json::{Value, json};

use super::super::check::{INVALID, one_of, required, text};
use super::files::page;
use super::{known, no_such_model, plain};
use crate::node::Node;
use crate::tasks::{Asked, Output};
use crate::vendor::Failure;

/// Below which jobs are asked for.
pub(crate) const PREFIX: &str = "/v1/fine_tuning/jobs/";
/// The fewest examples that teach a model anything.
const FEWEST: usize = 10;
const PARAMETERS: [&str; 9] = [
    "model",
    "training_file",
    "validation_file",
    "hyperparameters",
    "integrations",
    "metadata",
    "method",
    "seed",
    "suffix",
];
/// Families of models that can be tuned.
const TUNABLE: [&str; 2] = ["gpt", "o4-mini"];

/// `POST /v1/fine_tuning/jobs`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(&root, &PARAMETERS)?;
    let model = required(&root, "model")?;
    let model = text(&model)?;
    if !TUNABLE.iter().any(|family| model.starts_with(family)) {
        return Err(no_such_model(model));
    }
    let training = required(&root, "training_file")?;
    let training = text(&training)?;
    let file = asked
        .shelf
        .file(training)
        .ok_or_else(|| plain(format!("invalid training_file: {training}")).at("training_file"))?;
    if file.purpose != "fine-tune" {
        let sentence = format!(
            "Expected file purpose 'fine-tune', but got '{}'.",
            file.purpose
        );
        return Err(plain(sentence).at("training_file"));
    }
    if let Some(suffix) = root.present("suffix") {
        let suffix = text(&suffix)?;
        if suffix.len() > 64 {
            return Err(plain("'suffix' is too long: 64 characters at most.").at("suffix"));
        }
    }
    if let Some(method) = root.present("method") {
        let kind = required(&method, "type")?;
        one_of(&kind, &["supervised", "dpo", "reinforcement"])?;
    }
    let job = json!({
        "id": format!("ftjob-sim{:016x}", asked.shelf.number()),
        "object": "fine_tuning.job",
        "created_at": asked.now,
        "error": fault(&file.bytes),
        "fine_tuned_model": null,
        "finished_at": null,
        "hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"},
        "model": model,
        "organization_id": "org-simulated",
        "result_files": [],
        "seed": body.get("seed").filter(|seed| seed.is_u64()).cloned().unwrap_or(json!(42)),
        "status": "validating_files",
        "trained_tokens": null,
        "training_file": training,
        "validation_file": body["validation_file"],
        "estimated_finish": null,
        "integrations": [],
        "metadata": body["metadata"],
        "user_provided_suffix": body["suffix"],
        "method": body.get("method").cloned().unwrap_or_else(|| json!({"type": "supervised"})),
    });
    asked.shelf.put_tuning(job.clone());
    Ok(Output::Json(shown(&job)))
}

/// What is wrong with the examples; null where nothing is. It shows when the files are validated.
fn fault(bytes: &[u8]) -> Value {
    let file = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = file
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let is_example = |line: &&str| {
        let example = serde_json::from_str::<Value>(line).unwrap_or_default();
        example["messages"].is_array() || example["input"].is_object()
    };
    let sentence = if let Some(place) = lines.iter().position(|line| !is_example(line)) {
        format!(
            "Invalid file format. Line {} is no example with messages.",
            place + 1
        )
    } else if lines.len() < FEWEST {
        format!(
            "Training file has {} example(s), but must have at least {FEWEST} examples",
            lines.len()
        )
    } else {
        return Value::Null;
    };
    json!({"code": "invalid_training_file", "message": sentence, "param": "training_file"})
}

/// The job as callers see it: its fault only once it has failed.
fn shown(job: &Value) -> Value {
    let mut job = job.clone();
    if job["status"] != "failed" {
        job["error"] = Value::Null;
    }
    job
}

/// `GET /v1/fine_tuning/jobs`
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let jobs = asked.shelf.tunings();
    page(asked, jobs.iter().map(shown).collect(), 100)
}

/// `GET /v1/fine_tuning/jobs/{id}` and what is below it.
pub(crate) fn look(asked: &Asked<'_>) -> Result<Output, Failure> {
    let (mut job, below) = find(asked)?;
    match below {
        "" => {
            advance(&mut job, asked.now);
            asked.shelf.put_tuning(job.clone());
            Ok(Output::Json(shown(&job)))
        }
        "events" => page(asked, events(&job), 100),
        "checkpoints" => page(asked, checkpoints(&job), 100),
        _ => Err(unknown(asked)),
    }
}

/// `POST /v1/fine_tuning/jobs/{id}/cancel`, `…/pause` and `…/resume`
pub(crate) fn steer(asked: &Asked<'_>) -> Result<Output, Failure> {
    let (mut job, verb) = find(asked)?;
    let status = job["status"].as_str().unwrap_or_default().to_owned();
    let is_open = !matches!(&*status, "succeeded" | "failed" | "cancelled");
    let next = match (verb, &*status) {
        ("cancel", _) if is_open => "cancelled",
        ("pause", "running") => "paused",
        ("resume", "paused") => "running",
        ("cancel" | "pause" | "resume", _) => {
            let sentence = format!("This job is {status}; it cannot take '{verb}' now.");
            return Err(plain(sentence).code("invalid_job_state"));
        }
        _ => return Err(unknown(asked)),
    };
    job["status"] = json!(next);
    if next == "cancelled" {
        job["finished_at"] = json!(asked.now);
    }
    asked.shelf.put_tuning(job.clone());
    Ok(Output::Json(shown(&job)))
}

/// The job that the path names, and what of it.
fn find<'a>(asked: &Asked<'a>) -> Result<(Value, &'a str), Failure> {
    let rest = asked.path().strip_prefix(PREFIX).unwrap_or_default();
    let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
    let job = asked.shelf.tuning(id).ok_or_else(|| {
        Failure::new(404, INVALID, format!("Could not find fine tune: {id}"))
            .at("fine_tune_id")
            .code("fine_tune_not_found")
    })?;
    Ok((job, below))
}

fn unknown(asked: &Asked<'_>) -> Failure {
    let sentence = format!("Invalid URL ({} {})", asked.head.method, asked.path());
    Failure::new(404, INVALID, sentence)
}

fn advance(job: &mut Value, now: u64) {
    let next = match job["status"].as_str() {
        Some("validating_files") if !job["error"].is_null() => "failed",
        Some("validating_files") => "queued",
        Some("queued") => "running",
        Some("running") => "succeeded",
        _ => return,
    };
    job["status"] = json!(next);
    if matches!(next, "failed" | "succeeded") {
        job["finished_at"] = json!(now);
    }
    if next == "succeeded" {
        let model = job["model"].as_str().unwrap_or_default();
        let suffix = job["user_provided_suffix"].as_str().unwrap_or_default();
        let id = job["id"].as_str().unwrap_or_default().replace("ftjob-", "");
        job["fine_tuned_model"] = json!(format!("ft:{model}:simulated:{suffix}:{id}"));
        job["trained_tokens"] = json!(1_000);
    }
}

/// What has happened to a job, the newest first.
fn events(job: &Value) -> Vec<Value> {
    let status = job["status"].as_str().unwrap_or_default();
    let told = [
        ("validating_files", "Created fine-tuning job"),
        ("queued", "Files validated, moving job to queued state"),
        ("running", "Fine-tuning job started"),
        ("paused", "Fine-tuning job paused"),
        ("succeeded", "The job has successfully completed"),
        ("failed", "The training file is not valid"),
        ("cancelled", "The job was cancelled"),
    ];
    let last = told.iter().position(|(name, _)| *name == status);
    let has_happened =
        |place: usize| place == last.unwrap_or(0) || place < last.unwrap_or(0).min(3);
    let happened = told
        .iter()
        .enumerate()
        .filter(|(place, _)| has_happened(*place));
    let mut events: Vec<Value> = happened
        .map(|(place, (_, message))| {
            json!({
                "id": format!("ftevent-{}-{place}", job["id"].as_str().unwrap_or_default()),
                "object": "fine_tuning.job.event",
                "created_at": job["created_at"],
                "level": "info",
                "message": message,
                "data": {},
                "type": "message",
            })
        })
        .collect();
    events.reverse();
    events
}

fn checkpoints(job: &Value) -> Vec<Value> {
    if job["status"] != "succeeded" {
        return Vec::new();
    }
    let checkpoint = json!({
        "id": format!("ftckpt-{}", job["id"].as_str().unwrap_or_default()),
        "object": "fine_tuning.job.checkpoint",
        "created_at": job["finished_at"],
        "fine_tuned_model_checkpoint": job["fine_tuned_model"],
        "fine_tuning_job_id": job["id"],
        "metrics": {"step": 10, "train_loss": 0.5},
        "step_number": 10,
    });
    vec![checkpoint]
}
