//! Answers that are kept for callers who refer to them later: by the identifier of the answer, or of an
//! item of it (<https://platform.openai.com/docs/guides/conversation-state>).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::id::{KeyId, OrganizationId, ProjectId};
use crate::name::ProviderName;
use crate::store_error::StoreError;

/// The identifier of an answer as callers know it, the gateway's own or a provider's: 1–128 letters,
/// digits, `-`, `_` and `.`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ResponseId(Arc<str>);

/// The text is not the identifier of an answer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an answer's identifier has 1 to 128 letters, digits, '-', '_' and '.'")]
pub struct InvalidResponseId;

impl ResponseId {
    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ResponseId {
    type Err = InvalidResponseId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || text.len() > 128 || !text.bytes().all(is_allowed) {
            return Err(InvalidResponseId);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An answer that is kept, with what was asked. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptResponse {
    /// Its identifier.
    pub id: ResponseId,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// Whose it is: nobody else may know that it is there.
    pub key_id: KeyId,
    /// Who made it.
    pub provider: ProviderName,
    /// Whether the provider keeps it as well, under the same identifier.
    pub is_at_provider: bool,
    /// The answer that it continues.
    pub previous: Option<ResponseId>,
    /// The items that were asked with, a JSON array; what came before them is in `previous`.
    pub input: Bytes,
    /// The answer, a JSON object, as the caller got it; empty where only the provider has it, and no more is
    /// kept than whose it is.
    pub answer: Bytes,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// From when on it is to be forgotten.
    pub keep_until: Timestamp,
}

/// Keeps answers. Every method is one transaction.
#[async_trait]
pub trait ResponseStore: Send + Sync {
    /// Keeps answers. What is already there under an identifier stays.
    async fn keep_responses(&self, responses: &[KeptResponse]) -> Result<(), StoreError>;

    /// An answer of this key's; `None` when there is none, it is another's, or it was to be kept until
    /// `now` or earlier.
    async fn response(
        &self,
        id: &ResponseId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError>;

    /// Which of these answers are kept and are what they were when they were first kept: nobody has put another
    /// in the place of one of them.
    async fn unreplaced(&self, ids: &[ResponseId]) -> Result<Vec<ResponseId>, StoreError>;

    /// Puts `answer` in the place of what is kept under an identifier of this key's, if that is `place`
    /// still; answers whether it was.
    async fn replace_answer(
        &self,
        id: &ResponseId,
        owner: KeyId,
        place: &[u8],
        answer: &[u8],
    ) -> Result<bool, StoreError>;

    /// Deletes an answer of this key's; answers whether there was one.
    async fn delete_response(&self, id: &ResponseId, owner: KeyId) -> Result<bool, StoreError>;

    /// Deletes at most `limit` answers that were to be kept until `now` or earlier, the oldest end first;
    /// answers how many.
    async fn drop_expired_responses(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_plain_text_is_an_identifier() {
        let id: ResponseId = "resp_0a-Z.9".parse().unwrap();
        assert_eq!(id.to_string(), "resp_0a-Z.9");
        for text in ["", "resp/1", "resp 1", "é", "a\0", &"r".repeat(129)] {
            assert_eq!(text.parse::<ResponseId>(), Err(InvalidResponseId), "{text}");
        }
    }
}
