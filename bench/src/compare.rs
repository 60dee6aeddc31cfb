//! The comparison: the same load through every subject in turn, again and again.

use std::time::Duration;

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;

use crate::figure::{Figure, Figures};
use crate::load::outcome::Outcome;
use crate::load::steady::Rate;
use crate::load::{Aim, burst, hold, steady};
use crate::pinning::Pinning;
use crate::probe;
use crate::process::Process;
use crate::subject::{Launcher, Running, Subject};
use crate::wire::Shape;
use crate::{mock, task};

/// How much is measured. Everything is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of load.
    pub rounds: usize,
    /// Rounds of start-up and memory.
    pub starts: usize,
    /// Length of each load.
    pub length: Duration,
    /// Connections at full load.
    pub connections: usize,
    /// The steady rate of whole answers, per second.
    pub requests_per_second: u32,
    /// The steady rate of streams, per second.
    pub streams_per_second: u32,
    /// Milliseconds between the chunks of those streams.
    pub chunk_every_ms: u64,
    /// Streams that are open at once when memory is measured.
    pub open_streams: usize,
}

/// Connections for a steady rate; far more than are busy at once, so that arrivals do not wait for one.
const STEADY_CONNECTIONS: usize = 128;
/// Between the chunks of the streams that are held open: long enough to be idle.
const HELD_CHUNK_EVERY_MS: u64 = 10_000;
/// The store has caught up when a process takes (almost) no CPU time for this long.
const QUIET: Duration = Duration::from_millis(500);
/// CPU time that background loops may take in [`QUIET`]: one tick of the kernel's clock.
const IDLE_CPU: Duration = Duration::from_millis(10);
/// How long a process may take to become quiet.
const PATIENCE: Duration = Duration::from_mins(1);

/// The order in which subjects take turns.
const TURNS: [Subject; 3] = [Subject::Direct, Subject::Bare, Subject::Trunkline];

/// What came out.
pub struct Comparison {
    /// Every value.
    pub figures: Figures,
    /// Why Trunkline's figures do not count, if they do not: its ledger misses calls.
    pub objection: Option<String>,
}

/// Runs the whole comparison.
pub async fn run(launcher: &mut Launcher, plan: Plan) -> anyhow::Result<Comparison> {
    let mut figures = Figures::default();
    let provider = mock::start().await?;
    for round in 0..plan.starts {
        for subject in [Subject::Bare, Subject::Trunkline] {
            measure_start(launcher, subject, provider, plan, round, &mut figures)
                .await
                .with_context(|| format!("start of {}", subject.name()))?;
        }
    }
    let mut stand = Stand {
        bare: launcher.start(Subject::Bare, provider).await?,
        trunkline: launcher.start(Subject::Trunkline, provider).await?,
        provider,
        pinning: launcher.pinning(),
        sent_to_trunkline: 0,
    };
    stand.warm_up(plan).await?;
    for round in 0..plan.rounds {
        stand
            .requests_at_full_load(plan, round, &mut figures)
            .await?;
        stand
            .requests_at_steady_rate(plan, round, &mut figures)
            .await?;
        stand
            .streams_at_full_load(plan, round, &mut figures)
            .await?;
        stand
            .streams_at_steady_rate(plan, round, &mut figures)
            .await?;
    }
    let objection = stand.check_ledger().await.err();
    Ok(Comparison {
        figures,
        objection: objection.map(|error| format!("{error:#}")),
    })
}

/// Start-up time, idle memory, and memory with many streams open, all of a fresh process.
async fn measure_start(
    launcher: &mut Launcher,
    subject: Subject,
    provider: u16,
    plan: Plan,
    round: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let Some(running) = launcher.start(subject, provider).await? else {
        return Ok(());
    };
    let process = &running.process;
    figures.note(
        Figure::StartUp,
        subject,
        round,
        milliseconds(running.ready_after),
    );
    quiet(process).await?;
    let idle = process.resident()?;
    figures.note(Figure::IdleMemory, subject, round, mebibytes(idle));
    let aim = Aim {
        port: running.port,
        shape: Shape::Paced(HELD_CHUNK_EVERY_MS),
    };
    let held = hold::open(aim, plan.open_streams).await?;
    quiet(process).await?;
    let open = process.resident()?;
    let per_stream = kibibytes(open.saturating_sub(idle)) / count(held.len() as u64);
    figures.note(Figure::MemoryPerStream, subject, round, per_stream);
    Ok(())
}

/// Everything that runs during the rounds.
struct Stand {
    provider: u16,
    bare: Option<Running>,
    trunkline: Option<Running>,
    pinning: Pinning,
    sent_to_trunkline: u64,
}

/// A load's outcome, and the CPU time that it cost its subject.
struct Loaded {
    outcome: Outcome,
    /// While the load lasted.
    during: Option<Duration>,
    /// Until the subject had done everything that the load left it to do.
    total: Option<Duration>,
}

impl Stand {
    async fn warm_up(&mut self, plan: Plan) -> anyhow::Result<()> {
        for shape in [Shape::Whole, Shape::Stream] {
            for subject in TURNS {
                self.at_full_load(plan, subject, shape).await?;
            }
        }
        Ok(())
    }

