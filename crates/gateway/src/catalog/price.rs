//! From a usage to a bill: exact products, one rounding.

use std::fmt::{self, Write};

use domain::money::{Cost, PicoDollars};
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};

use super::facts::{ModelFacts, PriceList};
use super::meter::{Meter, Prices};

/// The bill of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Priced {
    /// The sum of all lines, rounded once, half to even.
    #[serde(rename = "cost_usd")]
    pub total: Cost,
    /// What was charged, in the order of the meters. Nothing is charged twice: the quantities of
    /// the token lines add up to the usage's totals.
    pub lines: Vec<Line>,
    /// Who says what it costs.
    pub price_source: &'static str,
    /// Which edition of the price was used.
    pub price_version: PriceVersion,
    /// The tier whose prices were used.
    pub service_tier: ServiceTier,
    /// The tier that was asked for, when no price of it is known and the standard price was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpriced_tier: Option<ServiceTier>,
    /// The threshold that the input exceeded, when long-input prices were used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_input_above: Option<u64>,
    /// What was consumed but has no known price; the total is then too low by that much.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unpriced: Vec<Unbilled>,
}

/// An edition of a price: the day it was recorded, and the day it took effect if that is known. Prints as
/// `2026-11-21` or `2026-11-21/from-2026-09-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceVersion {
    recorded: Date,
    from: Option<Date>,
}

impl fmt::Display for PriceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.recorded)?;
        match self.from {
            None => Ok(()),
            Some(from) => write!(f, "/from-{from}"),
        }
    }
}

impl Serialize for PriceVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Priced {
    /// The tier that was asked for, whether or not it has prices of its own.
    pub fn asked_tier(&self) -> ServiceTier {
        self.unpriced_tier.unwrap_or(self.service_tier)
    }

    /// What it comes to without any output: the least that such a call costs, as far as its input is known.
    pub fn without_output(&self) -> Cost {
        let certain = self.lines.iter().filter(|line| !line.meter.is_output());
        Cost::from_pico_dollars(
            certain
                .map(|line| line.amount_pico)
                .fold(0, i128::saturating_add),
        )
    }

    /// Where the price comes from, as the ledger writes it: who says so, which edition of it, and the tier
    /// that was asked for where it is not the standard one (`genai-prices 2026-11-21 batch`).
    pub fn source(&self) -> String {
        // Every call has one: it is not to grow while it is written.
        let mut source = String::with_capacity(48);
        // Writing to memory does not fail.
        let written = match self.asked_tier() {
            ServiceTier::Standard => write!(source, "{} {}", self.price_source, self.price_version),
            tier => write!(
                source,
                "{} {} {tier}",
                self.price_source, self.price_version
            ),
        };
        debug_assert!(written.is_ok());
        source
    }
}

/// The tier in a price's source as [`Priced::source`] writes it.
pub fn tier_of(source: &str) -> ServiceTier {
    let last = source.split(' ').next_back().unwrap_or_default();
    last.parse().unwrap_or_default()
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was consumed.
    pub meter: Meter,
    /// How much of it.
    pub quantity: u64,
    /// The price of one unit.
    pub unit_price_pico: PicoDollars,
    /// The exact product in pico-dollars.
    pub amount_pico: i128,
    /// The meter whose price was used, when `meter` has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priced_as: Option<Meter>,
}

/// Something consumed that has no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Unbilled {
    /// What was consumed.
    pub meter: Meter,
    /// How much of it.
    pub quantity: u64,
}

/// No price at all is known for the model. Never the same as a price of zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no price is known for model {model}")]
pub struct Unpriced {
    /// The model as the catalog names it, or as it was asked for.
    pub model: String,
}

/// Prices one call served at `at` in `tier`.
///
/// A model without any price list is [`Unpriced`]. A tier without prices of its own, or without any
/// for so long an input, is charged at the standard price, and a meter without a price at its
/// parent's; the bill says so in all these cases.
pub fn price(
    facts: &ModelFacts,
    usage: &Usage,
    tier: ServiceTier,
    at: Timestamp,
) -> Result<Priced, Unpriced> {
    let moment = Offset::UTC.to_datetime(at);
    let unpriced_model = || Unpriced {
        model: facts.id.clone(),
    };
    let standard = facts.price_list(ServiceTier::Standard, moment.date());
    let own = facts
        .price_list(tier, moment.date())
        .filter(|own| standard.is_none_or(|standard| covers(own, standard, usage.input_tokens)));
    let list = own.or(standard).ok_or_else(unpriced_model)?;
    let (prices, long_input_above) = list.prices_for(usage.input_tokens, moment);
    let (lines, unpriced) = bill(prices, usage);
    let total = lines
        .iter()
        .map(|line| line.amount_pico)
        .fold(0, i128::saturating_add);
    Ok(Priced {
        total: Cost::from_pico_dollars(total),
        lines,
        price_source: list.source.as_str(),
        price_version: PriceVersion {
            recorded: list.recorded,
            from: list.from,
        },
        service_tier: list.tier,
        unpriced_tier: own.is_none().then_some(tier),
        long_input_above,
        unpriced,
    })
}

