//! Files: the statements of the file port.

use async_trait::async_trait;
use domain::file::{
    Completion, FileCursor, FileOrder, FilePurpose, FileQuery, FileRoom, FileStatus, FileStore,
    StoredFile,
};
use domain::id::{FileId, KeyId};
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Store, execute, rows};
use crate::value::{Reader, microseconds, saturated};

#[async_trait]
impl FileStore for Store {
    async fn begin_file(&self, file: &StoredFile) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        execute!(
            transaction.session(),
            "INSERT INTO files (
               id, organization_id, project_id, key_id, purpose, filename, media_type, bytes, object,
               status, created_at, expires_at
             )
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            file.id.to_string(),
            file.organization_id.to_string(),
            file.project_id.to_string(),
            file.key_id.to_string(),
            file.purpose.as_str(),
            file.filename.as_str(),
            file.media_type.as_str(),
            saturated(file.bytes),
            file.object.as_str(),
            FileStatus::Uploading.as_str(),
            microseconds(file.created_at),
            file.expires_at.map(microseconds),
        )?;
        transaction.commit().await
    }

    async fn complete_file(
        &self,
        file: &StoredFile,
        room: FileRoom,
    ) -> Result<Completion, StoreError> {
        let mut transaction = self.database.begin().await?;
        let completed = execute!(
            transaction.session(),
            "UPDATE files
             SET purpose = $3,
                 filename = $4,
                 media_type = $5,
                 bytes = $6,
                 status = 'ready',
                 expires_at = $7
             WHERE id = $1
               AND key_id = $2
               AND status = 'uploading'
               AND (SELECT COALESCE(SUM(bytes), 0) FROM files) <= $8 - $6
               AND (SELECT COALESCE(SUM(bytes), 0) FROM files WHERE organization_id = $9) <= $10 - $6",
            file.id.to_string(),
            file.key_id.to_string(),
            file.purpose.as_str(),
            file.filename.as_str(),
            file.media_type.as_str(),
            saturated(file.bytes),
            file.expires_at.map(microseconds),
            saturated(room.total),
            file.organization_id.to_string(),
            saturated(room.organization),
        )?;
        if completed > 0 {
            transaction.commit().await?;
            return Ok(Completion::Ready);
        }
        let begun = rows!(
            transaction.session(),
            (i64,),
            "SELECT CAST(COALESCE((SELECT SUM(bytes) FROM files WHERE organization_id = $3), 0) AS BIGINT)
             FROM files
             WHERE id = $1 AND key_id = $2 AND status = 'uploading'",
            file.id.to_string(),
            file.key_id.to_string(),
            file.organization_id.to_string(),
        )?;
        let room_of_organization = saturated(room.organization) - saturated(file.bytes);
        Ok(match begun.first() {
            None => Completion::Gone,
            Some((taken,)) if *taken > room_of_organization => Completion::OverOrganization,
            Some(_) => Completion::OverTotal,
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
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            FileRow,
            "SELECT
               id, organization_id, project_id, key_id, purpose, filename, media_type, bytes, object,
               status, created_at, expires_at
             FROM files
             WHERE id = $1
               AND status = 'ready'
               AND (expires_at IS NULL OR expires_at > $2)",
            id.to_string(),
            microseconds(now),
        )?
        .pop()
        .map(FileRow::into_file)
        .transpose()
    }

    async fn list_files(
        &self,
        owner: KeyId,
        query: &FileQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredFile>, StoreError> {
        match query.order {
            FileOrder::Newest => self.newest_files(owner, query, now).await,
            FileOrder::Oldest => self.oldest_files(owner, query, now).await,
        }
    }

    async fn delete_file(
        &self,
        id: FileId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<StoredFile>, StoreError> {
        let Some(file) = self.file(id, owner, now).await? else {
            return Ok(None);
        };
        let mut transaction = self.database.begin().await?;
        let deleted = execute!(
            transaction.session(),
            "UPDATE files
             SET status = 'deleted', expires_at = $2
             WHERE id = $1 AND status = 'ready'",
            id.to_string(),
            microseconds(now),
        )?;
        transaction.commit().await?;
        Ok((deleted > 0).then_some(file))
    }

    async fn ended_files(&self, now: Timestamp, limit: u32) -> Result<Vec<StoredFile>, StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            FileRow,
            "SELECT
               id, organization_id, project_id, key_id, purpose, filename, media_type, bytes, object,
               status, created_at, expires_at
             FROM files
             WHERE expires_at <= $1
             ORDER BY expires_at
             LIMIT $2",
            microseconds(now),
            i64::from(limit),
        )?
        .into_iter()
        .map(FileRow::into_file)
        .collect()
    }

    async fn forget_files(&self, ids: &[FileId]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        for id in ids {
            execute!(
                transaction.session(),
                "DELETE FROM files WHERE id = $1",
                id.to_string(),
            )?;
        }
        transaction.commit().await
    }
}

