//! Reads price facts in the data format 2 of genai-prices.
//! <https://github.com/pydantic/genai-prices>

use std::collections::{BTreeMap, BTreeSet};

use domain::model::Capabilities;
use domain::money::PicoDollars;
use domain::usage::ServiceTier;
use jiff::civil::{Date, Time};
use serde::Deserialize;
use serde_json::{Number, Value};

use super::decimal_text;
use super::diff::Refused;
use crate::catalog::facts::{Hours, LongInput, ModelFacts, PriceList, Source};
use crate::catalog::meter::{Meter, Prices};
use crate::catalog::pattern::Pattern;
use crate::catalog::provider::BUILTIN_PROVIDERS;

/// What the file says, by vendor.
pub(super) struct PriceFacts {
    pub(super) vendors: BTreeMap<String, Vendor>,
    pub(super) refused: Vec<Refused>,
}

/// One vendor's models.
pub(super) struct Vendor {
    pub(super) pricing_urls: Vec<String>,
    pub(super) models: Vec<ModelFacts>,
}

#[derive(Deserialize)]
struct RawVendor {
    id: String,
    #[serde(default)]
    pricing_urls: Vec<String>,
    models: Vec<Value>,
}

#[derive(Deserialize)]
struct RawModel {
    id: String,
    r#match: Clause,
    context_window: Option<u64>,
    prices: RawPrices,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Clause {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Clause>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawPrices {
    Always(BTreeMap<String, Amount>),
    Conditional(Vec<Conditional>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conditional {
    constraint: Option<Constraint>,
    prices: BTreeMap<String, Amount>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Constraint {
    StartDate {
        start_date: Date,
    },
    TimeOfDay {
        start_time: String,
        end_time: String,
    },
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Amount {
    Flat(Number),
    Tiered { base: Number, tiers: Vec<Tier> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    start: u64,
    price: Number,
}

/// Reads the vendors that the catalog has. Only its outer shape can fail; a model that cannot be read is refused by
/// name and the others are taken.
pub(super) fn read(text: &str, today: Date) -> Result<PriceFacts, serde_json::Error> {
    let raw: Vec<RawVendor> = serde_json::from_str(text)?;
    let mut facts = PriceFacts {
        vendors: BTreeMap::new(),
        refused: Vec::new(),
    };
    let is_ours = |vendor: &RawVendor| {
        BUILTIN_PROVIDERS
            .iter()
            .any(|ours| ours.genai_name == vendor.id)
    };
    for vendor in raw.into_iter().filter(is_ours) {
        let mut models = Vec::new();
        for (index, row) in vendor.models.into_iter().enumerate() {
            let id = row.get("id").and_then(Value::as_str).map(str::to_owned);
            match model(row, today) {
                Ok(model) => models.push(model),
                Err(reason) => facts.refused.push(Refused {
                    provider: vendor.id.clone(),
                    model: id.unwrap_or_else(|| format!("#{index}")),
                    reason,
                }),
            }
        }
        facts.vendors.insert(
            vendor.id,
            Vendor {
                pricing_urls: vendor.pricing_urls,
                models,
            },
        );
    }
    Ok(facts)
}

fn model(row: Value, today: Date) -> Result<ModelFacts, String> {
    let raw: RawModel = serde_json::from_value(row).map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    patterns(&raw.r#match, &mut names)?;
    let id = raw.id.to_lowercase();
    names.retain(|name| name.single_name() != Some(&*id));
    Ok(ModelFacts {
        names,
        capabilities: Capabilities {
            context_window: raw.context_window,
            ..Capabilities::default()
        },
        prices: price_lists(raw.prices, today)?,
        withdrawn: None,
        id: raw.id,
    })
}

fn patterns(clause: &Clause, names: &mut Vec<Pattern>) -> Result<(), String> {
    let text = match clause {
        Clause::Equals(name) => name.clone(),
        Clause::StartsWith(name) => format!("{name}*"),
        Clause::EndsWith(name) => format!("*{name}"),
        Clause::Contains(name) => format!("*{name}*"),
        Clause::Regex(expression) => from_regex(expression)
            .ok_or_else(|| format!("the expression {expression} is not understood"))?,
        Clause::Or(clauses) => {
            return clauses
                .iter()
                .try_for_each(|clause| patterns(clause, names));
        }
    };
    names.push(Pattern::new(&text).map_err(|error| error.to_string())?);
    Ok(())
}

/// Understands the only expressions that the facts use: fixed text from the beginning, with digits.
fn from_regex(expression: &str) -> Option<String> {
    let mut rest = expression.strip_prefix('^')?;
    let mut pattern = String::new();
    while !rest.is_empty() {
        if rest == "$" {
            return Some(pattern);
        }
        if let Some(after) = rest.strip_prefix(r"\d") {
            let (count, after) = match after.strip_prefix('{') {
                Some(counted) => {
                    let (count, after) = counted.split_once('}')?;
                    (count.parse::<usize>().ok()?, after)
                }
                None => (1, after),
            };
            pattern.push_str(&"#".repeat(count));
            rest = after;
            continue;
        }
        let literal = rest.strip_prefix('\\').unwrap_or(rest);
        let is_escaped = literal.len() < rest.len();
        let character = literal.chars().next()?;
        let is_plain = character.is_ascii_alphanumeric() || "-_/:@".contains(character);
        if !(is_plain && !is_escaped || is_escaped && character == '.') {
            return None;
        }
        pattern.push(character);
        rest = literal.strip_prefix(character)?;
    }
    pattern.push('*');
    Some(pattern)
}

fn price_lists(raw: RawPrices, today: Date) -> Result<Vec<PriceList>, String> {
    let conditional = match raw {
        RawPrices::Always(prices) => vec![Conditional {
            constraint: None,
            prices,
        }],
        RawPrices::Conditional(conditional) => conditional,
    };
    let mut lists: Vec<PriceList> = Vec::new();
    for Conditional { constraint, prices } in conditional {
        let (prices, long_input) = price_sets(&prices)?;
        let from = match (constraint, lists.last_mut()) {
            (None, None) => None,
            (None, Some(_)) => return Err("two prices hold at the same time".into()),
            (Some(Constraint::StartDate { start_date }), _) => Some(start_date),
            (Some(Constraint::TimeOfDay { .. }), None) => {
                return Err("a price by the hour needs a price for the other hours first".into());
            }
            (
                Some(Constraint::TimeOfDay {
                    start_time,
                    end_time,
                }),
                Some(list),
            ) => {
                list.hours.push(Hours {
                    from: utc(&start_time)?,
                    until: utc(&end_time)?,
                    weekdays: Vec::new(),
                    prices,
                });
                continue;
            }
        };
        lists.push(PriceList {
            tier: ServiceTier::Standard,
            from,
            until: None,
            source: Source::GenaiPrices,
            recorded: today,
            prices,
            long_input,
            hours: Vec::new(),
        });
    }
    Ok(lists)
}

fn utc(text: &str) -> Result<Time, String> {
    text.strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))
        .and_then(|time| time.parse().ok())
        .ok_or_else(|| format!("{text} is not a time of day in UTC"))
}

/// The prices below every threshold, and those above each.
fn price_sets(raw: &BTreeMap<String, Amount>) -> Result<(Prices, Vec<LongInput>), String> {
    let thresholds: BTreeSet<u64> = raw
        .values()
        .filter_map(|amount| match amount {
            Amount::Flat(_) => None,
            Amount::Tiered { tiers, .. } => Some(tiers.iter().map(|tier| tier.start)),
        })
        .flatten()
        .collect();
    let long_input = thresholds
        .into_iter()
        .map(|above| {
            Ok(LongInput {
                above,
                prices: prices_at(raw, above)?,
            })
        })
        .collect::<Result<_, String>>()?;
    Ok((prices_at(raw, 0)?, long_input))
}

fn prices_at(raw: &BTreeMap<String, Amount>, above: u64) -> Result<Prices, String> {
    let mut prices = Prices::default();
    for (unit, amount) in raw {
        let number = match amount {
            Amount::Flat(number) => number,
            Amount::Tiered { base, tiers } => tiers
                .iter()
                .filter(|tier| tier.start <= above)
                .max_by_key(|tier| tier.start)
                .map_or(base, |tier| &tier.price),
        };
        let (meter, units) = meter(unit).ok_or_else(|| format!("the unit {unit} is not known"))?;
        let price = PicoDollars::from_dollars_per(&decimal_text(number), units)
            .map_err(|error| format!("{unit}: {error}"))?;
        let is_general_write = unit == "cache_write_mtok";
        if !(is_general_write && raw.contains_key("cache_write_5m_mtok")) {
            prices.set(meter, price);
        }
    }
    if prices.is_empty() {
        // The facts write an empty set for what is free.
        prices.set(Meter::Input, PicoDollars::ZERO);
        prices.set(Meter::Output, PicoDollars::ZERO);
    }
    Ok(prices)
}

/// What a unit of the facts measures, and how many of it the price is for.
fn meter(unit: &str) -> Option<(Meter, u32)> {
    const MILLION: u32 = 1_000_000;
    const THOUSAND: u32 = 1_000;
    Some(match unit {
        "input_mtok" => (Meter::Input, MILLION),
        "cache_read_mtok" => (Meter::CachedInput, MILLION),
        "cache_write_mtok" | "cache_write_5m_mtok" => (Meter::CacheWrite5m, MILLION),
        "cache_write_1h_mtok" => (Meter::CacheWrite1h, MILLION),
        "output_mtok" => (Meter::Output, MILLION),
        "output_reasoning_mtok" => (Meter::Reasoning, MILLION),
        "output_citation_mtok" => (Meter::Citation, MILLION),
        "input_audio_mtok" => (Meter::InputAudio, MILLION),
        "cache_audio_read_mtok" => (Meter::CachedInputAudio, MILLION),
        "output_audio_mtok" => (Meter::OutputAudio, MILLION),
        "input_image_mtok" => (Meter::InputImage, MILLION),
        "cache_image_read_mtok" => (Meter::CachedInputImage, MILLION),
        "output_image_mtok" => (Meter::OutputImage, MILLION),
        "input_video_mtok" => (Meter::InputVideo, MILLION),
        "output_video_mtok" => (Meter::OutputVideo, MILLION),
        "input_mchars" => (Meter::InputCharacter, MILLION),
        "web_searches_kcount" => (Meter::WebSearch, THOUSAND),
        "requests_kcount" => (Meter::Request, THOUSAND),
        "input_document_kpages" => (Meter::DocumentPage, THOUSAND),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expressions_of_the_facts_become_patterns() {
        for (expression, pattern) in [
            (
                r"^gpt-5\.6-luna-\d{4}-\d{2}-\d{2}$",
                Some("gpt-5.6-luna-####-##-##"),
            ),
            (r"^gemini-3\.5-flash-\d", Some("gemini-3.5-flash-#*")),
            (r"^x-ai/grok-4\.3-\d{8}$", Some("x-ai/grok-4.3-########")),
            ("gpt", None),
            ("^gpt.*", None),
            ("^(a|b)$", None),
        ] {
            assert_eq!(from_regex(expression).as_deref(), pattern, "{expression}");
        }
    }
}
