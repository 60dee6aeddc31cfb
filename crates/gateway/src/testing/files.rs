//! Files in memory: their records and their bytes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use domain::file::{Completion, FileOrder, FileQuery, FileRoom, FileStatus, FileStore, StoredFile};
use domain::id::{FileId, KeyId};
use domain::media::{MediaBody, MediaError, MediaStore, MediaWriter, ObjectName};
use domain::store_error::StoreError;
use jiff::Timestamp;

/// The records of files, in memory.
#[derive(Default)]
pub(crate) struct Records(Mutex<BTreeMap<FileId, StoredFile>>);

/// The bytes of files, in memory.
#[derive(Default)]
pub(crate) struct Shelf {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    pub(crate) is_down: AtomicBool,
}

impl Shelf {
    /// The names of what is there.
    pub(crate) fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    fn available(&self) -> Result<(), MediaError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(MediaError::Unavailable("it is down".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl FileStore for Records {
    async fn begin_file(&self, file: &StoredFile) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(file.id, file.clone());
        Ok(())
    }

    async fn complete_file(
        &self,
        file: &StoredFile,
        room: FileRoom,
    ) -> Result<Completion, StoreError> {
        let mut files = self.0.lock().unwrap();
        let total: u64 = files.values().map(|file| file.bytes).sum();
        let of_organization = files.values();
        let of_organization =
            of_organization.filter(|other| other.organization_id == file.organization_id);
        let of_organization: u64 = of_organization.map(|file| file.bytes).sum();
        Ok(match files.get_mut(&file.id) {
            Some(kept) if kept.status == FileStatus::Uploading => {
                if total + file.bytes > room.total {
                    Completion::OverTotal
                } else if of_organization + file.bytes > room.organization {
                    Completion::OverOrganization
                } else {
                    kept.clone_from(file);
                    Completion::Ready
                }
            }
            _ => Completion::Gone,
        })
    }

    async fn file(
        &self,
        id: FileId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        let found = self.linked_file(id, now).await?;
        Ok(found.filter(|file| file.key_id == owner))
    }

    async fn linked_file(
        &self,
        id: FileId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        let found = self.0.lock().unwrap().get(&id).cloned();
        Ok(found.filter(|file| file.is_there_at(now)))
    }

    async fn list_files(
        &self,
        owner: KeyId,
        query: &FileQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredFile>, StoreError> {
        let files = self.0.lock().unwrap();
        let own = files
            .values()
            .filter(|file| file.key_id == owner && file.is_there_at(now));
        let mut own: Vec<StoredFile> = own.cloned().collect();
        if query.order == FileOrder::Newest {
            own.reverse();
        }
        let skipped = query.after.map_or(0, |after| {
            let place = own.iter().position(|file| file.id == after.id);
            place.map_or(own.len(), |place| place + 1)
        });
        let limit = query.limit as usize;
        Ok(own.into_iter().skip(skipped).take(limit).collect())
    }

    async fn delete_file(
        &self,
        id: FileId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        let found = self.file(id, owner, now).await?;
        if let Some(file) = self.0.lock().unwrap().get_mut(&id)
            && found.is_some()
        {
            file.status = FileStatus::Deleted;
            file.expires_at = Some(now);
        }
        Ok(found)
    }

    async fn ended_files(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredFile>, StoreError> {
        let files = self.0.lock().unwrap();
        let ended = files
            .values()
            .filter(|file| file.expires_at.is_some_and(|end| end <= now));
        Ok(ended.take(limit as usize).cloned().collect())
    }

    async fn forget_files(&self, ids: &[FileId]) -> Result<(), StoreError> {
        self.0.lock().unwrap().retain(|id, _| !ids.contains(id));
        Ok(())
    }
}

#[async_trait]
impl MediaStore for Shelf {
    async fn put(&self, name: &ObjectName) -> Result<Box<dyn MediaWriter>, MediaError> {
        self.available()?;
        Ok(Box::new(Writer {
            objects: Arc::clone(&self.objects),
            name: name.to_string(),
            written: Vec::new(),
        }))
    }

    async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
    ) -> Result<Option<MediaBody>, MediaError> {
        self.available()?;
        let found = self.objects.lock().unwrap().get(name.as_str()).cloned();
        Ok(found.map(|object| -> MediaBody {
            let end = object.len().min(usize::try_from(range.end).unwrap());
            let part = object.slice(usize::try_from(range.start).unwrap()..end);
            Box::pin(futures_util::stream::iter([Ok(part)]))
        }))
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), MediaError> {
        self.available()?;
        self.objects.lock().unwrap().remove(name.as_str());
        Ok(())
    }
}

struct Writer {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    name: String,
    written: Vec<u8>,
}

#[async_trait]
impl MediaWriter for Writer {
    async fn write(&mut self, piece: Bytes) -> Result<(), MediaError> {
        self.written.extend_from_slice(&piece);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), MediaError> {
        let mut objects = self.objects.lock().unwrap();
        objects.insert(self.name, self.written.into());
        Ok(())
    }
}
