//! Files: what callers upload and what is made for them. The record of a file is in the store
//! ([`FileStore`]), its bytes are in the [media store](crate::media::MediaStore).

mod port;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::id::{FileId, KeyId, OrganizationId, ProjectId};
use crate::media::{MediaType, ObjectName};

pub use port::{Completion, FileCursor, FileOrder, FileQuery, FileRoom, FileStore};

/// The record of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Its identifier.
    pub id: FileId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// Whose it is: nobody else may know that it is there.
    pub key_id: KeyId,
    /// What it is for.
    pub purpose: FilePurpose,
    /// What its owner calls it.
    pub filename: FileName,
    /// What it holds.
    pub media_type: MediaType,
    /// How many bytes it has; 0 while it is uploaded.
    pub bytes: u64,
    /// Where its bytes lie in the media store.
    pub object: ObjectName,
    /// How far it has come.
    pub status: FileStatus,
    /// When it was begun.
    pub created_at: Timestamp,
    /// From when on it is to be forgotten; `None` keeps it until it is deleted.
    pub expires_at: Option<Timestamp>,
}

/// How far a file has come. The record is written before the bytes and deleted after them, so that
/// there are never bytes that nobody knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileStatus {
    /// Its bytes are still arriving: nobody finds it.
    Uploading,
    /// It is all there.
    Ready,
    /// Its owner deleted it: nobody finds it, and its bytes go next.
    Deleted,
}

/// What a file is for
/// (<https://platform.openai.com/docs/api-reference/files/object#files/object-purpose>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePurpose {
    /// For assistants and file search.
    Assistants,
    /// What an assistant made.
    AssistantsOutput,
    /// The requests of a batch.
    Batch,
    /// The answers of a batch.
    BatchOutput,
    /// For evaluations.
    Evals,
    /// Training data.
    FineTune,
    /// What a fine-tuning job made.
    FineTuneResults,
    /// Images for models that see.
    Vision,
    /// Anything that is given to a model. Files of Anthropic's API have this purpose.
    UserData,
    /// Media that a model made, handed out by its URL only: it is in no list of files.
    Generated,
}

/// What the owner of a file calls it: 1–255 bytes without control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct FileName(Arc<str>);

/// The text names nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a word that is known here")]
pub struct UnknownWord;

/// The text is not the name of a file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a file's name has 1 to 255 bytes and no control characters")]
pub struct InvalidFileName;

impl StoredFile {
    /// Whether it can be found at `now`.
    pub fn is_there_at(&self, now: Timestamp) -> bool {
        self.status == FileStatus::Ready && self.expires_at.is_none_or(|end| end > now)
    }
}

impl FileStatus {
    /// The status in one word, as the store keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploading => "uploading",
            Self::Ready => "ready",
            Self::Deleted => "deleted",
        }
    }
}

impl FilePurpose {
    /// Every purpose.
    pub const ALL: [Self; 10] = [
        Self::Assistants,
        Self::AssistantsOutput,
        Self::Batch,
        Self::BatchOutput,
        Self::Evals,
        Self::FineTune,
        Self::FineTuneResults,
        Self::Vision,
        Self::UserData,
        Self::Generated,
    ];

    /// The purpose as callers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistants => "assistants",
            Self::AssistantsOutput => "assistants_output",
            Self::Batch => "batch",
            Self::BatchOutput => "batch_output",
            Self::Evals => "evals",
            Self::FineTune => "fine-tune",
            Self::FineTuneResults => "fine-tune-results",
            Self::Vision => "vision",
            Self::UserData => "user_data",
            Self::Generated => "generated",
        }
    }

    /// Whether callers may upload files for it; the others are made here.
    pub fn is_uploaded(self) -> bool {
        match self {
            Self::Assistants
            | Self::Batch
            | Self::Evals
            | Self::FineTune
            | Self::Vision
            | Self::UserData => true,
            Self::AssistantsOutput
            | Self::BatchOutput
            | Self::FineTuneResults
            | Self::Generated => false,
        }
    }
}

impl FileName {
    /// The name of a file whose owner gave it none.
    pub fn unnamed() -> Self {
        Self("upload".into())
    }

    /// The name of a file that was made here: `generated.` and its extension.
    pub(crate) fn generated(extension: &str) -> Self {
        Self(format!("generated.{extension}").into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FilePurpose {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_it = |purpose: &Self| purpose.as_str() == text;
        Self::ALL.into_iter().find(is_it).ok_or(UnknownWord)
    }
}

impl FromStr for FileStatus {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_it = |status: &Self| status.as_str() == text;
        [Self::Uploading, Self::Ready, Self::Deleted]
            .into_iter()
            .find(is_it)
            .ok_or(UnknownWord)
    }
}

impl FromStr for FileName {
    type Err = InvalidFileName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            return Err(InvalidFileName);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_from_what_they_print() {
        for purpose in FilePurpose::ALL {
            assert_eq!(purpose.as_str().parse(), Ok(purpose));
        }
        for status in [
            FileStatus::Uploading,
            FileStatus::Ready,
            FileStatus::Deleted,
        ] {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert_eq!("fine_tune".parse::<FilePurpose>(), Err(UnknownWord));
        assert_eq!("".parse::<FileStatus>(), Err(UnknownWord));
    }

    #[test]
    fn a_file_name_cannot_break_a_header() {
        let name: FileName = "Größe 東京/..\\x.pdf".parse().unwrap();
        assert_eq!(name.to_string(), "Größe 東京/..\\x.pdf");
        for text in ["", "a\r\nb", "a\0", &"x".repeat(256)] {
            assert_eq!(text.parse::<FileName>(), Err(InvalidFileName), "{text}");
        }
    }
}
