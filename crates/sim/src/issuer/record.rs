//! Which tokens were asked for, in order of arrival, so that a test can see what a cache of credentials asks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How many requests are remembered; older ones are forgotten first.
const KEPT: usize = 20_000;

/// One request for a token as the simulated provider saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimToken {
    /// Order of arrival, from zero, without holes.
    pub sequence: u64,
    /// Who was asked: `google`, `google_exchange`, `google_impersonation`, `entra`, `aws_sts` or `metadata`.
    pub issuer: &'static str,
    /// The path asked for, without its query.
    pub path: String,
    /// The status answered.
    pub status: u16,
}

/// The bounded record.
#[derive(Debug, Default)]
pub(crate) struct TokenRecord(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The sequence of the oldest request still kept.
    first: u64,
    tokens: VecDeque<SimToken>,
}

impl TokenRecord {
    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, issuer: &'static str, path: &str, status: u16) {
        let mut ring = self.lock();
        let sequence = ring.first + ring.tokens.len() as u64;
        ring.tokens.push_back(SimToken {
            sequence,
            issuer,
            path: path.to_owned(),
            status,
        });
        if ring.tokens.len() > KEPT {
            ring.tokens.pop_front();
            ring.first += 1;
        }
    }

    /// The requests numbered `since` and above, oldest first.
    pub(crate) fn since(&self, since: u64) -> Vec<SimToken> {
        let ring = self.lock();
        let skipped = usize::try_from(since.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        ring.tokens.iter().skip(skipped).cloned().collect()
    }

    /// Forgets every request; the numbers go on.
    pub(crate) fn clear(&self) {
        let mut ring = self.lock();
        ring.first += ring.tokens.len() as u64;
        ring.tokens.clear();
    }
}
