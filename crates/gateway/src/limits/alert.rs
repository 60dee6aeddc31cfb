//! Word of limits that are used up to a part that operators want to hear of.

use std::sync::Arc;

use domain::entropy::Entropy;
use domain::event::{Event, EventKind};
use domain::id::EventId;
use domain::limit::{Bound, Limit, Subject};
use domain::money::Cost;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

use super::counter::dollars;

/// A limit has been used up to a part that operators want to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The limit.
    pub limit: Arc<Limit>,
    /// Whose, where the limit is many people's.
    pub subject: Subject,
    /// The part, in per cent.
    pub percent: u8,
    /// What was taken by then: requests, tokens, calls, or nano-dollars.
    pub taken: u64,
    /// When the time began in which it is told once: a budget's period, otherwise the hour, or the day of a limit
    /// per day.
    pub since: Timestamp,
}

impl Alert {
    /// What was spent, of a budget.
    pub fn spent(&self) -> Option<Cost> {
        let is_budget = matches!(self.limit.bound, Bound::Dollars { .. });
        is_budget.then(|| dollars(self.taken))
    }

    /// The alert as an event that happens at `now`.
    pub fn event(&self, now: Timestamp, entropy: &dyn Entropy) -> Event {
        let limit = &self.limit;
        let since = self.since;
        let (kind, detail) = match self.spent() {
            Some(spent) => (
                EventKind::BudgetAlert,
                json!({
                    "limit_id": limit.id,
                    "limit": limit.name,
                    "subject": self.subject,
                    "percent": self.percent,
                    "budget_usd": dollars(limit.bound.most()),
                    "per": limit.bound.per(),
                    "spent_usd": spent,
                    "period_starts_at": since,
                }),
            ),
            None => (
                EventKind::RateAlert,
                json!({
                    "limit_id": limit.id,
                    "limit": limit.name,
                    "subject": self.subject,
                    "percent": self.percent,
                    "measure": limit.bound.measure(),
                    "most": limit.bound.most(),
                    "per": limit.bound.per(),
                    "taken": self.taken,
                }),
            ),
        };
        Event {
            id: EventId::new(now, entropy),
            at: now,
            organization_id: self
                .subject
                .organization_id
                .unwrap_or(limit.organization_id),
            project_id: self.subject.project_id.unwrap_or(limit.project_id),
            kind,
            mark: format!("{}/{}/{since}/{}", limit.id, self.subject, self.percent),
            detail,
        }
    }
}

/// Where alerts go that somebody is to write down. What does not fit is lost to the list of events; the limit
/// holds all the same.
pub(super) type Alerts = mpsc::Sender<Alert>;

/// A queue of at most `bound` alerts.
pub(super) fn alerts(bound: usize) -> (Alerts, mpsc::Receiver<Alert>) {
    mpsc::channel(bound.max(1))
}
