//! A folder: one file for each object, readable by its owner only.

use std::io::{self, ErrorKind, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use domain::media::{MediaBody, MediaError, MediaStore, MediaWriter, ObjectName};
use futures_util::stream;
use tokio::fs::{DirBuilder, File, OpenOptions, remove_file, rename};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// How much is read at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// What the name of a file ends in while it is written. No object's name has a dot.
const PARTIAL: &str = "partial";

/// A folder of objects.
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at `root`, which is made when the first object is written.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where an object lies. Its name cannot lead out of the folder.
    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.as_str())
    }
}

#[async_trait]
impl MediaStore for Folder {
    async fn put(&self, name: &ObjectName) -> Result<Box<dyn MediaWriter>, MediaError> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .await;
        made.map_err(unavailable)?;
        let partial = Partial(path.with_extension(PARTIAL));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial.0)
            .await
            .map_err(unavailable)?;
        Ok(Box::new(Writer {
            file,
            partial,
            path,
        }))
    }

    async fn get(
        &self,
        name: &ObjectName,
        range: Range<u64>,
    ) -> Result<Option<MediaBody>, MediaError> {
        let mut file = match File::open(self.path(name)).await {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        if range.start > 0 {
            let sought = file.seek(SeekFrom::Start(range.start)).await;
            sought.map_err(unavailable)?;
        }
        let part = file.take(range.end.saturating_sub(range.start));
        let pieces = stream::try_unfold(part, |mut part| async move {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = part.read_buf(&mut piece).await.map_err(unavailable)?;
            Ok((read > 0).then(|| (piece.freeze(), part)))
        });
        Ok(Some(Box::pin(pieces)))
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), MediaError> {
        let path = self.path(name);
        // What a process left behind that ended in the middle of writing goes with it.
        for path in [path.with_extension(PARTIAL), path] {
            match remove_file(path).await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(unavailable(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes beside the object's place, and then moves there.
struct Writer {
    file: File,
    partial: Partial,
    path: PathBuf,
}

#[async_trait]
impl MediaWriter for Writer {
    async fn write(&mut self, piece: Bytes) -> Result<(), MediaError> {
        self.file.write_all(&piece).await.map_err(unavailable)
    }

    async fn finish(mut self: Box<Self>) -> Result<(), MediaError> {
        self.file.flush().await.map_err(unavailable)?;
        self.file.sync_all().await.map_err(unavailable)?;
        rename(&self.partial.0, &self.path)
            .await
            .map_err(unavailable)
    }
}

/// A file that is removed unless it was moved elsewhere.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        remove_if_there(&self.0);
    }
}

fn remove_if_there(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "an unfinished file is left behind");
        }
        _ => {}
    }
}

fn unavailable(error: io::Error) -> MediaError {
    MediaError::Unavailable(error.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use futures_util::TryStreamExt;

    use super::*;

    /// A folder that is gone when the test is.
    struct Bench(PathBuf);

    impl Bench {
        fn new(test: &str) -> (Self, Folder) {
            let name = format!("trunkline-media-{}-{test}", std::process::id());
            let root = std::env::temp_dir().join(name);
            (Self(root.clone()), Folder::new(root.join("media")))
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn name() -> ObjectName {
        "proj_1/file-1".parse().unwrap()
    }

    async fn put(folder: &Folder, pieces: &[&'static [u8]]) {
        let mut writer = folder.put(&name()).await.unwrap();
        for piece in pieces {
            writer.write(Bytes::from_static(piece)).await.unwrap();
        }
        writer.finish().await.unwrap();
    }

    async fn get(folder: &Folder, range: Range<u64>) -> Option<Vec<u8>> {
        let body = folder.get(&name(), range).await.unwrap()?;
        let pieces: Vec<Bytes> = body.try_collect().await.unwrap();
        Some(pieces.concat())
    }

    #[tokio::test]
    async fn an_object_reads_back_whole_and_in_parts() {
        let (_bench, folder) = Bench::new("parts");
        assert_eq!(get(&folder, 0..9).await, None);
        put(&folder, &[b"hello ", b"", b"world"]).await;
        assert_eq!(get(&folder, 0..11).await.unwrap(), b"hello world");
        assert_eq!(get(&folder, 4..7).await.unwrap(), b"o w");
        assert_eq!(get(&folder, 6..99).await.unwrap(), b"world");
        assert_eq!(get(&folder, 0..0).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn nothing_is_there_before_it_is_finished_and_nothing_is_left_behind() {
        let (_bench, folder) = Bench::new("unfinished");
        let mut writer = folder.put(&name()).await.unwrap();
        writer.write(Bytes::from_static(b"half")).await.unwrap();
        assert_eq!(get(&folder, 0..9).await, None);
        drop(writer);
        let left = std::fs::read_dir(folder.root.join("proj_1")).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[tokio::test]
    async fn a_deleted_object_is_gone_and_may_be_deleted_again() {
        let (_bench, folder) = Bench::new("deleted");
        put(&folder, &[b"a"]).await;
        let partial = folder.path(&name()).with_extension(PARTIAL);
        std::fs::write(&partial, "of a process that ended").unwrap();
        folder.delete(&name()).await.unwrap();
        assert_eq!(get(&folder, 0..9).await, None);
        assert!(!partial.exists());
        folder.delete(&name()).await.unwrap();
    }

    #[tokio::test]
    async fn only_its_owner_reads_the_folder() {
        let (_bench, folder) = Bench::new("modes");
        put(&folder, &[b"a"]).await;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = folder.path(&name());
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&folder.root), 0o700);
    }
}
