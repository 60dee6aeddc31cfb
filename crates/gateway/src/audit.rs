//! The ledger's own books: whether every row keeps the rules, and whether everything that is added up of the
//! rows says the same.
//!
//! Each call is read and added up here, one by one; what the store adds up of calls and adjustments must be
//! the same for every key, project and day, and what counts against budgets the same for every hour. Of every row it is asked whether its usage holds together, whether
//! it ended as a call can end, and whether its cost follows from its usage where the price is still the one
//! that it was computed with.

use std::collections::BTreeMap;

use domain::adjustment::{AdjustmentFilter, AdjustmentStore, SpendTotal};
use domain::call::{Call, CallFilter, CallState, CallStore, EndReason};
use domain::id::{KeyId, ProjectId, RequestId};
use domain::key::Period;
use domain::money::Cost;
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::catalog::facts::Source;
use crate::rerate::recompute;
use crate::routes::Routes;

/// Rows that are read together.
const BATCH: u32 = 1_000;
/// The most findings that are told; more are counted.
const MAX_FINDINGS: usize = 1_000;
/// The most hours that are told of which the sums are wrong.
const MAX_HOURS: u32 = 1_000;
const MICROSECONDS_OF_A_DAY: i64 = 86_400_000_000;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A row breaks a rule.
    #[error("call {call}: {broken}")]
    Row {
        /// The call.
        call: RequestId,
        /// What is broken.
        broken: String,
    },
    /// A call is in the ledger more than once.
    #[error("call {0} is in the ledger more than once")]
    Doubled(RequestId),
    /// An adjustment is of no call of the ledger.
    #[error("an adjustment of {amount} is of call {call}, which the ledger does not have")]
    Stray {
        /// The call.
        call: RequestId,
        /// The adjustment's amount.
        amount: Cost,
    },
    /// What counts against budgets is not the sum of the rows.
    #[error(
        "what {key} has spent in {project} in the hour from {starts_at}: the rows make {rows}, the sum that counts \
         against budgets says {sum}"
    )]
    Hour {
        /// The key.
        key: KeyId,
        /// The project.
        project: ProjectId,
        /// When the hour began.
        starts_at: Timestamp,
        /// The sum of the rows.
        rows: Cost,
        /// What the sum says.
        sum: Cost,
    },
    /// What the store adds up is not the sum of the rows.
    #[error(
        "{what} of {key} in {project} on day {day}: the rows make {rows}, the store says {store}"
    )]
    Total {
        /// What was added up.
        what: &'static str,
        /// The key.
        key: KeyId,
        /// The project.
        project: ProjectId,
        /// The day, in days since 1970 in UTC.
        day: i64,
        /// The sum of the rows.
        rows: String,
        /// What the store says.
        store: String,
    },
}

/// What was looked at, and what was found.
#[derive(Debug, Default)]
pub struct Audit {
    /// Calls that were read.
    pub calls: u64,
    /// Adjustments that were read.
    pub adjustments: u64,
    /// Calls whose cost was computed again from their usage.
    pub recomputed: u64,
    /// What the calls cost, as they were recorded.
    pub cost: Cost,
    /// What they are adjusted by.
    pub adjusted: Cost,
    /// How many findings there are.
    pub found: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// The sums of one key, project and day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    calls: u64,
    cost: Cost,
    adjusted: Cost,
    input_tokens: u64,
    output_tokens: u64,
}

type Place = (KeyId, ProjectId, i64);

/// The calls that are to be gone through.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Those that started then or later.
    pub since: Timestamp,
    /// Those that started before then.
    pub until: Timestamp,
    /// From when on what was spent is kept by the hour.
    pub hours_since: Timestamp,
}

impl Span {
    /// The whole hours, of which sums are kept.
    fn hours(&self) -> (Timestamp, Timestamp) {
        let since = self.since.max(self.hours_since);
        let begun = Period::Hour.start(since);
        let next = Period::Hour.end(since).unwrap_or(since);
        let first = if begun == since { begun } else { next };
        (first, Period::Hour.start(self.until))
    }
}

