//! Gemini's files, as far as batches need them, and its batches, which are really run: each line is asked of this provider itself.
//! See <https://ai.google.dev/api/batch-api> and <https://ai.google.dev/api/files>.

use bytes::Bytes;
use serde_json::{Value, json};

use super::super::check::plain;
use super::{member, members, model};
use crate::clock::written;
use crate::node::Node;
use crate::route::query;
use crate::sim::Sim;
use crate::tasks::shelf::File;
use crate::tasks::{Asked, Output, again};
use crate::vendor::{Failure, field};

/// What a batch is, among others that are kept.
const KIND: &str = "type.googleapis.com/google.ai.generativelanguage.v1beta.GenerateContentBatch";
/// The most lines of a batch.
const MOST: usize = 1_000;
/// What is kept of a batch and not shown.
const LINES: &str = "_lines";

/// `POST /upload/v1beta/files`, everything in one request.
pub(crate) fn upload(asked: &Asked<'_>) -> Result<Output, Failure> {
    if field(asked.head, "x-goog-upload-protocol") != Some("multipart") {
        return Err(plain("Upload protocol is not supported."));
    }
    let content_type = field(asked.head, "content-type").unwrap_or_default();
    let boundary = content_type
        .strip_prefix("multipart/related; boundary=")
        .ok_or_else(|| plain("Malformed multipart body."))?;
    let (told, bytes) =
        parts(asked.body, boundary).ok_or_else(|| plain("Malformed multipart body."))?;
    let told: Value = serde_json::from_slice(&told)
        .map_err(|_| plain("Invalid JSON payload received. Expected an object."))?;
    let root = Node::root(&told);
    members(&root, &["file"])?;
    let about = member(&told, "file").cloned().unwrap_or_default();
    let text = |name: &str| {
        member(&about, name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let file = File {
        id: format!("files/sim{:016x}", asked.shelf.number()),
        name: text("display_name"),
        purpose: text("mime_type"),
        created: asked.now,
        bytes,
    };
    let shown = json!({"file": {
        "name": file.id, "displayName": file.name, "mimeType": file.purpose, "state": "ACTIVE",
        "sizeBytes": file.bytes.len().to_string(), "createTime": written(asked.now), "source": "UPLOADED",
        "uri": format!("{}/v1beta/{}", asked.origin(), file.id),
    }});
    asked.shelf.put_file(file);
    Ok(Output::Json(shown))
}

/// The two parts of an upload: what is told of the file, and its bytes.
fn parts(body: &Bytes, boundary: &str) -> Option<(Bytes, Bytes)> {
    let mark = format!("--{boundary}");
    let find = |from: usize, what: &[u8]| {
        let rest = body.get(from..)?;
        let at = rest.windows(what.len()).position(|window| window == what)?;
        Some(from + at)
    };
    let part = |from: usize| {
        let begin = find(from, b"\r\n\r\n")? + 4;
        let end = find(begin, format!("\r\n{mark}").as_bytes())?;
        Some((begin, end))
    };
    let first = part(find(0, mark.as_bytes())?)?;
    let second = part(first.1 + 2 + mark.len())?;
    Some((body.slice(first.0..first.1), body.slice(second.0..second.1)))
}

/// `GET /download/v1beta/files/{id}:download?alt=media`
pub(crate) fn download(asked: &Asked<'_>) -> Result<Output, Failure> {
    if query(asked.head, "alt") != Some("media") {
        return Err(plain("Only alt=media is supported for downloads."));
    }
    let name = named(asked, "/download/v1beta/");
    let name = name.trim_end_matches(":download");
    let file = asked.shelf.file(name).ok_or_else(|| no_file(name))?;
    Ok(Output::Bytes("application/octet-stream", file.bytes))
}

/// `DELETE /v1beta/files/{id}`
pub(crate) fn delete(asked: &Asked<'_>) -> Result<Output, Failure> {
    let name = named(asked, "/v1beta/");
    if !asked.shelf.remove_file(name) {
        return Err(no_file(name));
    }
    Ok(Output::Json(json!({})))
}

/// `POST /v1beta/models/{model}:batchGenerateContent`
pub(crate) fn create(asked: &Asked<'_>) -> Result<Output, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    members(&root, &["batch"])?;
    let batch = member(&body, "batch").ok_or_else(|| plain("batch is required."))?;
    for (name, _) in batch.as_object().into_iter().flatten() {
        let known = ["model", "display_name", "input_config", "priority"];
        if !known
            .iter()
            .any(|known| super::super::check::is_named(name, known))
        {
            return Err(plain(format!(
                "Invalid JSON payload received. Unknown name \"{name}\" at 'batch': Cannot find field."
            )));
        }
    }
    let display_name = member(batch, "display_name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| plain("batch.display_name is required."))?;
    let input = member(batch, "input_config").unwrap_or(&Value::Null);
    let lines = match (member(input, "file_name"), member(input, "requests")) {
        (Some(Value::String(name)), None) => {
            let file = asked.shelf.file(name).ok_or_else(|| no_file(name))?;
            of_file(&file.bytes)?
        }
        (None, Some(requests)) => inlined(requests)?,
        _ => return Err(plain("batch.input_config must have exactly one source.")),
    };
    if lines.is_empty() || lines.len() > MOST {
        return Err(plain(format!("A batch has 1 to {MOST} requests.")));
    }
    let name = format!("batches/sim{:016x}", asked.shelf.number());
    let kept = json!({
        "id": name,
        "name": name,
        "metadata": {
            "@type": KIND, "name": name, "model": format!("models/{}", model(asked)),
            "displayName": display_name, "state": "BATCH_STATE_PENDING", "createTime": written(asked.now),
            "updateTime": written(asked.now), "inputConfig": input,
            "batchStats": {"requestCount": lines.len().to_string(), "pendingRequestCount": lines.len().to_string()},
        },
        LINES: lines,
    });
    asked.shelf.put_batch(kept.clone());
    Ok(shown(kept))
}

/// The lines of a file: each has a key and a request.
fn of_file(bytes: &[u8]) -> Result<Vec<Value>, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|_| plain("The file is not UTF-8."))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut read = Vec::new();
    for (index, line) in lines.enumerate() {
        let place = index + 1;
        let line: Value = serde_json::from_str(line)
            .map_err(|_| plain(format!("Line {place} of the file is not valid JSON.")))?;
        if !line["key"].is_string() || !line["request"]["contents"].is_array() {
            return Err(plain(format!(
                "Line {place} of the file needs a `key` and a `request` with `contents`."
            )));
        }
        read.push(line);
    }
    Ok(read)
}

fn inlined(requests: &Value) -> Result<Vec<Value>, Failure> {
    let requests = member(requests, "requests").and_then(Value::as_array);
    let requests = requests.ok_or_else(|| plain("batch.input_config.requests is required."))?;
    let line = |request: &Value| {
        let key = request["metadata"]["key"].clone();
        json!({"key": key, "request": request["request"]})
    };
    Ok(requests.iter().map(line).collect())
}

/// `GET /v1beta/batches`
pub(crate) fn list(asked: &Asked<'_>) -> Result<Output, Failure> {
    let size = query(asked.head, "pageSize").map_or(Ok(50), str::parse::<usize>);
    let size = size.map_err(|_| plain("Invalid value at 'page_size' (TYPE_INT32)."))?;
    let skipped = query(asked.head, "pageToken").map_or(Ok(0), str::parse::<usize>);
    let skipped = skipped.map_err(|_| plain("Page token is invalid."))?;
    let is_ours = |batch: &Value| batch["metadata"]["@type"] == KIND;
    let all: Vec<Value> = asked.shelf.batches().into_iter().filter(is_ours).collect();
    let has_more = all.len() > skipped + size;
    let page = all.into_iter().skip(skipped).take(size).map(visible);
    let mut list = json!({"operations": page.collect::<Vec<_>>()});
    if has_more {
        list["nextPageToken"] = json!((skipped + size).to_string());
    }
    Ok(Output::Json(list))
}

/// `POST /v1beta/batches/{id}:cancel`
pub(crate) fn cancel(asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut batch = find(asked)?;
    if batch["done"] != true {
        let error = json!({"code": 1, "message": "The batch was cancelled."});
        end(asked, &mut batch, "BATCH_STATE_CANCELLED");
        batch["error"] = error;
        asked.shelf.put_batch(batch);
    }
    Ok(Output::Json(json!({})))
}

/// `GET /v1beta/batches/{id}`: a batch runs when it is looked at first, and is done when it is looked at again.
pub(crate) async fn look(sim: &Sim, asked: &Asked<'_>) -> Result<Output, Failure> {
    let mut batch = find(asked)?;
    match batch["metadata"]["state"].as_str() {
        Some("BATCH_STATE_PENDING") => batch["metadata"]["state"] = json!("BATCH_STATE_RUNNING"),
        Some("BATCH_STATE_RUNNING") => run(sim, asked, &mut batch).await,
        _ => return Ok(shown(batch)),
    }
    asked.shelf.put_batch(batch.clone());
    Ok(shown(batch))
}

async fn run(sim: &Sim, asked: &Asked<'_>, batch: &mut Value) {
    let model = batch["metadata"]["model"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let lines = batch[LINES].as_array().cloned().unwrap_or_default();
    let mut results = Vec::new();
    for line in &lines {
        let (status, answer) = ask(sim, asked, &model, &line["request"]).await;
        results.push(if status == 200 {
            json!({"key": line["key"], "response": answer})
        } else {
            let message = answer["error"]["message"].clone();
            json!({"key": line["key"], "error": {"code": code(status), "message": message}})
        });
    }
    end(asked, batch, "BATCH_STATE_SUCCEEDED");
    let is_of_file = batch["metadata"]["inputConfig"]["fileName"].is_string();
    let output = if is_of_file {
        let lines: Vec<String> = results.iter().map(Value::to_string).collect();
        let file = File {
            id: format!("files/batch-sim{:016x}", asked.shelf.number()),
            name: String::new(),
            purpose: "application/jsonl".to_owned(),
            created: asked.now,
            bytes: Bytes::from(lines.join("\n") + "\n"),
        };
        let output = json!({"responsesFile": file.id});
        asked.shelf.put_file(file);
        output
    } else {
        let with_metadata = |mut result: Value| {
            let key = result["key"].take();
            if let Some(fields) = result.as_object_mut() {
                fields.shift_remove("key");
            }
            result["metadata"] = json!({"key": key});
            result
        };
        let results: Vec<Value> = results.into_iter().map(with_metadata).collect();
        json!({"inlinedResponses": {"inlinedResponses": results}})
    };
    batch["metadata"]["output"] = output.clone();
    batch["response"] = output;
}

fn end(asked: &Asked<'_>, batch: &mut Value, state: &str) {
    batch["metadata"]["state"] = json!(state);
    batch["metadata"]["endTime"] = json!(written(asked.now));
    batch["metadata"]["updateTime"] = json!(written(asked.now));
    batch["done"] = json!(true);
}

/// Google's own code of a status (`google.rpc.Code`).
fn code(status: u16) -> u16 {
    match status {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        503 => 14,
        504 => 4,
        _ => 13,
    }
}

/// Asks this provider itself, with the credential of who looks.
async fn ask(sim: &Sim, asked: &Asked<'_>, model: &str, request: &Value) -> (u16, Value) {
    let path = format!("/v1beta/{model}:generateContent");
    let (head, answer) = again::ask(sim, asked, &path, &["x-goog-api-key"], request).await;
    (head.status.as_u16(), answer)
}

fn named<'a>(asked: &Asked<'a>, prefix: &str) -> &'a str {
    asked.path().strip_prefix(prefix).unwrap_or_default()
}

fn find(asked: &Asked<'_>) -> Result<Value, Failure> {
    let name = named(asked, "/v1beta/").trim_end_matches(":cancel");
    let found = asked.shelf.batch(name);
    found.ok_or_else(|| {
        Failure::new(
            404,
            "NOT_FOUND",
            format!("Requested entity was not found: {name}"),
        )
    })
}

fn no_file(name: &str) -> Failure {
    let message =
        format!("You do not have permission to access the File {name} or it may not exist.");
    Failure::new(403, "PERMISSION_DENIED", message)
}

fn shown(batch: Value) -> Output {
    Output::Json(visible(batch))
}

fn visible(batch: Value) -> Value {
    let mut batch = again::visible(batch);
    if let Some(fields) = batch.as_object_mut() {
        fields.shift_remove("id");
    }
    batch
}
