//! The lines of a batch, read one after another.

use bytes::Bytes;
use domain::batch::{Batch, BatchFace, LineFault};
use domain::caller::Owner;
use domain::file::StoredFile;
use domain::media::MediaBody;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Unfinished;
use super::cut::{LineCutter, is_blank};
use crate::chat::Gateway;
use crate::files::FileError;

/// The longest line, in bytes.
const MAX_LINE: usize = 32 * 1024 * 1024;

/// Reads the lines of a file in pieces; what is held is one line and one piece.
pub(super) struct Input {
    body: MediaBody,
    cutter: LineCutter,
    number: u32,
    is_over: bool,
}

/// One line as it stands in the file.
pub(super) struct RawLine {
    /// Counted from 1; lines without content count.
    pub(super) number: u32,
    pub(super) text: Bytes,
}

/// One line that was read.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) custom_id: String,
    pub(super) body: Bytes,
}

impl Input {
    /// The lines of a batch.
    pub(super) async fn of(gateway: &Gateway, batch: &Batch) -> Result<Self, Unfinished> {
        let file = file(gateway, batch).await?;
        let body = gateway.files.content(&file, 0..file.bytes).await?;
        Ok(Self {
            body,
            cutter: LineCutter::default(),
            number: 0,
            is_over: false,
        })
    }

    /// No lines: the file is gone.
    pub(super) fn none() -> Self {
        Self {
            body: Box::pin(futures_util::stream::empty()),
            cutter: LineCutter::default(),
            number: 0,
            is_over: true,
        }
    }

    /// The next line that has content.
    pub(super) async fn next(&mut self) -> Result<Option<RawLine>, Unfinished> {
        loop {
            let line = match self.cutter.next() {
                None if self.is_over => match self.cutter.rest() {
                    None => return Ok(None),
                    rest => rest,
                },
                line => line,
            };
            if let Some(line) = line.and_then(|text| self.numbered(text)) {
                return Ok(Some(line));
            }
            if self.cutter.held() > MAX_LINE {
                let max = MAX_LINE as u64;
                return Err(FileError::TooLarge { max }.into());
            }
            match self.body.next().await {
                Some(piece) => self.cutter.push(&piece.map_err(FileError::from)?),
                None => self.is_over = true,
            }
        }
    }

    /// The next line of a batch whose lines were found to be good.
    pub(super) async fn next_line(&mut self, face: BatchFace) -> Result<Option<Line>, Unfinished> {
        loop {
            let Some(raw) = self.next().await? else {
                return Ok(None);
            };
            if let Ok(line) = Line::read(face, raw, "") {
                return Ok(Some(line));
            }
        }
    }

    fn numbered(&mut self, text: Bytes) -> Option<RawLine> {
        self.number = self.number.saturating_add(1);
        (!is_blank(&text)).then_some(RawLine {
            number: self.number,
            text,
        })
    }
}

/// The record of the file that a batch's lines stand in.
pub(super) async fn file(gateway: &Gateway, batch: &Batch) -> Result<StoredFile, FileError> {
    let owner = owner(batch);
    gateway
        .files
        .file(owner, &batch.details.input.to_string())
        .await
}

/// Whose a batch and its files are.
pub(super) fn owner(batch: &Batch) -> Owner {
    Owner {
        organization_id: batch.organization_id,
        project_id: batch.project_id,
        key_id: batch.key_id,
    }
}

/// A line of OpenAI's, as it is documented
/// (<https://platform.openai.com/docs/api-reference/batch/request-input>).
#[derive(Deserialize)]
struct OpenaiLine<'a> {
    custom_id: Option<String>,
    method: Option<String>,
    url: Option<String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// A request of a message batch, as it was kept.
#[derive(Deserialize)]
struct AnthropicLine<'a> {
    custom_id: String,
    #[serde(borrow)]
    params: &'a RawValue,
}

impl Line {
    /// Reads a line; of OpenAI's, it must ask `endpoint`, unless that is empty.
    pub(super) fn read(face: BatchFace, raw: RawLine, endpoint: &str) -> Result<Self, LineFault> {
        let RawLine { number, text } = raw;
        let fault = |code: &str, param: Option<&str>, message: String| LineFault {
            code: code.to_owned(),
            message,
            param: param.map(str::to_owned),
            line: Some(number),
        };
        let not_json = |error: &serde_json::Error| {
            let message = format!("This line is not parseable as valid JSON: {error}.");
            fault("invalid_json_line", None, message)
        };
        let missing = |param: &str| {
            let message = format!("Missing required parameter: '{param}'.");
            fault("missing_required_parameter", Some(param), message)
        };
        let (custom_id, body) = match face {
            BatchFace::Anthropic => {
                let line: AnthropicLine<'_> =
                    serde_json::from_slice(&text).map_err(|error| not_json(&error))?;
                (line.custom_id, line.params)
            }
            BatchFace::Openai => {
                let line: OpenaiLine<'_> =
                    serde_json::from_slice(&text).map_err(|error| not_json(&error))?;
                let custom_id = line.custom_id.filter(|id| !id.is_empty());
                let custom_id = custom_id.ok_or_else(|| missing("custom_id"))?;
                if !endpoint.is_empty() {
                    if line.method.ok_or_else(|| missing("method"))? != "POST" {
                        let message = "The method must be 'POST'.".to_owned();
                        return Err(fault("invalid_method", Some("method"), message));
                    }
                    if line.url.ok_or_else(|| missing("url"))? != endpoint {
                        let message = format!(
                            "The URL provided for this request does not match the batch endpoint, \
                             which is '{endpoint}'."
                        );
                        return Err(fault("invalid_url", Some("url"), message));
                    }
                }
                (custom_id, line.body.ok_or_else(|| missing("body"))?)
            }
        };
        if !body.get().starts_with('{') {
            let message = "The body of a request must be an object.".to_owned();
            return Err(fault("invalid_request", Some("body"), message));
        }
        Ok(Self {
            number,
            custom_id,
            body: text.slice_ref(body.get().as_bytes()),
        })
    }
}
