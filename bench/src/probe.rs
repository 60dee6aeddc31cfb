//! Plain questions to a server on loopback, outside of any measurement.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::Process;

/// How long a process may take to become ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// The status and body of a `GET`.
pub async fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    match (status, body) {
        (Some(status), Some(body)) => Ok((status, body.to_owned())),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, answer)),
    }
}

/// Waits until the process answers `GET /readyz` with 200, and says when it did.
pub async fn until_ready(process: &mut Process, port: u16) -> anyhow::Result<Instant> {
    let start = crate::clock::now();
    loop {
        if let Ok((200, _)) = get(port, "/readyz").await {
            return Ok(crate::clock::now());
        }
        process.check()?;
        if crate::clock::now() - start > PATIENCE {
            bail!("not ready after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
