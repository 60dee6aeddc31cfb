//! A directory of one test's, removed when the test ends.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(unique("trunkline-e2e-"));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A failed test leaves the directory behind, and with it the logs that say why.
        if std::thread::panicking() {
            eprintln!("the files of this test are in {}", self.0.display());
        } else if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// A name that no other test has.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}{:016x}", RandomState::new().hash_one(0))
}
