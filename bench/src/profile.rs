//! Where a subject's CPU time goes: stacks sampled by `perf` under the benchmark's own load.
//!
//! Needs Debian's `linux-perf` and the right to use it (root, or `kernel.perf_event_paranoid` ≤ 1). The
//! stacks are unwound by the tables that every Rust binary has, so the binary that is measured is the
//! binary that is profiled.

pub mod stack;
pub mod tally;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::load::burst::{self, Until};
use crate::load::steady::Rate;
use crate::load::{Aim, steady};
use crate::pinning::Pinning;
use crate::subject::{Launcher, Subject};
use crate::wire::{Ask, Content, Shape};
use crate::{mock, task};
use tally::Tally;

/// Samples per second: enough for a tenth of a microsecond per request, few enough not to disturb.
const FREQUENCY: &str = "997";
/// Bytes of stack that are kept with each sample; stacks of nested futures are deep.
const STACK: &str = "dwarf,24576";
/// What the load does before and after the sampling.
const MARGIN: Duration = Duration::from_secs(1);

/// What is profiled.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The process.
    pub subject: Subject,
    /// What is asked: paced answers at a steady rate, all others at full load.
    pub ask: Ask,
    /// How long samples are taken.
    pub length: Duration,
}

/// A profile, and what one answer costs in all.
pub struct Profile {
    /// Where the samples fell.
    pub tally: Tally,
    /// System calls per answer, the most frequent first; empty where the kernel does not let them be
    /// counted.
    pub calls: Vec<(String, f64)>,
    /// CPU time per answer while the load lasted.
    pub each: Duration,
}

/// Runs the load and takes the profile.
pub async fn run(launcher: &mut Launcher, plan: Plan) -> anyhow::Result<Profile> {
    let provider = mock::start().await?;
    let running = launcher.start(plan.subject, provider).await?;
    let running = running.context("the direct way has no process of its own")?;
    let process = &running.process;
    let pinning = launcher.pinning();
    let _busy = task::keep_awake(pinning);
    let aim = Aim {
        port: running.port,
        ask: plan.ask,
    };
    let length = plan.length + MARGIN * 2;
    // Pools fill and the store's file grows before anything is counted.
    load(aim, pinning, MARGIN).await?;
    let file = launcher.directory().join("perf.data");
    let recording = record(process.id(), plan.length, file.clone());
    let before = process.cpu_time()?;
    let (answered, recorded) = tokio::join!(load(aim, pinning, length), recording);
    let spent = process.cpu_time()?.saturating_sub(before);
    recorded?;
    let answered = u32::try_from(answered?)?;
    ensure!(answered > 0, "nothing was answered");
    let counting = count_calls(process.id(), plan.length);
    let (counted_answers, counts) = tokio::join!(load(aim, pinning, length), counting);
    let rate = f64::from(u32::try_from(counted_answers?)?) / length.as_secs_f64();
    let per_answer = |count: f64| count / plan.length.as_secs_f64() / rate;
    Ok(Profile {
        tally: read(&file)?,
        calls: stack::read_counts(&counts?)
            .into_iter()
            .map(|(name, count)| (name, per_answer(count)))
            .collect(),
        each: spent / answered,
    })
}

async fn load(aim: Aim, pinning: Pinning, length: Duration) -> anyhow::Result<u64> {
    let outcome = match aim.ask.shape {
        Shape::Whole | Shape::Delayed(_) | Shape::Stream => {
            let connections = match aim.ask.content {
                Content::Words | Content::Numbered | Content::Reworded => 64,
                Content::Picture => 4,
            };
            burst::run(aim, connections, Until::Elapsed(length)).await?
        }
        Shape::Paced(_) => {
            let rate = Rate {
                per_second: 400,
                length,
                connections: 128,
                pinning,
            };
            steady::run(aim, rate).await?
        }
    };
    ensure!(
        outcome.failed == 0,
        "{} answers failed, the first with: {}",
        outcome.failed,
        outcome.first_failure.unwrap_or_default()
    );
    Ok(outcome.answered)
}

async fn record(process: u32, length: Duration, file: PathBuf) -> anyhow::Result<()> {
    tokio::time::sleep(MARGIN).await;
    let status = tokio::process::Command::new("perf")
        .args(["record", "--event", "cpu-clock", "--freq", FREQUENCY])
        .args(["--call-graph", STACK, "--quiet"])
        .args(["--pid", &process.to_string(), "--output"])
        .arg(file)
        .args(["--", "sleep", &length.as_secs().to_string()])
        .kill_on_drop(true)
        .status()
        .await
        .context("perf does not start; Debian has it in the package linux-perf")?;
    ensure!(status.success(), "perf record: {status}");
    Ok(())
}

/// The kernel's own count of the process's system calls, as `perf stat` prints it; nothing where it may
/// not be read.
async fn count_calls(process: u32, length: Duration) -> anyhow::Result<String> {
    tokio::time::sleep(MARGIN).await;
    let output = tokio::process::Command::new("perf")
        .args([
            "stat",
            "--field-separator",
            ",",
            "--event",
            "syscalls:sys_enter_*",
        ])
        .args(["--pid", &process.to_string()])
        .args(["--", "sleep", &length.as_secs().to_string()])
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn read(file: &Path) -> anyhow::Result<Tally> {
    let output = Command::new("perf")
        .args(["script", "--fields", "comm,ip,sym", "--input"])
        .arg(file)
        .stderr(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "perf script: {}", output.status);
    Ok(Tally::of(stack::read(&String::from_utf8_lossy(
        &output.stdout,
    ))))
}
