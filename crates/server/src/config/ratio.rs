//! A part of a whole, as it is written in the file.

use serde_json::{Value, json};

use super::node::Kind;
use super::scalar::{Misfit, Scalar};

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio(pub(super) f64);

impl Scalar for Ratio {
    const EXPECTED: &'static str = "a number from 0 to 1 such as `0.5`";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer, Kind::Decimal];

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text.parse::<f64>() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Self(ratio)),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}
