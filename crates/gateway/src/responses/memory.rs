//! One answer on its way back, heard so that it can be kept.

use std::sync::Arc;

use bytes::Bytes;
use domain::caller::Caller;
use domain::name::ProviderName;
use domain::response::{KeptResponse, ResponseId};
use jiff::Timestamp;
use providers::face::Rendering;
use providers::openai::responses::state::background;
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
    /// Whether no more is kept than whose the answer is, which is the provider's to keep.
    pub(super) is_place_only: bool,
    /// Whether the provider keeps the answer as well.
    pub(super) is_at_provider: bool,
}

impl Memory {
    /// Hears who answers, and whether in the words of the request: then the provider keeps the answer as well.
    pub(crate) fn answered_by(&mut self, provider: &ProviderName, is_verbatim: bool) {
        if self.provider != *provider {
            self.provider = provider.clone();
        }
        self.is_at_provider = is_verbatim;
    }

    /// Hears a piece of the answer; `None` once the answer is whole and kept.
    pub(crate) fn hear(mut self: Box<Self>, piece: &[u8]) -> Option<Box<Self>> {
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

    /// What is kept of an answer that is to be made in the background, which callers know by an identifier
    /// of ours. A provider that keeps it too knows another. `None` where the request is none to be kept.
    pub(crate) fn begun(self, rendering: &Rendering) -> Option<KeptResponse> {
        let answer = background::queued(rendering);
        let begun = Self {
            is_at_provider: false,
            ..self
        };
        begun.kept(&answer)
    }

    /// An answer without an identifier cannot be referred to, and is not kept.
    fn keep(self, answer: &[u8]) {
        if self.is_place_only && !self.is_at_provider {
            return;
        }
        let responses = Arc::clone(&self.responses);
        if let Some(kept) = self.kept(answer) {
            responses.put(kept);
        }
    }

    fn kept(self, answer: &[u8]) -> Option<KeptResponse> {
        let stored = StoredResponse::of(&self.asked, answer)?;
        let id = answer_id(answer)?.parse().ok()?;
        let (input, answer) = if self.is_place_only {
            (b"[]".to_vec(), Bytes::new())
        } else {
            let answer = Bytes::copy_from_slice(stored.answer.get().as_bytes());
            (serde_json::to_vec(&stored.input).ok()?, answer)
        };
        Some(KeptResponse {
            id,
            organization_id: self.caller.organization_id(),
            project_id: self.caller.project_id(),
            key_id: self.caller.key_id(),
            provider: self.provider,
            is_at_provider: self.is_at_provider,
            previous: self.previous,
            input: input.into(),
            answer,
            created_at: self.created_at,
            keep_until: self.keep_until,
        })
    }
}
