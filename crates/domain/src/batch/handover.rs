//! What is handed over to a provider that runs batches itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::money::Cost;
use crate::name::{ModelName, ProviderName};

/// The lines of a batch that ask for one model of one provider, which is one batch there. It is in the store
/// before the provider hears of it, and stands for its lines' calls until they are in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The provider.
    pub provider: ProviderName,
    /// The model, in the provider's words.
    pub model: String,
    /// The names by which lines ask for it: a line belongs to the part that has its name, whatever the
    /// configuration makes of that name later.
    pub asked_as: Vec<ModelName>,
    /// How many lines it has.
    pub lines: u32,
    /// What its lines are expected to cost; zero where no budget has to hold it.
    #[serde(default)]
    pub reserved: Cost,
    /// How often the provider was asked to run it: 0 before the first time.
    pub number: u32,
    /// When the provider was asked last.
    pub at: Timestamp,
    /// The file of its lines at the provider, to be deleted when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How far it has come.
    pub step: HandoverStep,
    /// Whether the provider was asked to stop.
    #[serde(default)]
    pub is_stopped: bool,
    /// Batches of the provider that looked like this one and are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_this: Vec<String>,
}

/// How far a handover has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum HandoverStep {
    /// The provider was not asked to run it.
    Planned,
    /// The provider was asked; whether it has the batch is not known before it has answered.
    Asked,
    /// The provider has it.
    Running {
        /// What the provider calls it.
        id: String,
        /// Whether it is this one beyond doubt; otherwise its results will tell.
        is_certain: bool,
    },
    /// The provider did not take it.
    Refused,
    /// Each of its lines has ended in the ledger.
    Settled,
}

impl Handover {
    /// Whether nothing more happens to it.
    pub fn has_ended(&self) -> bool {
        matches!(self.step, HandoverStep::Refused | HandoverStep::Settled)
    }

    /// What the provider calls it, where that is known.
    pub fn id(&self) -> Option<&str> {
        match &self.step {
            HandoverStep::Running { id, .. } => Some(id),
            _ => None,
        }
    }
}
