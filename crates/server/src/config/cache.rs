//! `cache`: answers that are kept to be given again.

use std::time::Duration;

use gateway::cache::{CacheRules, CacheScope, Caching};

use super::fields::{Fields, Section};
use super::problem::Complaint;
use super::scalar::Choice;
use super::size::ByteSize;

/// Answers that are kept to be given again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cache {
    exact: Option<Exact>,
}

/// Answers to requests that are the same.
#[derive(Debug, Clone, PartialEq)]
struct Exact {
    rules: CacheRules,
    shared_wait: Duration,
}

impl Cache {
    /// What is wanted; `None` where nothing is kept.
    pub fn rules(&self) -> Option<&CacheRules> {
        self.exact.as_ref().map(|exact| &exact.rules)
    }

    /// How long a look-up waits for the answers that replicas share.
    pub fn shared_wait(&self) -> Duration {
        self.exact
            .as_ref()
            .map_or(Duration::ZERO, |exact| exact.shared_wait)
    }
}

impl Section for Cache {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let exact = fields.optional_section(
            "exact",
            "Answers to requests that are the same. Left out, none is kept; `{}` keeps them as the defaults \
             say.",
        );
        Some(Self { exact })
    }
}

impl Section for Exact {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let ttl = fields.or(
            "ttl",
            "5m",
            "How long an answer is kept, unless its route or its request says otherwise.",
        );
        let max_ttl = fields.or(
            "max_ttl",
            "24h",
            "The longest time that a request may ask for by `x-trunkline-cache: ttl=SECONDS`.",
        );
        let max_bytes: Option<ByteSize> = fields.or(
            "max_bytes",
            "256MiB",
            "The most that answers take in memory; what is asked least goes first.",
        );
        let max_entry: Option<ByteSize> =
            fields.or("max_entry", "1MiB", "The largest answer that is kept.");
        let scope = fields.or(
            "scope",
            "project",
            "Who shares answers: all keys of a `project`, each `user` of it, or each `key` for itself. Nothing \
             is ever shared between projects.",
        );
        let sampled = fields.or(
            "sampled",
            "true",
            "Whether answers are kept that may be another the next time: those to requests that do not set \
             `temperature` to 0.",
        );
        let tool_calls = fields.or(
            "tool_calls",
            "false",
            "Whether answers are kept that call tools.",
        );
        let follow = fields.or(
            "follow",
            "30s",
            "How long a request waits for the answer to the same one that is under way, instead of being sent \
             as well.",
        );
        let shared_wait = fields.or(
            "shared_wait",
            "5ms",
            "How long a look-up waits for the answers that replicas share (`shared`); then it goes on without.",
        );
        let keys = fields.list(
            "keys",
            &["*"],
            "The names of the keys whose requests are cached; `*` stands for any text.",
        );
        if let (Some(ttl), Some(max)) = (ttl, max_ttl)
            && ttl > max
        {
            let key = if fields.is_given("ttl") {
                "ttl"
            } else {
                "max_ttl"
            };
            let complaint = Complaint::new("`ttl` is longer than `max_ttl`");
            fields.refuse(key, complaint.suggest("lower `ttl`, or raise `max_ttl`"));
        }
        if let (Some(entry), Some(max)) = (max_entry, max_bytes)
            && entry > max
        {
            let key = if fields.is_given("max_entry") {
                "max_entry"
            } else {
                "max_bytes"
            };
            let complaint = Complaint::new("`max_entry` is larger than `max_bytes`");
            fields.refuse(
                key,
                complaint.suggest("lower `max_entry`, or raise `max_bytes`"),
            );
        }
        Some(Self {
            rules: CacheRules {
                ttl: ttl?,
                max_ttl: max_ttl?,
                max_bytes: max_bytes?.bytes(),
                max_entry: max_entry?.as_usize(),
                scope: scope?,
                sampled: sampled?,
                tool_calls: tool_calls?,
                follow: follow?,
                keys,
            },
            shared_wait: shared_wait?,
        })
    }
}

impl Choice for CacheScope {
    const EXPECTED: &'static str = "who shares answers";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("project", Self::Project),
        ("user", Self::User),
        ("key", Self::Key),
    ];
}

impl Section for Caching {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let enabled = fields.or(
            "enabled",
            "true",
            "Whether answers of this route are kept, where `cache` keeps any.",
        );
        let ttl = fields.optional(
            "ttl",
            "10m",
            "How long; `cache.exact.ttl` where it is left out.",
        );
        Some(Self {
            enabled: enabled?,
            ttl,
            threshold: None,
        })
    }
}
