//! A steady rate, whatever the answers do: requests become due by the clock, and latency counts from the
//! moment a request was due, not from the moment it could be sent. A subject that stalls therefore pays
//! for every request that had to wait (no coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::Aim;
use super::connection::Connection;
use super::outcome::{Outcome, Tally};
use super::question::Question;
use crate::pinning::Pinning;

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Requests per second.
    pub per_second: u32,
    /// For how long.
    pub length: Duration,
    /// Over how many connections; more than are ever busy at once.
    pub connections: usize,
    /// Whether the load has a core of its own.
    pub pinning: Pinning,
}

/// Asks at a steady rate. The number of requests is bounded by the rate and the length.
pub async fn run(aim: Aim, rate: Rate) -> anyhow::Result<Outcome> {
    let (due_sender, due) = unbounded_channel();
    let due = Arc::new(Mutex::new(due));
    let question = Arc::new(Question::of(aim)?);
    let mut opened = Vec::with_capacity(rate.connections);
    for _ in 0..rate.connections {
        opened.push(Connection::open(&question).await?);
    }
    let tally = Arc::new(Tally::begin()?);
    let mut lanes = JoinSet::new();
    for connection in opened {
        let (question, due) = (Arc::clone(&question), Arc::clone(&due));
        lanes.spawn(serve(question, connection, due, Arc::clone(&tally)));
    }
    let start = tally.start();
    pace(start, rate, &due_sender).await;
    drop(due_sender);
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Arc::into_inner(tally).context("a lane goes on")?.end()
}

/// Says when each request is due. With a core of its own it watches the clock; the runtime's timer, which
/// counts in milliseconds, must do where that would take the subject's time.
async fn pace(start: Instant, rate: Rate, due_sender: &UnboundedSender<Instant>) {
    let interval = Duration::from_secs(1) / rate.per_second;
    let mut due = start;
    while due < start + rate.length {
        if crate::clock::now() >= due {
            if due_sender.send(due).is_err() {
                return;
            }
            due += interval;
        } else if rate.pinning == Pinning::Apart {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep_until(due.into()).await;
        }
    }
}

async fn serve(
    question: Arc<Question>,
    mut connection: Connection,
    due: Arc<Mutex<UnboundedReceiver<Instant>>>,
    tally: Arc<Tally>,
) -> anyhow::Result<()> {
    loop {
        let next = due.lock().await.recv().await;
        let Some(due) = next else {
            return Ok(());
        };
        let answer = connection.ask().await;
        tally.note(due, &answer);
        if answer.is_err() {
            connection = Connection::open(&question).await?;
        }
    }
}
