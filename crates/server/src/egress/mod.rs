//! The one outbound client.

mod address;
mod network;
mod quiet;
mod simulated;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::egress::{Egress, EgressBody, EgressError, Outbound, Reach};
use domain::socket::{Connected, SocketEgress};
use sim::Sim;

use network::Network;

/// Sends requests to the network, or to the simulated provider in this process.
pub struct OutboundClient {
    public: Network,
    any: Network,
    sim: Arc<Sim>,
}

impl OutboundClient {
    /// A client that gives a connection at most `connect_timeout` to come about.
    pub fn new(connect_timeout: Duration, sim: Arc<Sim>) -> std::io::Result<Self> {
        Ok(Self {
            public: Network::new(Reach::Public, connect_timeout)?,
            any: Network::new(Reach::Any, connect_timeout)?,
            sim,
        })
    }
}

#[async_trait]
impl Egress for OutboundClient {
    async fn send(&self, outbound: Outbound) -> Result<http::Response<EgressBody>, EgressError> {
        match outbound.reach {
            Reach::Public => self.public.send(outbound.request).await,
            Reach::Any => self.any.send(outbound.request).await,
            Reach::Simulated => Ok(simulated::answer(self.sim.respond(outbound.request).await)),
        }
    }
}

#[async_trait]
impl SocketEgress for OutboundClient {
    async fn connect(
        &self,
        outbound: Outbound,
        max_message: usize,
    ) -> Result<Connected, EgressError> {
        match outbound.reach {
            Reach::Public => self.public.connect(outbound.request, max_message).await,
            Reach::Any => self.any.connect(outbound.request, max_message).await,
            Reach::Simulated => Ok(simulated::connect(&self.sim, outbound.request).await),
        }
    }
}
