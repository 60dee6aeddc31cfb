//! As much as a fixed number of connections can carry: each sends its next request when it has its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;

use super::Aim;
use super::connection::Connection;
use super::outcome::{Outcome, Tally};

/// Asks over `connections` connections for `length`.
pub async fn run(aim: Aim, connections: usize, length: Duration) -> anyhow::Result<Outcome> {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections {
        opened.push(Connection::open(aim).await?);
    }
    let tally = Arc::new(Tally::begin()?);
    let until = tally.start() + length;
    let mut lanes = JoinSet::new();
    for connection in opened {
        lanes.spawn(repeat(aim, connection, until, Arc::clone(&tally)));
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Arc::into_inner(tally).context("a lane goes on")?.end()
}

async fn repeat(
    aim: Aim,
    mut connection: Connection,
    until: Instant,
    tally: Arc<Tally>,
) -> anyhow::Result<()> {
    loop {
        let sent = crate::clock::now();
        if sent >= until {
            return Ok(());
        }
        let answer = connection.ask().await;
        tally.note(sent, &answer);
        if answer.is_err() {
            connection = Connection::open(aim).await?;
        }
    }
}
