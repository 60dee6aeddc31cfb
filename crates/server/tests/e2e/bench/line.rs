//! A WebSocket of a caller.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::wait::soon;

pub(crate) struct Line {
    stream: WebSocketStream<TcpStream>,
}

/// How a conversation ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hung {
    /// In order, with this code.
    Closed(u16),
    /// The connection broke.
    Broken,
}

impl Line {
    /// Connects; what refuses the handshake is its status and body.
    pub(crate) async fn connect(
        address: SocketAddr,
        path: &str,
        fields: &[(&'static str, &str)],
    ) -> Result<Self, (u16, Value)> {
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let connection = TcpStream::connect(address).await.unwrap();
        let shaken = soon(
            "the handshake",
            tokio_tungstenite::client_async(request, connection),
        );
        match shaken.await {
            Ok((stream, _)) => Ok(Self { stream }),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                Err((response.status().as_u16(), body))
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn say(&mut self, event: &Value) {
        self.say_text(&event.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }

    /// The next event, or how the conversation ended.
    pub(crate) async fn next(&mut self) -> Result<Value, Hung> {
        loop {
            return match soon("the next message", self.stream.next()).await {
                Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    Err(Hung::Closed(frame.map_or(1005, |frame| frame.code.into())))
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Err(Hung::Broken),
            };
        }
    }

    /// The next event of this type; what comes before is passed over, unless it is an error.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await.unwrap();
            if event["type"] == kind {
                return event;
            }
            assert_ne!(event["type"], "error", "{event}");
        }
    }

    /// How the conversation ends, whatever comes before.
    pub(crate) async fn end(&mut self) -> Hung {
        loop {
            if let Err(hung) = self.next().await {
                return hung;
            }
        }
    }

    /// Ends the conversation in order.
    pub(crate) async fn hang_up(mut self) {
        self.stream.close(None).await.unwrap();
        while let Ok(_) | Err(Hung::Closed(_)) = self.next().await {}
    }
}
