//! Where limits are kept, and counters that replicas share.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Limit;
use crate::fleet::SharedStateError;
use crate::id::{LimitId, ReplicaId};
use crate::store_error::StoreError;

/// How far a reader has followed the changes of the limits; 0 is the beginning.
pub type LimitRevision = i64;

/// Keeps limits. Every method is one transaction.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Adds a limit.
    async fn add_limit(&self, limit: &Limit) -> Result<(), StoreError>;

    /// Puts a limit in the place of the one with its identifier; answers whether there was one.
    async fn replace_limit(&self, limit: &Limit) -> Result<bool, StoreError>;

    /// Removes a limit; answers whether it was there.
    async fn remove_limit(&self, id: LimitId) -> Result<bool, StoreError>;

    /// One limit; `None` when there is none of that identifier.
    async fn limit(&self, id: LimitId) -> Result<Option<Limit>, StoreError>;

    /// At most `limit` limits, newest first, that were made before the limit `before`.
    async fn list_limits(
        &self,
        before: Option<LimitId>,
        limit: u32,
    ) -> Result<Vec<Limit>, StoreError>;

    /// Every limit there is, and how far the reader has followed then; `None` when nothing was added, replaced
    /// or removed since `revision`.
    async fn limits_since(
        &self,
        revision: LimitRevision,
    ) -> Result<Option<(Vec<Limit>, LimitRevision)>, StoreError>;
}

/// How long a replica that is not heard of keeps the share that it had. After that only what it took
/// counts, as far as it said so.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long what a replica took counts as its own after it was heard of last. Then the counter takes it over,
/// and a replica that comes back must begin anew ([`Demand::epoch`] is `None`).
pub const GONE: Duration = Duration::from_mins(10);

/// The most counters of one exchange.
pub const MAX_DEMANDS: usize = 512;

/// Counts what all replicas take of a limit.
///
/// A replica does not ask for each call. Of every counter that it uses it holds a *share*, which is its to
/// give out as it sees fit, and every now and then it says how much of that is taken and how large it would
/// like the share to be. All shares together are never more than the counter's capacity, so that no limit is
/// exceeded between two exchanges; and a share never shrinks below what is taken of it.
///
/// What a replica says is absolute, not a difference: an exchange that was made twice or whose answer was
/// lost does no harm, and counters that were lost are whole again when every replica has exchanged once.
/// [`super::Shares`] is the exact meaning of an exchange; whoever implements this port agrees with it, by
/// a clock of its own.
#[async_trait]
pub trait SharedCounters: Send + Sync {
    /// Says how things stand with at most [`MAX_DEMANDS`] counters and what is wanted, in one round trip;
    /// answers with a grant for each demand, in their order.
    ///
    /// From the moment at which it asks until it has the answer, a replica gives out no more than the smaller
    /// of the share that it had and [`Demand::wanted`]. When there is no answer, the share that it had goes on
    /// until [`LEASE`] has passed since the last exchange that was answered.
    async fn exchange(
        &self,
        replica: ReplicaId,
        demands: &[Demand],
    ) -> Result<Vec<Grant>, SharedStateError>;

    /// When what is shared began, as the last exchange found it: a number that is another one after everything
    /// was lost. Whoever sees it change says all its counters anew, idle ones too, of which something is taken.
    fn began(&self) -> u64 {
        0
    }
}

/// Names a counter in the whole installation: printable ASCII without spaces, about a kilobyte at most,
/// beginning with its tenant (`org_…`, or `all` where it is nobody's) and a `/`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterName(Arc<str>);

impl CounterName {
    /// The name of these parts, the tenant first. What may not stand in a name is written as `%` and two
    /// hexadecimal digits.
    pub fn of(parts: &[&str]) -> Self {
        let mut name = String::new();
        for part in parts {
            if !name.is_empty() {
                name.push('/');
            }
            for byte in part.bytes() {
                if byte.is_ascii_graphic() && byte != b'%' && byte != b'/' {
                    name.push(char::from(byte));
                } else {
                    // Writing to a string does not fail.
                    let _written = write!(name, "%{byte:02x}");
                }
            }
        }
        Self(name.into())
    }

    /// The name of the counter of the period that begins then.
    #[must_use]
    pub fn within(&self, period_starts: Timestamp) -> Self {
        Self(format!("{}/{}", self.0, period_starts.as_second()).into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// For how long what was taken counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// For so long: [`Demand::spent`] is what the replica took within it, and falls by itself.
    Sliding(Duration),
    /// Until then, or for good: [`Demand::spent`] only grows. The counter of the next period has another name.
    /// It may be forgotten a day after its end.
    Period(Option<Timestamp>),
    /// While it is in use: [`Demand::spent`] is zero.
    InUse,
}

/// Which run of a counter: another one when it was lost and begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// How things stand with a counter on one replica, and what it would like. Amounts are requests, tokens, or
/// nano-dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Which counter.
    pub counter: CounterName,
    /// For how long what was taken counts.
    pub span: Span,
    /// The most that all replicas may take.
    pub capacity: u64,
    /// The run of the counter that this replica is part of; `None` before its first exchange, and when the
    /// last one was almost [`GONE`] ago.
    pub epoch: Option<Epoch>,
    /// What this replica has taken for good: of a [`Span::Period`] since it became part of [`Demand::epoch`], and
    /// without an epoch no more than [`Demand::unsaid`].
    pub spent: u64,
    /// Of a [`Span::Period`], what of [`Demand::spent`] it has taken since the last exchange that was answered, so
    /// that nobody else can know of it: with so much it begins in another run of the counter.
    pub unsaid: u64,
    /// What it has set aside for calls in flight.
    pub held: u64,
    /// Of a [`Span::Period`], what all replicas have taken for good as far as this one knows, itself included:
    /// what the ledger said when it started and what it heard and did since. A counter never begins below.
    pub known: u64,
    /// How large a share it would like: what is taken, and what it expects to need before it asks again.
    pub wanted: u64,
}

impl Demand {
    /// Whether the replica becomes part of `run` with this exchange; only of a [`Span::Period`] this makes a difference.
    pub fn joins(&self, run: Epoch) -> bool {
        matches!(self.span, Span::Period(_)) && self.epoch != Some(run)
    }

    /// What of [`Demand::spent`] counts in `run` as the replica's own: what it said before is in the counter already.
    pub fn spent_in(&self, run: Epoch) -> u64 {
        if self.joins(run) {
            self.unsaid
        } else {
            self.spent
        }
    }
}

/// What a replica gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The run of the counter.
    pub epoch: Epoch,
    /// The share: at most so much may this replica take, [`Demand::spent`] and [`Demand::held`] included.
    pub share: u64,
    /// What is nobody's share, but for what is left to those who were not heard of since everything was lost.
    pub unallocated: u64,
    /// What everybody else has taken for good.
    pub spent_elsewhere: u64,
    /// How much a share should be at most while others want more than there is; the capacity when none does.
    /// Whoever has more asks for less the next time, as far as it is not taken.
    pub fair: u64,
}
