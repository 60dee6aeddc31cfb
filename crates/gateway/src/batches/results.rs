//! Writing what became of the lines of a batch into the files that its owner reads.

use std::time::Duration;

use bytes::Bytes;
use domain::batch::{Batch, BatchFace, BatchState, EndedLine, LineFault};
use domain::file::FilePurpose;
use domain::id::{FileId, RequestId};
use domain::usage::Usage;
use serde_json::json;

use super::desk::{jsonl, name};
use super::input::{Input, Line, owner};
use super::leash::{Leash, Stop};
use super::{Batches, Unfinished, is_final};
use crate::chat::Gateway;
use crate::files::{FileError, Label, Upload};

/// Lines that are read from the store together.
const PAGE: u32 = 100;
/// How much is gathered before it is written, in bytes.
const PIECE: usize = 256 * 1024;

impl Batches {
    /// Writes the files of results, and says how the batch ended.
    pub(super) async fn write_results(
        &self,
        gateway: &Gateway,
        batch: &mut Batch,
        leash: &Leash,
    ) -> Result<(), Unfinished> {
        let stop = match leash.stop() {
            Stop::No if self.caller(batch.key_id).is_none() => Stop::KeyGone,
            stop => stop,
        };
        let ended = self.parts.store.ended_numbers(batch.id).await?.len();
        let has_begun = batch.details.in_progress_at.is_some();
        batch.state = match stop {
            Stop::Cancelled(_) | Stop::KeyGone => BatchState::Cancelled,
            _ if has_begun && ended >= batch.details.lines as usize => BatchState::Completed,
            // Its time passed here, or at the provider that had it.
            Stop::No | Stop::Expired => BatchState::Expired,
        };
        if stop == Stop::KeyGone && batch.details.faults.is_empty() {
            let message =
                "The API key that made the batch is no longer good, so no further line was asked.";
            batch.details.faults = vec![LineFault::of_batch("api_key_revoked", message)];
        }
        let mut ended = Ended::default();
        let max = gateway.files.rules().max_file;
        let mut output = Results::new("output", max);
        let mut errors = Results::new("error", max);
        let mut usage = Usage::default();
        // A batch whose lines were never looked at has none to tell of.
        if has_begun || batch.face == BatchFace::Anthropic {
            let mut input = match Input::of(gateway, batch).await {
                Err(Unfinished::File(error)) if is_final(&error) => Input::none(),
                input => input?,
            };
            while let Some(line) = input.next_line(batch.face).await? {
                let found = ended.find(self, batch, line.number).await?;
                let text = render(batch, &line, found.as_ref());
                let is_good = found.as_ref().is_some_and(EndedLine::is_good);
                let took = found.filter(|_| is_good);
                let took = took.and_then(|line| providers::openai::usage_of(&line.body));
                usage = usage.saturating_add(took.unwrap_or_default());
                let results = if is_good || batch.face == BatchFace::Anthropic {
                    &mut output
                } else {
                    &mut errors
                };
                results.write(gateway, batch, &text).await?;
            }
        }
        let left_out = output.left_out + errors.left_out;
        if left_out > 0 {
            let message = format!(
                "The results of {left_out} lines are left out: a file may have {max} bytes (media.max_file). Ask \
                 for fewer lines in a batch."
            );
            let fault = LineFault::of_batch("results_too_large", message);
            batch.details.faults.push(fault);
        }
        batch.details.usage = (batch.face == BatchFace::Openai).then_some(usage);
        let keep = match batch.details.output_seconds {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => (batch.face == BatchFace::Anthropic).then_some(self.parts.rules.keep),
        };
        batch.details.output = output.finish(batch, keep).await?;
        batch.details.errors = errors.finish(batch, keep).await?;
        batch.details.ended_at = Some(self.parts.clock.now());
        Ok(())
    }
}

/// The lines that have ended, read from the store in pages and in order.
#[derive(Default)]
struct Ended {
    page: std::collections::VecDeque<EndedLine>,
    last: u32,
    is_over: bool,
}

impl Ended {
    /// What became of a line; its number is higher than that of the last one asked for.
    async fn find(
        &mut self,
        batches: &Batches,
        batch: &Batch,
        number: u32,
    ) -> Result<Option<EndedLine>, Unfinished> {
        loop {
            match self.page.front() {
                Some(line) if line.number == number => return Ok(self.page.pop_front()),
                Some(line) if line.number > number => return Ok(None),
                Some(_) => {
                    self.page.pop_front();
                }
                None if self.is_over => return Ok(None),
                None => {
                    let store = &batches.parts.store;
                    let page = store.ended_lines(batch.id, self.last, PAGE).await?;
                    self.is_over = page.len() < PAGE as usize;
                    self.last = page.last().map_or(self.last, |line| line.number);
                    self.page.extend(page);
                }
            }
        }
    }
}

