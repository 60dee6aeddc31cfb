//! What a refresh changed, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;

use domain::money::PicoDollars;
use domain::usage::ServiceTier;
use jiff::civil::Date;
use serde::Serialize;

use super::super::facts::Source;
use super::super::meter::Meter;

/// Everything that a refresh did, and everything that it refused to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Models that were not in the catalog.
    pub added: Vec<ModelName>,
    /// Models that the facts no longer name; their prices stay for calls of the past.
    pub withdrawn: Vec<ModelName>,
    /// Prices that changed.
    pub prices: Vec<PriceChange>,
    /// Models whose capabilities changed.
    pub capabilities: Vec<ModelName>,
    /// Rows that cannot be read or believed. The catalog keeps what it had for them.
    pub refused: Vec<Refused>,
    /// Where the two sources disagree, and whose word was taken.
    pub conflicts: Vec<Conflict>,
    /// Members of the capability table that look like prices and are not understood, and how many
    /// rows have them.
    pub unread: BTreeMap<String, usize>,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ModelName {
    /// The provider's name in the catalog.
    pub provider: String,
    /// The model's id.
    pub model: String,
}

/// One price that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceChange {
    /// The provider's name in the catalog.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// The service tier.
    pub tier: ServiceTier,
    /// What is priced.
    pub meter: Meter,
    /// The threshold of a long-input price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long_input_above: Option<u64>,
    /// The price until now, in pico-dollars per unit; `None` if there was none.
    pub old: Option<PicoDollars>,
    /// The price from now on; `None` if there is none any more.
    pub new: Option<PicoDollars>,
    /// The first day of the new price.
    pub from: Option<Date>,
}

/// A row of the facts that was not taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The provider, as the catalog or as the source names it.
    pub provider: String,
    /// The model's id, or the row's place in the file when it has no readable id.
    pub model: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Two sources that name different prices for the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The provider's name in the catalog.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// What is priced.
    pub meter: Meter,
    /// Whose price was taken.
    pub source: Source,
    /// The price that was taken.
    pub taken: PicoDollars,
    /// The price that was not.
    pub other: PicoDollars,
}

impl Diff {
    /// Whether the catalog changed at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.withdrawn.is_empty()
            && self.prices.is_empty()
            && self.capabilities.is_empty()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ModelName { provider, model } in &self.added {
            writeln!(formatter, "added      {provider}/{model}")?;
        }
        for ModelName { provider, model } in &self.withdrawn {
            writeln!(formatter, "withdrawn  {provider}/{model}")?;
        }
        for change in &self.prices {
            writeln!(formatter, "price      {change}")?;
        }
        for ModelName { provider, model } in &self.capabilities {
            writeln!(formatter, "can do     {provider}/{model}")?;
        }
        for conflict in &self.conflicts {
            writeln!(formatter, "conflict   {conflict}")?;
        }
        for (member, rows) in &self.unread {
            writeln!(formatter, "not read   {member} ({rows} rows)")?;
        }
        for Refused {
            provider,
            model,
            reason,
        } in &self.refused
        {
            writeln!(formatter, "REFUSED    {provider}/{model}: {reason}")?;
        }
        if self.is_empty() {
            writeln!(formatter, "nothing changed")?;
        }
        Ok(())
    }
}

impl fmt::Display for PriceChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/{} {} {}",
            self.provider, self.model, self.tier, self.meter
        )?;
        if let Some(above) = self.long_input_above {
            write!(formatter, " above {above}")?;
        }
        let quoted = |price: Option<PicoDollars>| {
            price.map_or_else(|| "unknown".to_owned(), |price| quote(self.meter, price))
        };
        write!(formatter, ": {} -> {}", quoted(self.old), quoted(self.new))?;
        match self.from {
            Some(from) => write!(formatter, " from {from}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (taken, other) = match self.source {
            Source::Litellm => ("litellm", "genai-prices"),
            _ => ("genai-prices", "litellm"),
        };
        write!(
            formatter,
            "{}/{} {}: {taken} {} taken, {other} {}",
            self.provider,
            self.model,
            self.meter,
            quote(self.meter, self.taken),
            quote(self.meter, self.other)
        )
    }
}

/// A price as vendors quote it: `$2.5/1M`, `$0.01 each`.
fn quote(meter: Meter, price: PicoDollars) -> String {
    let units = meter.quoted_units();
    let pico = price.times(u64::from(units));
    let dollar = i128::from(domain::money::PICO_PER_DOLLAR);
    let decimals = format!("{:012}", pico % dollar);
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    let per = match units {
        1 => " each",
        60_000 => "/min",
        _ => "/1M",
    };
    format!("${}{point}{decimals}{per}", pico / dollar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_change_reads_as_vendors_quote_prices() {
        let change = PriceChange {
            provider: "openai".into(),
            model: "o3".into(),
            tier: ServiceTier::Standard,
            meter: Meter::Input,
            long_input_above: None,
            old: PicoDollars::new(10_000_000).ok(),
            new: PicoDollars::new(2_250_000).ok(),
            from: Some(jiff::civil::date(2025, 6, 10)),
        };
        assert_eq!(
            change.to_string(),
            "openai/o3 standard input: $10/1M -> $2.25/1M from 2025-06-10"
        );
    }

    #[test]
    fn an_empty_diff_says_so() {
        assert_eq!(Diff::default().to_string(), "nothing changed\n");
    }
}
