//! `store`, `ledger`, `payloads` and `responses`: what is kept of a call, where, and how safely.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use store::Location;

use super::fields::{Fields, Section};
use super::scalar::{Choice, Misfit, Scalar};
use super::size::ByteSize;

/// The journal of calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// When the journal is brought to the disk.
    pub sync: Sync,
    /// How large the journal may grow while the store does not take its records; then new calls are
    /// refused.
    pub max_bytes: ByteSize,
    /// Where journals of other replicas are that may be gone.
    pub adopt: Vec<Folder>,
}

/// A folder of the file system, by its absolute name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(pub PathBuf);

/// When the journal is brought to the disk. It survives the end of the process either way; this bounds
/// what the loss of power may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before each call goes out.
    Always,
    /// This often.
    Every(Duration),
}

/// What is kept of requests and answers, beside the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payloads {
    /// How much is kept.
    pub keep: Keep,
    /// How long it is kept.
    pub retention: Duration,
}

/// How much of a request and its answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    None,
    /// Everything.
    Full,
}

/// What is kept of answers that callers refer to later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Responses {
    /// How long.
    pub keep: KeepFor,
}

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepFor {
    /// Not at all.
    None,
    /// This long.
    Time(Duration),
}

impl Section for Ledger {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let sync = fields.or(
            "sync",
            "50ms",
            "When the journal is brought to the disk: so often, or `always` before each call goes \
             out. It bounds what the loss of power may take; the end of the process takes nothing \
             either way.",
        );
        let max_bytes = fields.or(
            "max_bytes",
            "4GiB",
            "How large the journal may grow while the store does not take its records; then new \
             calls are answered with status 503.",
        );
        let adopt = fields.list(
            "adopt",
            &[],
            "Data directories of other replicas, or folders that hold them, on volumes that replicas \
             share: journals that one left which is gone are taken over from there.",
        );
        Some(Self {
            sync: sync?,
            max_bytes: max_bytes?,
            adopt,
        })
    }
}

impl Section for Payloads {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let keep = fields.or(
            "keep",
            "none",
            "What is kept of requests and answers: `none` or `full`. The ledger itself never \
             holds them.",
        );
        let retention = fields.or("retention", "30d", "How long they are kept.");
        Some(Self {
            keep: keep?,
            retention: retention?,
        })
    }
}

impl Section for Responses {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let keep = fields.or(
            "keep",
            "30d",
            "How long answers of `/v1/responses` are kept, with the items that were asked with, unless \
             the request says `store: false`; `none` keeps nothing.",
        );
        Some(Self { keep: keep? })
    }
}

impl Scalar for KeepFor {
    const EXPECTED: &'static str = "`none` or a duration such as `30d`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text {
            "none" => Ok(Self::None),
            _ => Duration::parse(text).map(Self::Time),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(none|[0-9]*[1-9][0-9]*(ms|s|m|h|d))$" })
    }
}

impl Scalar for Folder {
    const EXPECTED: &'static str = "the absolute name of a folder";

    fn parse(text: &str) -> Result<Self, Misfit> {
        let path = PathBuf::from(text);
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err(Misfit::because("it begins at the root"))
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^/" })
    }
}

impl Scalar for Sync {
    const EXPECTED: &'static str = "`always` or a duration such as `50ms`";

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text {
            "always" => Ok(Self::Always),
            _ => Duration::parse(text).map(Self::Every),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(always|[0-9]*[1-9][0-9]*(ms|s|m|h|d))$" })
    }
}

impl Choice for Keep {
    const EXPECTED: &'static str = "`none` or `full`";
    const CHOICES: &'static [(&'static str, Self)] = &[("none", Self::None), ("full", Self::Full)];
}

impl Scalar for Location {
    const EXPECTED: &'static str = "a store such as `sqlite:trunkline.db`";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse()
            .map_err(|error: store::InvalidLocation| Misfit::because(error.to_string()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^(sqlite:.|postgres(ql)?://|file:)" })
    }
}
