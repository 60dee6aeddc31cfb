//! Journals whose process is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use domain::id::ReplicaId;

use super::{lock_path, spare_path};

/// Another replica's journal, whose process is gone. Nobody else can adopt it while this lives.
pub(in crate::ledger) struct Orphan {
    directory: PathBuf,
    replica: ReplicaId,
    lock: File,
}

impl Orphan {
    /// The journals in `directory` that no living process holds.
    pub(in crate::ledger) fn find_all(directory: &Path) -> io::Result<Vec<Self>> {
        let mut orphans = Vec::new();
        if !directory.exists() {
            return Ok(orphans);
        }
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "lock") {
                continue;
            }
            let name = path.file_stem().and_then(|stem| stem.to_str());
            let Some(replica) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            let lock = match OpenOptions::new().write(true).open(&path) {
                // Another process has just settled it.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match lock.try_lock() {
                Ok(()) => orphans.push(Self {
                    directory: directory.to_owned(),
                    replica,
                    lock,
                }),
                Err(fs::TryLockError::WouldBlock) => {}
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(orphans)
    }

    /// Whose it was.
    pub(in crate::ledger) fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Its segments and their numbers, oldest first.
    pub(in crate::ledger) fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let prefix = format!("{}-", self.replica);
        let mut segments: Vec<(u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let number = name
                .strip_prefix(&prefix)
                .and_then(|rest| rest.strip_suffix(".log"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                segments.push((number, path));
            }
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// Deletes the journal: everything in it has reached the store.
    pub(in crate::ledger) fn delete(self) -> io::Result<()> {
        for (_, path) in self.segments()? {
            fs::remove_file(path)?;
        }
        remove_if_there(&spare_path(&self.directory, self.replica))?;
        // The lock goes last: without it, nobody would find the segments.
        let deleted = remove_if_there(&lock_path(&self.directory, self.replica));
        drop(self.lock);
        deleted
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
