//! What is known about one model: its names, what it can do, and its prices over time.

use domain::model::Capabilities;
use domain::usage::ServiceTier;
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};

use super::meter::{Meter, Prices};
use super::pattern::Pattern;

/// One model of one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// The model's name as the provider's API takes it.
    pub id: String,
    /// Other spellings: aliases, dated snapshots, prefixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<Pattern>,
    /// What the model can do, as far as it is known.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// Price lists by service tier and date. Empty when no price is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<PriceList>,
    /// When the facts stopped naming this model. Its prices stay, for calls of the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<Date>,
}

/// The prices of one service tier from one day on, until it ends or a later list of the same tier
/// begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    /// The class of service that is priced.
    #[serde(default, skip_serializing_if = "is_standard")]
    pub tier: ServiceTier,
    /// First day (UTC) on which the list holds; `None` for the first list there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// First day (UTC) on which the list no longer holds, when nothing is known to follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Who says so.
    pub source: Source,
    /// The day on which this list entered the catalog. Names the version of the price in the ledger.
    pub recorded: Date,
    /// The prices, unless a window or a step below says otherwise.
    pub prices: Prices,
    /// Prices for calls with a long input, in ascending order of their threshold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long_input: Vec<LongInput>,
    /// Prices for hours of the day. Where one holds, it is used instead of everything above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hours: Vec<Hours>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_standard(tier: &ServiceTier) -> bool {
    *tier == ServiceTier::Standard
}

/// Prices of a whole call whose input, cached tokens included, is greater than a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongInput {
    /// The largest input, in tokens, to which these prices do *not* apply.
    pub above: u64,
    /// The prices of every meter, not only of those that differ.
    pub prices: Prices,
}

/// Prices for some hours (UTC) of some days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The first moment of the window.
    pub from: Time,
    /// The first moment after the window; not later than `from` when it runs past midnight.
    pub until: Time,
    /// Days of the week on which the window begins, Monday is 1. Empty for every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<u8>,
    /// The prices of every meter.
    pub prices: Prices,
}

/// Where a price list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// <https://github.com/pydantic/genai-prices>
    GenaiPrices,
    /// <https://github.com/BerriAI/litellm>, `model_prices_and_context_window.json`
    Litellm,
    /// Prices of genai-prices, completed by meters that only `LiteLLM`'s table names.
    #[serde(rename = "genai-prices+litellm")]
    Combined,
    /// The operator's configuration.
    Configuration,
    /// Made up, for the simulated provider.
    Simulated,
}

impl Source {
    /// The source's name on a bill.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GenaiPrices => "genai-prices",
            Self::Litellm => "litellm",
            Self::Combined => "genai-prices+litellm",
            Self::Configuration => "configuration",
            Self::Simulated => "simulated",
        }
    }
}

impl ModelFacts {
    /// The price list that holds for `tier` on `day`, or `None` if the tier has no list at all.
    ///
    /// A day before the first standard list takes the first: a price that is a little too new is
    /// nearer to the truth than none. Other tiers have the standard list to fall back on.
    #[must_use]
    pub fn price_list(&self, tier: ServiceTier, day: Date) -> Option<&PriceList> {
        let of_tier = || self.prices.iter().filter(|list| list.tier == tier);
        let latest = of_tier()
            .filter(|list| list.from.is_none_or(|from| from <= day))
            .max_by_key(|list| list.from);
        match latest {
            Some(list) => Some(list).filter(|list| list.until.is_none_or(|until| day < until)),
            None if tier == ServiceTier::Standard => of_tier().min_by_key(|list| list.from),
            None => None,
        }
    }
}

impl PriceList {
    /// The prices of a call made at `moment` (UTC) with so many input tokens, cached ones included,
    /// and the threshold that the input exceeded, if any.
    #[must_use]
    pub fn prices_for(&self, input_tokens: u64, moment: DateTime) -> (&Prices, Option<u64>) {
        if let Some(hours) = self.hours.iter().find(|hours| hours.contain(moment)) {
            return (&hours.prices, None);
        }
        self.long_input
            .iter()
            .filter(|step| input_tokens > step.above)
            .max_by_key(|step| step.above)
            .map_or((&self.prices, None), |step| {
                (&step.prices, Some(step.above))
            })
    }

