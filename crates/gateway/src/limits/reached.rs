//! Which limit is reached, and when there is room again.

use std::time::Duration;

use domain::key::Period;
use domain::limit::{Bound, Limit};
use domain::money::Cost;
use jiff::Timestamp;

use super::standing::Standing;

/// Which limit is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// Whose limit it is: reads on before "limit of".
    pub whose: &'static str,
    /// How much may be taken.
    pub bound: Bound,
    /// When there is room.
    pub relief: Relief,
    /// What is left of a budget beside what is set aside; nothing of what is not money.
    pub left: Cost,
    /// Whether another provider or model may have room.
    pub is_of_target: bool,
    /// How things stand with the rates of the caller, for the answer's header fields.
    pub standing: Option<Box<Standing>>,
}

/// When there is room again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// After so long, when nothing else happens. Zero where calls in flight may end at any moment.
    After(Duration),
    /// When the next period begins.
    At(Timestamp),
    /// When somebody raises the limit.
    Unknown,
    /// Never: the request alone takes more than there is.
    Never {
        /// How much it takes.
        needed: u64,
    },
}

impl LimitReached {
    /// How long to wait before it is tried again; `None` where waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.relief {
            // A second is the least that `Retry-After` can say (RFC 9110, section 10.2.3).
            Relief::After(wait) => Some(wait.max(Duration::from_secs(1))),
            Relief::At(_) | Relief::Unknown | Relief::Never { .. } => None,
        }
    }

    /// Whether it is money that is used up.
    pub fn is_budget(&self) -> bool {
        matches!(self.bound, Bound::Dollars { .. })
    }
}

impl std::error::Error for LimitReached {}

impl std::fmt::Display for LimitReached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whose = self.whose;
        match (self.bound, self.relief) {
            (_, Relief::Never { needed }) => write!(
                f,
                "the request has about {needed} input tokens, and {whose} limit is {}",
                self.bound
            ),
            (Bound::Dollars { most, per }, _) => {
                match per {
                    Period::Total => write!(f, "{whose} budget of ${most} in total ")?,
                    _ => write!(f, "{whose} budget of ${most} per {} ", per.as_str())?,
                }
                match self.left {
                    Cost::ZERO => f.write_str("is spent"),
                    left => write!(f, "has ${left} left, which is not enough"),
                }
            }
            _ => write!(f, "{whose} limit of {} is reached", self.bound),
        }
    }
}

/// Whose limit it is, by the narrowest part of its scope.
pub(super) fn whose(limit: &Limit) -> &'static str {
    let scope = &limit.scope;
    if scope.has_target() {
        "the gateway's"
    } else if !scope.key.is_any() {
        "the key's"
    } else if !scope.application.is_any() {
        "the application's"
    } else if !scope.user.is_any() {
        "the user's"
    } else if !scope.project.is_any() {
        "the project's"
    } else if !scope.organization.is_any() {
        "the organisation's"
    } else {
        "the gateway's"
    }
}
