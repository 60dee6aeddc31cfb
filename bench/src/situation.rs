//! Trunkline in other situations than the usual one: with caches, with very many keys, with very many routes. The
//! same load, beside the bare proxy and beside Trunkline as it usually is, in the same rounds.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::figures::count;
use crate::load::Aim;
use crate::load::burst::{self, Until};
use crate::mock;
use crate::probe;
use crate::stand::quiet;
use crate::subject::{Launcher, Running, Subject};
use crate::task;
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
    /// A cache that knows none of the answers: it is asked in vain, and keeps each.
    Misses,
    /// A cache that knows the answer.
    Hits,
    /// A hundred thousand keys more, each with a rate and a budget.
    Keys,
    /// A thousand routes more.
    Routes,
}

impl Situation {
    /// Every situation, in the order of the report.
    pub const ALL: [Self; 5] = [
        Self::Usual,
        Self::Misses,
        Self::Hits,
        Self::Keys,
        Self::Routes,
    ];

    /// Its name for a reader.
    pub fn title(self) -> &'static str {
        match self {
            Self::Usual => "as usual",
            Self::Misses => "exact cache, misses",
            Self::Hits => "exact cache, hits",
            Self::Keys => "100,000 keys",
            Self::Routes => "1,000 routes",
        }
    }

    /// Its name for a program.
    pub fn key(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Misses => "cache_misses",
            Self::Hits => "cache_hits",
            Self::Keys => "keys",
            Self::Routes => "routes",
        }
    }

    /// Sections of the configuration beside the usual ones.
    pub(crate) fn sections(self) -> &'static str {
        match self {
            Self::Misses | Self::Hits => "cache: { exact: { ttl: 10m, max_bytes: 64MiB } }\n",
            Self::Usual | Self::Keys | Self::Routes => "",
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

    /// Keys beside the usual one.
    pub(crate) fn keys(self) -> String {
        let mut keys = String::new();
        if self == Self::Keys {
            for number in 0..KEYS {
                let written = writeln!(
                    keys,
                    "  - {{ name: key-{number}, key: bench-other-key-{number:08}, models: [\"*\"], \
                     budget: {{ usd: 100, per: month }}, rate: {{ rpm: 600 }} }}"
                );
                debug_assert!(written.is_ok());
            }
        }
        keys
    }

    fn ask(self) -> Ask {
        let usual = Ask::in_words(Format::Openai, Shape::Whole);
        match self {
            Self::Misses => Ask {
                content: Content::Numbered,
                ..usual
            },
            Self::Usual | Self::Hits | Self::Keys | Self::Routes => usual,
        }
    }
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
    /// From the start of the process until it was ready.
    pub ready_after: Duration,
    /// Resident memory after the load, in bytes.
    pub resident: u64,
}

/// Measures every situation.
pub async fn run(launcher: &mut Launcher, plan: Plan) -> anyhow::Result<Vec<Found>> {
    let provider = mock::start().await?;
    let bare = launcher.start(Subject::Bare, provider).await?;
    let bare = bare.context("the bare proxy is a process")?;
    let mut stands = Vec::new();
    for situation in Situation::ALL {
        let running = launcher.start_in(situation, provider).await?;
        quiet(&running.process).await?;
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
        check_ledger(running.port).await?;
        let over = |of: fn(&[f64], usize) -> Option<f64>| {
            let values = rounds.iter().filter_map(|each| of(each, place + 1));
            median(values.collect()).context("no round was measured")
        };
        found.push(Found {
            situation: *situation,
            cpu_us: over(|each, at| each.get(at).copied())?,
            to_bare: over(|each, at| Some(each.get(at)? / each.first()?))?,
            to_usual: over(|each, at| Some(each.get(at)? / each.get(1)?))?,
            ready_after: running.ready_after,
            resident: running.process.resident()?,
        });
    }
    Ok(found)
}

/// CPU time per request under full load.
async fn cpu_us(
    launcher: &Launcher,
    running: &Running,
    situation: Situation,
    plan: Plan,
) -> anyhow::Result<f64> {
    let aim = Aim {
        port: running.port,
        ask: situation.ask(),
    };
    let before = running.process.cpu_time()?;
    let busy = task::keep_awake(launcher.pinning());
    let outcome = burst::run(aim, plan.connections, Until::Elapsed(plan.length)).await?;
    drop(busy);
    ensure!(
        outcome.failed == 0,
        "{}: {} answers failed, the first with: {}",
        situation.title(),
        outcome.failed,
        outcome.first_failure.unwrap_or_default(),
    );
    quiet(&running.process).await?;
    let taken = running.process.cpu_time()?.saturating_sub(before);
    Ok(taken.as_secs_f64() * 1e6 / count(outcome.answered))
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
