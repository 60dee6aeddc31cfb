//! How values of the domain are written into columns and read back.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use domain::money::{Cost, NANO_PER_DOLLAR};
use domain::store_error::StoreError;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// A time as the store keeps it: whole microseconds since 1970.
pub(crate) fn microseconds(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A stretch of time as a column keeps it, in whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A count as a column keeps it. What is beyond its range stops at the edge, where no real count comes.
pub(crate) fn saturated(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A text that both engines keep: PostgreSQL has no NUL in texts, and a provider's answer may hold one.
pub(crate) fn kept(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Dollars and nano-dollars in one amount, which stops at the edge of its range.
pub(crate) fn whole(dollars: i64, nano_dollars: i64) -> Cost {
    let dollars = Cost::from_nano_dollars(dollars.saturating_mul(NANO_PER_DOLLAR));
    dollars.saturating_add(Cost::from_nano_dollars(nano_dollars))
}

/// Those of a list's rows that can be read. One that only a later version understands, or that is spoilt, is
/// named in the log and does not cost the others.
pub(crate) fn readable<T>(rows: impl IntoIterator<Item = Result<T, StoreError>>) -> Vec<T> {
    let skip = |error: &StoreError| {
        tracing::error!(%error, "a row cannot be read; the list goes on without it");
    };
    rows.into_iter()
        .filter_map(|row| row.inspect_err(skip).ok())
        .collect()
}

/// Reads the columns of one row and remembers which row it is.
pub(crate) struct Reader<'r> {
    pub(crate) table: &'static str,
    pub(crate) id: &'r str,
}

impl Reader<'_> {
    pub(crate) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            column,
            id: self.id.to_owned(),
        }
    }

    pub(crate) fn some<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(column))
    }

    pub(crate) fn parse<T: FromStr>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        self.some(column, text.parse().ok())
    }

    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        self.some(column, serde_json::from_str(text).ok())
    }

    pub(crate) fn time(
        &self,
        column: &'static str,
        microseconds: i64,
    ) -> Result<Timestamp, StoreError> {
        // Not `from_microsecond`, which refuses the last second that a timestamp can hold.
        let second = microseconds.div_euclid(1_000_000);
        let nanosecond = microseconds.rem_euclid(1_000_000) * 1_000;
        let time = i32::try_from(nanosecond)
            .ok()
            .and_then(|nanosecond| Timestamp::new(second, nanosecond).ok());
        self.some(column, time)
    }

    pub(crate) fn number<T: TryFrom<i64>>(
        &self,
        column: &'static str,
        number: i64,
    ) -> Result<T, StoreError> {
        self.some(column, T::try_from(number).ok())
    }

    /// Reads a column that may be empty.
    pub(crate) fn optional<C, T>(
        &self,
        column: &'static str,
        value: Option<C>,
        read: impl FnOnce(&Self, &'static str, C) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        value.map(|value| read(self, column, value)).transpose()
    }
}
