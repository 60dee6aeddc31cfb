//! Many streams at once that stay open.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Aim;
use super::connection::Connection;
use super::question::Question;

/// How long the first byte of a stream may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A stream whose first chunk has come and that is kept open until it is dropped.
pub struct Held {
    _connection: Connection,
    _body: Incoming,
}

/// Opens `count` streams and waits until each has given its first byte.
pub async fn open(aim: Aim, count: usize) -> anyhow::Result<Vec<Held>> {
    let question = Arc::new(Question::of(aim)?);
    let mut held = Vec::with_capacity(count);
    for number in 1..=count {
        let mut connection = Connection::open(&question).await?;
        let body = timeout(PATIENCE, connection.begin()).await;
        let body = body.map_err(Into::into).flatten();
        let body = body.with_context(|| format!("stream {number} of {count}"))?;
        held.push(Held {
            _connection: connection,
            _body: body,
        });
    }
    Ok(held)
}
