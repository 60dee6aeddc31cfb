//! Trunkline in other situations than the usual one: with limits of every kind, with caches, with very many keys and
//! routes, as one of several replicas. The same load, beside the bare proxy and beside Trunkline as it usually is, in
//! the same rounds.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;

use crate::figures::count;
use crate::load::Aim;
use crate::load::burst::{self, Until};
use crate::mock;
use crate::probe;
use crate::stand::quiet;
use crate::subject::{Launcher, Running, Subject};
use crate::task;
use crate::wire::openai::EMBEDDINGS_MODEL;
use crate::wire::{Ask, Content, Format, Shape};

/// Keys beside the one that is used.
const KEYS: usize = 100_000;
/// Routes beside the one that is asked for.
const ROUTES: usize = 1_000;

/// How Trunkline is configured, and what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// One key with a rate and a budget, one route for each format, no cache.
    Usual,
    /// Limits of every scope, measure and time that hold for the one key.
    Limits,
    /// A cache that knows none of the answers: it is asked in vain, and keeps each.
    Misses,
    /// A cache that knows the answer.
    Hits,
    /// A cache that knows the answer to what means the same, by the vectors of a provider: each request has one
    /// made.
    SemanticAtProvider,
    /// The same, by the vectors of a sentence model in the process.
    SemanticHere,
    /// A hundred thousand keys more, each with a rate and a budget.
    Keys,
    /// A thousand routes more.
    Routes,
    /// So many replicas on one PostgreSQL and one Redis, with limits, the load being divided among them.
    Replicas(usize),
}

impl Situation {
    /// Every situation, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::Usual,
        Self::Limits,
        Self::Misses,
        Self::Hits,
        Self::SemanticAtProvider,
        Self::SemanticHere,
        Self::Keys,
        Self::Routes,
        Self::Replicas(1),
        Self::Replicas(2),
        Self::Replicas(3),
    ];

    /// Its name for a reader.
    pub fn title(self) -> &'static str {
        match self {
            Self::Usual => "as usual",
            Self::Limits => "limits of every kind",
            Self::Misses => "exact cache, misses",
            Self::Hits => "exact cache, hits",
            Self::SemanticAtProvider => "semantic hits, a provider's vectors",
            Self::SemanticHere => "semantic hits, a model in the process",
            Self::Keys => "100,000 keys",
            Self::Routes => "1,000 routes",
            Self::Replicas(1) => "PostgreSQL and Redis, 1 replica",
            Self::Replicas(2) => "PostgreSQL and Redis, 2 replicas",
            Self::Replicas(_) => "PostgreSQL and Redis, 3 replicas",
        }
    }

    /// Its name for a program.
    pub fn key(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Limits => "limits",
            Self::Misses => "cache_misses",
            Self::Hits => "cache_hits",
            Self::SemanticAtProvider => "semantic_hits_provider",
            Self::SemanticHere => "semantic_hits_here",
            Self::Keys => "keys",
            Self::Routes => "routes",
            Self::Replicas(1) => "replicas_1",
            Self::Replicas(2) => "replicas_2",
            Self::Replicas(_) => "replicas_3",
        }
    }

    /// Sections of the configuration beside the usual ones.
    pub(crate) fn sections(self, provider: &str, around: &Around) -> String {
        let exact = "cache:\n  exact: { ttl: 10m, max_bytes: 64MiB }\n";
        // However little alike two requests are, they are taken for the same: what is measured is the look-up.
        let semantic = |model: &str| {
            format!(
                "{exact}  semantic: {{ model: \"{model}\", mode: serve, threshold: 0, wait: 30s }}\n"
            )
        };
        match self {
            Self::Misses | Self::Hits => exact.to_owned(),
            Self::SemanticAtProvider => semantic(&format!("{provider}/{EMBEDDINGS_MODEL}")),
            Self::SemanticHere => semantic(around.sentence_model.as_deref().unwrap_or_default()),
            Self::Limits | Self::Replicas(_) => limits(),
            Self::Usual | Self::Keys | Self::Routes => String::new(),
        }
    }

    /// Prices beside the usual ones.
    pub(crate) fn prices(self, provider: &str) -> String {
        match self {
            Self::SemanticAtProvider => {
                format!("  - {{ provider: {provider}, model: {EMBEDDINGS_MODEL}, input: 0.02 }}\n")
            }
            _ => String::new(),
        }
    }

    /// Whether there is what it needs.
    fn has_all(self, around: &Around) -> bool {
        match self {
            Self::Replicas(_) => around.shared.is_some(),
            Self::SemanticHere => around.sentence_model.is_some(),
            _ => true,
        }
    }

    /// How many processes there are.
    pub(crate) fn replicas(self) -> usize {
        match self {
            Self::Replicas(count) => count,
            _ => 1,
        }
    }

    /// Routes beside the usual ones; each leads to the provider called `provider`.
    pub(crate) fn routes(self, provider: &str) -> String {
        let mut routes = String::new();
        if self == Self::Routes {
            for number in 0..ROUTES {
                // Writing to a text does not fail.
                let written = writeln!(
                    routes,
                    "  route-{number}:\n    targets:\n      - {{ model: {provider}/model-{number} }}"
                );
                debug_assert!(written.is_ok());
            }
        }
        routes
    }

    /// How many keys there are beside the usual one.
    pub(crate) fn keys(self) -> usize {
        if self == Self::Keys { KEYS } else { 0 }
    }

    fn ask(self) -> Ask {
        let usual = Ask::in_words(Format::Openai, Shape::Whole);
        match self {
            Self::Misses => Ask {
                content: Content::Numbered,
                ..usual
            },
            Self::SemanticAtProvider | Self::SemanticHere => Ask {
                content: Content::Reworded,
                ..usual
            },
            _ => usual,
        }
    }
}

