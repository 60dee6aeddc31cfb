//! `cache`: answers that are kept to be given again.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use domain::name::ProviderName;
use gateway::cache::{CacheRules, CacheScope, Caching, SemanticMode, SemanticRules};
use gateway::prompt_cache::WatchRules;
use gateway::routes::RouteTarget;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::node::{Kind, Node};
use super::path::Path;
use super::problem::Complaint;
use super::ratio::Ratio;
use super::reading::Reading;
use super::route::refuse_provider;
use super::scalar::{Choice, Misfit, Scalar};
use super::size::ByteSize;

/// Answers that are kept to be given again.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cache {
    exact: Option<Exact>,
    semantic: Option<SemanticSection>,
    /// When operators hear of what vendors cache and nobody reads.
    pub prompt: WatchRules,
}

/// Answers to requests that mean the same.
#[derive(Debug, Clone, PartialEq)]
pub struct SemanticSection {
    /// What is wanted.
    pub rules: SemanticRules,
    /// What gives texts their vectors.
    pub model: Meaning,
    /// Texts that the model works on at the same time.
    pub concurrency: usize,
}

/// What gives texts their vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// The sentence model in a folder.
    Folder(PathBuf),
    /// A provider's model for embeddings.
    At(RouteTarget),
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

    /// Answers to requests that mean the same; `None` where none are looked for.
    pub fn semantic(&self) -> Option<&SemanticSection> {
        self.semantic.as_ref()
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
        let semantic = fields.optional_section(
            "semantic",
            "Answers to requests that mean the same: all but the last words of the user is the same, and \
             these are alike. Needs `exact`.",
        );
        if fields.is_given("semantic") && !fields.is_given("exact") {
            let complaint = Complaint::new("answers are kept by `exact`, which is not there");
            fields.refuse("semantic", complaint.suggest("add `exact: {}` beside it"));
        }
        let prompt = fields.section(
            "prompt",
            "When an event is raised of what a key had written into vendors' prompt caches and nobody has \
             read in time.",
        );
        Some(Self {
            exact,
            semantic,
            prompt: prompt?,
        })
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

impl Section for WatchRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let tokens: Option<NonZeroU32> = fields.or(
            "alarm_tokens",
            "100000",
            "At so many unread tokens of a day in UTC, of one key, for one model name at one model.",
        );
        let share: Option<Ratio> = fields.or(
            "alarm_share",
            "0.5",
            "And when they are such a part of what was written, 0 to 1.",
        );
        Some(Self {
            tokens: u64::from(tokens?.get()),
            share: share?.0,
        })
    }
}

impl Section for SemanticSection {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let model: Option<Meaning> = fields.required(
            "model",
            "/models/all-MiniLM-L6-v2",
            "What gives texts their vectors. A path that begins with `/` or `.` is the folder of a sentence \
             model of BERT's kind: `config.json`, `model.safetensors` and `tokenizer.json`, as they are \
             published. Anything else is a provider's name, a `/` and its model for embeddings, which is \
             asked on behalf of the caller, who pays for it.",
        );
        let threshold: Option<Likeness> = fields.or(
            "threshold",
            "0.95",
            "How alike two requests must be, 0 to 1, unless their route says otherwise. Numbers, names and \
             negations must be the same in any case.",
        );
        let mode = fields.or(
            "mode",
            "shadow",
            "Whether answers are served: `shadow` serves none and measures how often one would have been \
             served and would have been wrong; `serve` serves them.",
        );
        let answer_threshold: Option<Likeness> = fields.or(
            "answer_threshold",
            "0.8",
            "In shadow mode: how alike two answers are at least that say the same.",
        );
        let max_entries: Option<NonZeroU32> = fields.or(
            "max_entries",
            "20000",
            "The most requests that others are compared with; the oldest go first. Each takes about 2 KiB.",
        );
        let max_partition: Option<NonZeroU32> = fields.or(
            "max_partition",
            "5000",
            "The most of them that one request is compared with: those that are the same but for the last \
             words.",
        );
        let concurrency: Option<NonZeroU32> = fields.or(
            "concurrency",
            "2",
            "How many texts the model works on at the same time, where it is in this process.",
        );
        let wait = fields.or(
            "wait",
            "1s",
            "How long a request waits for its vector; then it is sent.",
        );
        Some(Self {
            rules: SemanticRules {
                threshold: threshold?.0,
                mode: mode?,
                answer_threshold: answer_threshold?.0,
                max_entries: max_entries?.get() as usize,
                max_partition: max_partition?.get() as usize,
                wait: wait?,
            },
            model: model?,
            concurrency: concurrency?.get() as usize,
        })
    }
}

impl Scalar for Meaning {
    const EXPECTED: &'static str = "the path of a folder, which begins with `/` or `.`, or a provider's name, a `/` and the model";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.starts_with(['/', '.']) {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        RouteTarget::parse(text).map(Self::At)
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// Says that vectors are to come from a provider that there is not.
pub(super) fn refuse_unknown(
    cache: Option<&Cache>,
    providers: &[ProviderName],
    root: &Node,
    reading: &mut Reading<'_>,
) {
    let semantic = cache.and_then(Cache::semantic);
    if let Some(Meaning::At(target)) = semantic.map(|semantic| &semantic.model) {
        let path = Path::default().key("cache").key("semantic").key("model");
        refuse_provider(target, providers, &path, root, reading);
    }
}

/// How alike two texts are: 0 to 1.
struct Likeness(f32);

impl Scalar for Likeness {
    const EXPECTED: &'static str = "a number from 0 to 1 such as `0.95`";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer, Kind::Decimal];

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text.parse::<f32>() {
            Ok(likeness) if (0.0..=1.0).contains(&likeness) => Ok(Self(likeness)),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

impl Choice for SemanticMode {
    const EXPECTED: &'static str = "whether answers are served";
    const CHOICES: &'static [(&'static str, Self)] =
        &[("shadow", Self::Shadow), ("serve", Self::Serve)];
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
        let threshold: Option<Likeness> = fields.optional(
            "threshold",
            "0.97",
            "How alike two requests must be; `cache.semantic.threshold` where it is left out.",
        );
        Some(Self {
            enabled: enabled?,
            ttl,
            threshold: threshold.map(|likeness| likeness.0),
            // It is a key of the route's own.
            prompt: None,
        })
    }
}
