//! Counters that replicas share: one script makes an exchange with many of them, in one round trip.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::clock::Clock;
use domain::fleet::SharedStateError;
use domain::id::ReplicaId;
use domain::limit::{Demand, Epoch, GONE, Grant, LEASE, MAX_DEMANDS, SharedCounters, Span};
use redis::Script;

use crate::connection::{Shared, as_milliseconds};

/// How long an exchange may take. Calls do not wait for it, but for one that needs more than its replica has;
/// they then go on with what is left to a replica alone.
const BOUND: Duration = Duration::from_millis(200);
/// How long a counter is kept after the end of its period: its last calls may still be in flight.
const KEPT_AFTER: Duration = Duration::from_hours(24);
/// How long a counter whose period never ends is kept after its last exchange. One that is forgotten begins
/// at what the ledger knows.
const KEPT_UNUSED: Duration = Duration::from_hours(30 * 24);

static EXCHANGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("exchange.lua")));

/// What the script answers: when everything began, and for each counter the share, what is nobody's, what was
/// spent elsewhere, what is fair, and the run.
type Answer = (String, Vec<[String; 5]>);

/// The counters that the replicas of an installation share.
///
/// Amounts are exact up to 2⁵³ (in nano-dollars: nine million dollars), since scripts count in floating point;
/// above that they have sixteen digits. While not every replica was heard of after everything was lost, the
/// others leave it an equal part of what is left.
pub struct Counters {
    shared: Shared,
    clock: Arc<dyn Clock>,
    replicas: AtomicU32,
    began: AtomicU64,
}

impl Counters {
    /// Counters at `shared`, of which this is the one replica until [`Counters::replicas_seen`] says otherwise.
    pub fn new(shared: &Shared, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: shared.apart(),
            clock,
            replicas: AtomicU32::new(1),
            began: AtomicU64::new(0),
        }
    }

    /// Says how many replicas were seen last, this one included.
    pub fn replicas_seen(&self, replicas: u32) {
        self.replicas.store(replicas.max(1), Ordering::Relaxed);
    }

    fn key(&self, demand: &Demand) -> String {
        self.shared.key(format_args!("limit:{}", demand.counter))
    }

    /// What the script reads of one demand; it names the order.
    fn arguments(&self, demand: &Demand) -> [String; 10] {
        let (span, length, kept) = match demand.span {
            Span::Sliding(length) => ("sliding", length, length.saturating_add(LEASE * 2)),
            Span::Period(None) => ("period", Duration::ZERO, KEPT_UNUSED),
            Span::Period(Some(end)) => {
                let left = Duration::try_from(end.duration_since(self.clock.now()));
                let kept = left.unwrap_or_default().saturating_add(KEPT_AFTER);
                ("period", Duration::ZERO, kept)
            }
            Span::InUse => ("in use", Duration::ZERO, LEASE * 2),
        };
        let epoch = demand
            .epoch
            .map_or_else(String::new, |epoch| epoch.0.to_string());
        [
            span.to_owned(),
            as_milliseconds(length).to_string(),
            as_milliseconds(kept).to_string(),
            demand.capacity.to_string(),
            epoch,
            demand.spent.to_string(),
            demand.unsaid.to_string(),
            demand.held.to_string(),
            demand.known.to_string(),
            demand.wanted.to_string(),
        ]
    }
}

#[async_trait]
impl SharedCounters for Counters {
    async fn exchange(
        &self,
        replica: ReplicaId,
        demands: &[Demand],
    ) -> Result<Vec<Grant>, SharedStateError> {
        if demands.len() > MAX_DEMANDS {
            return Err(SharedStateError::Failed(Box::new(TooMany)));
        }
        let mut keys = Vec::with_capacity(demands.len() + 1);
        keys.push(self.shared.key("limits-began"));
        keys.extend(demands.iter().map(|demand| self.key(demand)));
        let mut arguments = Vec::with_capacity(demands.len() * 10 + 4);
        arguments.extend([
            replica.to_string(),
            self.replicas.load(Ordering::Relaxed).to_string(),
            as_milliseconds(LEASE).to_string(),
            as_milliseconds(GONE).to_string(),
        ]);
        arguments.extend(demands.iter().flat_map(|demand| self.arguments(demand)));
        let (began, granted): Answer = self
            .shared
            .invoke(&EXCHANGE, &keys, &arguments, BOUND)
            .await?;
        let grants: Vec<Grant> = granted.iter().filter_map(grant).collect();
        if grants.len() != demands.len() {
            return Err(SharedStateError::Failed(Box::new(Garbled)));
        }
        self.began
            .store(began.parse().unwrap_or_default(), Ordering::Relaxed);
        Ok(grants)
    }

    fn began(&self) -> u64 {
        self.began.load(Ordering::Relaxed)
    }
}

/// An amount that is too large for an integer is as good as the largest.
fn grant([share, unallocated, spent_elsewhere, fair, epoch]: &[String; 5]) -> Option<Grant> {
    let amount = |text: &String| text.parse().unwrap_or(u64::MAX);
    Some(Grant {
        epoch: Epoch(epoch.parse().ok()?),
        share: amount(share),
        unallocated: amount(unallocated),
        spent_elsewhere: amount(spent_elsewhere),
        fair: amount(fair),
    })
}

#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_DEMANDS} demands in one exchange")]
struct TooMany;

#[derive(Debug, thiserror::Error)]
#[error("the answer of an exchange does not fit its demands")]
struct Garbled;