/// Limits of every measure, in every time that it has, of six scopes: fifty-four, none of which is ever reached.
fn limits() -> String {
    const SCOPES: [&str; 6] = [
        "",
        "organization: each, ",
        "project: each, ",
        "key: each, ",
        "provider: each, ",
        "key: each, model: each, ",
    ];
    const BOUNDS: [&str; 9] = [
        "requests: 1000000000, per: minute",
        "requests: 1000000000, per: day",
        "tokens: 1000000000000, per: minute",
        "tokens: 1000000000000, per: hour",
        "concurrency: 1000000",
        "usd: 1000000, per: hour",
        "usd: 1000000, per: day",
        "usd: 1000000, per: month",
        "usd: 1000000, per: total",
    ];
    let mut limits = "limits:\n".to_owned();
    let all = SCOPES
        .iter()
        .flat_map(|scope| BOUNDS.iter().map(move |bound| (scope, bound)));
    for (number, (scope, bound)) in all.enumerate() {
        let written = writeln!(limits, "  - {{ name: limit-{number}, {scope}{bound} }}");
        debug_assert!(written.is_ok());
    }
    limits
}

/// What there is beside the processes that are measured.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// What replicas share.
    pub shared: Option<Shared>,
    /// The folder of a sentence model.
    pub sentence_model: Option<String>,
}

/// What replicas share. A fleet of so many has the database and the secret of that number.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The databases, but for the number at the end of their names.
    pub postgres: String,
    /// The Redis.
    pub redis: String,
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of load.
    pub rounds: usize,
    /// Length of each load.
    pub length: Duration,
    /// Connections.
    pub connections: usize,
}

/// What came out of one situation; medians over the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Which.
    pub situation: Situation,
    /// CPU time per request, in microseconds, store writes included.
    pub cpu_us: f64,
    /// The same, in times the bare proxy's.
    pub to_bare: f64,
    /// The same, in times Trunkline's as it usually is.
    pub to_usual: f64,
    /// From the start of the last process until it was ready.
    pub ready_after: Duration,
    /// Resident memory after the load, in bytes, of the first process.
    pub resident: u64,
}

