//! Why a request got no answer.

use domain::chat::Conversion;
use domain::name::{ModelName, ProviderName};
use domain::store_error::StoreError;
use providers::dialect::Refusal;
use providers::face::InvalidRequest;

use crate::files::FileError;
use crate::ledger::JournalError;
use crate::limits::LimitReached;
use crate::routes::{NoTarget, UnknownModel};

/// Why a chat request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The request is not what the face allows.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// There are more messages than [`Settings::max_messages`](super::Settings::max_messages).
    #[error("the request has {count} messages and at most {max} are taken")]
    TooManyMessages {
        /// How many there are.
        count: usize,
        /// How many are taken.
        max: usize,
    },
    /// No target serves the model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// No target of the model is for this request.
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    /// The caller's key does not permit the model.
    #[error("the key does not permit model {0}")]
    ModelNotPermitted(ModelName),
    /// The caller's key does not permit requests that pass to a vendor's own API.
    #[error("the key does not permit requests that pass")]
    PassingNotPermitted,
    /// The caller's key has a budget, and what the request takes cannot be metered.
    #[error("the key has a budget and the request cannot be metered")]
    CannotBeMetered,
    /// There is no provider of this name, or none that is meant.
    #[error("no such provider")]
    UnknownProvider {
        /// What is wrong and what would be right: a sentence.
        detail: String,
    },
    /// A limit of the caller's is reached.
    #[error(transparent)]
    LimitReached(#[from] LimitReached),
    /// The caller's key has a budget, and what the model costs is not known: the budget could not hold.
    #[error("the key has a budget and model {model} of provider {provider} has no price")]
    Unpriced {
        /// The provider.
        provider: ProviderName,
        /// The model in the provider's words.
        model: String,
    },
    /// The target cannot do what is asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The route is strict, and the translation would drop something.
    #[error("the route is strict and the target cannot take everything")]
    WouldDrop(Conversion),
    /// What the request refers to is not kept, or is another caller's.
    #[error("what the request refers to is not kept here")]
    NotKept {
        /// What is missing: a sentence.
        detail: String,
        /// The field that refers to it.
        param: String,
    },
    /// As many answers are made in the background as there is room for.
    #[error("no more answers can be made in the background")]
    TooManyJobs,
    /// What the request refers to cannot be looked up.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
    /// A file that the request refers to cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The call cannot be written down, so it was not sent.
    #[error(transparent)]
    Ledger(#[from] JournalError),
    /// Every attempt failed.
    #[error("all {attempts} attempts failed")]
    Failed {
        /// What the caller is told.
        problem: Box<domain::problem::Problem>,
        /// The provider.
        provider: ProviderName,
        /// How often it was tried.
        attempts: usize,
    },
}

impl ChatError {
    /// Whether it is about one target, so that another may take the request.
    pub(super) fn is_of_target(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::WouldDrop(_))
    }
}
