//! Sockets whose other end a test holds.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use domain::egress::{EgressError, Outbound};
use domain::socket::{Connected, Message, Socket, SocketEgress, SocketError};
use futures_util::{sink, stream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// The other end of a socket.
pub(crate) struct FarEnd {
    say: UnboundedSender<Result<Message, SocketError>>,
    heard: UnboundedReceiver<Message>,
}

/// A socket and its other end.
pub(crate) fn line() -> (Socket, FarEnd) {
    let (say, incoming) = mpsc::unbounded_channel();
    let (outgoing, heard) = mpsc::unbounded_channel();
    let incoming = stream::unfold(incoming, |mut incoming| async {
        Some((incoming.recv().await?, incoming))
    });
    let outgoing = sink::unfold(
        outgoing,
        |outgoing: UnboundedSender<Message>, message| async {
            let gone = |_| SocketError::Broken("nobody listens".to_owned());
            outgoing.send(message).map_err(gone)?;
            Ok(outgoing)
        },
    );
    let socket = Socket {
        incoming: Box::pin(incoming),
        outgoing: Box::pin(outgoing),
    };
    (socket, FarEnd { say, heard })
}

impl FarEnd {
    pub(crate) fn say(&self, text: &str) {
        self.send(Ok(Message::Text(text.to_owned())));
    }

    pub(crate) fn send(&self, message: Result<Message, SocketError>) {
        // Whoever does not listen any more need not be told.
        self.say.send(message).ok();
    }

    /// The next text that comes, but for pings.
    pub(crate) async fn hear(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    /// The next message that comes, but for pings.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            match self.heard.recv().await.expect("the line is cut") {
                Message::Ping => {}
                message => return message,
            }
        }
    }
}

/// Connects with what a test has prepared, in order.
#[derive(Default)]
pub(crate) struct Lines {
    prepared: Mutex<VecDeque<Result<Connected, EgressError>>>,
    pub(crate) asked: Mutex<Vec<Outbound>>,
}

impl Lines {
    pub(crate) fn prepare(&self, next: Result<Connected, EgressError>) {
        self.prepared.lock().unwrap().push_back(next);
    }
}

#[async_trait]
impl SocketEgress for Lines {
    async fn connect(&self, outbound: Outbound, _: usize) -> Result<Connected, EgressError> {
        self.asked.lock().unwrap().push(outbound);
        let mut prepared = self.prepared.lock().unwrap();
        prepared.pop_front().expect("a handshake beyond the script")
    }
}
