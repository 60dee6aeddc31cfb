//! S3 and what speaks its language (<https://docs.aws.amazon.com/AmazonS3/latest/API/>).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use domain::egress::Egress;
use domain::media::{MediaBody, MediaError, MediaStore, MediaWriter, ObjectName};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
    RetryConfig,
};
use tokio::runtime::Handle;

use super::transport::Transport;
use crate::config::S3Bucket;

/// How much of a file is gathered before it is sent, in bytes: S3 takes no smaller parts than 5 MiB, and
/// some of its kin want all of one length. A file has at most 10 000 of them, which are 80 GiB.
const PART: usize = 8 * 1024 * 1024;
/// How often, and for how long, what failed in passing is tried again.
const RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// One bucket, or the part of it that begins with a prefix.
pub(super) struct ObjectStorage {
    store: Arc<AmazonS3>,
    prefix: Path,
}

impl ObjectStorage {
    pub(super) fn new(bucket: &S3Bucket, egress: Arc<dyn Egress>) -> anyhow::Result<Self> {
        let mut builder = AmazonS3Builder::new()
            .with_http_connector(Transport(egress))
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
                ..RetryConfig::default()
            });
        for (variable, value) in &bucket.environment {
            let key = variable.to_ascii_lowercase().parse()?;
            builder = builder.with_config(key, value.reveal().clone());
        }
        builder = builder.with_bucket_name(&bucket.name);
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        if let Some(keys) = &bucket.keys {
            builder = builder
                .with_access_key_id(&keys.access_key_id)
                .with_secret_access_key(keys.secret_access_key.reveal());
            if let Some(token) = &keys.session_token {
                builder = builder.with_token(token.reveal());
            }
        }
        builder = match &bucket.endpoint {
            Some(endpoint) => builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://")),
            // A dot in the bucket's name would not fit the certificate of a host that is named for it.
            None => builder.with_virtual_hosted_style_request(!bucket.name.contains('.')),
        };
        Ok(Self {
            store: Arc::new(builder.build()?),
            prefix: Path::parse(&bucket.prefix)?,
        })
    }

    fn path(&self, name: &ObjectName) -> Path {
        let segments = name.as_str().split('/');
        segments.fold(self.prefix.clone(), Path::join)
    }
}

#[async_trait]
impl MediaStore for ObjectStorage {
    async fn put(&self, name: &ObjectName) -> Result<Box<dyn MediaWriter>, MediaError> {
        Ok(Box::new(Writer {
            store: Arc::clone(&self.store),
            path: self.path(name),
            held: BytesMut::new(),
            parts: Parts::default(),
        }))
    }

    async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
    ) -> Result<Option<MediaBody>, MediaError> {
        let path = self.path(name);
        // A range of no bytes cannot be asked for.
        if range.is_empty() {
            return match self.store.head(&path).await {
                Ok(_) => Ok(Some(Box::pin(stream::empty()))),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(unavailable(error)),
            };
        }
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
        match self.store.get_opts(&path, options).await {
            Ok(found) => Ok(Some(found.into_stream().map_err(unavailable).boxed())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), MediaError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// Writes a small object in one request, and a larger one in parts.
struct Writer {
    store: Arc<AmazonS3>,
    path: Path,
    held: BytesMut,
    parts: Parts,
}

/// The parts that were sent. Dropping them before they are complete takes them back.
#[derive(Default)]
struct Parts(Option<Box<dyn MultipartUpload>>);

impl Writer {
    async fn send(&mut self, part: Bytes) -> Result<(), MediaError> {
        let upload = match &mut self.parts.0 {
            Some(upload) => upload,
            none => {
                let begun = self.store.put_multipart(&self.path).await;
                none.insert(begun.map_err(unavailable)?)
            }
        };
        let sent = upload.put_part(PutPayload::from_bytes(part)).await;
        sent.map_err(unavailable)
    }
}

#[async_trait]
impl MediaWriter for Writer {
    async fn write(&mut self, mut piece: Bytes) -> Result<(), MediaError> {
        while !piece.is_empty() {
            let room = PART.saturating_sub(self.held.len()).min(piece.len());
            self.held.extend_from_slice(&piece.split_to(room));
            if self.held.len() == PART {
                let part = self.held.split().freeze();
                self.send(part).await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), MediaError> {
        let rest = self.held.split().freeze();
        if self.parts.0.is_none() {
            let put = self.store.put(&self.path, PutPayload::from_bytes(rest));
            return put.await.map(drop).map_err(unavailable);
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        if let Some(upload) = &mut self.parts.0 {
            upload.complete().await.map_err(unavailable)?;
        }
        self.parts.0 = None;
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(mut upload) = self.0.take()
            && let Ok(runtime) = Handle::try_current()
        {
            // Nobody waits for it: what it leaves behind, a rule of the bucket's removes.
            drop(runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(%error, "the parts of an unfinished object are left behind");
                }
            }));
        }
    }
}

fn unavailable(error: Error) -> MediaError {
    MediaError::Unavailable(error.into())
}
