//! How much of what may be taken in which time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::key::Period;
use crate::money::Cost;

/// The most that may be taken, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Requests in any stretch of time of this length.
    Requests {
        /// How many.
        most: u64,
        /// In which time.
        per: Window,
    },
    /// Tokens, input and output together, in any stretch of time of this length.
    Tokens {
        /// How many.
        most: u64,
        /// In which time.
        per: Window,
    },
    /// Calls at the same time.
    Concurrency {
        /// How many.
        most: u64,
    },
    /// Money in a calendar period.
    Dollars {
        /// How much; never negative.
        most: Cost,
        /// In which time.
        per: Period,
    },
}

/// A stretch of time that slides along: whichever one looks at, no more is in it than the bound says, to a
/// sixtieth of its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Sixty seconds.
    Minute,
    /// Sixty minutes.
    Hour,
    /// Twenty-four hours.
    Day,
}

impl Window {
    /// Every window, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The word used in the API, the configuration and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long it is.
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }
}

impl Bound {
    /// The most, in requests, tokens, calls or nano-dollars.
    pub fn most(self) -> u64 {
        match self {
            Self::Requests { most, .. }
            | Self::Tokens { most, .. }
            | Self::Concurrency { most } => most,
            Self::Dollars { most, .. } => u64::try_from(most.nano_dollars()).unwrap_or(0),
        }
    }

    /// The word for what is counted, as in the API, the configuration and the store.
    pub fn measure(self) -> &'static str {
        match self {
            Self::Requests { .. } => "requests",
            Self::Tokens { .. } => "tokens",
            Self::Concurrency { .. } => "concurrency",
            Self::Dollars { .. } => "usd",
        }
    }

    /// The word for the time in which it is counted; `None` where there is none.
    pub fn per(self) -> Option<&'static str> {
        match self {
            Self::Requests { per, .. } | Self::Tokens { per, .. } => Some(per.as_str()),
            Self::Concurrency { .. } => None,
            Self::Dollars { per, .. } => Some(per.as_str()),
        }
    }

    /// The bound of these words; `None` when there is no such measure, or it is not counted in such a time.
    pub fn from_words(measure: &str, most: u64, per: Option<&str>) -> Option<Self> {
        let window = || {
            Window::ALL
                .into_iter()
                .find(|window| Some(window.as_str()) == per)
        };
        match measure {
            "requests" => window().map(|per| Self::Requests { most, per }),
            "tokens" => window().map(|per| Self::Tokens { most, per }),
            "concurrency" => per.is_none().then_some(Self::Concurrency { most }),
            "usd" => {
                let mut periods = Period::ALL.into_iter();
                let per = periods.find(|period| Some(period.as_str()) == per)?;
                let most = Cost::from_nano_dollars(i64::try_from(most).ok()?);
                Some(Self::Dollars { most, per })
            }
            _ => None,
        }
    }
}

/// Reads on from "limit of": `600 requests per minute`, `$5.000000000 per month`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests { most, per } => write!(f, "{most} requests per {}", per.as_str()),
            Self::Tokens { most, per } => write!(f, "{most} tokens per {}", per.as_str()),
            Self::Concurrency { most } => write!(f, "{most} calls at the same time"),
            Self::Dollars {
                most,
                per: Period::Total,
            } => write!(f, "${most} in total"),
            Self::Dollars { most, per } => write!(f, "${most} per {}", per.as_str()),
        }
    }
}
