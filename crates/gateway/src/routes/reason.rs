//! Why a target stands where it stands, and why a request may not go to one.

use std::fmt;

use super::fallback::When;
use super::roster::Member;
use super::strategy::Strategy;

/// Why a target stands where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Because {
    /// The caller named its provider.
    Preferred,
    /// The caller belongs to the share that it is for.
    Rollout,
    /// The session was answered there.
    Session,
    /// The strategy put it there.
    Strategy(Strategy),
    /// It is there for when others fail.
    Fallback(When),
    /// It is too small for the request by what is estimated, and all others are too.
    Nobody,
}

/// A target that a request may not go to.
#[derive(Debug, Clone)]
pub(super) struct LeftOut<'r> {
    pub(super) member: &'r Member,
    pub(super) why: Why,
}

/// Why a request may not go to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// It lies outside of the regions that are permitted, or nobody knows where.
    Region,
    /// Its condition does not hold.
    Condition,
    /// Its condition could not be evaluated.
    ConditionFailed(String),
    /// It is for a share of the callers that this one is not in.
    Rollout,
    /// The request is longer than what the model takes, in tokens.
    ContextWindow {
        /// About how many the request has.
        needed: u64,
        /// How many it takes.
        window: u64,
    },
    /// It leads to a route of which nobody may be asked.
    NobodyThere,
}

impl fmt::Display for LeftOut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' {}", self.member.name(), self.why)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("lies outside of the regions that are permitted."),
            Self::Condition => f.write_str("is not for this request: its condition does not hold."),
            Self::ConditionFailed(why) => {
                write!(
                    f,
                    "is left out: its condition could not be evaluated ({why})."
                )
            }
            Self::Rollout => f.write_str("is for a share of the callers that this one is not in."),
            Self::ContextWindow { needed, window } => write!(
                f,
                "takes {window} tokens, and the request has about {needed}."
            ),
            Self::NobodyThere => f.write_str("leads to a route of which nobody may be asked."),
        }
    }
}
