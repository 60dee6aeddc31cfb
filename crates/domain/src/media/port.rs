//! Where bytes of files and generated media lie.

use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

use super::ObjectName;

/// An object's bytes as they arrive. Dropping it ends the reading.
pub type MediaBody = Pin<Box<dyn Stream<Item = Result<Bytes, MediaError>> + Send>>;

/// Keeps objects: a local folder, or object storage.
///
/// An object is there whole or not at all. Nobody writes to one that is there: its name is made of an
/// identifier that is used once.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Begins an object. Nothing is there until [`MediaWriter::finish`]; a writer that is dropped before
    /// leaves nothing that can be read.
    async fn put(&self, name: &ObjectName) -> Result<Box<dyn MediaWriter>, MediaError>;

    /// The bytes of an object from `range.start` up to before `range.end`; `None` when there is none of
    /// that name. A range that goes beyond the object ends where it ends.
    async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
    ) -> Result<Option<MediaBody>, MediaError>;

    /// Deletes an object. That there is none is no error: a deletion may be repeated.
    async fn delete(&self, name: &ObjectName) -> Result<(), MediaError>;
}

/// Writes one object, piece by piece; what it holds back in memory is bounded.
#[async_trait]
pub trait MediaWriter: Send {
    /// Writes the next piece.
    async fn write(&mut self, piece: Bytes) -> Result<(), MediaError>;

    /// Makes the object readable; it then survives the end of the process.
    async fn finish(self: Box<Self>) -> Result<(), MediaError>;
}

/// Why the media store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The store cannot be reached, is full or refuses; the same request may succeed later.
    #[error("media store unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
