//! Object storage, as far as batches need it: Google's Cloud Storage and Amazon S3 below `/s3`.
//! See <https://cloud.google.com/storage/docs/json_api/v1/objects> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>.
//!
//! Objects are files on the shelf under their URIs. Buckets need not be made.

use bytes::Bytes;
use serde_json::{Value, json};

use super::shelf::File;
use super::{Asked, Output, Shelf};
use crate::clock::written;
use crate::escape::decoded;
use crate::route::query;
use crate::vendor::{Failure, field};

/// Where S3 is, among the paths of all vendors.
pub(crate) const S3: &str = "/s3/";
/// Where Cloud Storage takes uploads, and where it has its objects.
pub(crate) const UPLOAD: &str = "/upload/storage/v1/b/";
pub(crate) const OBJECTS: &str = "/storage/v1/b/";

/// The content of the object of a URI.
pub(crate) fn object(shelf: &Shelf, uri: &str) -> Option<Bytes> {
    shelf.file(uri).map(|file| file.bytes)
}

/// Puts an object in the place of the one with its URI.
pub(crate) fn put(asked: &Asked<'_>, uri: &str, bytes: Bytes) {
    asked.shelf.remove_file(uri);
    asked.shelf.put_file(File {
        id: uri.to_owned(),
        name: uri.rsplit('/').next().unwrap_or_default().to_owned(),
        purpose: "application/octet-stream".to_owned(),
        created: asked.now,
        bytes,
    });
}

/// `POST /upload/storage/v1/b/{bucket}/o?uploadType=media&name={object}`
pub(crate) fn upload(asked: &Asked<'_>) -> Result<Output, Failure> {
    let bucket = asked.path().strip_prefix(UPLOAD);
    let bucket = bucket.and_then(|rest| rest.strip_suffix("/o"));
    let bucket = bucket.ok_or_else(|| of_google(404, "NOT_FOUND", "Not Found"))?;
    let name = query(asked.head, "name").map(decoded).unwrap_or_default();
    if query(asked.head, "uploadType") != Some("media") || name.is_empty() {
        return Err(of_google(400, "INVALID_ARGUMENT", "Required"));
    }
    put(asked, &format!("gs://{bucket}/{name}"), asked.body.clone());
    Ok(Output::Json(json!({
        "kind": "storage#object", "id": format!("{bucket}/{name}/{}", asked.now), "name": name, "bucket": bucket,
        "contentType": field(asked.head, "content-type"), "size": asked.body.len().to_string(),
        "timeCreated": written(asked.now),
    })))
}

/// `GET /storage/v1/b/{bucket}/o/{object}?alt=media`
pub(crate) fn download(asked: &Asked<'_>) -> Result<Output, Failure> {
    let uri = of_cloud_storage(asked)?;
    if query(asked.head, "alt") != Some("media") {
        return Err(of_google(
            400,
            "INVALID_ARGUMENT",
            "Only alt=media is simulated.",
        ));
    }
    let found = object(asked.shelf, &uri).ok_or_else(|| no_object(&uri))?;
    Ok(Output::Bytes("application/jsonl", found))
}

/// `DELETE /storage/v1/b/{bucket}/o/{object}`
pub(crate) fn delete(asked: &Asked<'_>) -> Result<Output, Failure> {
    let uri = of_cloud_storage(asked)?;
    if !asked.shelf.remove_file(&uri) {
        return Err(no_object(&uri));
    }
    Ok(Output::Status(204, Value::Null))
}

fn of_cloud_storage(asked: &Asked<'_>) -> Result<String, Failure> {
    let rest = asked.path().strip_prefix(OBJECTS);
    let named = rest.and_then(|rest| rest.split_once("/o/"));
    match named {
        Some((bucket, object)) if !object.contains('/') => {
            Ok(format!("gs://{bucket}/{}", decoded(object)))
        }
        _ => Err(of_google(404, "NOT_FOUND", "Not Found")),
    }
}

fn of_google(status: u16, kind: &'static str, message: &str) -> Failure {
    Failure::new(status, kind, message)
}

fn no_object(uri: &str) -> Failure {
    of_google(
        404,
        "NOT_FOUND",
        &format!("No such object: {}", uri.trim_start_matches("gs://")),
    )
}

/// `PUT /{bucket}/{key}`
pub(crate) fn put_s3(asked: &Asked<'_>) -> Result<Output, Failure> {
    put(asked, &of_s3(asked)?, asked.body.clone());
    Ok(Output::Bytes("application/xml", Bytes::new()))
}

/// `GET /{bucket}/{key}`
pub(crate) fn get_s3(asked: &Asked<'_>) -> Result<Output, Failure> {
    let found = object(asked.shelf, &of_s3(asked)?);
    let found =
        found.ok_or_else(|| Failure::new(404, "NoSuchKey", "The specified key does not exist."))?;
    Ok(Output::Bytes("binary/octet-stream", found))
}

/// `DELETE /{bucket}/{key}`, which succeeds whether the object was there or not.
pub(crate) fn delete_s3(asked: &Asked<'_>) -> Result<Output, Failure> {
    asked.shelf.remove_file(&of_s3(asked)?);
    Ok(Output::Status(204, Value::Null))
}

fn of_s3(asked: &Asked<'_>) -> Result<String, Failure> {
    let rest = asked.path().strip_prefix(S3).unwrap_or_default();
    match rest.split_once('/') {
        Some((_, key)) if !key.is_empty() => Ok(format!("s3://{}", decoded(rest))),
        _ => Err(Failure::new(
            405,
            "MethodNotAllowed",
            "Only objects are simulated.",
        )),
    }
}
