//! `custody`: what is kept of the reasoning state that clients leave out.

use std::time::Duration;

use gateway::custody::CustodyRules;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::scalar::{Misfit, Scalar};
use super::size::ByteSize;

/// What is kept of the reasoning state that clients leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Custody {
    ttl: Ttl,
    max_bytes: ByteSize,
}

/// How long something is kept after its last use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ttl {
    /// Not at all.
    None,
    /// This long.
    For(Duration),
}

impl Custody {
    /// The bounds; `None` where nothing is kept.
    pub fn rules(&self) -> Option<CustodyRules> {
        match self.ttl {
            Ttl::None => None,
            Ttl::For(ttl) => Some(CustodyRules {
                ttl,
                max_bytes: self.max_bytes.as_usize(),
            }),
        }
    }
}

impl Section for Custody {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let ttl = fields.or(
            "ttl",
            "1h",
            "How long signatures and encrypted thoughts of turns that called tools are kept after \
             their last use, encrypted, for clients that do not send them back; `none` keeps nothing.",
        );
        let max_bytes = fields.or(
            "max_bytes",
            "64MiB",
            "The most of them that stands in memory; what was not needed for longest goes first, and is \
             found in the store.",
        );
        Some(Self {
            ttl: ttl?,
            max_bytes: max_bytes?,
        })
    }
}

impl Scalar for Ttl {
    const EXPECTED: &'static str = "`none` or a duration such as `1h`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text {
            "none" => Ok(Self::None),
            _ => Duration::parse(text).map(Self::For),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(none|[0-9]*[1-9][0-9]*(ms|s|m|h|d))$" })
    }
}
