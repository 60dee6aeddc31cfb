//! Where the records of files are kept.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{FilePurpose, StoredFile};
use crate::id::{FileId, KeyId};
use crate::store_error::StoreError;

/// Keeps the records of files. Every method is one transaction.
///
/// A file's life: [`begin_file`](Self::begin_file), its bytes are written,
/// [`complete_file`](Self::complete_file); when it was deleted or its time has passed it is among
/// [`ended_files`](Self::ended_files), its bytes are deleted, [`forget_files`](Self::forget_files).
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Adds a file whose bytes are about to be written. Its `expires_at` says when it is given up if it
    /// is never completed.
    async fn begin_file(&self, file: &StoredFile) -> Result<(), StoreError>;

    /// Completes a file that was begun: everything but its identifier, owner, object and beginning becomes
    /// as `file` says. With it, files have at most as many bytes as `room` has; of files that are
    /// completed at the same instant, on several replicas, each may not yet see the others.
    async fn complete_file(
        &self,
        file: &StoredFile,
        room: FileRoom,
    ) -> Result<Completion, StoreError>;

    /// A file of this key's that is there at `now`; `None` when there is none or it is another's.
    async fn file(
        &self,
        id: FileId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError>;

    /// A file that is there at `now`, whoever owns it: for those who hold a link to it.
    async fn linked_file(
        &self,
        id: FileId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError>;

    /// Files of this key's that are there at `now`, as `query` asks. Generated media are in no list.
    async fn list_files(
        &self,
        owner: KeyId,
        query: &FileQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredFile>, StoreError>;

    /// Deletes a file of this key's that is there at `now`: nobody finds it from now on. Answers it;
    /// `None` when there was none.
    async fn delete_file(
        &self,
        id: FileId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError>;

    /// At most `limit` files that were deleted, whose time has passed at `now`, or that were begun and never
    /// completed, the earliest end first: their bytes are to go.
    async fn ended_files(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredFile>, StoreError>;

    /// Forgets files whose bytes are gone.
    async fn forget_files(&self, ids: &[FileId]) -> Result<(), StoreError>;
}

/// How many bytes files may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRoom {
    /// Everybody's.
    pub total: u64,
    /// Those of one organization.
    pub organization: u64,
}

/// How the completion of a file went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It is there.
    Ready,
    /// All files together would have too many bytes; it is not there.
    OverTotal,
    /// Those of its organization would have too many bytes; it is not there.
    OverOrganization,
    /// It was not begun, or was given up meanwhile.
    Gone,
}

/// Which files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuery {
    /// For this purpose only.
    pub purpose: Option<FilePurpose>,
    /// Which come first.
    pub order: FileOrder,
    /// The list goes on after this place.
    pub after: Option<FileCursor>,
    /// At most so many.
    pub limit: u32,
}

/// Which files of a list come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileOrder {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// A place in the list of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCursor {
    /// When the file there was begun.
    pub created_at: Timestamp,
    /// Its identifier.
    pub id: FileId,
}

impl StoredFile {
    /// Its place in the list of files.
    pub fn cursor(&self) -> FileCursor {
        FileCursor {
            created_at: self.created_at,
            id: self.id,
        }
    }
}
