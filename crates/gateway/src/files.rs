//! Files: what callers upload and refer to, and media that models made, each with an end.
//!
//! The record of a file is written before its bytes and deleted after them: whatever breaks off in
//! between is found by [`Files::remove_ended`], which the server calls again and again.

mod attach;
mod delivery;
mod link;

use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::caller::Owner;
use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::file::{
    Completion, FileCursor, FileName, FilePurpose, FileQuery, FileRoom, FileStatus, FileStore,
    StoredFile,
};
use domain::id::FileId;
use domain::media::{MediaBody, MediaError, MediaStore, MediaType, MediaWriter, ObjectName};
use domain::secret::Secret;
use domain::store_error::StoreError;
use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use delivery::{Delivery, Given};
pub use link::InvalidLink;
use link::Links;

/// How long the bytes of one file may take to arrive; then it is given up.
const UPLOAD_PATIENCE: SignedDuration = SignedDuration::from_hours(6);
/// Files that are written at the same time. What is not complete yet counts towards no total, so that
/// the store may hold this many times [`FileRules::max_file`] more than [`FileRules::max_total`].
const MAX_WRITERS: usize = 64;

/// What bounds files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRules {
    /// The largest file, in bytes.
    pub max_file: u64,
    /// What all files together may have, in bytes.
    pub max_total: u64,
    /// What the files of one organization together may have, in bytes.
    pub max_organization: u64,
    /// How long what callers upload is kept; `None` keeps it until it is deleted.
    pub uploads_for: Option<Duration>,
    /// How long media that models made is kept, and its links hold.
    pub generated_for: Duration,
    /// Whether media that models made is stored where the caller asks for a URL.
    pub delivers_urls: bool,
}

/// Keeps files.
pub struct Files {
    store: Arc<dyn FileStore>,
    media: Arc<dyn MediaStore>,
    links: Links,
    public_url: Option<String>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    rules: FileRules,
    writers: Arc<Semaphore>,
}

/// What a file is to be called and how long it is kept.
#[derive(Debug, Clone)]
pub struct Label {
    /// What it is for.
    pub purpose: FilePurpose,
    /// What its owner calls it.
    pub filename: FileName,
    /// What it holds.
    pub media_type: MediaType,
    /// How long it is kept at most; the configuration may say less.
    pub keep_for: Option<Duration>,
}

/// A file whose bytes arrive within one request.
pub type Upload<'f> = Arriving<&'f Files>;

/// A file whose bytes are arriving. Dropping it gives the file up.
pub struct Arriving<F> {
    files: F,
    writer: Box<dyn MediaWriter>,
    file: StoredFile,
    _place: OwnedSemaphorePermit,
}