/// Whether a tier's list says what so long an input costs, if the standard list makes a difference.
fn covers(own: &PriceList, standard: &PriceList, input_tokens: u64) -> bool {
    let exceeds = |list: &PriceList| list.long_input.iter().any(|step| input_tokens > step.above);
    !exceeds(standard) || exceeds(own)
}

fn bill(prices: &Prices, usage: &Usage) -> (Vec<Line>, Vec<Unbilled>) {
    let mut lines = Vec::with_capacity(4);
    let mut unpriced = Vec::new();
    let mut quantities = Quantities::default();
    quantities.count_tokens(usage);
    quantities.count_pieces(prices, usage);
    for (meter, quantity) in Meter::ALL.into_iter().zip(quantities.0) {
        if quantity == 0 {
            continue;
        }
        match prices.nearest(meter) {
            Some((priced_as, unit_price)) => lines.push(Line {
                meter,
                quantity,
                unit_price_pico: unit_price,
                amount_pico: unit_price.times(quantity),
                priced_as: (priced_as != meter).then_some(priced_as),
            }),
            None => unpriced.push(Unbilled { meter, quantity }),
        }
    }
    (lines, unpriced)
}

/// Splits a total into parts that never add up to more than it: a vendor may report cached tokens
/// without saying which of them were audio, and then the parts overlap.
struct Remainder(u64);

impl Remainder {
    fn take(&mut self, quantity: u64) -> u64 {
        let taken = quantity.min(self.0);
        self.0 -= taken;
        taken
    }
}

/// How much of every meter was taken, in the order of the meters.
#[derive(Default)]
struct Quantities([u64; Meter::ALL.len()]);

impl Quantities {
    fn set(&mut self, meter: Meter, quantity: u64) {
        if let Some(place) = self.0.get_mut(meter as usize) {
            *place = quantity;
        }
    }

    fn count_tokens(&mut self, usage: &Usage) {
        let mut input = Remainder(usage.input_tokens);
        let cached_audio = input.take(usage.cached_input_audio_tokens);
        let cached_image = input.take(usage.cached_input_image_tokens);
        let cached_text = usage
            .cached_input_tokens
            .saturating_sub(cached_audio)
            .saturating_sub(cached_image);
        let fresh_audio = usage.input_audio_tokens.saturating_sub(cached_audio);
        let fresh_image = usage.input_image_tokens.saturating_sub(cached_image);
        self.set(Meter::CachedInputAudio, cached_audio);
        self.set(Meter::CachedInputImage, cached_image);
        self.set(Meter::CachedInput, input.take(cached_text));
        self.set(Meter::CacheWrite1h, input.take(usage.cache_write_1h_tokens));
        self.set(Meter::CacheWrite5m, input.take(usage.cache_write_5m_tokens));
        self.set(Meter::InputAudio, input.take(fresh_audio));
        self.set(Meter::InputImage, input.take(fresh_image));
        self.set(Meter::InputVideo, input.take(usage.input_video_tokens));
        self.set(Meter::Input, input.0);
        let mut output = Remainder(usage.output_tokens);
        self.set(Meter::OutputAudio, output.take(usage.output_audio_tokens));
        self.set(Meter::OutputImage, output.take(usage.output_image_tokens));
        self.set(Meter::OutputVideo, output.take(usage.output_video_tokens));
        self.set(Meter::Reasoning, output.take(usage.reasoning_tokens));
        self.set(Meter::Citation, output.take(usage.citation_tokens));
        self.set(Meter::Output, output.0);
    }

    /// Things counted one by one. A model that bills images, characters or audio by the token is not
    /// expected to have a price for them by the piece as well, so those count only where they are
    /// priced, or where nothing else was metered.
    fn count_pieces(&mut self, prices: &Prices, usage: &Usage) {
        let has_tokens = usage.total_tokens() > 0;
        for (meter, quantity) in [
            (Meter::Image, usage.images),
            (Meter::InputCharacter, usage.input_characters),
            (Meter::InputAudioMillisecond, usage.input_audio_milliseconds),
        ] {
            if quantity > 0 && (!has_tokens || prices.get(meter).is_some()) {
                self.set(meter, quantity);
            }
        }
        self.set(Meter::WebSearch, usage.web_searches);
        self.set(Meter::SearchUnit, usage.search_units);
        self.set(Meter::DocumentPage, usage.document_pages);
        if prices.get(Meter::Request).is_some() {
            self.set(Meter::Request, 1);
        }
    }
}
