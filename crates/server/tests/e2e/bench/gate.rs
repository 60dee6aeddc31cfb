//! A wire to a provider that a test can hold at one request.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It never reaches the provider.
    Request,
    /// The provider answers, and its answer never comes back.
    Answer,
}

/// Passes connections on to a provider, but for requests of one kind.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// How the line of a request begins that is held, and where.
    held: Option<(&'static str, Hold)>,
    /// How many were.
    count: u32,
}

impl Gate {
    /// Passes connections on to `target`.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = watch::Sender::new(State::default());
        let mut serving = JoinSet::new();
        let at_gate = state.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                connections.spawn(pass_on(connection, target, at_gate.clone()));
            }
        });
        Self {
            address,
            state,
            _serving: serving,
        }
    }

    /// Holds every request whose first line begins so.
    pub(crate) fn hold(&self, line: &'static str, hold: Hold) {
        let held = Some((line, hold));
        self.state.send_replace(State { held, count: 0 });
    }

    /// Lets everything pass again.
    pub(crate) fn open(&self) {
        self.state.send_replace(State::default());
    }

    /// Completes when a request is held, and where its answer is held, when that has come.
    pub(crate) async fn is_held(&self) {
        let mut state = self.state.subscribe();
        state.wait_for(|state| state.count > 0).await.unwrap();
    }
}

async fn pass_on(near: TcpStream, target: SocketAddr, gate: watch::Sender<State>) {
    let far = TcpStream::connect(target).await.unwrap();
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let is_silent = watch::Sender::new(false);
    let requests = async {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from_near.read(&mut piece).await {
            let held = gate.borrow().held;
            let held = held.filter(|(line, _)| piece[..length].starts_with(line.as_bytes()));
            match held {
                Some((_, Hold::Request)) => {
                    gate.send_modify(|state| state.count += 1);
                    std::future::pending::<()>().await;
                }
                Some((_, Hold::Answer)) => {
                    is_silent.send_replace(true);
                }
                None => {}
            }
            if to_far.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
    };
    let answers = async {
        let mut silent = is_silent.subscribe();
        let silence = async { silent.wait_for(|silent| *silent).await.map(|_| ()) };
        tokio::select! {
            biased;
            _ = silence => {
                // The answer is there when something of it is.
                let mut first = [0; 1];
                if matches!(from_far.read(&mut first).await, Ok(1..)) {
                    gate.send_modify(|state| state.count += 1);
                }
                std::future::pending::<()>().await;
            }
            // Either end may break the connection: that is what they are there to see.
            passed = copy(&mut from_far, &mut to_near) => drop(passed),
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}
