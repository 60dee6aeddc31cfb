//! The bucket through which batches go at providers that take no uploads of their own: lines are put there, and
//! results are fetched from there.
//!
//! An object is named by its URI, `gs://BUCKET/NAME` or `s3://BUCKET/NAME`. Requests go to the storage's API with
//! the provider's own credential, and only to the configured bucket, whatever an answer of the provider names.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};

use super::{Beginning, Handing, bare};
use crate::aws::sigv4::ForStorage;
use crate::dialect::{DecodeError, Refusal, Target};
use crate::outgoing;
use crate::url;

/// The media type of lines.
const LINES: HeaderValue = HeaderValue::from_static("application/jsonl");
/// Says the digest of the body, which S3 wants of every request
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>).
const DIGEST: &str = "x-amz-content-sha256";

/// A bucket, as a provider's configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose it is.
    pub storage: Storage,
    /// Its name.
    pub name: String,
    /// What the names of objects begin with, without a slash at its end; may be empty.
    pub prefix: String,
    /// Where the storage is reached; `None` for the vendor's own address.
    pub endpoint: Option<String>,
    /// The role with which Amazon Bedrock reads the lines and writes the results.
    pub role_arn: Option<String>,
}

/// Who keeps objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Google's Cloud Storage, by its JSON API (<https://cloud.google.com/storage/docs/json_api>).
    CloudStorage,
    /// Amazon S3 (<https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html>).
    S3,
}

impl Storage {
    /// How URIs of its objects begin, before `://`.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::CloudStorage => "gs",
            Self::S3 => "s3",
        }
    }
}

/// The bucket of a provider that runs batches from one.
pub(super) fn bucket_of<'a>(target: &Target<'a>) -> Result<&'a Bucket, Refusal> {
    target.host.bucket.as_ref().ok_or_else(|| Refusal {
        detail: "The provider has no bucket any more. Set `batches: { bucket: … }` on it."
            .to_owned(),
        param: None,
    })
}

/// The upload of the lines of a part, into an object that is called as the part is.
pub(super) fn begin(handing: &Handing<'_>, lines: Vec<u8>) -> Result<Beginning, Refusal> {
    let upload = bucket_of(handing.target)?.upload(handing.target, &object_of(handing), lines)?;
    Ok(Beginning::Upload(upload))
}

/// What the lines of a part are called that were uploaded.
pub(super) fn uploaded(handing: &Handing<'_>) -> Result<String, DecodeError> {
    let bucket = bucket_of(handing.target);
    let bucket = bucket.map_err(|refusal| DecodeError::Malformed(refusal.detail))?;
    Ok(bucket.uri(&object_of(handing)))
}

fn object_of(handing: &Handing<'_>) -> String {
    format!("{}.jsonl", handing.name)
}

impl Bucket {
    /// The URI of an object below the prefix; without `name` that of the prefix, with a slash at its end.
    pub(super) fn uri(&self, name: &str) -> String {
        let (scheme, bucket) = (self.storage.scheme(), &self.name);
        match self.prefix.as_str() {
            "" => format!("{scheme}://{bucket}/{name}"),
            prefix => format!("{scheme}://{bucket}/{prefix}/{name}"),
        }
    }

    /// Uploads lines as the object `name` below the prefix.
    pub(super) fn upload(
        &self,
        target: &Target<'_>,
        name: &str,
        lines: Vec<u8>,
    ) -> Result<Request<Bytes>, Refusal> {
        let uri = self.uri(name);
        let object = self.object(&uri)?;
        match self.storage {
            Storage::CloudStorage => {
                let query = url::form(&[("uploadType", "media"), ("name", object)]);
                let (endpoint, bucket) = (self.endpoint(target), &self.name);
                let url = format!("{endpoint}/upload/storage/v1/b/{bucket}/o?{query}");
                outgoing::post(&url, &LINES, "application/json", lines.into())
            }
            Storage::S3 => {
                let url = self.address(target, object)?;
                let mut request = bare(Method::PUT, &url)?;
                *request.body_mut() = lines.into();
                request.headers_mut().insert(CONTENT_TYPE, LINES);
                for_s3(request)
            }
        }
    }

    /// Fetches an object of this bucket.
    pub(super) fn fetch(&self, target: &Target<'_>, uri: &str) -> Result<Request<Bytes>, Refusal> {
        let address = self.address(target, self.object(uri)?)?;
        match self.storage {
            Storage::CloudStorage => bare(Method::GET, &format!("{address}?alt=media")),
            Storage::S3 => for_s3(bare(Method::GET, &address)?),
        }
    }

    /// Deletes an object of this bucket.
    pub(super) fn delete(&self, target: &Target<'_>, uri: &str) -> Result<Request<Bytes>, Refusal> {
        let request = bare(Method::DELETE, &self.address(target, self.object(uri)?)?)?;
        match self.storage {
            Storage::CloudStorage => Ok(request),
            Storage::S3 => for_s3(request),
        }
    }

