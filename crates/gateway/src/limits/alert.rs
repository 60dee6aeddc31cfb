//! Word of budgets that are used up to a part that operators want to hear of.

use std::sync::Arc;

use domain::entropy::Entropy;
use domain::event::{Event, EventKind};
use domain::id::EventId;
use domain::limit::{Limit, Subject};
use domain::money::Cost;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::mpsc;

/// A budget has been used up to a part that operators want to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The budget.
    pub limit: Arc<Limit>,
    /// Whose, where the budget is many people's.
    pub subject: Subject,
    /// The part, in per cent.
    pub percent: u8,
    /// What was spent by then.
    pub spent: Cost,
    /// When the period began.
    pub period_starts: Timestamp,
}

impl Alert {
    /// The alert as an event that happens at `now`.
    pub fn event(&self, now: Timestamp, entropy: &dyn Entropy) -> Event {
        let limit = &self.limit;
        let starts = self.period_starts;
        Event {
            id: EventId::new(now, entropy),
            at: now,
            organization_id: self
                .subject
                .organization_id
                .unwrap_or(limit.organization_id),
            project_id: self.subject.project_id.unwrap_or(limit.project_id),
            kind: EventKind::BudgetAlert,
            mark: format!("{}/{}/{starts}/{}", limit.id, self.subject, self.percent),
            detail: json!({
                "limit_id": limit.id,
                "limit": limit.name,
                "subject": self.subject,
                "percent": self.percent,
                "budget_usd": domain::money::Cost::from_nano_dollars(
                    i64::try_from(limit.bound.most()).unwrap_or(i64::MAX)
                ),
                "per": limit.bound.per(),
                "spent_usd": self.spent,
                "period_starts_at": starts,
            }),
        }
    }
}

/// Where alerts go that somebody is to write down. What does not fit is lost to the list of events; the budget
/// holds all the same.
pub(super) type Alerts = mpsc::Sender<Alert>;

/// A queue of at most `bound` alerts.
pub(super) fn alerts(bound: usize) -> (Alerts, mpsc::Receiver<Alert>) {
    mpsc::channel(bound.max(1))
}
