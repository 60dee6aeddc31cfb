//! What is particular about the host of a target, beside its wire format.

use crate::batches::bucket::Bucket;
use crate::hosts::{HostRow, Quirks, Serves};

/// What a provider's configuration says of its host; each format reads what concerns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The host's name, where it is one of [`crate::hosts::HOSTS`]; the catalog knows it by this name.
    pub name: Option<&'static str>,
    /// The version of the API, where the host wants one in the URL (Azure's `api-version`).
    pub api_version: Option<String>,
    /// The project whose quota is used (Google Cloud).
    pub project: Option<String>,
    /// Where it runs, in the host's words (`us-east-1`, `europe-west4`, `global`).
    pub region: Option<String>,
    /// Through which bucket batches go, where the host runs them from one.
    pub bucket: Option<Bucket>,
    /// What it does otherwise than OpenAI, where it speaks OpenAI's format.
    pub quirks: &'static Quirks,
    /// Which of OpenAI's endpoints it has. A dialect of which it has not the endpoint is not spoken to it.
    pub serves: Serves,
}

impl Host {
    /// Nothing is particular.
    pub const NONE: Self = Self {
        name: None,
        api_version: None,
        project: None,
        region: None,
        bucket: None,
        quirks: &Quirks::NONE,
        serves: Serves::UNKNOWN,
    };

    /// A host of the table.
    pub fn of(row: &'static HostRow) -> Self {
        Self {
            name: Some(row.name),
            quirks: &row.quirks,
            serves: row.serves,
            ..Self::NONE
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::NONE
    }
}
