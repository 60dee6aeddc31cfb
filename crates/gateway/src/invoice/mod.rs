//! Providers' invoices held against the ledger: what the vendor says that a day's calls of a model took and
//! cost, beside what the ledger says.
//!
//! [`read`] understands what the vendors' own exports look like; [`reconcile`] compares by day (in UTC) and
//! model. Vendors name models by their editions (`gpt-4o-2024-08-06`) where callers say `gpt-4o`: names are
//! compared without them.

mod export;
mod json;
mod table;

use std::collections::BTreeMap;

use domain::adjustment::AdjustmentStore;
use domain::call::{Call, CallFilter, CallStore};
use domain::id::RequestId;
use domain::money::Cost;
use domain::name::ProviderName;
use domain::store_error::StoreError;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

pub use export::{Columns, InvalidColumns, UnreadableInvoice, read};

/// Calls that are read together.
const BATCH: u32 = 1_000;

/// One line of a vendor's export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceLine {
    /// The day that is charged, in UTC.
    pub day: Date,
    /// The model as the vendor names it here; empty where the line is of no model.
    pub model: String,
    /// What it took, where the export says.
    pub input_tokens: Option<u64>,
    /// What it gave, where the export says.
    pub output_tokens: Option<u64>,
    /// What it costs, where the export says.
    pub cost: Option<Cost>,
}

/// From when on a difference is one that somebody should look at: when it is beyond both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// In dollars.
    pub usd: Cost,
    /// In hundredths of a per cent of what the vendor says.
    pub basis_points: u32,
}

impl Default for Threshold {
    /// A cent, and one per cent.
    fn default() -> Self {
        Self {
            usd: Cost::from_nano_dollars(10_000_000),
            basis_points: 100,
        }
    }
}

/// One side's figures of a day and a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Calls; zero on the vendor's side, which does not say.
    pub calls: u64,
    /// Input in tokens; `None` where it is not said.
    pub input_tokens: Option<u64>,
    /// Output in tokens; `None` where it is not said.
    pub output_tokens: Option<u64>,
    /// What it costs; `None` where it is not said.
    pub cost_usd: Option<Cost>,
}

/// What both sides say of a day and a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The day.
    pub day: Date,
    /// The model, without its edition; empty for what is of no model.
    pub model: String,
    /// What the ledger says.
    pub ledger: Figures,
    /// What the vendor says.
    pub invoice: Figures,
    /// What the ledger has more, or less, of each.
    pub difference: Differences,
    /// Whether it is beyond the threshold.
    pub is_beyond_threshold: bool,
}

/// The ledger's figures less the vendor's; `None` where one side does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// In tokens.
    pub input_tokens: Option<i64>,
    /// In tokens.
    pub output_tokens: Option<i64>,
    /// In dollars.
    pub cost_usd: Option<Cost>,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The first and the last day of the vendor's export.
    pub days: (Date, Date),
    /// Every day and model that either side has.
    pub rows: Vec<Difference>,
    /// The sums of all rows.
    pub total: Difference,
    /// How many rows are beyond the threshold.
    pub beyond_threshold: usize,
}

/// Compares `lines` with what the ledger has of `provider` on the same days. `None` where there are no lines.
pub async fn reconcile<S: CallStore + AdjustmentStore + ?Sized>(
    store: &S,
    provider: &ProviderName,
    lines: &[InvoiceLine],
    threshold: Threshold,
) -> Result<Option<Reconciliation>, StoreError> {
    let first = lines.iter().map(|line| line.day).min();
    let last = lines.iter().map(|line| line.day).max();
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(None);
    };
    let mut sides: BTreeMap<(Date, String), (Figures, Figures)> = BTreeMap::new();
    for line in lines {
        let (_, invoice) = sides
            .entry((line.day, edition_free(&line.model)))
            .or_default();
        invoice.input_tokens = sum(invoice.input_tokens, line.input_tokens);
        invoice.output_tokens = sum(invoice.output_tokens, line.output_tokens);
        if let Some(cost) = line.cost {
            let before = invoice.cost_usd.unwrap_or_default();
            invoice.cost_usd = Some(before.saturating_add(cost));
        }
    }
    let filter = CallFilter {
        provider: Some(provider.as_str().to_owned()),
        since: Some(midnight(first)),
        until: last.tomorrow().ok().map(midnight),
        ..CallFilter::default()
    };
    let mut after = None;
    loop {
        let page = store.list_calls(&filter, after, BATCH).await?;
        let ids: Vec<RequestId> = page.calls.iter().map(|call| call.request_id).collect();
        let adjusted: BTreeMap<RequestId, Cost> = store
            .adjusted(&ids)
            .await?
            .into_iter()
            .map(|adjusted| (adjusted.request_id, adjusted.amount))
            .collect();
        for call in &page.calls {
            let amount = adjusted.get(&call.request_id).copied().unwrap_or_default();
            let day = call.started_at.to_zoned(TimeZone::UTC).date();
            let (ledger, _) = sides
                .entry((day, edition_free(model_of(call))))
                .or_default();
            ledger.count(call, amount);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let rows: Vec<Difference> = sides
        .into_iter()
        .map(|((day, model), (ledger, invoice))| {
            Difference::between(day, model, ledger, invoice, threshold)
        })
        .collect();
    let sum_of = |side: fn(&Difference) -> Figures| {
        rows.iter()
            .map(side)
            .fold(Figures::default(), Figures::plus)
    };
    let total = Difference::between(
        last,
        String::new(),
        sum_of(|row| row.ledger),
        sum_of(|row| row.invoice),
        threshold,
    );
    Ok(Some(Reconciliation {
        days: (first, last),
        beyond_threshold: rows.iter().filter(|row| row.is_beyond_threshold).count(),
        rows,
        total,
    }))
}

impl Figures {
    fn count(&mut self, call: &Call, adjusted: Cost) {
        self.calls += 1;
        self.input_tokens = sum(self.input_tokens, Some(call.usage.input_tokens));
        self.output_tokens = sum(self.output_tokens, Some(call.usage.output_tokens));
        let cost = call.cost_usd.unwrap_or_default().saturating_add(adjusted);
        self.cost_usd = Some(self.cost_usd.unwrap_or_default().saturating_add(cost));
    }

    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            input_tokens: sum(self.input_tokens, other.input_tokens),
            output_tokens: sum(self.output_tokens, other.output_tokens),
            cost_usd: match (self.cost_usd, other.cost_usd) {
                (Some(one), Some(two)) => Some(one.saturating_add(two)),
                (one, two) => one.or(two),
            },
        }
    }
}

