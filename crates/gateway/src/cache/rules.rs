//! What the operator wants of the cache.

use std::time::Duration;

use domain::key::ModelPattern;

use crate::prompt_cache::PromptCaching;

/// What the operator wants of the cache.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheRules {
    /// How long an answer is kept, unless its route or its request says otherwise.
    pub ttl: Duration,
    /// The longest time that a request may ask for.
    pub max_ttl: Duration,
    /// What answers may take in memory, in bytes.
    pub max_bytes: u64,
    /// The largest answer that is kept, in bytes.
    pub max_entry: usize,
    /// Who shares answers.
    pub scope: CacheScope,
    /// Whether answers are kept that may be another the next time: those to requests that leave the
    /// temperature to the model, or set one above zero.
    pub sampled: bool,
    /// Whether answers are kept that call tools.
    pub tool_calls: bool,
    /// How long a request waits for the answer to the same one that is under way; zero waits for none.
    pub follow: Duration,
    /// The names of the keys whose requests are cached.
    pub keys: Vec<ModelPattern>,
}

/// Who shares answers. The tenant's project is always a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheScope {
    /// All keys of a project.
    Project,
    /// Each user of a project for themselves; a key that is nobody's, for itself.
    User,
    /// Each key for itself.
    Key,
}

/// What a route says of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caching {
    /// Whether its answers are kept.
    pub enabled: bool,
    /// How long, where that is not [`CacheRules::ttl`].
    pub ttl: Option<Duration>,
    /// How alike two requests must be, 0 to 1, where that is not what holds for all routes.
    pub threshold: Option<f32>,
    /// Whether its providers' prompt caches are helped, where that is not what the providers say.
    pub prompt: Option<PromptCaching>,
}

impl Default for Caching {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: None,
            threshold: None,
            prompt: None,
        }
    }
}
