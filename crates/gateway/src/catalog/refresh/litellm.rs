//! Reads `LiteLLM`'s `model_prices_and_context_window.json`.
//! <https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json>

use std::collections::{BTreeMap, BTreeSet};

use domain::money::PicoDollars;
use domain::usage::ServiceTier;
use jiff::civil::{Date, Time};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::capabilities::capabilities;
use super::decimal_text;
use super::diff::Refused;
use super::member::PricedMember;
use crate::catalog::facts::{Hours, LongInput, ModelFacts, PriceList, Source};
use crate::catalog::meter::{Meter, Prices};
use crate::catalog::provider::{BUILTIN_PROVIDERS, BuiltinProvider};

/// What the table says, by our names of the providers.
pub(super) struct Table {
    pub(super) models: BTreeMap<&'static str, Listing>,
    pub(super) refused: Vec<Refused>,
    pub(super) unread: BTreeMap<String, usize>,
}

/// The rows about one provider.
#[derive(Default)]
pub(super) struct Listing {
    pub(super) models: Vec<ModelFacts>,
    /// Those that name a page of the provider's as their source.
    vouched: BTreeSet<String>,
}

impl Listing {
    /// Whether the row about this model names a page of the provider's as its source.
    pub(super) fn is_vouched(&self, id: &str) -> bool {
        self.vouched.contains(id)
    }
}

/// A row of the table: member names and values.
pub(super) type Row = Map<String, Value>;

/// The operations that the catalog covers. Rows of others (video, search, …) are left alone.
const MODES: [&str; 12] = [
    "chat",
    "responses",
    "completion",
    "embedding",
    "image_generation",
    "image_edit",
    "audio_transcription",
    "audio_speech",
    "rerank",
    "realtime",
    "moderation",
    "ocr",
];

/// Reads the rows of our providers. A row that cannot be read is refused by name.
pub(super) fn read(text: &str, today: Date) -> Result<Table, serde_json::Error> {
    let rows: BTreeMap<String, Value> = serde_json::from_str(text)?;
    let mut table = Table {
        models: BTreeMap::new(),
        refused: Vec::new(),
        unread: BTreeMap::new(),
    };
    for (key, value) in rows {
        let Value::Object(row) = value else {
            table.refused.push(Refused {
                provider: "litellm".to_owned(),
                model: key,
                reason: "the row is not an object".to_owned(),
            });
            continue;
        };
        let Some((provider, id)) = model_of(&key, &row) else {
            continue;
        };
        match price_lists(&row, today, &mut table.unread) {
            Ok(prices) => table.add(provider, id, prices, &row),
            Err(reason) => table.refused.push(Refused {
                provider: provider.name.to_owned(),
                model: id.to_owned(),
                reason,
            }),
        }
    }
    Ok(table)
}

impl Table {
    fn add(&mut self, provider: &BuiltinProvider, id: &str, prices: Vec<PriceList>, row: &Row) {
        let listing = self.models.entry(provider.name).or_default();
        // The table has some models with and without the provider before the name.
        if listing.models.iter().any(|model| model.id == id) {
            return;
        }
        if names_source(provider, row) {
            listing.vouched.insert(id.to_owned());
        }
        listing.models.push(ModelFacts {
            id: id.to_owned(),
            names: Vec::new(),
            capabilities: capabilities(provider.name, id, row),
            prices,
            withdrawn: None,
        });
    }
}

/// Whether a row says that it was read from a page of the provider's own.
fn names_source(provider: &BuiltinProvider, row: &Row) -> bool {
    let source = row.get("source").and_then(Value::as_str);
    let page = source.and_then(|source| source.strip_prefix("https://"));
    let host = page.and_then(|page| page.split('/').next()).unwrap_or("");
    provider.domains.iter().any(|domain| {
        let before = host.strip_suffix(domain);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

/// Which model of ours a row is about. Keys that name a region, an image size or a size class of
/// models instead of one model are none.
fn model_of<'a>(key: &'a str, row: &Row) -> Option<(&'static BuiltinProvider, &'a str)> {
    let vendor = row.get("litellm_provider")?.as_str()?;
    let mode = row.get("mode").and_then(Value::as_str)?;
    if !MODES.contains(&mode) {
        return None;
    }
    let provider = BUILTIN_PROVIDERS.iter().find(|provider| {
        provider
            .litellm_names
            .iter()
            .any(|name| match name.strip_suffix('*') {
                Some(start) => vendor.starts_with(start),
                None => *name == vendor,
            })
    })?;
    let id = provider
        .litellm_prefixes
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix))
        .unwrap_or(key);
    let is_path = id.contains('/');
    let is_model = match provider.name {
        "fireworks" => is_path,
        "groq" | "together" | "perplexity" | "vertex" => true,
        _ => !is_path,
    };
    is_model.then_some((provider, id))
}

/// The prices of one tier while they are collected from the members of a row.
#[derive(Default)]
struct Collected {
    prices: Prices,
    long_input: BTreeMap<u64, Prices>,
}

