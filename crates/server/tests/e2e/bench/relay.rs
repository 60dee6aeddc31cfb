//! A wire that a test can cut, and hold.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It passes connections on.
    Whole,
    /// It keeps them and passes nothing on, as where somebody at its end is slow.
    Silent,
    /// It breaks them, and every new one.
    Cut,
}

/// Passes connections on as its wire does.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    wire: watch::Sender<Wire>,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

impl Relay {
    /// Passes connections on to `target`, a host and port.
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = target.to_owned();
        let (wire, state) = watch::channel(Wire::Whole);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connections.spawn(pass_on(connection, target.clone(), state.clone()));
            }
        });
        Self {
            address,
            wire,
            _serving: serving,
        }
    }

    pub(crate) fn cut(&self) {
        self.be(Wire::Cut);
    }

    pub(crate) fn mend(&self) {
        self.be(Wire::Whole);
    }

    pub(crate) fn be(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

async fn pass_on(mut near: TcpStream, target: String, mut state: watch::Receiver<Wire>) {
    if *state.borrow() == Wire::Cut {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    let mut passing = std::pin::pin!(copy_bidirectional(&mut near, &mut far));
    loop {
        let wire = *state.borrow_and_update();
        if wire == Wire::Cut {
            return;
        }
        tokio::select! {
            // Either end may break the connection: that is what they are there to see.
            passed = &mut passing, if wire == Wire::Whole => return drop(passed),
            changed = state.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