/// Why a file was not kept, found or deleted.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none, it is another's, or its time has passed.
    #[error("there is no file {0}")]
    Unknown(String),
    /// It has more bytes than a file may have, or than are wanted of it.
    #[error("the file has more than {max} bytes")]
    TooLarge {
        /// How many are taken.
        max: u64,
    },
    /// All files together would have more bytes than they may have.
    #[error("all files together would have more than {max} bytes")]
    Full {
        /// How many they may have.
        max: u64,
    },
    /// All files of the owner's organization together would have more bytes than they may have.
    #[error("all files of the organization together would have more than {max} bytes")]
    FullOfYours {
        /// How many they may have.
        max: u64,
    },
    /// Too many files are written at the same time.
    #[error("too many files are written at the moment")]
    Busy,
    /// Its bytes took so long to arrive that it was given up.
    #[error("the file took too long to arrive")]
    GivenUp,
    /// The link to it is not one of ours, or its time has passed.
    #[error(transparent)]
    Link(#[from] InvalidLink),
    /// Its record cannot be reached.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// Its bytes cannot be reached.
    #[error("the media store did not answer")]
    Media(#[from] MediaError),
}

impl Files {
    /// Files whose records are in `store` and whose bytes are in `media`. Links are signed with a key that
    /// is derived from `secret`.
    pub fn new(
        rules: FileRules,
        secret: &Secret<Vec<u8>>,
        store: Arc<dyn FileStore>,
        media: Arc<dyn MediaStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            store,
            media,
            links: Links::new(secret),
            public_url: None,
            clock,
            entropy,
            rules,
            writers: Arc::new(Semaphore::new(MAX_WRITERS)),
        }
    }

    /// The same, with links that begin with `url` (`https://gateway.example`, no slash at its end) instead
    /// of the address by which their caller came.
    #[must_use]
    pub fn reached_at(self, url: Option<String>) -> Self {
        Self {
            public_url: url,
            ..self
        }
    }

    /// What bounds them.
    pub fn rules(&self) -> &FileRules {
        &self.rules
    }

    /// Begins a file; its bytes and its label follow.
    pub async fn begin(&self, owner: Owner) -> Result<Upload<'_>, FileError> {
        begin(self, owner).await
    }

    /// Begins a file whose bytes follow in other requests.
    pub async fn begin_lasting(
        files: &Arc<Self>,
        owner: Owner,
    ) -> Result<Arriving<Arc<Self>>, FileError> {
        begin(Arc::clone(files), owner).await
    }

    /// Prepares a file of this owner's.
    async fn prepare(
        &self,
        owner: Owner,
    ) -> Result<(StoredFile, Box<dyn MediaWriter>, OwnedSemaphorePermit), FileError> {
        let place = Arc::clone(&self.writers).try_acquire_owned();
        let place = place.map_err(|_| FileError::Busy)?;
        let now = self.clock.now();
        let id = FileId::new(now, &*self.entropy);
        let object = ObjectName::of_file(owner.project_id, id);
        let file = StoredFile {
            id,
            organization_id: owner.organization_id,
            project_id: owner.project_id,
            key_id: owner.key_id,
            purpose: FilePurpose::UserData,
            filename: FileName::unnamed(),
            media_type: MediaType::octet_stream(),
            bytes: 0,
            object,
            status: FileStatus::Uploading,
            created_at: now,
            expires_at: Some(later(now, UPLOAD_PATIENCE)),
        };
        self.store.begin_file(&file).await?;
        let writer = self.media.put(&file.object).await?;
        Ok((file, writer, place))
    }

    /// Keeps a file that is already there as a whole.
    pub async fn keep(
        &self,
        owner: Owner,
        label: Label,
        content: Bytes,
    ) -> Result<StoredFile, FileError> {
        let mut upload = self.begin(owner).await?;
        upload.write(content).await?;
        upload.finish(label).await
    }

    /// A file of this owner's.
    pub async fn file(&self, owner: Owner, id: &str) -> Result<StoredFile, FileError> {
        self.find(owner, id)
            .await?
            .ok_or_else(|| FileError::Unknown(id.to_owned()))
    }

    /// A file of this owner's; `None` when there is none, whoever's it may be.
    pub async fn find(&self, owner: Owner, id: &str) -> Result<Option<StoredFile>, StoreError> {
        match id.parse() {
            Ok(id) => self.store.file(id, owner.key_id, self.clock.now()).await,
            Err(_) => Ok(None),
        }
    }

    /// The bytes of a file, or of a part of it.
    pub async fn content(
        &self,
        file: &StoredFile,
        range: Range<u64>,
    ) -> Result<MediaBody, FileError> {
        self.media
            .get(&file.object, range)
            .await?
            .ok_or_else(|| FileError::Unknown(file.id.to_string()))
    }

    /// All bytes of a file that has at most `max`.
    pub async fn read(&self, file: &StoredFile, max: u64) -> Result<Bytes, FileError> {
        if file.bytes > max {
            return Err(FileError::TooLarge { max });
        }
        let mut body = self.content(file, 0..file.bytes).await?;
        let mut content = BytesMut::new();
        while let Some(piece) = body.next().await {
            content.extend_from_slice(&piece?);
        }
        Ok(content.freeze())
    }

    /// Files of this owner's, and whether there are more. `after` is the identifier of one of them.
    pub async fn list(
        &self,
        owner: Owner,
        query: &FileQuery,
        after: Option<&str>,
    ) -> Result<(Vec<StoredFile>, bool), FileError> {
        let after: Option<FileCursor> = match after {
            Some(id) => Some(self.file(owner, id).await?.cursor()),
            None => query.after,
        };
        let wanted = FileQuery {
            after,
            limit: query.limit.saturating_add(1),
            ..*query
        };
        let now = self.clock.now();
        let mut files = self.store.list_files(owner.key_id, &wanted, now).await?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let goes_on = files.len() > limit;
        files.truncate(limit);
        Ok((files, goes_on))
    }

    /// Deletes a file of this owner's: it is gone for everyone at once, and its bytes with it.
    pub async fn delete(&self, owner: Owner, id: &str) -> Result<StoredFile, FileError> {
        let unknown = || FileError::Unknown(id.to_owned());
        let file_id = id.parse().map_err(|_| unknown())?;
        let now = self.clock.now();
        let deleted = self.store.delete_file(file_id, owner.key_id, now).await?;
        let file = deleted.ok_or_else(unknown)?;
        self.remove(std::slice::from_ref(&file)).await?;
        Ok(file)
    }

    /// Deletes at most `limit` files whose time has passed; answers how many.
    pub async fn remove_ended(&self, limit: u32) -> Result<usize, FileError> {
        let ended = self.store.ended_files(self.clock.now(), limit).await?;
        self.remove(&ended).await?;
        Ok(ended.len())
    }

    /// The path and query under which `file` can be read by whoever has them, until it ends.
    pub fn link(&self, file: &StoredFile) -> String {
        self.links.to(file.id, file.expires_at)
    }

    /// The file that a link leads to.
    pub async fn linked(
        &self,
        id: &str,
        expires: &str,
        signature: &str,
    ) -> Result<StoredFile, FileError> {
        let now = self.clock.now();
        let file_id = self.links.check(id, expires, signature, now)?;
        let found = self.store.linked_file(file_id, now).await?;
        found.ok_or_else(|| FileError::Unknown(id.to_owned()))
    }

    /// Removes the bytes of files that nobody finds any more, then their records.
    async fn remove(&self, files: &[StoredFile]) -> Result<(), FileError> {
        for file in files {
            self.media.delete(&file.object).await?;
        }
        let ids: Vec<FileId> = files.iter().map(|file| file.id).collect();
        Ok(self.store.forget_files(&ids).await?)
    }

    /// Until when a file of `label` that was begun at `begun` is kept.
    fn end_of(&self, label: &Label, begun: Timestamp) -> Option<Timestamp> {
        let bound = match label.purpose {
            FilePurpose::Generated => Some(self.rules.generated_for),
            _ => self.rules.uploads_for,
        };
        let kept = match (label.keep_for, bound) {
            (Some(asked), Some(bound)) => Some(asked.min(bound)),
            (asked, bound) => asked.or(bound),
        };
        let kept = kept.and_then(|kept| SignedDuration::try_from(kept).ok())?;
        Some(later(begun, kept))
    }
}