    async fn requests_at_full_load(
        &mut self,
        plan: Plan,
        round: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        for subject in TURNS {
            let loaded = self.at_full_load(plan, subject, Shape::Whole).await?;
            figures.note(
                Figure::RequestsPerSecond,
                subject,
                round,
                loaded.outcome.rate(),
            );
            if let Some(during) = loaded.during {
                let share = during.as_secs_f64() / loaded.outcome.took.as_secs_f64();
                figures.note(Figure::CoreShare, subject, round, share * 100.0);
            }
            loaded.note_cpu(Figure::CpuPerRequest, subject, round, figures);
        }
        Ok(())
    }

    async fn requests_at_steady_rate(
        &mut self,
        plan: Plan,
        round: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let rate = self.rate(plan, plan.requests_per_second);
        let mut direct = None;
        for subject in TURNS {
            let loaded = self.at_steady_rate(rate, subject, Shape::Whole).await?;
            let latency = &loaded.outcome.latency;
            let (p50, p99) = (microseconds(latency, 50.0), microseconds(latency, 99.0));
            figures.note(Figure::LatencyP50, subject, round, p50);
            figures.note(Figure::LatencyP99, subject, round, p99);
            let (direct_p50, direct_p99) = *direct.get_or_insert((p50, p99));
            if subject != Subject::Direct {
                figures.note(Figure::AddedP50, subject, round, p50 - direct_p50);
                figures.note(Figure::AddedP99, subject, round, p99 - direct_p99);
            }
            loaded.note_cpu(Figure::CpuPerSteadyRequest, subject, round, figures);
        }
        Ok(())
    }

    async fn streams_at_full_load(
        &mut self,
        plan: Plan,
        round: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        for subject in TURNS {
            let loaded = self.at_full_load(plan, subject, Shape::Stream).await?;
            figures.note(
                Figure::StreamsPerSecond,
                subject,
                round,
                loaded.outcome.rate(),
            );
            loaded.note_cpu(Figure::CpuPerStream, subject, round, figures);
        }
        Ok(())
    }

    async fn streams_at_steady_rate(
        &mut self,
        plan: Plan,
        round: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let rate = self.rate(plan, plan.streams_per_second);
        let shape = Shape::Paced(plan.chunk_every_ms);
        let mut direct = None;
        for subject in TURNS {
            let loaded = self.at_steady_rate(rate, subject, shape).await?;
            let first_byte = &loaded.outcome.first_byte;
            let (p50, p99) = (
                microseconds(first_byte, 50.0),
                microseconds(first_byte, 99.0),
            );
            let (direct_p50, direct_p99) = *direct.get_or_insert((p50, p99));
            if subject != Subject::Direct {
                figures.note(Figure::FirstByteP50, subject, round, p50 - direct_p50);
                figures.note(Figure::FirstByteP99, subject, round, p99 - direct_p99);
            }
            loaded.note_cpu(Figure::CpuPerPacedStream, subject, round, figures);
        }
        Ok(())
    }

    async fn at_full_load(
        &mut self,
        plan: Plan,
        subject: Subject,
        shape: Shape,
    ) -> anyhow::Result<Loaded> {
        let aim = self.aim(subject, shape);
        let before = self.cpu_time(subject)?;
        let busy = task::keep_awake(self.pinning);
        let outcome = burst::run(aim, plan.connections, plan.length).await?;
        drop(busy);
        self.loaded(subject, before, outcome).await
    }

    async fn at_steady_rate(
        &mut self,
        rate: Rate,
        subject: Subject,
        shape: Shape,
    ) -> anyhow::Result<Loaded> {
        let aim = self.aim(subject, shape);
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

    fn rate(&self, plan: Plan, per_second: u32) -> Rate {
        Rate {
            per_second,
            length: plan.length,
            connections: STEADY_CONNECTIONS,
            pinning: self.pinning,
        }
    }

    fn running(&self, subject: Subject) -> Option<&Running> {
        match subject {
            Subject::Direct => None,
            Subject::Bare => self.bare.as_ref(),
            Subject::Trunkline => self.trunkline.as_ref(),
        }
    }

    fn aim(&self, subject: Subject, shape: Shape) -> Aim {
        let port = self
            .running(subject)
            .map_or(self.provider, |running| running.port);
        Aim { port, shape }
    }

    fn cpu_time(&self, subject: Subject) -> anyhow::Result<Option<Duration>> {
        self.running(subject)
            .map(|running| running.process.cpu_time())
            .transpose()
    }

    /// Every call that was answered was journaled before it was sent and has ended in the ledger; a
    /// figure that was won by leaving something out would not count.
    async fn check_ledger(&self) -> anyhow::Result<()> {
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
    fn note_cpu(&self, figure: Figure, subject: Subject, round: usize, figures: &mut Figures) {
        if let Some(total) = self.total {
            let each = total.as_secs_f64() * 1e6 / count(self.outcome.answered);
            figures.note(figure, subject, round, each);
        }
    }
}

/// Waits until a process has done everything that it was left to do.
async fn quiet(process: &Process) -> anyhow::Result<()> {
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

fn microseconds(nanoseconds: &Histogram<u64>, percentile: f64) -> f64 {
    count(nanoseconds.value_at_percentile(percentile)) / 1_000.0
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn kibibytes(bytes: u64) -> f64 {
    count(bytes) / 1_024.0
}

fn mebibytes(bytes: u64) -> f64 {
    kibibytes(bytes) / 1_024.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "measured values are far below 2^52"
)]
fn count(value: u64) -> f64 {
    value as f64
}