/// One file of results, begun with its first line.
struct Results<'g> {
    kind: &'static str,
    upload: Option<Upload<'g>>,
    gathered: Vec<u8>,
    /// The bytes for which there is room in the file.
    room: u64,
    /// The lines for which there was none.
    left_out: u32,
}

impl<'g> Results<'g> {
    fn new(kind: &'static str, room: u64) -> Self {
        Self {
            kind,
            upload: None,
            gathered: Vec::new(),
            room,
            left_out: 0,
        }
    }

    async fn write(
        &mut self,
        gateway: &'g Gateway,
        batch: &Batch,
        line: &[u8],
    ) -> Result<(), FileError> {
        let Some(room) = self.room.checked_sub(line.len() as u64) else {
            self.left_out += 1;
            return Ok(());
        };
        self.room = room;
        if self.upload.is_none() {
            self.upload = Some(gateway.files.begin(owner(batch)).await?);
        }
        self.gathered.extend_from_slice(line);
        if self.gathered.len() >= PIECE {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), FileError> {
        let piece = std::mem::take(&mut self.gathered);
        match &mut self.upload {
            Some(upload) if !piece.is_empty() => upload.write(piece.into()).await,
            _ => Ok(()),
        }
    }

    /// The file; `None` where there is nothing to tell.
    async fn finish(
        mut self,
        batch: &Batch,
        keep_for: Option<Duration>,
    ) -> Result<Option<FileId>, Unfinished> {
        self.flush().await?;
        let Some(upload) = self.upload else {
            return Ok(None);
        };
        let filename = format!("{}_{}.jsonl", batch.id, self.kind);
        let unnamed = |_| Unfinished::File(FileError::Unknown(filename.clone()));
        let label = Label {
            purpose: FilePurpose::BatchOutput,
            filename: name(&filename).map_err(unnamed)?,
            media_type: jsonl().map_err(unnamed)?,
            keep_for,
        };
        Ok(Some(upload.finish(label).await?.id))
    }
}

/// One line of results, with its line feed. `ended` is missing where the batch ended before it.
fn render(batch: &Batch, line: &Line, ended: Option<&EndedLine>) -> Vec<u8> {
    let custom_id = json!(line.custom_id).to_string();
    let mut text = Vec::new();
    match (batch.face, ended) {
        (BatchFace::Openai, Some(ended)) => {
            let id = ended.request_id;
            let status = ended.status;
            text.extend_from_slice(
                format!(
                    "{{\"id\":\"batch_{id}\",\"custom_id\":{custom_id},\"response\":{{\"status_code\":\
                     {status},\"request_id\":\"{id}\",\"body\":"
                )
                .as_bytes(),
            );
            text.extend(on_one_line(&ended.body));
            text.extend_from_slice(b"},\"error\":null}\n");
        }
        (BatchFace::Openai, None) => {
            let id = RequestId::of_line(batch.id, line.number, 0);
            let (code, message) = match batch.state {
                BatchState::Expired => (
                    "batch_expired",
                    "This request could not be executed before the completion window expired.",
                ),
                _ => (
                    "batch_cancelled",
                    "This request was not executed: the batch was cancelled.",
                ),
            };
            let error = json!({ "code": code, "message": message });
            text.extend_from_slice(
                format!(
                    "{{\"id\":\"batch_{id}\",\"custom_id\":{custom_id},\"response\":null,\"error\":{error}}}\n"
                )
                .as_bytes(),
            );
        }
        (BatchFace::Anthropic, Some(ended)) => {
            let (kind, field) = if ended.is_good() {
                ("succeeded", "message")
            } else {
                ("errored", "error")
            };
            text.extend_from_slice(
                format!(
                    "{{\"custom_id\":{custom_id},\"result\":{{\"type\":\"{kind}\",\"{field}\":"
                )
                .as_bytes(),
            );
            text.extend(on_one_line(&ended.body));
            text.extend_from_slice(b"}}\n");
        }
        (BatchFace::Anthropic, None) => {
            let kind = match batch.state {
                BatchState::Expired => "expired",
                _ => "canceled",
            };
            let result = json!({ "type": kind });
            text.extend_from_slice(
                format!("{{\"custom_id\":{custom_id},\"result\":{result}}}\n").as_bytes(),
            );
        }
    }
    text
}

/// JSON on one line: line feeds stand between values only, inside a text they are escaped.
pub(super) fn on_one_line(json: &Bytes) -> impl Iterator<Item = u8> + '_ {
    json.iter().map(|byte| match byte {
        b'\n' | b'\r' => b' ',
        other => *other,
    })
}
