//! The simulated provider on a real socket.

use crate::{Sim, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// A provider being served, and how to stop it.
struct Served {
    sim: Sim,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinSet<std::io::Result<()>>,
}

async fn served() -> Served {
    let sim = Sim::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = JoinSet::new();
    server.spawn(serve(sim.clone(), listener, async move {
        stopped.await.unwrap_or_default();
    }));
    Served {
        sim,
        address,
        stop,
        server,
    }
}

impl Served {
    /// Sends a chat request over HTTP/1.1.
    async fn ask(&self, text: &str, streamed: bool) -> TcpStream {
        let body = json!({"model": "gpt", "stream": streamed, "messages": [{"role": "user", "content": text}]}).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer k\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(&self, text: &str, streamed: bool) -> String {
        let mut answer = Vec::new();
        let mut stream = self.ask(text, streamed).await;
        // A connection that breaks on purpose is an error here, after the bytes before it.
        stream.read_to_end(&mut answer).await.ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn until_completed_is(&self, count: usize) {
        while self
            .sim
            .calls()
            .iter()
            .filter(|call| call.completed)
            .count()
            != count
        {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn answers_travel_whole_streamed_and_broken() {
    let served = served().await;
    let whole = served.answer("hello", false).await;
    assert!(
        whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.contains("content-length: "),
        "{whole}"
    );
    assert!(whole.ends_with('}') && whole.contains("You said: hello"));
    let streamed = served.answer("hello", true).await;
    assert!(
        streamed.contains("transfer-encoding: chunked")
            && streamed.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"),
        "{streamed}"
    );
    let broken = served.answer("hello [[sim cut=2]]", true).await;
    assert!(
        !broken.ends_with("0\r\n\r\n") && broken.matches("data: ").count() == 2,
        "{broken}"
    );
    served.until_completed_is(2).await;
    served.stop.send(()).unwrap();
    let mut tasks = served.server;
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_that_closes_its_connection_cancels_its_call() {
    let served = served().await;
    let mut stream = served.ask("hello [[sim hang=body]]", true).await;
    let mut some = [0; 64];
    assert!(stream.read(&mut some).await.unwrap() > 0);
    drop(stream);
    served.answer("after", false).await;
    served.until_completed_is(1).await;
    assert!(!served.sim.calls()[0].completed);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_what_hangs_on_purpose() {
    let served = served().await;
    let mut stream = served.ask("hello [[sim hang=body]]", true).await;
    let mut some = [0; 64];
    assert!(stream.read(&mut some).await.unwrap() > 0);
    served.stop.send(()).unwrap();
    let mut tasks = served.server;
    tasks.join_next().await.unwrap().unwrap().unwrap();
}
