//! What is particular about the host of a target, beside its wire format.

/// What a provider's configuration says of its host; each format reads what concerns it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The version of the API, where the host wants one in the URL (Azure's `api-version`).
    pub api_version: Option<String>,
    /// The project whose quota is used (Google Cloud).
    pub project: Option<String>,
    /// Where it runs, in the host's words (`us-east-1`, `europe-west4`, `global`).
    pub region: Option<String>,
}

impl Host {
    /// Nothing is particular.
    pub const NONE: Self = Self {
        api_version: None,
        project: None,
        region: None,
    };
}
