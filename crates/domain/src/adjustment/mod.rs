//! Adjustments: what a call's cost is corrected by afterwards. A call itself is never changed; what it costs
//! in the end is its own cost and the sum of its adjustments.

mod port;

use jiff::Timestamp;
use serde::Serialize;

pub use port::{Adjusted, AdjustmentFilter, AdjustmentStore, HourApart, SpendTotal};

use crate::id::{ApplicationId, KeyId, OrganizationId, ProjectId, RequestId, UserId};
use crate::money::Cost;

/// One correction of a call's cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adjustment {
    /// The call.
    pub request_id: RequestId,
    /// Counted from 1 for each call: of two corrections that were computed from the same cost, one is made.
    pub number: u32,
    /// The call's tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// The call's application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// The call's user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// The call's key.
    pub key_id: KeyId,
    /// When the call started: the correction counts in the periods that the call counts in.
    pub started_at: Timestamp,
    /// What is added; less than nothing where the call cost too much.
    #[serde(rename = "amount_usd")]
    pub amount: Cost,
    /// Why.
    pub reason: AdjustmentReason,
    /// Where the price came from that held before; `None` where there was none.
    pub old_price_source: Option<String>,
    /// Where the price comes from that holds now.
    pub new_price_source: Option<String>,
    /// When it was made.
    pub made_at: Timestamp,
    /// Who made it: a key's identifier, or `command line`.
    pub made_by: String,
}

/// Why a call's cost is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentReason {
    /// The price that was known then was wrong, or none was known.
    Rerated,
}

impl AdjustmentReason {
    /// The word used in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rerated => "rerated",
        }
    }

    /// The variant of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        (word == Self::Rerated.as_str()).then_some(Self::Rerated)
    }
}
