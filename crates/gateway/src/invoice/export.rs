//! Which export it is, and how its figures are written.

use std::str::FromStr;

use domain::money::{Cost, NANO_PER_DOLLAR};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{InvoiceLine, json, table};

/// Which columns of a table mean what, where they have other names than those that are known. Written as
/// `day=Date,model=SKU,cost=Amount`; the meanings are `day`, `model`, `input`, `output` and `cost`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    pub(super) day: Option<String>,
    pub(super) model: Option<String>,
    pub(super) input: Option<String>,
    pub(super) output: Option<String>,
    pub(super) cost: Option<String>,
}

/// The text does not say which columns mean what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not MEANING=COLUMN with day, model, input, output or cost as its meaning")]
pub struct InvalidColumns(String);

/// Why an export cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableInvoice {
    /// It is neither JSON nor a table with a line of names.
    #[error(
        "it is neither JSON of a vendor's API nor a table (CSV) with the columns' names in its first line"
    )]
    Unknown,
    /// A table has no column for something that is needed.
    #[error("no column says the {what}: the columns are {columns}; name it as in {what}=COLUMN")]
    NoColumn {
        /// What is missing.
        what: &'static str,
        /// The columns that are there.
        columns: String,
    },
    /// A value is not what its place asks for.
    #[error("line {line}: '{value}' is no {what}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// What is expected.
        what: &'static str,
        /// What is there.
        value: String,
    },
    /// An amount is in another currency.
    #[error("line {line} is in {currency}; only US dollars can be compared")]
    Currency {
        /// Counted from 1.
        line: usize,
        /// The currency.
        currency: String,
    },
}

impl FromStr for Columns {
    type Err = InvalidColumns;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut columns = Self::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let invalid = || InvalidColumns(pair.to_owned());
            let (meaning, column) = pair.split_once('=').ok_or_else(invalid)?;
            let place = match meaning.trim() {
                "day" => &mut columns.day,
                "model" => &mut columns.model,
                "input" => &mut columns.input,
                "output" => &mut columns.output,
                "cost" => &mut columns.cost,
                _ => return Err(invalid()),
            };
            *place = Some(column.trim().to_owned());
        }
        Ok(columns)
    }
}

/// Reads an export: JSON of OpenAI's usage or costs API or of Anthropic's usage or cost report (one page, or an
/// array of pages), or a table with a line of names as vendors' consoles write it.
pub fn read(text: &str, columns: &Columns) -> Result<Vec<InvoiceLine>, UnreadableInvoice> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) {
        json::read(text)
    } else {
        table::read(text, columns)
    }
}

/// A day, however it is written: a date, a time with its zone or without, or seconds since 1970.
pub(super) fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>()
        && text.len() >= 9
    {
        let time = Timestamp::from_second(seconds).ok()?;
        return Some(time.to_zoned(TimeZone::UTC).date());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.to_zoned(TimeZone::UTC).date());
    }
    // `2026-11-21`, and what begins so: `2026-11-21 00:00:00 UTC`.
    let date = text.split([' ', 'T']).next()?;
    date.parse().ok().or_else(|| american(date))
}

/// `11/21/2026`, as spreadsheets write it.
fn american(text: &str) -> Option<Date> {
    let mut parts = text.split('/').map(str::parse::<i16>);
    let (month, day, year) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    let small = |number: i16| i8::try_from(number).ok();
    Date::new(year, small(month)?, small(day)?).ok()
}

/// A count of tokens, with separators or without; vendors write whole counts with decimals too.
pub(super) fn count(text: &str) -> Option<u64> {
    let plain = text.trim().replace([',', '_'], "");
    let whole = plain.split_once('.').map_or(&*plain, |(whole, _)| whole);
    whole.parse().ok()
}

/// An amount of dollars to the nearest nano-dollar. Exports write more decimals than there are, and powers of
/// ten: this is what the vendor says, not what is charged here, so that a floating point number will do.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the bounds are checked, and a nano-dollar is far below what is compared"
)]
pub(super) fn dollars(text: &str) -> Option<Cost> {
    let plain = text
        .trim()
        .trim_start_matches("US$")
        .trim_start_matches('$')
        .replace(',', "");
    let nano = plain.parse::<f64>().ok()? * NANO_PER_DOLLAR as f64;
    let is_amount = nano.is_finite() && nano.abs() < i64::MAX as f64;
    is_amount.then(|| Cost::from_nano_dollars(nano.round() as i64))
}
