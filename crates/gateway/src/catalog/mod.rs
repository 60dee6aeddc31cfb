//! What models can do and what they cost.
//!
//! Suggested reading order: [`facts`] (what is known about one model) and [`meter`] (what can have
//! a price), [`mod@price`] (from a usage to a bill), [`lookup`] (which model a name means), [`mod@file`] and
//! [`provider`] (the data files that are compiled in), [`refresh`] (how they are kept up to date).

pub mod facts;
pub mod file;
pub mod lookup;
pub mod meter;
pub(crate) mod names;
pub mod pattern;
pub mod price;
pub mod provider;
pub mod refresh;
mod shelf;

pub use facts::ModelFacts;
pub use lookup::{Catalog, ModelOverride};
pub use price::{PriceVersion, Priced, price, tier_of};

#[cfg(test)]
mod tests;
