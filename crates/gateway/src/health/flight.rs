//! One attempt under way, as its target's health sees it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::clock::Moment;
use domain::provider_error::Cause;

use super::TargetHealth;
use super::breaker::{Outcome, Permit};

/// One attempt under way. Dropping it gives back its place, and the probe's where it is one: an attempt that is
/// given up says nothing of the target.
pub struct Flight {
    health: Arc<TargetHealth>,
    permit: Permit,
    /// Whether the breaker has heard of its end.
    is_told: bool,
}

impl Flight {
    pub(super) fn new(health: Arc<TargetHealth>, permit: Permit) -> Self {
        health.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            health,
            permit,
            is_told: false,
        }
    }

    /// Notes that a whole answer came, sent at `sent`.
    pub(crate) fn answered(&mut self, sent: Moment, now: Moment) {
        self.health.total.note(now.since(sent));
        self.tell(Outcome::Good, now);
    }

    /// Notes that the first content of a stream came. How the stream ends is said by [`Flight::ended`].
    pub(crate) fn began(&mut self, sent: Moment, now: Moment) {
        self.health.first_byte.note(now.since(sent));
    }

    /// Notes that a stream ended well, which was sent at `sent`.
    pub(crate) fn ended(&mut self, sent: Moment, now: Moment) {
        self.health.total.note(now.since(sent));
        self.tell(Outcome::Good, now);
    }

    /// Notes a failure. Not every failure is the target's: a wrong request, a spent quota and a rate limit say
    /// that somebody answers.
    pub(crate) fn failed(&mut self, cause: Cause, now: Moment) {
        let outcome = match cause {
            Cause::Server
            | Cause::Timeout
            | Cause::Interrupted
            | Cause::Malformed
            | Cause::Unreachable
            | Cause::Overloaded => Outcome::Bad,
            Cause::InvalidRequest
            | Cause::ContextTooLong
            | Cause::TooLarge
            | Cause::NotFound
            | Cause::ContentPolicy => Outcome::Good,
            Cause::Authentication
            | Cause::Permission
            | Cause::RateLimited
            | Cause::QuotaExhausted => return,
        };
        self.tell(outcome, now);
    }

    fn tell(&mut self, outcome: Outcome, now: Moment) {
        if !std::mem::replace(&mut self.is_told, true)
            && let Some(turned) = self.health.breaker.note(&mut self.permit, outcome, now)
        {
            let (provider, model) = self.health.name();
            tracing::warn!(%provider, model, state = turned.as_str(), "a circuit breaker turned");
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.health.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.health.breaker.leave(&mut self.permit);
    }
}
