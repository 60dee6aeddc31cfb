//! Sends what the vendor does not take at once in several requests, one after the other, and puts the
//! answers together.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::chat::Conversion;
use domain::embedding::EmbeddingResponse;
use http::response::Parts;

use super::{Decode, Render, Requests};
use crate::dialect::{DecodeError, Refusal};
use crate::outgoing::JSON;
use crate::task::{PreparedTask, TaskAnswer, TaskReader, TaskStep};

/// The first of the requests, and the reader that makes the others follow.
pub(super) fn begin(
    mut requests: Requests,
    decode: Decode,
    render: Arc<Render>,
    model: &str,
    report: Conversion,
) -> Result<PreparedTask, Refusal> {
    if requests.is_empty() {
        return Err(Refusal {
            detail: "There is nothing to embed.".to_owned(),
            param: None,
        });
    }
    let (request, inputs) = requests.remove(0);
    Ok(PreparedTask {
        request,
        report: Some(report),
        reader: Box::new(StepReader {
            inputs,
            pending: requests,
            gathered: EmbeddingResponse::default(),
            decode,
            render,
            model: model.to_owned(),
        }),
    })
}

/// Reads the answer of one step.
struct StepReader {
    /// How many vectors it must have.
    inputs: usize,
    pending: Requests,
    /// What the steps before gave; its usage is `None` once a step did not say.
    gathered: EmbeddingResponse,
    decode: Decode,
    render: Arc<Render>,
    model: String,
}

impl TaskReader for StepReader {
    fn read(&self, head: &Parts, body: Bytes) -> Result<TaskStep, DecodeError> {
        let step = (self.decode)(head, &body)?;
        if step.vectors.len() != self.inputs {
            return Err(DecodeError::Malformed(format!(
                "the answer has {} vectors for {} inputs",
                step.vectors.len(),
                self.inputs
            )));
        }
        let gathered = self.joined(step);
        let Some(((request, inputs), rest)) = self.pending.split_first() else {
            return Ok(TaskStep::Done(self.answer(gathered)));
        };
        Ok(TaskStep::Again {
            request: request.clone(),
            after: Duration::ZERO,
            reader: Box::new(Self {
                inputs: *inputs,
                pending: rest.to_vec(),
                gathered,
                decode: self.decode,
                render: Arc::clone(&self.render),
                model: self.model.clone(),
            }),
        })
    }
}

impl StepReader {
    fn joined(&self, step: EmbeddingResponse) -> EmbeddingResponse {
        let is_first = self.gathered.vectors.is_empty();
        let mut vectors = self.gathered.vectors.clone();
        vectors.extend(step.vectors);
        let usage = match (self.gathered.usage, step.usage) {
            (Some(before), Some(now)) => Some(before.saturating_add(now)),
            (None, now) if is_first => now,
            _ => None,
        };
        EmbeddingResponse {
            id: self.gathered.id.clone().or(step.id),
            model: step.model,
            vectors,
            usage,
        }
    }

    fn answer(&self, gathered: EmbeddingResponse) -> TaskAnswer {
        let usage = gathered.usage;
        let response_model = gathered.model.clone();
        let shown = EmbeddingResponse {
            model: Some(response_model.clone().unwrap_or_else(|| self.model.clone())),
            ..gathered
        };
        TaskAnswer {
            body: (self.render)(&shown),
            content_type: JSON,
            usage,
            response_model,
        }
    }
}
