//! An answer that is kept.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use domain::chat::{Finish, FinishReason};
use domain::id::RequestId;
use domain::money::Cost;
use domain::name::ProviderName;
use domain::usage::{ServiceTier, Usage};
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use providers::tap::Observed;
use serde::{Deserialize, Serialize};

/// What an entry takes in memory beside its body and its words, about, in bytes.
const OVERHEAD: usize = 512;

/// An answer that is kept, in the bytes that its caller got.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) about: About,
    pub(super) body: Bytes,
}

/// What is known of an answer that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct About {
    /// The call that it was made for.
    pub(super) origin: RequestId,
    pub(super) made_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) form: Form,
    pub(super) content_type: String,
    pub(super) provider: ProviderName,
    pub(super) model: String,
    /// Whether the simulated provider made it.
    pub(super) is_simulated: bool,
    pub(super) response_model: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) service_tier: Option<ServiceTier>,
    /// Why it ended: [`FinishReason::Stop`] or [`FinishReason::ToolCalls`], and the provider's word.
    pub(super) calls_tools: bool,
    pub(super) native_finish: Option<String>,
    /// What it cost.
    pub(super) cost: Option<Cost>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// All at once.
    Whole,
    /// As a stream.
    Stream,
    /// As a stream that ends with the usage.
    StreamWithUsage,
}

impl Form {
    pub(super) fn of(streamed: bool, with_usage: bool) -> Self {
        match (streamed, with_usage) {
            (false, _) => Self::Whole,
            (true, false) => Self::Stream,
            (true, true) => Self::StreamWithUsage,
        }
    }

    pub(super) fn is_streamed(self) -> bool {
        self != Self::Whole
    }
}

impl Entry {
    /// What it takes in memory, about, in bytes.
    pub(super) fn weight(&self) -> u64 {
        (self.body.len() + OVERHEAD) as u64
    }

    /// How old it is at `now`.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        let age = now.duration_since(self.about.made_at);
        Duration::try_from(age.max(SignedDuration::ZERO)).unwrap_or_default()
    }

    /// Whether it may still be given at `now` to someone who takes nothing older than `max_age`.
    pub(super) fn is_fresh(&self, now: Timestamp, max_age: Option<Duration>) -> bool {
        now < self.about.expires_at && max_age.is_none_or(|bound| self.age(now) <= bound)
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        HeaderValue::from_str(&self.about.content_type)
            .unwrap_or(HeaderValue::from_static("application/json"))
    }

    /// What the ledger is told of it.
    pub(super) fn observed(&self) -> Observed {
        let finish = self.about.native_finish.clone().map(|native| Finish {
            reason: if self.about.calls_tools {
                FinishReason::ToolCalls
            } else {
                FinishReason::Stop
            },
            native,
            stop_sequence: None,
        });
        Observed {
            response_model: self.about.response_model.clone(),
            usage: Some(self.about.usage.unwrap_or_default()),
            finish,
            service_tier: self.about.service_tier,
            has_content: true,
            ..Observed::default()
        }
    }

    /// As it is shared: the length of what is known, what is known as JSON, and the body. `None` where it
    /// cannot be written.
    pub(super) fn to_bytes(&self) -> Option<Bytes> {
        let about = serde_json::to_vec(&self.about).ok()?;
        let mut bytes = BytesMut::with_capacity(4 + about.len() + self.body.len());
        bytes.put_u32_le(u32::try_from(about.len()).ok()?);
        bytes.put_slice(&about);
        bytes.put_slice(&self.body);
        Some(bytes.freeze())
    }

    /// Reads what another process has shared; `None` where it is not what it should be.
    pub(super) fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (about, body) = rest.split_at_checked(length)?;
        Some(Self {
            about: serde_json::from_slice(about).ok()?,
            body: bytes.slice_ref(body),
        })
    }
}
