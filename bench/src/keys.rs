//! Very many keys, made as an operator makes them: one by one in the administration API.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections that make keys at the same time.
const LANES: usize = 32;

/// Makes `count` keys, each with a rate and a budget, at the process on `port`, whose data lie in `data`.
pub(crate) async fn make(port: u16, data: &Path, count: usize) -> anyhow::Result<()> {
    if count == 0 {
        return Ok(());
    }
    let file = data.join("admin.key");
    let admin = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let admin = admin.trim().to_owned();
        lanes.spawn(async move {
            let mut connection = BufReader::new(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?);
            for number in (lane..count).step_by(LANES) {
                let body = format!(
                    r#"{{"name":"key-{number}","models":["*"],"budget":{{"usd":100,"per":"month"}},"rate":{{"rpm":600}}}}"#
                );
                let status = post(&mut connection, &admin, &body).await?;
                ensure!(status == 201, "key {number} was not made: {status}");
            }
            Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

/// The status of the answer, whose body is read and not looked at.
async fn post(connection: &mut BufReader<TcpStream>, key: &str, body: &str) -> io::Result<u16> {
    let request = format!(
        "POST /api/v1/admin/keys HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await?;
    let (mut status, mut length) = (None, None);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            None => status = line.split(' ').nth(1).and_then(|code| code.parse().ok()),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok();
            }
            Some(_) => {}
        }
    }
    let (Some(status), Some(length)) = (status, length) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no answer of HTTP",
        ));
    };
    let mut answer = vec![0; length];
    connection.read_exact(&mut answer).await?;
    Ok(status)
}
