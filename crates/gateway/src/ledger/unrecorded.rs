//! What calls cost that have ended and are not in the store yet.

use domain::call::Call;
use domain::id::RequestId;
use domain::limit::Subject;
use domain::money::Cost;
use domain::spend::Spend;
use jiff::Timestamp;

use super::{Ledger, locked};

/// What a call cost that has ended and is not in the store yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// The call.
    pub request_id: RequestId,
    /// When it began.
    pub started_at: Timestamp,
    /// By whom and on what.
    pub spend: Spend,
}

impl Ledger {
    /// What calls cost that wait for the store and that no book of limits from `book` on has counted. To be asked while
    /// the [handover](Ledger::handover) is held: otherwise calls that are on their way are in neither. Calls that wait
    /// in the journal alone, because there are too many, are not looked at.
    pub fn unrecorded(&self, book: u64) -> Vec<Unrecorded> {
        // A call goes from the first list to the second, and must not be missed on its way.
        let ending = locked(&self.ending);
        let waiting = locked(&self.waiting);
        let ending = ending
            .iter()
            .map(|(_, ended)| (&ended.call, ended.counted_in));
        let waiting = waiting.calls.iter();
        let waiting = waiting.map(|stored| (&stored.call, stored.counted_in));
        ending
            .chain(waiting)
            .filter(|(_, counted_in)| *counted_in < book)
            .filter_map(|(call, _)| Unrecorded::of(call))
            .collect()
    }
}

impl Unrecorded {
    /// What a call cost; `None` where that is nothing.
    fn of(call: &Call) -> Option<Self> {
        let cost = call.cost_usd.filter(|cost| *cost > Cost::ZERO)?;
        let (provider, model) = call.answered_by();
        Some(Self {
            request_id: call.request_id,
            started_at: call.started_at,
            spend: Spend {
                subject: Subject {
                    organization_id: Some(call.organization_id),
                    project_id: Some(call.project_id),
                    user_id: call.user_id,
                    application_id: call.application_id,
                    key_id: Some(call.key_id),
                    provider: provider.cloned(),
                    model: Some(model.to_owned()),
                },
                cost,
            },
        })
    }
}
