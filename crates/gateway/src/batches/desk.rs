//! What callers do with batches: make, find, list, cancel and forget them.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use domain::batch::{
    Batch, BatchCursor, BatchDetails, BatchFace, BatchState, EndedLines, LineFault,
};
use domain::caller::Caller;
use domain::file::{FilePurpose, StoredFile};
use domain::id::{BatchId, FileId};
use domain::media::MediaBody;
use domain::store_error::StoreError;
use jiff::SignedDuration;
use providers::face::InvalidRequest;

use super::endpoint::MESSAGES;
use super::{Batches, Endpoint, after};
use crate::chat::Gateway;
use crate::files::{FileError, Label};

/// How long a batch may take.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// A batch of OpenAI's that is wanted.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// The file of its lines.
    pub input: String,
    /// The path that every line asks.
    pub endpoint: String,
    /// What its owner wants to know it by: a JSON object.
    pub metadata: Option<serde_json::Value>,
    /// How long the files of results are kept.
    pub output_for: Option<Duration>,
}

/// A request of a message batch that is wanted.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its identifier among the others.
    pub custom_id: String,
    /// The request's body, a JSON object.
    pub params: Bytes,
}

/// Why nothing was done with a batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// There is none of this identifier, or it is another's.
    #[error("there is no batch '{0}'")]
    Unknown(String),
    /// What is wanted is not what a batch can be.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// The key has as many batches that have not ended as it may.
    #[error("the key has {max} batches that have not ended")]
    TooMany {
        /// How many it may have.
        max: u32,
    },
    /// It has not ended yet.
    #[error("the batch has not ended yet")]
    NotEnded,
    /// It has ended already.
    #[error("the batch has ended already: it is {0}")]
    HasEnded(BatchState),
    /// A file could not be found, read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
}

impl Batches {
    /// Makes a batch of a file that was uploaded. Its lines are looked at later.
    pub async fn create(
        &self,
        gateway: &Gateway,
        caller: &Caller,
        new: NewBatch,
    ) -> Result<Batch, BatchError> {
        let Some(endpoint) = Endpoint::at(&new.endpoint) else {
            let paths: Vec<&str> = Endpoint::paths().collect();
            let detail = format!(
                "Invalid value: '{}'. Supported values are: '{}'.",
                new.endpoint,
                paths.join("', '")
            );
            return Err(InvalidRequest::of("endpoint", detail).into());
        };
        let file = gateway.files.file(caller.owner(), &new.input).await?;
        if file.purpose != FilePurpose::Batch {
            let detail = format!(
                "Expected a file with purpose 'batch', but '{}' has purpose '{}'. Upload it again with \
                 the right purpose.",
                file.id,
                file.purpose.as_str()
            );
            return Err(InvalidRequest::of("input_file_id", detail).into());
        }
        let max = self.parts.rules.max_bytes;
        if file.bytes > max {
            let detail = format!(
                "The input file has {} bytes, and a batch may have {max} (batches.max_bytes).",
                file.bytes
            );
            return Err(InvalidRequest::of("input_file_id", detail).into());
        }
        let batch = Batch {
            details: BatchDetails {
                metadata: new.metadata,
                output_seconds: new.output_for.map(|time| time.as_secs()),
                ..details(endpoint, file.id)
            },
            ..self.new_batch(caller, BatchFace::Openai, details(endpoint, file.id))
        };
        self.add(batch).await
    }

