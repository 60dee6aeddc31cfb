//! As much as a fixed number of connections can carry: each sends its next request when it has its answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;

use super::Aim;
use super::connection::Connection;
use super::outcome::{Outcome, Tally};
use super::question::Question;

/// When a load is over.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// No request begins after so long.
    Elapsed(Duration),
    /// Every connection has had so many answers.
    Answered(usize),
}

/// Asks over `connections` connections.
pub async fn run(aim: Aim, connections: usize, until: Until) -> anyhow::Result<Outcome> {
    let question = Arc::new(Question::of(aim)?);
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(&question).await?);
    }
    let tally = Arc::new(Tally::begin()?);
    let mut lanes = JoinSet::new();
    for connection in opened {
        let question = Arc::clone(&question);
        lanes.spawn(repeat(question, connection, until, Arc::clone(&tally)));
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Arc::into_inner(tally).context("a lane goes on")?.end()
}

async fn repeat(
    question: Arc<Question>,
    mut connection: Connection,
    until: Until,
    tally: Arc<Tally>,
) -> anyhow::Result<()> {
    let mut asked = 0;
    loop {
        let sent = crate::clock::now();
        let is_over = match until {
            Until::Elapsed(length) => sent >= tally.start() + length,
            Until::Answered(count) => asked >= count,
        };
        if is_over {
            return Ok(());
        }
        asked += 1;
        let answer = connection.ask().await;
        tally.note(sent, &answer);
        if answer.is_err() {
            connection = Connection::open(&question).await?;
        }
    }
}
