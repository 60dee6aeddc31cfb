//! What callers read of the answers that are kept for them, and delete.

use bytes::Bytes;
use domain::caller::Caller;
use domain::response::{KeptResponse, ResponseId};
use jiff::Timestamp;
use providers::openai::responses::state::{self, Page};

use super::Responses;
use crate::chat::ChatError;

impl Responses {
    /// An answer as the caller got it (`GET /v1/responses/{id}`).
    pub async fn retrieve(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        Ok(self.named(caller, id, now).await?.answer)
    }

    /// A page of the items that an answer was asked with, those of the answers before it included
    /// (`GET /v1/responses/{id}/input_items`).
    pub async fn input_items(
        &self,
        caller: &Caller,
        id: &str,
        page: &Page,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        let last = self.named(caller, id, now).await?;
        let chain = self.chain(caller, last, now).await?;
        Ok(state::input_items(id, &chain, page)?)
    }

    /// Forgets an answer (`DELETE /v1/responses/{id}`); answers what the caller is told.
    pub async fn forget(&self, caller: &Caller, id: &str) -> Result<Bytes, ChatError> {
        let was_there = match id.parse::<ResponseId>() {
            Ok(parsed) => self.delete(caller, &parsed).await?,
            Err(_) => false,
        };
        if was_there {
            return Ok(state::deleted(id));
        }
        Err(not_found(id))
    }

    async fn named(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<KeptResponse, ChatError> {
        let found = match id.parse::<ResponseId>() {
            Ok(id) => self.find(caller, &id, now).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| not_found(id))
    }
}

fn not_found(id: &str) -> ChatError {
    ChatError::NotKept {
        detail: format!("Response with id '{id}' not found."),
        param: "response_id".to_owned(),
    }
}
