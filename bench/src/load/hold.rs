//! Many streams at once that stay open.

use anyhow::Context;
use hyper::body::Incoming;

use super::Aim;
use super::connection::Connection;

/// A stream whose first chunk has come and that is kept open until it is dropped.
pub struct Held {
    _connection: Connection,
    _body: Incoming,
}

/// Opens `count` streams and waits until each has given its first byte.
pub async fn open(aim: Aim, count: usize) -> anyhow::Result<Vec<Held>> {
    let mut held = Vec::with_capacity(count);
    for number in 1..=count {
        let mut connection = Connection::open(aim).await?;
        let body = connection.begin().await;
        let body = body.with_context(|| format!("stream {number} of {count}"))?;
        held.push(Held {
            _connection: connection,
            _body: body,
        });
    }
    Ok(held)
}
