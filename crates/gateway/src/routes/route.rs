//! A configured route, with its bounds on waiting and on trying again.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::hedge::HedgeRules;
use super::shadow::ShadowRules;
use super::{Fallback, RouteMember, Sharing};
use crate::cache::Caching;

/// A configured route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where requests go, in the order in which they are listed; at least one.
    pub targets: Vec<RouteMember>,
    /// In which order these are tried.
    pub sharing: Sharing,
    /// Where they go when none of these answers, in the order in which they are tried.
    pub fallback: Vec<Fallback>,
    /// Whether a request is refused rather than sent with something dropped.
    pub strict: bool,
    /// Bounds on waiting.
    pub timeouts: Timeouts,
    /// How often it is sent again.
    pub retries: Retries,
    /// What of its answers is kept to be given again.
    pub caching: Caching,
    /// When a second target is asked while the first has not answered; `None` where it is not.
    pub hedge: Option<HedgeRules>,
    /// Which calls are copied to another target; `None` where none is.
    pub shadow: Option<ShadowRules>,
    /// Whether a stream that breaks off after its first content is gone on with at another target.
    pub continues: bool,
    /// What chats are answered with when every target failed; `None` where the failure is told.
    pub safe_reply: Option<Arc<str>>,
}

/// Bounds on waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the first content of a stream.
    pub first_byte: Duration,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// For one attempt at an answer that is not streamed, where another target can be asked then.
    pub attempt: Duration,
    /// For the whole call, retries included.
    pub total: Duration,
    /// How fast a stream comes at least that has begun; `None` where it may be as slow as it is.
    pub slow: Option<Pace>,
}

/// How fast a stream has to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The least that is fast enough.
    pub tokens_per_second: NonZeroU32,
    /// Over how long it is measured, from the first content on.
    pub window: Duration,
}

impl Pace {
    /// How much content a window has at least, in bytes: four of a token.
    pub(crate) fn least_bytes(self) -> u64 {
        let a_second = u128::from(self.tokens_per_second.get()) * 4;
        let bytes = a_second * self.window.as_millis() / 1_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(1)
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_mins(5),
            idle: Duration::from_mins(5),
            attempt: Duration::from_mins(5),
            total: Duration::from_mins(10),
            slow: None,
        }
    }
}

/// How often and when a call is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often one target is asked at most, the first time included; at least 1.
    pub attempts: u32,
    /// The wait before the second attempt; each further one waits twice as long.
    pub initial_backoff: Duration,
    /// The longest wait. A provider that asks for a longer one is not tried again.
    pub max_backoff: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            attempts: 3,
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
        }
    }
}
