//! What a key may use up.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::limit::QueueRules;
use crate::money::Cost;

/// How much at a time; `None` is without bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Requests per minute.
    pub rpm: Option<u32>,
    /// Tokens per minute, input and output together.
    pub tpm: Option<u64>,
    /// Calls at the same time.
    pub concurrency: Option<u32>,
    /// How calls wait where one of these is reached; `None` where they are turned away.
    pub queue: Option<QueueRules>,
}

impl Rate {
    /// Whether nothing is bounded, whatever the queue says.
    pub fn is_unbounded(&self) -> bool {
        self.rpm.is_none() && self.tpm.is_none() && self.concurrency.is_none()
    }
}

/// Money per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The most that may be spent.
    pub limit: Cost,
    /// In which time.
    pub per: Period,
}

/// A calendar period in UTC, or all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From the full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// Never begins anew.
    Total,
}

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 5] = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Total];

    /// The word used in the API, the configuration and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// When the period that `now` is in began.
    pub fn start(self, now: Timestamp) -> Timestamp {
        let date = now.to_zoned(TimeZone::UTC).date();
        match self {
            Self::Hour => {
                let seconds = now.as_second();
                Timestamp::from_second(seconds - seconds.rem_euclid(3_600)).unwrap_or(now)
            }
            Self::Day => midnight(date),
            Self::Week => {
                let days = i64::from(date.weekday().to_monday_zero_offset());
                midnight(date)
                    .saturating_sub(SignedDuration::from_hours(24 * days))
                    .unwrap_or(now)
            }
            Self::Month => midnight(date.first_of_month()),
            Self::Total => Timestamp::UNIX_EPOCH,
        }
    }

    /// When the period that `now` is in ends and the next one begins; `None` when it never does.
    pub fn end(self, now: Timestamp) -> Option<Timestamp> {
        let start = self.start(now);
        match self {
            Self::Hour => start.checked_add(SignedDuration::from_hours(1)).ok(),
            Self::Day => start.checked_add(SignedDuration::from_hours(24)).ok(),
            Self::Week => start.checked_add(SignedDuration::from_hours(7 * 24)).ok(),
            Self::Month => {
                let date = start.to_zoned(TimeZone::UTC).date();
                date.last_of_month().tomorrow().ok().map(midnight)
            }
            Self::Total => None,
        }
    }
}

fn midnight(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_calendar_periods_in_utc() {
        let now: Timestamp = "2026-11-21T05:30:00Z".parse().unwrap();
        let text = |at: Option<Timestamp>| at.unwrap().to_string();
        assert_eq!(text(Some(Period::Hour.start(now))), "2026-11-21T05:00:00Z");
        assert_eq!(text(Period::Hour.end(now)), "2026-11-21T06:00:00Z");
        assert_eq!(text(Some(Period::Day.start(now))), "2026-11-21T00:00:00Z");
        assert_eq!(text(Period::Day.end(now)), "2026-11-22T00:00:00Z");
        assert_eq!(text(Some(Period::Week.start(now))), "2026-11-16T00:00:00Z");
        assert_eq!(text(Period::Week.end(now)), "2026-11-23T00:00:00Z");
        assert_eq!(text(Some(Period::Month.start(now))), "2026-11-01T00:00:00Z");
        assert_eq!(text(Period::Month.end(now)), "2026-12-01T00:00:00Z");
        assert_eq!(Period::Total.end(now), None);
    }
}