    /// Whether two lists charge the same, whoever says so and since whenever.
    #[must_use]
    pub fn charges_like(&self, other: &Self) -> bool {
        self.prices == other.prices
            && self.long_input == other.long_input
            && self.hours == other.hours
    }

    /// Every set of prices in the list.
    pub fn all_prices(&self) -> impl Iterator<Item = &Prices> {
        std::iter::once(&self.prices)
            .chain(self.long_input.iter().map(|step| &step.prices))
            .chain(self.hours.iter().map(|hours| &hours.prices))
    }

    /// Every set of prices in the list, to be changed.
    pub fn all_prices_mut(&mut self) -> impl Iterator<Item = &mut Prices> {
        std::iter::once(&mut self.prices)
            .chain(self.long_input.iter_mut().map(|step| &mut step.prices))
            .chain(self.hours.iter_mut().map(|hours| &mut hours.prices))
    }
}

impl Hours {
    /// Whether the window holds at `moment` (UTC).
    #[must_use]
    pub fn contain(&self, moment: DateTime) -> bool {
        let time = moment.time();
        let today = moment.date().weekday().to_monday_one_offset();
        let yesterday = if today == 1 { 7 } else { today - 1 };
        if self.from < self.until {
            self.begins_on(today) && self.from <= time && time < self.until
        } else {
            (self.begins_on(today) && self.from <= time)
                || (self.begins_on(yesterday) && time < self.until)
        }
    }

    fn begins_on(&self, weekday: i8) -> bool {
        self.weekdays.is_empty()
            || self
                .weekdays
                .iter()
                .any(|day| i8::try_from(*day) == Ok(weekday))
    }
}

/// Why the facts about a model cannot be true.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImplausibleFacts {
    /// The model has no name.
    #[error("the model has no id")]
    NoId,
    /// A price is larger than [`Meter::largest_believable`].
    #[error("the price of {meter} is {pico_dollars} pico-dollars per unit, beyond belief")]
    TooDear {
        /// What is priced.
        meter: Meter,
        /// The price, in pico-dollars per unit.
        pico_dollars: i64,
    },
    /// A cached token costs more than a fresh one.
    #[error("a cached input token costs more than a fresh one")]
    CachedAboveInput,
    /// Two lists of one tier begin on the same day.
    #[error("two price lists of the {0} tier begin on the same day")]
    TwoListsAtOnce(ServiceTier),
    /// Thresholds for long input are zero, repeated or out of order.
    #[error("thresholds for long input must be above zero and ascending")]
    Thresholds,
    /// A day of the week is not between 1 and 7.
    #[error("a day of the week is between 1 (Monday) and 7 (Sunday)")]
    Weekday,
}

impl ModelFacts {
    /// Checks what must hold of every model, whatever the source says.
    pub fn check(&self) -> Result<(), ImplausibleFacts> {
        if self.id.is_empty() {
            return Err(ImplausibleFacts::NoId);
        }
        for (index, list) in self.prices.iter().enumerate() {
            let begins_with =
                |other: &PriceList| other.tier == list.tier && other.from == list.from;
            if self.prices.iter().skip(index + 1).any(begins_with) {
                return Err(ImplausibleFacts::TwoListsAtOnce(list.tier));
            }
            list.check()?;
        }
        Ok(())
    }
}

impl PriceList {
    fn check(&self) -> Result<(), ImplausibleFacts> {
        let mut below = 0;
        for step in &self.long_input {
            if step.above <= below {
                return Err(ImplausibleFacts::Thresholds);
            }
            below = step.above;
        }
        let weekdays = self.hours.iter().flat_map(|hours| &hours.weekdays);
        if weekdays.into_iter().any(|day| !(1..=7).contains(day)) {
            return Err(ImplausibleFacts::Weekday);
        }
        self.all_prices().try_for_each(check_prices)
    }
}

fn check_prices(prices: &Prices) -> Result<(), ImplausibleFacts> {
    for (meter, price) in prices.iter() {
        if price.get() > meter.largest_believable() {
            return Err(ImplausibleFacts::TooDear {
                meter,
                pico_dollars: price.get(),
            });
        }
    }
    match (prices.get(Meter::CachedInput), prices.get(Meter::Input)) {
        (Some(cached), Some(input)) if cached > input => Err(ImplausibleFacts::CachedAboveInput),
        _ => Ok(()),
    }
}
