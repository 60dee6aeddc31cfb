//! Files. See <https://platform.openai.com/docs/api-reference/files>.

use serde_json::{Value, json};

use super::super::check::INVALID;
use super::{file, form, one_of, plain, required};
use crate::route::query;
use crate::tasks::shelf::File;
use crate::tasks::{Asked, Output};
use crate::vendor::Failure;

const PURPOSES: [&str; 6] = [
    "assistants",
    "batch",
    "evals",
    "fine-tune",
    "user_data",
    "vision",
];

/// `POST /v1/files`
pub(crate) fn upload(asked: &Asked<'_>) -> Result<Output, Failure> {
    let form = form(asked)?;
    let purpose = required(&form, "purpose")?;
    one_of("purpose", &purpose, &PURPOSES)?;
    let Some(part) = form.get("file") else {
        return Err(required(&form, "file")
            .err()
            .unwrap_or_else(|| plain("'file' is a required property")));
    };
    let (part, name) = file(part)?;
    if purpose == "batch" {
        lines(&part.bytes).map_err(plain)?;
    }
    let kept = File {
        id: format!("file-sim{:016x}", asked.shelf.number()),
        name: name.to_owned(),
        purpose,
        created: asked.now,
        bytes: part.bytes.clone(),
    };
    let shown = object(&kept);
    asked.shelf.put_file(kept);
    Ok(Output::Json(shown))
}

/// `GET /v1/files`
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let files = asked.shelf.files();
    let purpose = query(asked.head, "purpose");
    let of_purpose = files
        .iter()
        .filter(|file| purpose.is_none_or(|purpose| file.purpose == purpose));
    page(asked, of_purpose.map(object).collect(), 10_000)
}

/// A page of a list: at most `limit` of what comes after the one with the id `after`.
pub(super) fn page(asked: &Asked<'_>, all: Vec<Value>, most: usize) -> Result<Output, Failure> {
    let limit = match query(asked.head, "limit").map(str::parse::<usize>) {
        None => most.min(20),
        Some(Ok(limit)) if (1..=most).contains(&limit) => limit,
        Some(_) => {
            let message = format!("Invalid 'limit': expected an integer from 1 to {most}.");
            return Err(plain(message).at("limit").code("invalid_value"));
        }
    };
    let skipped = match query(asked.head, "after") {
        None => 0,
        Some(after) => {
            let place = all.iter().position(|item| item["id"] == after);
            let message = || format!("No item found with id '{after}'.");
            place.ok_or_else(|| plain(message()).at("after"))? + 1
        }
    };
    let has_more = all.len() > skipped + limit;
    let data: Vec<Value> = all.into_iter().skip(skipped).take(limit).collect();
    Ok(Output::Json(json!({
        "object": "list",
        "first_id": data.first().map(|item| item["id"].clone()),
        "last_id": data.last().map(|item| item["id"].clone()),
        "has_more": has_more,
        "data": data,
    })))
}

/// `GET /v1/files/{id}`
pub(crate) fn get(asked: &Asked<'_>) -> Result<Output, Failure> {
    find(asked).map(|file| Output::Json(object(&file)))
}

/// `GET /v1/files/{id}/content`
pub(crate) fn content(asked: &Asked<'_>) -> Result<Output, Failure> {
    find(asked).map(|file| Output::Bytes("application/octet-stream", file.bytes))
}

/// `DELETE /v1/files/{id}`
pub(crate) fn delete(asked: &Asked<'_>) -> Result<Output, Failure> {
    let file = find(asked)?;
    asked.shelf.remove_file(&file.id);
    Ok(Output::Json(
        json!({"id": file.id, "object": "file", "deleted": true}),
    ))
}

fn find(asked: &Asked<'_>) -> Result<File, Failure> {
    let rest = asked.path().strip_prefix("/v1/files/").unwrap_or_default();
    let id = rest.split('/').next().unwrap_or_default();
    asked
        .shelf
        .file(id)
        .ok_or_else(|| Failure::new(404, INVALID, format!("No such File object: {id}")).at("id"))
}

fn object(file: &File) -> Value {
    json!({
        "id": file.id, "object": "file", "bytes": file.bytes.len(), "created_at": file.created, "filename": file.name,
        "purpose": file.purpose, "status": "processed", "expires_at": null, "status_details": null,
    })
}

/// The lines of a batch: each an object with an id of its own, a method, a path and a body.
pub(super) fn lines(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| "Invalid file format: the file is not UTF-8.")?;
    let mut lines: Vec<Value> = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let place = number + 1;
        let line: Value = serde_json::from_str(line).map_err(|_| {
            format!("Invalid file format for Batch API. Line {place} is not valid JSON.")
        })?;
        // Lines of batch jobs name neither: their jobs do.
        let is_of_job = line["method"].is_null() && line["url"].is_null();
        let named: &[&str] = if is_of_job {
            &["custom_id"]
        } else {
            &["custom_id", "method", "url"]
        };
        for name in named {
            if !line[*name].is_string() {
                return Err(format!(
                    "Invalid file format for Batch API. Line {place} has no '{name}'."
                ));
            }
        }
        if !line["body"].is_object() {
            return Err(format!(
                "Invalid file format for Batch API. Line {place} has no 'body'."
            ));
        }
        lines.push(line);
    }
    if lines.is_empty() {
        return Err("Invalid file format for Batch API. The file is empty.".to_owned());
    }
    Ok(lines)
}