/// Measures every situation for which there is what it needs.
pub async fn run(
    launcher: &mut Launcher,
    plan: Plan,
    around: &Around,
) -> anyhow::Result<Vec<Found>> {
    let provider = mock::start().await?;
    let bare = launcher.start(Subject::Bare, provider).await?;
    let bare = vec![bare.context("the bare proxy is a process")?];
    let mut stands = Vec::new();
    for situation in Situation::ALL {
        if !situation.has_all(around) {
            continue;
        }
        let running = launcher.start_in(situation, provider, around).await?;
        for replica in &running {
            quiet(&replica.process).await?;
        }
        stands.push((situation, running));
    }
    let mut rounds = Vec::new();
    for round in 0..=plan.rounds {
        let mut each = vec![cpu_us(launcher, &bare, Situation::Usual, plan).await?];
        for (situation, running) in &stands {
            each.push(cpu_us(launcher, running, *situation, plan).await?);
        }
        // The first round warms up.
        if round > 0 {
            rounds.push(each);
        }
    }
    let mut found = Vec::new();
    for (place, (situation, running)) in stands.iter().enumerate() {
        let (first, last) = running
            .first()
            .zip(running.last())
            .context("nothing runs")?;
        for replica in running {
            check_ledger(replica.port).await?;
        }
        let over = |of: fn(&[f64], usize) -> Option<f64>| {
            let values = rounds.iter().filter_map(|each| of(each, place + 1));
            median(values.collect()).context("no round was measured")
        };
        found.push(Found {
            situation: *situation,
            cpu_us: over(|each, at| each.get(at).copied())?,
            to_bare: over(|each, at| Some(each.get(at)? / each.first()?))?,
            to_usual: over(|each, at| Some(each.get(at)? / each.get(1)?))?,
            ready_after: last.ready_after,
            resident: first.process.resident()?,
        });
    }
    Ok(found)
}

/// CPU time per request under full load, of all processes together.
async fn cpu_us(
    launcher: &Launcher,
    running: &[Running],
    situation: Situation,
    plan: Plan,
) -> anyhow::Result<f64> {
    if matches!(situation, Situation::Replicas(_)) {
        // Who has rested has no share of what is shared; who begins with all its callers at once may be too busy to
        // hear of one in time.
        for replica in running {
            let aim = Aim {
                port: replica.port,
                ask: situation.ask(),
            };
            burst::run(aim, 1, Until::Answered(4)).await?;
        }
    }
    let before = cpu_time(running)?;
    let busy = task::keep_awake(launcher.pinning());
    let loads = running.iter().map(|replica| {
        let aim = Aim {
            port: replica.port,
            ask: situation.ask(),
        };
        let connections = plan.connections / running.len();
        burst::run(aim, connections, Until::Elapsed(plan.length))
    });
    let outcomes = try_join_all(loads).await?;
    drop(busy);
    let mut answered = 0;
    for outcome in outcomes {
        ensure!(
            outcome.failed == 0,
            "{}: {} answers failed, the first with: {}",
            situation.title(),
            outcome.failed,
            outcome.first_failure.unwrap_or_default(),
        );
        answered += outcome.answered;
    }
    for replica in running {
        quiet(&replica.process).await?;
    }
    let taken = cpu_time(running)?.saturating_sub(before);
    Ok(taken.as_secs_f64() * 1e6 / count(answered))
}

fn cpu_time(running: &[Running]) -> anyhow::Result<Duration> {
    running
        .iter()
        .map(|replica| replica.process.cpu_time())
        .sum()
}

/// Every attempt that was journaled has ended in the ledger.
async fn check_ledger(port: u16) -> anyhow::Result<()> {
    let (_, metrics) = probe::get(port, "/metrics").await?;
    let counted = |name: &str| -> anyhow::Result<u64> {
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .with_context(|| format!("/metrics has no {name}"))
    };
    let dispatched = counted("trunkline_ledger_dispatched")?;
    let captured = counted("trunkline_ledger_captured")?;
    ensure!(
        dispatched == captured,
        "{dispatched} attempts were sent and {captured} have ended"
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
