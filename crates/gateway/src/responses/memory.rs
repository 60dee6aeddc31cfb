//! One answer on its way back, heard so that it can be kept.

use std::sync::Arc;

use bytes::Bytes;
use domain::caller::Caller;
use domain::name::ProviderName;
use domain::response::{KeptResponse, ResponseId};
use jiff::Timestamp;
use providers::openai::responses::state::{AnswerTap, StoredResponse, answer_id};

use super::Responses;

/// What is remembered of a request until its answer is there.
pub(crate) struct Memory {
    pub(super) responses: Arc<Responses>,
    pub(super) caller: Caller,
    pub(super) provider: ProviderName,
    /// The request with its references resolved.
    pub(super) asked: Bytes,
    pub(super) previous: Option<ResponseId>,
    /// Listens to a stream; `None` where the answer comes whole.
    pub(super) tap: Option<AnswerTap>,
    pub(super) created_at: Timestamp,
    pub(super) keep_until: Timestamp,
    /// Whether the provider keeps the answer as well.
    pub(crate) is_at_provider: bool,
}

impl Memory {
    /// Hears a piece of the answer; `None` once the answer is whole and kept.
    pub(crate) fn hear(mut self, piece: &[u8]) -> Option<Self> {
        let Some(tap) = &mut self.tap else {
            self.keep(piece);
            return None;
        };
        tap.push(piece);
        if !tap.is_complete() {
            return Some(self);
        }
        let answer = self.tap.take().and_then(AnswerTap::finish);
        if let Some(answer) = answer {
            self.keep(answer.get().as_bytes());
        }
        None
    }

    /// An answer without an identifier cannot be referred to, and is not kept.
    fn keep(self, answer: &[u8]) {
        let stored = StoredResponse::of(&self.asked, answer);
        let id = answer_id(answer).and_then(|id| id.parse().ok());
        let (Some(stored), Some(id)) = (stored, id) else {
            return;
        };
        let Ok(input) = serde_json::to_vec(&stored.input) else {
            return;
        };
        self.responses.put(KeptResponse {
            id,
            organization_id: self.caller.organization_id(),
            project_id: self.caller.project_id(),
            key_id: self.caller.key_id(),
            provider: self.provider,
            is_at_provider: self.is_at_provider,
            previous: self.previous,
            input: input.into(),
            answer: Bytes::copy_from_slice(stored.answer.get().as_bytes()),
            created_at: self.created_at,
            keep_until: self.keep_until,
        });
    }
}
