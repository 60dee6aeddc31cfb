//! What a process shows that has just been started: how soon it is ready, and how much memory it takes.

use crate::compare::Plan;
use crate::figure::Figure;
use crate::figures::{Figures, count};
use crate::load::burst::{self, Until};
use crate::load::{Aim, hold};
use crate::stand::quiet;
use crate::subject::{Launcher, Running, Subject};
use crate::wire::{Ask, Format, Shape};

use anyhow::ensure;

/// Between the chunks of the streams that are held open: long enough to be idle.
const HELD_CHUNK_EVERY_MS: u64 = 10_000;
/// How long the mock waits before it answers: long enough for every request to arrive and wait with the others.
const WAIT_MS: u64 = 1_000;

/// Start-up time, idle memory, and memory with many streams open.
pub async fn with_streams(
    launcher: &mut Launcher,
    subject: Subject,
    provider: u16,
    plan: Plan,
    round: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let Some(Running {
        process,
        port,
        ready_after,
    }) = launcher.start(subject, provider).await?
    else {
        return Ok(());
    };
    let ready_after = ready_after.as_secs_f64() * 1_000.0;
    figures.note(Figure::StartUp, subject, round, ready_after);
    quiet(&process).await?;
    let idle = process.resident()?;
    let mebibytes = count(idle) / 1_024.0 / 1_024.0;
    figures.note(Figure::IdleMemory, subject, round, mebibytes);
    let ask = Ask::in_words(Format::Openai, Shape::Paced(HELD_CHUNK_EVERY_MS));
    let held = hold::open(Aim { port, ask }, plan.open_streams).await?;
    quiet(&process).await?;
    let open = process.resident()?;
    let each = count(open.saturating_sub(idle)) / count(held.len() as u64);
    figures.note(Figure::MemoryPerStream, subject, round, each / 1_024.0);
    Ok(())
}

/// The most memory that was resident while requests with pictures waited for their answers, in sizes of such
/// a body for each of them.
pub async fn with_pictures(
    launcher: &mut Launcher,
    subject: Subject,
    format: Format,
    provider: u16,
    waiting: usize,
) -> anyhow::Result<Option<f64>> {
    let Some(Running { process, port, .. }) = launcher.start(subject, provider).await? else {
        return Ok(None);
    };
    quiet(&process).await?;
    let idle = process.resident()?;
    let ask = Ask::about_a_picture(format, Shape::Delayed(WAIT_MS));
    let outcome = burst::run(Aim { port, ask }, waiting, Until::Answered(1)).await?;
    ensure!(
        outcome.failed == 0,
        "{} of {waiting} answers failed, the first with: {}",
        outcome.failed,
        outcome.first_failure.unwrap_or_default()
    );
    let peak = process.peak_resident()?;
    let bodies = count(ask.body().len() as u64) * count(waiting as u64);
    Ok(Some(count(peak.saturating_sub(idle)) / bodies))
}