impl Difference {
    fn between(
        day: Date,
        model: String,
        ledger: Figures,
        invoice: Figures,
        threshold: Threshold,
    ) -> Self {
        // A side that has nothing at all of a day and model has nothing, not something unknown; a side that
        // leaves out a figure elsewhere is not compared by it.
        let says_cost = invoice.cost_usd.is_some() || invoice == Figures::default();
        let cost_usd = says_cost.then(|| {
            let theirs = invoice.cost_usd.unwrap_or_default();
            ledger.cost_usd.unwrap_or_default().saturating_sub(theirs)
        });
        let tokens = |ours: Option<u64>, theirs: Option<u64>| {
            Some(signed(ours.unwrap_or(0)).saturating_sub(signed(theirs?)))
        };
        let difference = Differences {
            input_tokens: tokens(ledger.input_tokens, invoice.input_tokens),
            output_tokens: tokens(ledger.output_tokens, invoice.output_tokens),
            cost_usd,
        };
        Self {
            day,
            model,
            ledger,
            invoice,
            difference,
            is_beyond_threshold: is_beyond(difference, invoice, threshold),
        }
    }
}

/// Whether money, or where the vendor says nothing of money, tokens, differ by more than what is tolerated.
fn is_beyond(difference: Differences, invoice: Figures, threshold: Threshold) -> bool {
    let exceeds = |difference: i64, whole: i64| {
        let tolerated = i128::from(whole.unsigned_abs()) * i128::from(threshold.basis_points);
        i128::from(difference.unsigned_abs()) * 10_000 > tolerated
    };
    match difference.cost_usd {
        Some(cost) => {
            let nano = cost.nano_dollars();
            let theirs = invoice.cost_usd.unwrap_or_default().nano_dollars();
            i64::try_from(nano.unsigned_abs()).unwrap_or(i64::MAX) > threshold.usd.nano_dollars()
                && exceeds(nano, theirs)
        }
        None => [
            (difference.input_tokens, invoice.input_tokens),
            (difference.output_tokens, invoice.output_tokens),
        ]
        .into_iter()
        .any(|(difference, theirs)| {
            difference.is_some_and(|difference| exceeds(difference, signed(theirs.unwrap_or(0))))
        }),
    }
}

/// The model that answered, in the provider's words.
fn model_of(call: &Call) -> &str {
    let asked = call.attempts.last().map(|attempt| attempt.model.as_str());
    let answered = call.response_model.as_deref();
    answered.or(asked).unwrap_or_default()
}

/// A model's name without its edition: `gpt-4o-2024-08-06`, `claude-sonnet-4-5-20250929` and
/// `models/gemini-2.5-flash` are `gpt-4o`, `claude-sonnet-4-5` and `gemini-2.5-flash`.
fn edition_free(name: &str) -> String {
    let name = name.trim().to_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    let is_digits = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let parts: Vec<&str> = name.split('-').collect();
    let kept = match parts.as_slice() {
        [kept @ .., year, month, day]
            if is_digits(year, 4) && is_digits(month, 2) && is_digits(day, 2) =>
        {
            kept
        }
        [kept @ .., date] if is_digits(date, 8) => kept,
        [kept @ .., "latest"] => kept,
        all => all,
    };
    kept.join("-")
}

fn midnight(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC)
        .map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
}

fn sum(one: Option<u64>, two: Option<u64>) -> Option<u64> {
    match (one, two) {
        (Some(one), Some(two)) => Some(one.saturating_add(two)),
        (one, two) => one.or(two),
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
