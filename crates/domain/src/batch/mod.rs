//! Batches: many requests that are handed over together and answered within a day.
//!
//! What is asked is a file of lines; what was answered is kept line by line until the batch has ended and
//! its files of results are written. Who works on a batch holds a lease on it.

mod handover;
mod port;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use handover::{Handover, HandoverStep};
pub use port::{BatchCursor, BatchStore, Hold};

use crate::id::{BatchId, FileId, KeyId, OrganizationId, ProjectId, RequestId};
use crate::usage::Usage;

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its identifier.
    pub id: BatchId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// Whose it is: nobody else may know that it is there. Its lines are asked with this key.
    pub key_id: KeyId,
    /// The API that it was made by.
    pub face: BatchFace,
    /// How far it has come.
    pub state: BatchState,
    /// When its owner wanted it to end.
    pub cancelling_at: Option<Timestamp>,
    /// How many of its lines have ended.
    pub ended: EndedLines,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, whether it is done or not.
    pub expires_at: Timestamp,
    /// The rest of it.
    pub details: BatchDetails,
}

/// What of a batch is neither searched for nor counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchDetails {
    /// The path that every line asks (`/v1/chat/completions`).
    pub endpoint: String,
    /// The file of its lines.
    pub input: FileId,
    /// What its owner wants to know it by: a JSON object as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// How long the files of results are kept, in seconds; `None` as long as other files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_seconds: Option<u64>,
    /// How many lines there are; 0 before they were looked at.
    #[serde(default)]
    pub lines: u32,
    /// What is wrong with its lines, where it could not begin, or why it ended early.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<LineFault>,
    /// The one model that every line asks for, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The parts in which it is handed over as a whole, to providers with batches of their own; none where
    /// its lines are asked one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handovers: Vec<Handover>,
    /// What its answers took together, as far as they say; `None` before it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// When its lines began to be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_progress_at: Option<Timestamp>,
    /// When its files of results began to be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalizing_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The file of answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<FileId>,
    /// The file of errors, where the API has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<FileId>,
}

/// The API that a batch was made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchFace {
    /// OpenAI's batches.
    Openai,
    /// Anthropic's message batches.
    Anthropic,
}

/// How far a batch has come. A wish to cancel it is beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchState {
    /// Its lines are being looked at.
    Validating,
    /// They are being asked.
    InProgress,
    /// The files of results are being written.
    Finalizing,
    /// Every line has ended.
    Completed,
    /// It could not begin.
    Failed,
    /// Its time passed before every line had ended.
    Expired,
    /// Its owner ended it.
    Cancelled,
}

/// How many lines of a batch have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndedLines {
    /// With an answer.
    pub succeeded: u32,
    /// With an error.
    pub failed: u32,
}

/// Something that is wrong with a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFault {
    /// A short word for programs.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The field that is to blame.
    pub param: Option<String>,
    /// The line, counted from 1; `None` where it is no single one.
    pub line: Option<u32>,
}

/// A line that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedLine {
    /// Its number, counted from 1.
    pub number: u32,
    /// The call that it was.
    pub request_id: RequestId,
    /// The status code of its answer.
    pub status: u16,
    /// The body of its answer, in the format of the batch's API: an answer or an error.
    pub body: Bytes,
}

/// The text is not a word of the list.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a word that is known here")]
pub struct UnknownWord;

impl Batch {
    /// Whether nothing more happens to it.
    pub fn has_ended(&self) -> bool {
        self.state.is_end()
    }

    /// Whether it is to end before every line has: its owner wants it, or its time has passed.
    pub fn is_to_stop(&self, now: Timestamp) -> bool {
        self.cancelling_at.is_some() || self.expires_at <= now
    }
}

impl BatchState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Validating,
        Self::InProgress,
        Self::Finalizing,
        Self::Completed,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
    ];

    /// The state in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows it.
    pub fn is_end(self) -> bool {
        match self {
            Self::Validating | Self::InProgress | Self::Finalizing => false,
            Self::Completed | Self::Failed | Self::Expired | Self::Cancelled => true,
        }
    }
}

impl FromStr for BatchState {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_it = |state: &Self| state.as_str() == text;
        Self::ALL.into_iter().find(is_it).ok_or(UnknownWord)
    }
}

impl BatchFace {
    /// The API in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

impl FromStr for BatchFace {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "openai" => Ok(Self::Openai),
            "anthropic" => Ok(Self::Anthropic),
            _ => Err(UnknownWord),
        }
    }
}

impl EndedLine {
    /// Whether it ended with an answer.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl EndedLines {
    /// Of either kind.
    pub fn total(self) -> u32 {
        self.succeeded.saturating_add(self.failed)
    }
}

impl LineFault {
    /// Something that is wrong with the batch as a whole.
    pub fn of_batch(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            param: None,
            line: None,
        }
    }
}

impl fmt::Display for BatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_from_what_they_print() {
        for state in BatchState::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for face in [BatchFace::Openai, BatchFace::Anthropic] {
            assert_eq!(face.as_str().parse(), Ok(face));
        }
        assert_eq!("done".parse::<BatchState>(), Err(UnknownWord));
        assert_eq!("".parse::<BatchFace>(), Err(UnknownWord));
    }
}