async fn begin<F>(files: F, owner: Owner) -> Result<Arriving<F>, FileError>
where
    F: Deref<Target = Files>,
{
    let (file, writer, place) = files.prepare(owner).await?;
    Ok(Arriving {
        files,
        writer,
        file,
        _place: place,
    })
}

impl<F: Deref<Target = Files>> Arriving<F> {
    /// The identifier that the file will have.
    pub fn id(&self) -> FileId {
        self.file.id
    }

    /// Writes the next bytes.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), FileError> {
        let max = self.files.rules.max_file;
        self.file.bytes = self.file.bytes.saturating_add(piece.len() as u64);
        if self.file.bytes > max {
            return Err(FileError::TooLarge { max });
        }
        Ok(self.writer.write(piece).await?)
    }

    /// Completes the file.
    pub async fn finish(self, label: Label) -> Result<StoredFile, FileError> {
        let files = &*self.files;
        let file = StoredFile {
            expires_at: files.end_of(&label, self.file.created_at),
            purpose: label.purpose,
            filename: label.filename,
            media_type: label.media_type,
            status: FileStatus::Ready,
            ..self.file
        };
        self.writer.finish().await?;
        let room = FileRoom {
            total: files.rules.max_total,
            organization: files.rules.max_organization,
        };
        let problem = match files.store.complete_file(&file, room).await? {
            Completion::Ready => return Ok(file),
            Completion::OverTotal => FileError::Full { max: room.total },
            Completion::OverOrganization => FileError::FullOfYours {
                max: room.organization,
            },
            Completion::Gone => FileError::GivenUp,
        };
        files.remove(std::slice::from_ref(&file)).await?;
        Err(problem)
    }
}

fn later(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.saturating_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
