//! Files of models, as they are published.

use std::path::{Path, PathBuf};

/// Why a model's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the model's file {} {what}", file.display())]
pub struct LoadError {
    file: PathBuf,
    what: String,
}

pub(crate) fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(file).map_err(|error| wrong(file, "cannot be read", &error))
}

pub(crate) fn wrong(file: &Path, what: &str, error: &impl std::fmt::Display) -> LoadError {
    LoadError {
        file: file.to_owned(),
        what: format!("{what}: {error}"),
    }
}