fn price_lists(
    row: &Row,
    today: Date,
    unread: &mut BTreeMap<String, usize>,
) -> Result<Vec<PriceList>, String> {
    let mode = row.get("mode").and_then(Value::as_str).unwrap_or_default();
    let mut tiers: BTreeMap<ServiceTier, Collected> = BTreeMap::new();
    let mut has_other_price = false;
    for (member, value) in row {
        if !member.contains("cost") || value.is_null() {
            continue;
        }
        if member == "search_context_cost_per_query" {
            if let Some(price) = price_of_search(value)? {
                let standard = tiers.entry(ServiceTier::Standard).or_default();
                standard.prices.set(Meter::WebSearch, price);
            }
            continue;
        }
        let Some(found) = PricedMember::parse(member).filter(|member| member.is_meant_in(mode))
        else {
            *unread.entry(member.clone()).or_default() += 1;
            has_other_price |= value.as_f64().is_some_and(|price| price > 0.0);
            continue;
        };
        let price = price_of(member, value, found.units)?;
        let tier = tiers.entry(found.tier).or_default();
        match found.above {
            None => tier.prices.set(found.meter, price),
            Some(above) => tier
                .long_input
                .entry(above)
                .or_default()
                .set(found.meter, price),
        };
    }
    let is_zero = |collected: &Collected| {
        let mut prices = collected.prices.iter();
        prices.all(|(_, price)| price == PicoDollars::ZERO)
    };
    if has_other_price && tiers.values().all(is_zero) {
        // Zero per token means here that the bill goes by something else, which is not read.
        return Ok(Vec::new());
    }
    let per_piece = tiers
        .get(&ServiceTier::Standard)
        .map(|standard| standard.prices.by_the_piece())
        .unwrap_or_default();
    let mut lists = Vec::new();
    for (tier, mut collected) in tiers {
        collected.prices.fill_from(&per_piece);
        one_basis_only(&mut collected.prices);
        if collected.prices.is_empty() {
            continue;
        }
        let hours = match tier {
            ServiceTier::Standard => off_peak(row, &collected.prices)?,
            _ => Vec::new(),
        };
        lists.push(PriceList {
            tier,
            from: None,
            until: None,
            source: Source::Litellm,
            recorded: today,
            long_input: steps(collected.long_input, &collected.prices),
            prices: collected.prices,
            hours,
        });
    }
    Ok(lists)
}

/// The table tells a price by the piece beside the price by the token, for comparison. Charging
/// both would charge twice.
fn one_basis_only(prices: &mut Prices) {
    let is_charged = |meter| {
        prices
            .get(meter)
            .is_some_and(|price| price > PicoDollars::ZERO)
    };
    let by_output = is_charged(Meter::Output) || is_charged(Meter::OutputImage);
    let by_input = is_charged(Meter::Input) || is_charged(Meter::InputAudio);
    if by_output {
        prices.unset(Meter::Image);
    }
    if by_input {
        prices.unset(Meter::InputCharacter);
        prices.unset(Meter::InputAudioMillisecond);
    }
}

/// Every step has all prices: those of the step, completed by those below it.
fn steps(collected: BTreeMap<u64, Prices>, base: &Prices) -> Vec<LongInput> {
    let mut below = base.clone();
    collected
        .into_iter()
        .map(|(above, mut prices)| {
            prices.fill_from(&below);
            below = prices.clone();
            LongInput { above, prices }
        })
        .collect()
}

fn price_of(member: &str, value: &Value, units: u32) -> Result<PicoDollars, String> {
    let number: &Number = match value {
        Value::Number(number) => number,
        other => return Err(format!("{member} is {other}, not a number")),
    };
    PicoDollars::from_dollars_per(&decimal_text(number), units)
        .map_err(|error| format!("{member} is {number}: {error}"))
}

/// The price of one search with a search context of medium size, which is what vendors default to.
/// <https://platform.openai.com/docs/guides/tools-web-search>
fn price_of_search(value: &Value) -> Result<Option<PicoDollars>, String> {
    value
        .get("search_context_size_medium")
        .map(|price| price_of("search_context_size_medium", price, 1))
        .transpose()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Window {
    hours_utc: OneOrMany,
    #[serde(default)]
    weekdays: Vec<u8>,
}

/// The windows of `off_peak_pricing`, each with the off-peak prices completed by the usual ones.
fn off_peak(row: &Row, usual: &Prices) -> Result<Vec<Hours>, String> {
    let Some(off_peak) = row.get("off_peak_pricing").and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    let mut prices = Prices::default();
    for (member, value) in off_peak
        .iter()
        .filter(|(member, _)| member.contains("cost"))
    {
        let found = PricedMember::parse(member)
            .ok_or_else(|| format!("off_peak_pricing: {member} is not understood"))?;
        prices.set(found.meter, price_of(member, value, found.units)?);
    }
    prices.fill_from(usual);
    let windows = off_peak.get("windows").cloned().unwrap_or_default();
    let windows: Vec<Window> =
        serde_json::from_value(windows).map_err(|error| format!("off_peak_pricing: {error}"))?;
    let mut hours = Vec::new();
    for Window {
        hours_utc,
        weekdays,
    } in windows
    {
        let spans = match hours_utc {
            OneOrMany::One(span) => vec![span],
            OneOrMany::Many(spans) => spans,
        };
        for span in spans {
            let (from, until) = span
                .split_once('-')
                .and_then(|(from, until)| Some((from.parse().ok()?, until.parse().ok()?)))
                .ok_or_else(|| format!("off_peak_pricing: {span} is no span of hours"))?;
            let (from, until): (Time, Time) = (from, until);
            hours.push(Hours {
                from,
                until,
                weekdays: weekdays.clone(),
                prices: prices.clone(),
            });
        }
    }
    Ok(hours)
}