    /// The name of an object, which must lie below the prefix.
    fn object<'u>(&self, uri: &'u str) -> Result<&'u str, Refusal> {
        let beginning = self.uri("");
        let is_path = |rest: &str| {
            !rest
                .split('/')
                .any(|segment| matches!(segment, "" | "." | ".."))
        };
        let is_inside = uri.strip_prefix(&beginning).is_some_and(is_path);
        let object = uri
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'));
        match object {
            Some((_, object)) if is_inside => Ok(object),
            _ => Err(Refusal {
                detail: format!("{uri:?} is not below {beginning:?}, where batches go."),
                param: None,
            }),
        }
    }

    /// The address of an object by its name.
    fn address(&self, target: &Target<'_>, object: &str) -> Result<String, Refusal> {
        let (endpoint, bucket) = (self.endpoint(target), &self.name);
        match self.storage {
            Storage::CloudStorage => {
                let object = url::segment(object)?;
                Ok(format!("{endpoint}/storage/v1/b/{bucket}/o/{object}"))
            }
            Storage::S3 => {
                let segments: Result<Vec<String>, Refusal> =
                    object.split('/').map(url::segment).collect();
                Ok(format!("{endpoint}/{bucket}/{}", segments?.join("/")))
            }
        }
    }

    fn endpoint(&self, target: &Target<'_>) -> String {
        match (&self.endpoint, self.storage) {
            (Some(endpoint), _) => endpoint.clone(),
            (None, Storage::CloudStorage) => "https://storage.googleapis.com".to_owned(),
            // A bucket of batches is in the region of the models
            // (<https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html>).
            (None, Storage::S3) => {
                let region = target.host.region.as_deref().unwrap_or("us-east-1");
                format!("https://s3.{region}.amazonaws.com")
            }
        }
    }
}

/// Says what S3 wants to know of a body, and who checks the signature.
fn for_s3(mut request: Request<Bytes>) -> Result<Request<Bytes>, Refusal> {
    let mut hex = String::with_capacity(64);
    for byte in digest(&SHA256, request.body()).as_ref() {
        // Writing to a String cannot fail.
        let _written = write!(hex, "{byte:02x}");
    }
    let digest = HeaderValue::try_from(hex).map_err(|error| Refusal {
        detail: format!("The digest of the body is no field: {error}."),
        param: None,
    })?;
    request.headers_mut().insert(DIGEST, digest);
    request.extensions_mut().insert(ForStorage);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use domain::model::Capabilities;

    use super::*;
    use crate::host::Host;

    fn bucket(storage: Storage, prefix: &str) -> Bucket {
        Bucket {
            storage,
            name: "my-bucket".to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            role_arn: None,
        }
    }

    fn with_target<T>(look: impl FnOnce(&Target<'_>) -> T) -> T {
        look(&Target {
            model: "m",
            base_url: "https://a",
            capabilities: &Capabilities::default(),
            host: &Host {
                region: Some("eu-west-1".to_owned()),
                ..Host::NONE
            },
        })
    }

    #[test]
    fn cloud_storage_names_an_object_in_one_segment() {
        let bucket = bucket(Storage::CloudStorage, "some/place");
        with_target(|target| {
            let upload = bucket
                .upload(target, "one.jsonl", b"{}\n".to_vec())
                .unwrap();
            assert_eq!(
                upload.uri(),
                "https://storage.googleapis.com/upload/storage/v1/b/my-bucket/o?uploadType=media&name=some%2Fplace%2Fone.jsonl"
            );
            assert_eq!(upload.body().as_ref(), b"{}\n");
            let uri = bucket.uri("one.jsonl");
            assert_eq!(uri, "gs://my-bucket/some/place/one.jsonl");
            let fetch = bucket.fetch(target, &uri).unwrap();
            assert_eq!(
                fetch.uri(),
                "https://storage.googleapis.com/storage/v1/b/my-bucket/o/some%2Fplace%2Fone.jsonl?alt=media"
            );
            assert_eq!(
                bucket.delete(target, &uri).unwrap().method(),
                Method::DELETE
            );
        });
    }

    #[test]
    fn s3_is_told_the_digest_of_what_it_gets() {
        let bucket = bucket(Storage::S3, "");
        with_target(|target| {
            let upload = bucket.upload(target, "one.jsonl", b"abc".to_vec()).unwrap();
            assert_eq!(upload.method(), Method::PUT);
            assert_eq!(
                upload.uri(),
                "https://s3.eu-west-1.amazonaws.com/my-bucket/one.jsonl"
            );
            // The digest of "abc" (FIPS 180-2, appendix B.1).
            let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
            assert_eq!(upload.headers()[DIGEST], of_abc);
            assert!(upload.extensions().get::<ForStorage>().is_some());
        });
    }

    #[test]
    fn nothing_outside_of_the_prefix_is_asked_for() {
        let bucket = bucket(Storage::S3, "inside");
        with_target(|target| {
            assert!(
                bucket
                    .fetch(target, "s3://my-bucket/inside/a/b.jsonl.out")
                    .is_ok()
            );
            for uri in [
                "s3://another/inside/a",
                "gs://my-bucket/inside/a",
                "s3://my-bucket/outside/a",
                "s3://my-bucket/inside/../a",
                "s3://my-bucket/inside//a",
                "s3://my-bucket/inside/",
                "https://elsewhere/inside/a",
                "",
            ] {
                assert!(bucket.fetch(target, uri).is_err(), "{uri}");
                assert!(bucket.delete(target, uri).is_err(), "{uri}");
            }
        });
    }
}
