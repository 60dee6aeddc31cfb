//! Help with vendors' prompt caches.
//!
//! Some vendors cache a prompt only where the request has breakpoints in it, and take more for what they write
//! than for what they only read. Where the operator wants it, breakpoints are placed for callers that place none
//! (`PromptCache::help`), where they pay by what is known of earlier requests (`history`). And whoever
//! places them, it is watched whether what was written is read (`watch`).

mod history;
mod watch;

use bytes::Bytes;
use domain::caller::Caller;
use domain::chat::Conversion;
use domain::clock::Moment;
use domain::money::PicoDollars;
use domain::usage::ServiceTier;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use providers::breakpoints::{MAX_BREAKPOINTS, Outline, Piece, Place, min_tokens};
use providers::dialect::Format;

pub use watch::{PromptReport, PromptReportLine, UnreadWrites, Watch, WatchRules};

use crate::catalog::ModelFacts;
use crate::catalog::meter::Meter;
use crate::estimate;
use crate::routes::ResolvedTarget;
use crate::routes::hash::StableHash;
use history::{Boundary, History};

/// How many turns before the last an earlier request may have ended at.
const TURNS_BACK: usize = 16;
/// What a write costs more than fresh input, and a read less, as a part of fresh input, where no price is known:
/// as Anthropic and Amazon have it for their models.
const USUAL: (f64, f64) = (0.25, 0.9);

/// Whether breakpoints are placed for callers that place none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PromptCaching {
    /// Requests leave as they came.
    #[default]
    Off,
    /// Where they pay.
    Auto,
}

/// Places breakpoints where they pay.
#[derive(Default)]
pub(crate) struct PromptCache {
    history: History,
}

/// A request that is ready to leave.
pub(crate) struct Leaving<'a> {
    pub(crate) caller: &'a Caller,
    /// The model's name as the caller wrote it: requests of one name are alike.
    pub(crate) name: &'a str,
    pub(crate) target: &'a ResolvedTarget,
    pub(crate) format: Format,
    pub(crate) now: Timestamp,
    pub(crate) moment: Moment,
}

impl PromptCache {
    /// The body with breakpoints where they pay, which `report` then says.
    pub(crate) fn help(
        &self,
        leaving: &Leaving<'_>,
        body: Bytes,
        report: &mut Conversion,
    ) -> Bytes {
        let target = leaving.target;
        let Some(min_tokens) = min_tokens(leaving.format, &target.target()) else {
            return body;
        };
        if estimate::input_tokens(&body) < min_tokens {
            return body;
        }
        let Some(outline) = Outline::read(leaving.format, &body) else {
            return body;
        };
        let places = self.places(leaving, &outline, min_tokens);
        if places.is_empty() {
            return body;
        }
        let count = places.len();
        report.change(
            "cache_control",
            format!(
                "{count} prompt-cache breakpoints were placed, where they pay: `prompt_cache: auto`"
            ),
        );
        outline.placed(&places)
    }

    fn places(&self, leaving: &Leaving<'_>, outline: &Outline<'_>, min_tokens: u64) -> Vec<Place> {
        let Some(enough) = reads_that_pay(leaving.target.facts.as_deref(), leaving.now) else {
            return Vec::new();
        };
        let whose = leaving.whose();
        let mut so_far = Prefix::of(whose);
        let mut places = Vec::with_capacity(MAX_BREAKPOINTS);
        let fixed = [
            (Place::Tools, Boundary::Tools, outline.tools.as_ref()),
            (Place::System, Boundary::System, outline.system.as_ref()),
        ];
        for (place, boundary, piece) in fixed {
            let Some(piece) = piece else { continue };
            so_far = so_far.and(piece);
            if so_far.tokens < min_tokens || !piece.takes_breakpoint() {
                continue;
            }
            if self
                .history
                .pays(whose, boundary, so_far.hash, enough, leaving.moment)
            {
                places.push(place);
            }
        }
        places.extend(self.places_in_turns(leaving, outline, so_far, min_tokens, enough));
        places
    }

    /// Behind the last turn, where the conversation is likely to go on, and behind the one at which an earlier
    /// request of it ended: vendors do not look far back for what they have.
    fn places_in_turns(
        &self,
        leaving: &Leaving<'_>,
        outline: &Outline<'_>,
        before: Prefix,
        min_tokens: u64,
        enough: f64,
    ) -> Vec<Place> {
        let mut so_far = before;
        let prefixes = outline.turns.iter().map(|turn| {
            so_far = so_far.and(turn);
            so_far
        });
        let prefixes: Vec<Prefix> = prefixes.collect();
        let Some((last, earlier)) = prefixes.split_last() else {
            return Vec::new();
        };
        let can_stand = |index: usize, prefix: &Prefix| {
            prefix.tokens >= min_tokens
                && outline
                    .turns
                    .get(index)
                    .is_some_and(Piece::takes_breakpoint)
        };
        if !can_stand(earlier.len(), last) {
            return Vec::new();
        }
        let known = earlier.iter().enumerate().rev().take(TURNS_BACK);
        let known = known
            .filter(|(index, prefix)| can_stand(*index, prefix))
            .find(|(_, prefix)| self.history.is_warm(prefix.hash, leaving.moment))
            .map(|(index, _)| index);
        let whose = leaving.whose();
        let goes_on =
            self.history
                .goes_on(whose, known.is_some(), last.hash, enough, leaving.moment);
        let at_last = goes_on.then_some(Place::Turn(earlier.len()));
        known.map(Place::Turn).into_iter().chain(at_last).collect()
    }
}

impl Leaving<'_> {
    /// Requests that are alike: of one project, for one name, that go to one model.
    fn whose(&self) -> StableHash {
        let caller = self.caller;
        StableHash::EMPTY
            .and(caller.organization_id().to_string().as_bytes())
            .and(caller.project_id().to_string().as_bytes())
            .and(self.name.as_bytes())
            .and(self.target.provider.name.as_str().as_bytes())
            .and(self.target.model.as_bytes())
    }
}

/// The beginning of a prompt.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    hash: StableHash,
    tokens: u64,
}

impl Prefix {
    /// Nothing yet.
    fn of(whose: StableHash) -> Self {
        Self {
            hash: whose,
            tokens: 0,
        }
    }

    fn and(self, piece: &Piece<'_>) -> Self {
        Self {
            hash: self.hash.and(piece.bytes),
            tokens: self
                .tokens
                .saturating_add(estimate::input_tokens(piece.bytes)),
        }
    }
}

/// How often what is written must be read at least for a breakpoint to pay; `None` where it never does. Zero
/// where a write costs no more than fresh input.
fn reads_that_pay(facts: Option<&ModelFacts>, now: Timestamp) -> Option<f64> {
    let day = now.to_zoned(TimeZone::UTC).date();
    let list = facts.and_then(|facts| facts.price_list(ServiceTier::Standard, day));
    let (more, less) = match list.map(|list| &list.prices) {
        Some(prices) => {
            let input = prices.get(Meter::Input)?;
            let cached = prices.get(Meter::CachedInput)?;
            let write = prices.get(Meter::CacheWrite5m).unwrap_or(input);
            (difference(write, input), difference(input, cached))
        }
        None => USUAL,
    };
    (less > 0.0).then(|| (more / less).max(0.0))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "prices of tokens, of which only the proportion counts"
)]
fn difference(one: PicoDollars, other: PicoDollars) -> f64 {
    one.get().saturating_sub(other.get()) as f64
}

#[cfg(test)]
mod tests;
