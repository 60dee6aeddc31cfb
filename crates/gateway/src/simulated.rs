//! What is known of the simulated provider's models: their formats, abilities, and made-up prices.

use domain::model::{Capabilities, ReasoningControl};
use domain::money::PicoDollars;
use domain::usage::ServiceTier;
use jiff::civil::{Date, date};
use providers::kind::ProviderKind;

use crate::catalog::ModelFacts;
use crate::catalog::facts::{PriceList, Source};
use crate::catalog::meter::{Meter, Prices};

/// One family of simulated models. A longer name that begins with the family's is one of its model
/// classes (`gpt-5`, `claude-opus-4-7`, `gemini-3`), which `sim` tells apart as the vendor would.
struct Family {
    name: &'static str,
    kind: ProviderKind,
    reasoning: ReasoningControl,
    prefill: bool,
}

const FAMILIES: [Family; 4] = [
    Family {
        name: "gpt",
        kind: ProviderKind::Openai,
        reasoning: ReasoningControl::Effort,
        prefill: false,
    },
    Family {
        name: "claude",
        kind: ProviderKind::Anthropic,
        reasoning: ReasoningControl::Budget,
        prefill: true,
    },
    Family {
        name: "gemini",
        kind: ProviderKind::Gemini,
        reasoning: ReasoningControl::Budget,
        prefill: false,
    },
    Family {
        name: "command",
        kind: ProviderKind::Cohere,
        reasoning: ReasoningControl::Budget,
        prefill: false,
    },
];

/// Made-up prices in pico-dollars per token, so that a trial run shows how costs are shown: $1.00 per
/// million input tokens, $0.10 cached, $1.25 and $2.00 for cache writes, $4.00 output.
const PRICES: [(Meter, i64); 5] = [
    (Meter::Input, 1_000_000),
    (Meter::CachedInput, 100_000),
    (Meter::CacheWrite5m, 1_250_000),
    (Meter::CacheWrite1h, 2_000_000),
    (Meter::Output, 4_000_000),
];

const RECORDED: Date = date(2026, 11, 21);

/// The names under which the families are listed.
pub(crate) fn models() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name)
}

/// What a simulated model imitates; `None` when there is no such model.
pub(crate) fn kind(model: &str) -> Option<ProviderKind> {
    family(model).map(|family| family.kind)
}

/// What is known of a simulated model.
pub(crate) fn facts(model: &str) -> Option<ModelFacts> {
    let family = family(model)?;
    let mut prices = Prices::default();
    for (meter, price) in PRICES {
        prices.set(meter, PicoDollars::new(price).unwrap_or(PicoDollars::ZERO));
    }
    // Of a class of its own, nothing is known beforehand: its name says what it is.
    let is_class = model != family.name;
    Some(ModelFacts {
        id: model.to_owned(),
        names: Vec::new(),
        capabilities: Capabilities {
            reasoning: (!is_class).then_some(family.reasoning),
            prefill: (!is_class).then_some(family.prefill),
            ..Capabilities::default()
        },
        prices: vec![PriceList {
            tier: ServiceTier::Standard,
            from: None,
            until: None,
            source: Source::Simulated,
            recorded: RECORDED,
            prices,
            long_input: Vec::new(),
            hours: Vec::new(),
        }],
        withdrawn: None,
    })
}

fn family(model: &str) -> Option<&'static Family> {
    FAMILIES
        .iter()
        .find(|family| model.starts_with(family.name))
}
