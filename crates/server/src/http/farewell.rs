//! How open connections come to an end when the process stops, so that no request is lost.
//!
//! A client keeps its connections and asks again on them. Who asks on one that is closed in that moment cannot know
//! whether it was heard, and most clients give up then. HTTP/1.1 has no word for it but `Connection: close` on an
//! answer: so a connection waits for its next request as long as its clients still ask on others, and what has come
//! when it is closed is read before. HTTP/2 says it itself (`GOAWAY`, <https://www.rfc-editor.org/rfc/rfc9113#section-6.8>).

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;

/// For how long nothing was asked on any of the connections when those are closed on which nothing is under way.
const QUIET: Duration = Duration::from_millis(500);

/// Tells connections that it is time to go, once nobody asks on them any more.
#[derive(Default)]
pub struct Farewell {
    /// How much was asked over HTTP/1.1 since it was time to stop.
    asked: AtomicU64,
    is_over: watch::Sender<bool>,
}

impl Farewell {
    /// A request has come whose answer will be the last on its connection.
    pub fn asked(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Completes when nothing was asked for half a second, at the latest after `most`. Every request ends its
    /// connection, and new ones are not taken: so it comes.
    pub async fn quiet(&self, most: Duration) {
        let silence = self.silence(async || tokio::time::sleep(QUIET).await);
        if tokio::time::timeout(most.max(QUIET), silence)
            .await
            .is_err()
        {
            tracing::warn!("clients still ask on connections that are closed now");
        }
    }

    /// Completes after the first `pause` in which nothing was asked.
    async fn silence(&self, mut pause: impl AsyncFnMut()) {
        loop {
            let before = self.asked.load(Ordering::Relaxed);
            pause().await;
            if self.asked.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// Closes every connection, where something is under way when that is answered.
    pub fn say(&self) {
        self.is_over.send_replace(true);
    }

    /// A connection that is to be told.
    pub fn guest(&self) -> Guest {
        Guest(self.is_over.subscribe())
    }
}

/// A connection that is told when it is time to go.
pub struct Guest(watch::Receiver<bool>);

impl Guest {
    /// Drives `connection` to its end, which comes when its client leaves, or after [`Farewell::say`].
    pub async fn drive<C: GracefulConnection>(mut self, connection: C) -> C::Output {
        let mut connection = pin!(connection);
        if let Some(ended) = self.unless_over(&mut connection).await {
            return ended;
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }

    /// What `awaited` gives; `None` where it is time to go before.
    pub async fn unless_over<T>(&mut self, awaited: impl Future<Output = T>) -> Option<T> {
        let mut awaited = pin!(awaited);
        tokio::select! {
            biased;
            given = &mut awaited => return Some(given),
            _ = self.0.wait_for(|is_over| *is_over) => {}
        }
        // What the kernel has taken, and this process has not seen yet, was in time. The runtime looks for it
        // before it goes on with who yields.
        tokio::select! {
            biased;
            given = &mut awaited => Some(given),
            () = tokio::task::yield_now() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use http::{Request, Response};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use hyper_util::server::conn::auto::Builder;
    use tokio::net::TcpListener;
    use tokio::task::{JoinHandle, spawn_blocking};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";

    /// A client's end of a connection, and the task that serves it.
    async fn connection(farewell: &Farewell) -> (TcpStream, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let service = service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new("heard".to_owned()))
        });
        let connection = Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let driven = farewell.guest().drive(connection);
        #[expect(
            clippy::disallowed_methods,
            reason = "the connection is driven while its client waits"
        )]
        let served = tokio::spawn(async move { drop(driven.await) });
        (client, served)
    }

    /// What comes at the client until it is `enough`, or the connection is closed.
    async fn read(client: &TcpStream, enough: &'static str) -> String {
        let mut client = client.try_clone().unwrap();
        let read = spawn_blocking(move || {
            let mut text = String::new();
            let mut bytes = [0; 1024];
            while !text.contains(enough) {
                let count = client.read(&mut bytes).unwrap();
                if count == 0 {
                    break;
                }
                text.push_str(str::from_utf8(&bytes[..count]).unwrap());
            }
            text
        });
        read.await.unwrap()
    }

    #[tokio::test]
    async fn a_request_that_has_come_when_its_connection_is_closed_is_answered() {
        let farewell = Farewell::default();
        let (mut client, served) = connection(&farewell).await;
        client.write_all(REQUEST).unwrap();
        assert!(read(&client, "heard").await.contains("200 OK"));
        // The kernel has it, and nobody else has: nothing is awaited in between.
        client.write_all(REQUEST).unwrap();
        farewell.say();
        let answer = read(&client, "heard").await;
        assert!(answer.contains("200 OK"), "{answer}");
        served.await.unwrap();
    }

    #[tokio::test]
    async fn the_first_request_of_a_connection_that_is_closed_is_answered() {
        let farewell = Farewell::default();
        let (mut client, served) = connection(&farewell).await;
        client.write_all(REQUEST).unwrap();
        farewell.say();
        assert!(read(&client, "heard").await.contains("200 OK"));
        served.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_is_asked_is_closed_in_the_end() {
        let farewell = Farewell::default();
        let (mut client, served) = connection(&farewell).await;
        client.write_all(REQUEST).unwrap();
        read(&client, "heard").await;
        farewell.say();
        served.await.unwrap();
        assert_eq!(read(&client, "anything").await, "");
    }

    #[tokio::test]
    async fn nobody_is_closed_while_others_still_ask() {
        let farewell = Farewell::default();
        let mut pauses = 0;
        let pause = async || {
            pauses += 1;
            if pauses < 9 {
                farewell.asked();
            }
        };
        farewell.silence(pause).await;
        assert_eq!(pauses, 9);
    }
}
