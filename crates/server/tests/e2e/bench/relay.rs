//! A wire that a test can cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes connections on, until it is cut; then it breaks them, and every new one.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    whole: watch::Sender<bool>,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

impl Relay {
    /// Passes connections on to `target`, a host and port.
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = target.to_owned();
        let (whole, state) = watch::channel(true);
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
            whole,
            _serving: serving,
        }
    }

    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn pass_on(mut near: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    if !*state.borrow() {
        return;
    }
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        // Either end may break the connection: that is what they are there to see.
        passed = copy_bidirectional(&mut near, &mut far) => drop(passed),
        cut = state.wait_for(|whole| !whole) => drop(cut.map(|_| ())),
    }
}