/// Goes through the calls of a time, and tells `progress` now and then how far it is. Calls that end while it reads are found as a difference; ask for a time that is over.
pub async fn audit<S: CallStore + AdjustmentStore + ?Sized>(
    store: &S,
    routes: &Routes,
    span: Span,
    mut progress: impl FnMut(&Audit),
) -> Result<Audit, StoreError> {
    let Span { since, until, .. } = span;
    let mut audit = Audit::default();
    let mut sums: BTreeMap<Place, Sums> = BTreeMap::new();
    let filter = CallFilter {
        since: Some(since),
        until: Some(until),
        ..CallFilter::default()
    };
    let mut after = None;
    loop {
        let page = store.list_calls(&filter, after, BATCH).await?;
        for call in &page.calls {
            audit.look_at(call, routes);
            let sum = sums
                .entry(place(call.key_id, call.project_id, call.started_at))
                .or_default();
            sum.calls += 1;
            sum.cost = sum.cost.saturating_add(call.cost_usd.unwrap_or_default());
            sum.input_tokens = sum.input_tokens.saturating_add(call.usage.input_tokens);
            sum.output_tokens = sum.output_tokens.saturating_add(call.usage.output_tokens);
        }
        progress(&audit);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    add_adjustments(store, since, until, &mut audit, &mut sums).await?;
    for total in store.spend_totals(since, until).await? {
        let place = (total.key_id, total.project_id, total.day);
        let rows = sums.remove(&place).unwrap_or_default();
        audit.compare(place, rows, Sums::of(&total));
    }
    for (place, rows) in sums {
        audit.compare(place, rows, Sums::default());
    }
    let (first, end) = span.hours();
    for hour in store.hours_apart(first, end, MAX_HOURS).await? {
        audit.find(Finding::Hour {
            key: hour.key_id,
            project: hour.project_id,
            starts_at: hour.starts_at,
            rows: hour.rows,
            sum: hour.sum,
        });
    }
    for id in store.doubled_calls(100).await? {
        audit.find(Finding::Doubled(id));
    }
    Ok(audit)
}

async fn add_adjustments<S: CallStore + AdjustmentStore + ?Sized>(
    store: &S,
    since: Timestamp,
    until: Timestamp,
    audit: &mut Audit,
    sums: &mut BTreeMap<Place, Sums>,
) -> Result<(), StoreError> {
    let filter = AdjustmentFilter {
        since: Some(since),
        until: Some(until),
        ..AdjustmentFilter::default()
    };
    let mut after = None;
    loop {
        let page = store.list_adjustments(&filter, after, BATCH).await?;
        for adjustment in &page {
            audit.adjustments += 1;
            audit.adjusted = audit.adjusted.saturating_add(adjustment.amount);
            let (key, project) = (adjustment.key_id, adjustment.project_id);
            let sum = sums
                .entry(place(key, project, adjustment.started_at))
                .or_default();
            sum.adjusted = sum.adjusted.saturating_add(adjustment.amount);
            if adjustment.number == 1 && store.call(adjustment.request_id).await?.is_none() {
                audit.find(Finding::Stray {
                    call: adjustment.request_id,
                    amount: adjustment.amount,
                });
            }
        }
        match page.last() {
            Some(last) if page.len() == BATCH as usize => {
                after = Some((last.request_id, last.number));
            }
            _ => return Ok(()),
        }
    }
}

fn place(key: KeyId, project: ProjectId, started_at: Timestamp) -> Place {
    let day = started_at
        .as_microsecond()
        .div_euclid(MICROSECONDS_OF_A_DAY);
    (key, project, day)
}

impl Audit {
    fn look_at(&mut self, call: &Call, routes: &Routes) {
        self.calls += 1;
        self.cost = self.cost.saturating_add(call.cost_usd.unwrap_or_default());
        for broken in broken_rules(call) {
            self.find(Finding::Row {
                call: call.request_id,
                broken,
            });
        }
        self.compute_again(call, routes);
    }

    /// Compares a call's cost with what its usage makes of the price that it names. A call that was
    /// interrupted may have been estimated for another target than the last that was tried.
    fn compute_again(&mut self, call: &Call, routes: &Routes) {
        if call.end_reason == Some(EndReason::Interrupted) {
            return;
        }
        let Ok(again) = recompute(routes, call) else {
            return;
        };
        if again.source.is_some() && again.source != call.price_source {
            return;
        }
        let is_same = call.cost_usd == Some(again.cost);
        if !is_same && is_configured(again.source.as_deref()) {
            return;
        }
        self.recomputed += 1;
        if !is_same {
            let recorded = call
                .cost_usd
                .map_or("nothing".to_owned(), |cost| cost.to_string());
            self.find(Finding::Row {
                call: call.request_id,
                broken: format!("its cost is {recorded}, and its usage makes {}", again.cost),
            });
        }
    }

    fn compare(&mut self, (key, project, day): Place, rows: Sums, store: Sums) {
        for (what, rows, store) in [
            (
                "the number of calls",
                rows.calls.to_string(),
                store.calls.to_string(),
            ),
            ("the cost", rows.cost.to_string(), store.cost.to_string()),
            (
                "the adjustments",
                rows.adjusted.to_string(),
                store.adjusted.to_string(),
            ),
            (
                "the input tokens",
                rows.input_tokens.to_string(),
                store.input_tokens.to_string(),
            ),
            (
                "the output tokens",
                rows.output_tokens.to_string(),
                store.output_tokens.to_string(),
            ),
        ] {
            if rows != store {
                self.find(Finding::Total {
                    what,
                    key,
                    project,
                    day,
                    rows,
                    store,
                });
            }
        }
    }

    fn find(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

impl Sums {
    fn of(total: &SpendTotal) -> Self {
        Self {
            calls: total.calls,
            cost: total.cost,
            adjusted: total.adjusted,
            input_tokens: total.input_tokens,
            output_tokens: total.output_tokens,
        }
    }
}

/// Whether a price is the operator's own. Its source names the day only, on which it may have been changed since.
fn is_configured(source: Option<&str>) -> bool {
    source.is_some_and(|source| source.starts_with(Source::Configuration.as_str()))
}

/// The rules that a row breaks, each in a sentence.
fn broken_rules(call: &Call) -> Vec<String> {
    let mut broken = Vec::new();
    if let Err(problem) = call.usage.checked() {
        broken.push(problem.to_string());
    }
    if call.cost_usd.is_some_and(|cost| cost < Cost::ZERO) {
        broken.push("its cost is less than nothing".to_owned());
    }
    if call.cache.is_hit() && call.cost_usd != Some(Cost::ZERO) {
        broken.push("the cache answered it, and it cost something".to_owned());
    }
    if call.state == CallState::Failed && call.cost_usd.is_none() {
        broken.push("it failed, and what it cost is not known".to_owned());
    }
    if call.state == CallState::Settled && call.end_reason == Some(EndReason::Interrupted) {
        broken.push("it was interrupted, and is settled".to_owned());
    }
    let numbers = call.attempts.iter().map(|attempt| attempt.number);
    if !numbers.eq(1..=u32::try_from(call.attempts.len()).unwrap_or(u32::MAX)) {
        broken.push("its attempts are not numbered from 1".to_owned());
    }
    if let (Some(provider), Some(last)) = (&call.provider, call.attempts.last())
        && call.cache.is_hit()
    {
        broken.push(format!(
            "the cache answered it, and {provider} was asked for {}",
            last.model
        ));
    }
    broken
}

#[cfg(test)]
mod tests;
