//! A provider that a test scripts byte by byte, and that keeps what it was sent byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Its first line and its fields, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Scripted {
    /// Answers every request with these bytes, head included, and closes the connection.
    pub(crate) async fn answering(response: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&received);
        let response: Arc<[u8]> = response.into();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connections.spawn(answer(
                    connection,
                    Arc::clone(&record),
                    Arc::clone(&response),
                ));
            }
        });
        Self {
            address,
            received,
            _serving: serving,
        }
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The only request there was.
    pub(crate) fn only(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }
}

/// A head of status 200 for a body that ends with the connection.
pub(crate) fn head(content_type: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

/// A stream in pieces of `size` bytes, each a chunk of its own.
pub(crate) fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut response = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
        transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        .to_vec();
    for piece in body.chunks(size) {
        response.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        response.extend_from_slice(piece);
        response.extend_from_slice(b"\r\n");
    }
    response.extend_from_slice(b"0\r\n\r\n");
    response
}

async fn answer(mut connection: TcpStream, record: Arc<Mutex<Vec<Received>>>, response: Arc<[u8]>) {
    // A caller that goes away early is for the test to see, not for its provider to fail on.
    let Some(received) = read(&mut connection).await else {
        return;
    };
    record.lock().unwrap().push(received);
    if connection.write_all(&response).await.is_ok() {
        connection.shutdown().await.ok();
    }
}

async fn read(connection: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if connection.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&bytes[..end]).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        if bytes.len() >= end + 4 + length {
            return Some(Received {
                head,
                body: bytes[end + 4..].to_vec(),
            });
        }
    }
}
