//! Tables as vendors' consoles export them (RFC 4180).
//!
//! The names that are known are those of OpenAI's and Anthropic's consoles, Google Cloud's cost table and AWS's
//! Cost and Usage Report (<https://docs.aws.amazon.com/cur/latest/userguide/data-dictionary.html>).

use csv::{ReaderBuilder, StringRecord};

use super::InvoiceLine;
use super::export::{Columns, UnreadableInvoice, count, day, dollars};

const DAYS: [&str; 13] = [
    "start_time_iso",
    "start_time",
    "usage_date_utc",
    "usage_date",
    "usage start date",
    "usage_start_time",
    "lineitem/usagestartdate",
    "line_item_usage_start_date",
    "timestamp",
    "date",
    "day",
    "bucket_start",
    "starting_at",
];
const MODELS: [&str; 9] = [
    "model",
    "model_version",
    "line_item",
    "sku description",
    "sku.description",
    "lineitem/usagetype",
    "line_item_usage_type",
    "usage_type",
    "description",
];
const INPUTS: [&str; 8] = [
    "input_tokens",
    "n_context_tokens_total",
    "prompt_tokens",
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
    "input",
];
const OUTPUTS: [&str; 5] = [
    "output_tokens",
    "n_generated_tokens_total",
    "completion_tokens",
    "usage_output_tokens",
    "output",
];
const COSTS: [&str; 10] = [
    "amount_value",
    "cost_usd",
    "cost_in_usd",
    "cost ($)",
    "subtotal ($)",
    "lineitem/unblendedcost",
    "line_item_unblended_cost",
    "unblendedcost",
    "cost",
    "amount",
];
const CURRENCIES: [&str; 5] = [
    "amount_currency",
    "currency",
    "currency_code",
    "lineitem/currencycode",
    "line_item_currency_code",
];

/// Reads a table. Every line needs a day and a cost or tokens; lines without any of these are sums, and left
/// out.
pub(super) fn read(text: &str, columns: &Columns) -> Result<Vec<InvoiceLine>, UnreadableInvoice> {
    let mut table = ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let header = table
        .headers()
        .map_err(|_| UnreadableInvoice::Unknown)?
        .clone();
    if header.len() < 2 {
        return Err(UnreadableInvoice::Unknown);
    }
    let places = Places::of(&header, columns)?;
    let mut lines = Vec::new();
    for (number, record) in table.records().enumerate() {
        let record = record.map_err(|_| UnreadableInvoice::Unknown)?;
        if let Some(line) = places.line(&record, number + 2)? {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Which column is where.
struct Places {
    day: usize,
    model: Option<usize>,
    /// Several where the parts of the input have columns of their own.
    input: Vec<usize>,
    output: Option<usize>,
    cost: Option<usize>,
    currency: Option<usize>,
}

impl Places {
    fn of(header: &StringRecord, columns: &Columns) -> Result<Self, UnreadableInvoice> {
        let names: Vec<String> = header
            .iter()
            .map(|name| name.trim().to_lowercase())
            .collect();
        let missing = |what: &'static str| UnreadableInvoice::NoColumn {
            what,
            columns: header.iter().collect::<Vec<_>>().join(", "),
        };
        let at = |name: &str| names.iter().position(|known| known == name);
        let named = |given: Option<&String>, known: &[&str], what: &'static str| match given {
            Some(name) => at(&name.to_lowercase())
                .map(Some)
                .ok_or_else(|| missing(what)),
            None => Ok(known.iter().find_map(|name| at(name))),
        };
        let input = if let Some(name) = &columns.input {
            vec![at(&name.to_lowercase()).ok_or_else(|| missing("input"))?]
        } else {
            let parts = INPUTS.iter().filter_map(|name| at(name));
            let is_split = INPUTS.iter().take(3).all(|name| at(name).is_none());
            parts
                .take(if is_split { INPUTS.len() } else { 1 })
                .collect()
        };
        let places = Self {
            day: named(columns.day.as_ref(), &DAYS, "day")?.ok_or_else(|| missing("day"))?,
            model: named(columns.model.as_ref(), &MODELS, "model")?,
            input,
            output: named(columns.output.as_ref(), &OUTPUTS, "output")?,
            cost: named(columns.cost.as_ref(), &COSTS, "cost")?,
            currency: CURRENCIES.iter().find_map(|name| at(name)),
        };
        if places.cost.is_none() && places.input.is_empty() && places.output.is_none() {
            return Err(missing("cost"));
        }
        Ok(places)
    }

    fn line(
        &self,
        record: &StringRecord,
        line: usize,
    ) -> Result<Option<InvoiceLine>, UnreadableInvoice> {
        let text = |place: usize| record.get(place).map(str::trim).unwrap_or_default();
        let value = |place: usize, what: &'static str| UnreadableInvoice::Value {
            line,
            what,
            value: text(place).to_owned(),
        };
        // The last lines of a bill are its sums: they have no day.
        if text(self.day).is_empty() {
            return Ok(None);
        }
        let day = day(text(self.day)).ok_or_else(|| value(self.day, "day"))?;
        let tokens = |place: usize| {
            Some(text(place))
                .filter(|text| !text.is_empty())
                .map(|text| count(text).ok_or_else(|| value(place, "number of tokens")))
                .transpose()
        };
        let mut input_tokens = None;
        for place in &self.input {
            input_tokens = super::sum(input_tokens, tokens(*place)?);
        }
        let cost = match self.cost.filter(|place| !text(*place).is_empty()) {
            Some(place) => Some(dollars(text(place)).ok_or_else(|| value(place, "amount"))?),
            None => None,
        };
        let currency = self.currency.map(text).unwrap_or_default();
        if cost.is_some() && !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
            return Err(UnreadableInvoice::Currency {
                line,
                currency: currency.to_owned(),
            });
        }
        let model = self.model.map(text).unwrap_or_default();
        Ok(Some(InvoiceLine {
            day,
            model: model.split(',').next().unwrap_or_default().to_owned(),
            input_tokens,
            output_tokens: self.output.map(tokens).transpose()?.flatten(),
            cost,
        }))
    }
}