/// The two orders of the list: an order is part of a statement, not a value.
impl Store {
    async fn newest_files(
        &self,
        owner: KeyId,
        query: &FileQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredFile>, StoreError> {
        let (created_at, id) = query.after.map_or((i64::MAX, String::new()), columns);
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            FileRow,
            "SELECT
               id, organization_id, project_id, key_id, purpose, filename, media_type, bytes, object,
               status, created_at, expires_at
             FROM files
             WHERE key_id = $1
               AND (created_at, id) < ($2, $3)
               AND status = 'ready'
               AND purpose <> 'generated'
               AND ($4 IS NULL OR purpose = $4)
               AND (expires_at IS NULL OR expires_at > $5)
             ORDER BY created_at DESC, id DESC
             LIMIT $6",
            owner.to_string(),
            created_at,
            id,
            query.purpose.map(FilePurpose::as_str),
            microseconds(now),
            i64::from(query.limit),
        )?
        .into_iter()
        .map(FileRow::into_file)
        .collect()
    }

    async fn oldest_files(
        &self,
        owner: KeyId,
        query: &FileQuery,
        now: Timestamp,
    ) -> Result<Vec<StoredFile>, StoreError> {
        let (created_at, id) = query.after.map_or((i64::MIN, String::new()), columns);
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            FileRow,
            "SELECT
               id, organization_id, project_id, key_id, purpose, filename, media_type, bytes, object,
               status, created_at, expires_at
             FROM files
             WHERE key_id = $1
               AND (created_at, id) > ($2, $3)
               AND status = 'ready'
               AND purpose <> 'generated'
               AND ($4 IS NULL OR purpose = $4)
               AND (expires_at IS NULL OR expires_at > $5)
             ORDER BY created_at, id
             LIMIT $6",
            owner.to_string(),
            created_at,
            id,
            query.purpose.map(FilePurpose::as_str),
            microseconds(now),
            i64::from(query.limit),
        )?
        .into_iter()
        .map(FileRow::into_file)
        .collect()
    }
}

/// A place in the list, as the columns that the list is ordered by.
fn columns(cursor: FileCursor) -> (i64, String) {
    (microseconds(cursor.created_at), cursor.id.to_string())
}

#[derive(sqlx::FromRow)]
struct FileRow {
    id: String,
    organization_id: String,
    project_id: String,
    key_id: String,
    purpose: String,
    filename: String,
    media_type: String,
    bytes: i64,
    object: String,
    status: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl FileRow {
    fn into_file(self) -> Result<StoredFile, StoreError> {
        let row = Reader {
            table: "files",
            id: &self.id,
        };
        Ok(StoredFile {
            id: row.parse("id", &self.id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            key_id: row.parse("key_id", &self.key_id)?,
            purpose: row.parse("purpose", &self.purpose)?,
            filename: row.parse("filename", &self.filename)?,
            media_type: row.parse("media_type", &self.media_type)?,
            bytes: row.number("bytes", self.bytes)?,
            object: row.parse("object", &self.object)?,
            status: row.parse("status", &self.status)?,
            created_at: row.time("created_at", self.created_at)?,
            expires_at: row.optional("expires_at", self.expires_at, Reader::time)?,
        })
    }
}