    /// Makes a message batch of its requests.
    pub async fn create_messages(
        &self,
        gateway: &Gateway,
        caller: &Caller,
        requests: Vec<NewMessage>,
    ) -> Result<Batch, BatchError> {
        let rules = &self.parts.rules;
        if requests.is_empty() || requests.len() > rules.max_lines as usize {
            let detail = format!(
                "A message batch has 1 to {} requests (batches.max_lines), not {}.",
                rules.max_lines,
                requests.len()
            );
            return Err(InvalidRequest::of("requests", detail).into());
        }
        let count = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        let lines = lines_of(requests)?;
        let label = Label {
            purpose: FilePurpose::Batch,
            filename: name("message_batch_requests.jsonl")?,
            media_type: jsonl()?,
            keep_for: Some(rules.keep),
        };
        let file = gateway.files.keep(caller.owner(), label, lines).await?;
        let mut details = details(MESSAGES, file.id);
        details.lines = count;
        let batch = self.new_batch(caller, BatchFace::Anthropic, details);
        let added = self.add(batch).await;
        if added.is_err() {
            self.forget_file(gateway, &file).await;
        }
        added
    }

    /// A batch of the caller's.
    pub async fn find(
        &self,
        caller: &Caller,
        face: BatchFace,
        id: &str,
    ) -> Result<Batch, BatchError> {
        let unknown = || BatchError::Unknown(id.to_owned());
        let parsed = parse(face, id).ok_or_else(unknown)?;
        let found = self.parts.store.batch(parsed, caller.key_id()).await?;
        found.filter(|batch| batch.face == face).ok_or_else(unknown)
    }

    /// At most `limit` batches of the caller's, newest first, and whether there are more.
    pub async fn list(
        &self,
        caller: &Caller,
        face: BatchFace,
        cursor: Option<BatchCursor>,
        limit: u32,
    ) -> Result<(Vec<Batch>, bool), BatchError> {
        let store = &self.parts.store;
        let wanted = limit.saturating_add(1);
        let mut batches = store
            .list_batches(caller.key_id(), face, cursor, wanted)
            .await?;
        let goes_on = batches.len() > limit as usize;
        if goes_on && matches!(cursor, Some(BatchCursor::Before(_))) {
            // Those next to the place are at the end.
            batches.remove(0);
        }
        batches.truncate(limit as usize);
        Ok((batches, goes_on))
    }

    /// Says that a batch is to end.
    pub async fn cancel(
        &self,
        caller: &Caller,
        face: BatchFace,
        id: &str,
    ) -> Result<Batch, BatchError> {
        let batch = self.find(caller, face, id).await?;
        if batch.has_ended() {
            return Err(BatchError::HasEnded(batch.state));
        }
        let now = self.parts.clock.now();
        let store = &self.parts.store;
        let cancelled = store.cancel_batch(batch.id, caller.key_id(), now).await?;
        self.wishes.notify_waiters();
        cancelled.ok_or_else(|| BatchError::Unknown(id.to_owned()))
    }

    /// Forgets a batch that has ended, with its requests and results.
    pub async fn forget(
        &self,
        gateway: &Gateway,
        caller: &Caller,
        face: BatchFace,
        id: &str,
    ) -> Result<Batch, BatchError> {
        let batch = self.find(caller, face, id).await?;
        let store = &self.parts.store;
        if !store.delete_batch(batch.id, caller.key_id()).await? {
            return Err(BatchError::NotEnded);
        }
        let details = &batch.details;
        for file in [Some(details.input), details.output, details.errors]
            .into_iter()
            .flatten()
        {
            // One that is gone already is as it should be; the end of its time removes what stays.
            match gateway
                .files
                .delete(caller.owner(), &file.to_string())
                .await
            {
                Ok(_) | Err(FileError::Unknown(_)) => {}
                Err(error) => {
                    tracing::warn!(%file, %error, "a file of a batch could not be deleted");
                }
            }
        }
        Ok(batch)
    }

    /// The results of a message batch that has ended; `None` where there are none.
    pub async fn results(
        &self,
        gateway: &Gateway,
        caller: &Caller,
        id: &str,
    ) -> Result<MediaBody, BatchError> {
        let batch = self.find(caller, BatchFace::Anthropic, id).await?;
        let Some(output) = batch.details.output.filter(|_| batch.has_ended()) else {
            return Err(BatchError::NotEnded);
        };
        let file = gateway
            .files
            .file(caller.owner(), &output.to_string())
            .await?;
        Ok(gateway.files.content(&file, 0..file.bytes).await?)
    }

