//! The simulated provider on a port of its own, with its record of calls within reach.

use std::net::SocketAddr;

use sim::{Sim, SimCall};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::wait::eventually;

pub(crate) struct Simulated {
    pub(crate) address: SocketAddr,
    sim: Sim,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

impl Simulated {
    pub(crate) async fn start() -> Self {
        Self::of(Sim::default()).await
    }

    /// At whom it is as late as it is, for requests that are signed.
    #[expect(
        clippy::disallowed_methods,
        reason = "the process under test has no clock but the machine's"
    )]
    pub(crate) async fn start_now() -> Self {
        let now = || u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
        Self::of(Sim::new(sim::Options { seed: 0, now })).await
    }

    async fn of(sim: Sim) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = sim.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            sim::serve(served, listener, std::future::pending())
                .await
                .unwrap();
        });
        Self {
            address,
            sim,
            _serving: serving,
        }
    }

    /// Every call that was received.
    pub(crate) fn calls(&self) -> Vec<SimCall> {
        self.sim.calls()
    }

    /// The call with these words in it, once it is there.
    pub(crate) async fn received(&self, words: &str) -> SimCall {
        eventually("the provider is called", async || {
            self.calls()
                .into_iter()
                .find(|call| call.prompt.contains(words))
        })
        .await
    }
}
