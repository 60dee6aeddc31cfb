//! The subjects that run during the rounds, and what a load does to them.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::figure::Figure;
use crate::figures::{Figures, count};
use crate::load::Aim;
use crate::load::burst::{self, Until};
use crate::load::outcome::Outcome;
use crate::load::steady::{self, Rate};
use crate::pinning::Pinning;
use crate::process::Process;
use crate::subject::{Launcher, Running, Subject};
use crate::wire::Ask;
use crate::{probe, task};

/// The store has caught up when a process takes (almost) no CPU time for this long.
const QUIET: Duration = Duration::from_millis(500);
/// CPU time that background loops may take in [`QUIET`]: one tick of the kernel's clock.
const IDLE_CPU: Duration = Duration::from_millis(10);
/// How long a process may take to become quiet.
const PATIENCE: Duration = Duration::from_mins(1);
/// Connections for a steady rate; far more than are busy at once, so that arrivals do not wait for one.
const STEADY_CONNECTIONS: usize = 128;

/// Everything that runs during the rounds.
pub struct Stand {
    provider: u16,
    bare: Option<Running>,
    trunkline: Option<Running>,
    pinning: Pinning,
    sent_to_trunkline: u64,
}

/// A load's outcome, and the CPU time that it cost its subject.
pub struct Loaded {
    /// What came back.
    pub outcome: Outcome,
    /// CPU time while the load lasted.
    pub during: Option<Duration>,
    /// CPU time until the subject had done everything that the load left it to do.
    total: Option<Duration>,
}

impl Stand {
    /// Starts the proxies before the mock provider at `provider`.
    pub async fn build(launcher: &mut Launcher, provider: u16) -> anyhow::Result<Self> {
        Ok(Self {
            bare: launcher.start(Subject::Bare, provider).await?,
            trunkline: launcher.start(Subject::Trunkline, provider).await?,
            provider,
            pinning: launcher.pinning(),
            sent_to_trunkline: 0,
        })
    }

    /// Asks as fast as `connections` connections can.
    pub async fn at_full_load(
        &mut self,
        connections: usize,
        until: Until,
        subject: Subject,
        ask: Ask,
    ) -> anyhow::Result<Loaded> {
        let aim = self.aim(subject, ask);
        let before = self.cpu_time(subject)?;
        let busy = task::keep_awake(self.pinning);
        let outcome = burst::run(aim, connections, until).await?;
        drop(busy);
        self.loaded(subject, before, outcome).await
    }

    /// Asks `per_second` times a second for as long as `length`.
    pub async fn at_steady_rate(
        &mut self,
        per_second: u32,
        length: Duration,
        subject: Subject,
        ask: Ask,
    ) -> anyhow::Result<Loaded> {
        let aim = self.aim(subject, ask);
        let rate = Rate {
            per_second,
            length,
            connections: STEADY_CONNECTIONS,
            pinning: self.pinning,
        };
        let before = self.cpu_time(subject)?;
        let busy = task::keep_awake(self.pinning);
        let outcome = steady::run(aim, rate).await?;
        drop(busy);
        self.loaded(subject, before, outcome).await
    }

    async fn loaded(
        &mut self,
        subject: Subject,
        before: Option<Duration>,
        outcome: Outcome,
    ) -> anyhow::Result<Loaded> {
        ensure!(
            outcome.failed == 0,
            "{} of {} answers through {} failed, the first with: {}",
            outcome.failed,
            outcome.failed + outcome.answered,
            subject.name(),
            outcome.first_failure.unwrap_or_default(),
        );
        if subject == Subject::Trunkline {
            self.sent_to_trunkline += outcome.answered;
        }
        let since = |now: Option<Duration>| Some(now?.saturating_sub(before?));
        let during = since(self.cpu_time(subject)?);
        if let Some(running) = self.running(subject) {
            quiet(&running.process).await?;
        }
        let total = since(self.cpu_time(subject)?);
        Ok(Loaded {
            outcome,
            during,
            total,
        })
    }

    fn running(&self, subject: Subject) -> Option<&Running> {
        match subject {
            Subject::Direct => None,
            Subject::Bare => self.bare.as_ref(),
            Subject::Trunkline => self.trunkline.as_ref(),
        }
    }

    fn aim(&self, subject: Subject, ask: Ask) -> Aim {
        let port = self
            .running(subject)
            .map_or(self.provider, |running| running.port);
        Aim { port, ask }
    }

    fn cpu_time(&self, subject: Subject) -> anyhow::Result<Option<Duration>> {
        self.running(subject)
            .map(|running| running.process.cpu_time())
            .transpose()
    }

    /// Every call that was answered was journaled before it was sent and has ended in the ledger; a
    /// figure that was won by leaving something out would not count.
    pub async fn check_ledger(&self) -> anyhow::Result<()> {
        let Some(running) = self.running(Subject::Trunkline) else {
            return Ok(());
        };
        let (_, metrics) = probe::get(running.port, "/metrics").await?;
        for name in ["trunkline_ledger_dispatched", "trunkline_ledger_captured"] {
            let counted = metrics
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok())
                .with_context(|| format!("/metrics has no {name}"))?;
            ensure!(
                counted == self.sent_to_trunkline,
                "{name} is {counted}, but {} requests were answered",
                self.sent_to_trunkline
            );
        }
        Ok(())
    }
}

impl Loaded {
    /// Notes the CPU time per answer, in microseconds.
    pub fn note_cpu(&self, figure: Figure, subject: Subject, round: usize, figures: &mut Figures) {
        if let Some(total) = self.total {
            let each = total.as_secs_f64() * 1e6 / count(self.outcome.answered);
            figures.note(figure, subject, round, each);
        }
    }
}

/// Waits until a process has done everything that it was left to do.
pub async fn quiet(process: &Process) -> anyhow::Result<()> {
    let start = crate::clock::now();
    let mut before = process.cpu_time()?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = process.cpu_time()?;
        if now.saturating_sub(before) <= IDLE_CPU {
            return Ok(());
        }
        ensure!(
            crate::clock::now() - start < PATIENCE,
            "the process is still busy after {PATIENCE:?}"
        );
        before = now;
    }
}