    /// A place in the list of batches, as its owner names it.
    pub fn place(face: BatchFace, id: &str) -> Result<BatchId, BatchError> {
        parse(face, id).ok_or_else(|| BatchError::Unknown(id.to_owned()))
    }

    fn new_batch(&self, caller: &Caller, face: BatchFace, details: BatchDetails) -> Batch {
        let now = self.parts.clock.now();
        Batch {
            id: BatchId::new(now, &*self.parts.entropy),
            organization_id: caller.organization_id(),
            project_id: caller.project_id(),
            key_id: caller.key_id(),
            face,
            state: BatchState::Validating,
            cancelling_at: None,
            ended: EndedLines::default(),
            created_at: now,
            expires_at: after(now, WINDOW),
            details,
        }
    }

    async fn add(&self, batch: Batch) -> Result<Batch, BatchError> {
        let max = self.parts.rules.max_open;
        if !self.parts.store.add_batch(&batch, max).await? {
            return Err(BatchError::TooMany { max });
        }
        self.arrived.notify_one();
        Ok(batch)
    }

    async fn forget_file(&self, gateway: &Gateway, file: &StoredFile) {
        let owner = domain::caller::Owner {
            organization_id: file.organization_id,
            project_id: file.project_id,
            key_id: file.key_id,
        };
        if let Err(error) = gateway.files.delete(owner, &file.id.to_string()).await {
            tracing::warn!(file = %file.id, %error, "a file of a batch could not be deleted");
        }
    }
}

/// The batch's identifier as its API writes it: Anthropic's begin with `msgbatch_`.
fn parse(face: BatchFace, id: &str) -> Option<BatchId> {
    match face {
        BatchFace::Openai => id.parse().ok(),
        BatchFace::Anthropic => id.strip_prefix("msg")?.parse().ok(),
    }
}

fn details(endpoint: Endpoint, input: FileId) -> BatchDetails {
    BatchDetails {
        endpoint: endpoint.path.to_owned(),
        input,
        metadata: None,
        output_seconds: None,
        lines: 0,
        faults: Vec::<LineFault>::new(),
        model: None,
        handovers: Vec::new(),
        usage: None,
        in_progress_at: None,
        finalizing_at: None,
        ended_at: None,
        output: None,
        errors: None,
    }
}

/// The requests of a message batch as lines.
fn lines_of(requests: Vec<NewMessage>) -> Result<Bytes, InvalidRequest> {
    let mut ids = HashSet::new();
    let mut lines = Vec::new();
    for (index, request) in requests.into_iter().enumerate() {
        let param = format!("requests.{index}.custom_id");
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let id = request.custom_id;
        if id.is_empty() || id.len() > 64 || !id.bytes().all(is_allowed) {
            let detail = format!(
                "{param}: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$', and {id:?} does not"
            );
            return Err(InvalidRequest::of(param, detail));
        }
        let head = serde_json::json!({ "custom_id": id }).to_string();
        if !ids.insert(id) {
            let detail = format!("{param}: custom_id must be unique within a batch");
            return Err(InvalidRequest::of(param, detail));
        }
        lines.extend_from_slice(head.trim_end_matches('}').as_bytes());
        lines.extend_from_slice(b",\"params\":");
        lines.extend(super::results::on_one_line(&request.params));
        lines.extend_from_slice(b"}\n");
    }
    Ok(lines.into())
}

pub(super) fn name(text: &str) -> Result<domain::file::FileName, InvalidRequest> {
    text.parse()
        .map_err(|_| InvalidRequest::of("file", "The name of a file is not valid."))
}

pub(super) fn jsonl() -> Result<domain::media::MediaType, InvalidRequest> {
    "application/jsonl"
        .parse()
        .map_err(|_| InvalidRequest::of("file", "The type of a file is not valid."))
}
