//! How things stand with the rates that hold for a caller, as the answer's header fields tell it.

use domain::limit::{Bound, Window};

/// What is left of requests and of tokens, of the tightest limit of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Of requests; `None` where there is no limit.
    pub requests: Option<Meter>,
    /// Of tokens, input and output together; `None` where there is no limit.
    pub tokens: Option<Meter>,
}

/// What is left of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// How much may be taken.
    pub limit: u64,
    /// How much is left.
    pub remaining: u64,
    /// In which time. What is taken now comes back when that has passed.
    pub per: Window,
}

impl Standing {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }

    /// Takes `meter` of `bound` in, if it is tighter than what was known.
    pub(super) fn tighten(&mut self, bound: Bound, meter: Option<Meter>) {
        let place = match bound {
            Bound::Requests { .. } => &mut self.requests,
            Bound::Tokens { .. } => &mut self.tokens,
            Bound::Concurrency { .. } | Bound::Dollars { .. } => return,
        };
        if let Some(meter) = meter
            && place.is_none_or(|known| meter.remaining < known.remaining)
        {
            *place = Some(meter);
        }
    }
}
