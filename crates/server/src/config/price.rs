//! `prices`: what models cost where the catalog does not know it or a contract says otherwise.

use domain::model::Capabilities;
use domain::money::{InvalidAmount, PicoDollars};
use domain::name::{ModelName, ProviderName};
use gateway::catalog::ModelOverride;
use gateway::catalog::meter::{Meter, Prices};
use gateway::routes::{Provider, catalog_name};
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::node::{Kind, Node};
use super::path::Path;
use super::problem::Complaint;
use super::reading::Reading;
use super::scalar::{Misfit, Scalar};

/// The prices of one provider's model.
pub(super) struct PriceRow {
    provider: ProviderName,
    model: ModelName,
    prices: Prices,
}

impl PriceRow {
    /// As the catalog takes it; `None` when there is no such provider.
    pub(super) fn over_catalog(&self, providers: &[Provider]) -> Option<ModelOverride> {
        let provider = providers
            .iter()
            .find(|provider| provider.name == self.provider)?;
        Some(ModelOverride {
            provider: self.provider.to_string(),
            kind: catalog_name(provider).to_owned(),
            model: self.model.to_string(),
            prices: self.prices.clone(),
            capabilities: Capabilities::default(),
        })
    }
}

impl Section for PriceRow {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let provider = fields.required(
            "provider",
            "openai",
            "The provider's name under `providers`.",
        );
        let model = fields.required(
            "model",
            "gpt-5.4-nano",
            "The model as that provider calls it. All its prices are those given here, at all \
             times and in every tier.",
        );
        let mut prices = Prices::default();
        let mut has_prices = false;
        for meter in Meter::ALL {
            let key = meter.as_str();
            let dollars: Option<Dollars> = fields.optional(key, "1.25", &about(meter));
            has_prices |= fields.is_given(key);
            if let Some(Dollars(text)) = dollars {
                match meter.quoted(&text) {
                    Ok(price) => {
                        prices.set(meter, price);
                    }
                    Err(InvalidAmount::TooPrecise(_)) => {
                        let problem = "the price of one unit is not a whole number of pico-dollars";
                        fields.refuse(key, Complaint::new(problem).suggest("write fewer decimals"));
                    }
                    Err(error) => fields.refuse(key, Complaint::new(error.to_string())),
                }
            }
        }
        let (provider, model) = (provider?, model?);
        if !has_prices {
            let complaint = Complaint::new("no price is given");
            fields.refuse(
                "",
                complaint.suggest("add `input` and `output`; a price of 0 is free"),
            );
        }
        Some(Self {
            provider,
            model,
            prices,
        })
    }
}

/// Says which prices are of a provider that there is not, or stand there twice.
pub(super) fn refuse_unknown_and_repeated(
    rows: &[Option<PriceRow>],
    providers: &[ProviderName],
    root: &Node,
    reading: &mut Reading<'_>,
) {
    let prices = Path::default().key("prices");
    for (index, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        if !providers.contains(&row.provider) {
            let complaint = Complaint::new(format!("no provider is called `{}`", row.provider));
            let known = providers.iter().map(ProviderName::as_str);
            let complaint =
                complaint.suggest_one_of(row.provider.as_str(), known, "the providers are");
            reading.refuse_at(root, &prices.index(index).key("provider"), complaint);
        }
        let is_same = |other: &PriceRow| other.provider == row.provider && other.model == row.model;
        if rows.iter().take(index).flatten().any(is_same) {
            let problem = format!(
                "the prices of {}/{} stand here again",
                row.provider, row.model
            );
            let complaint = Complaint::new(problem).suggest("put them all into one entry");
            reading.refuse_at(root, &prices.index(index), complaint);
        }
    }
}

/// What the schema says of a meter's price.
fn about(meter: Meter) -> String {
    let unit = match meter {
        Meter::Image => "one image made",
        Meter::WebSearch => "one web search",
        Meter::SearchUnit => "one search unit",
        Meter::DocumentPage => "one page",
        Meter::Request => "one request",
        Meter::InputAudioMillisecond => "one minute of input audio",
        Meter::InputCharacter => "a million characters of input",
        Meter::CacheWrite5m => "a million tokens written to the cache for five minutes",
        Meter::CacheWrite1h => "a million tokens written to the cache for one hour",
        other => {
            return format!(
                "US dollars for a million {} tokens.",
                other.as_str().replace('_', " ")
            );
        }
    };
    format!("US dollars for {unit}.")
}

/// An amount of dollars as text: how precise it may be depends on what it is the price of.
struct Dollars(String);

impl Scalar for Dollars {
    const EXPECTED: &'static str = "a price in US dollars such as `1.25`";
    const ACCEPTS: &'static [Kind] = &[Kind::Text, Kind::Integer, Kind::Decimal];

    fn parse(text: &str) -> Result<Self, Misfit> {
        match PicoDollars::from_dollars_per(text, 1) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(Misfit::because(error.to_string())),
        }
    }

    fn schema() -> Value {
        json!({ "type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+)?$", "minimum": 0 })
    }
}
