//! The egress port: how a request leaves the platform.

use std::net::IpAddr;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

/// A response body as it arrives. Dropping it closes the exchange: the provider sees the caller go.
pub type EgressBody = Pin<Box<dyn Stream<Item = Result<Bytes, EgressError>> + Send>>;

/// Who chose the address that a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Public addresses only: private, loopback, link-local and other special ranges are refused
    /// after name resolution, so that a name cannot smuggle one in.
    #[default]
    Public,
    /// Any address: the operator allowed it (`allow_private_address`).
    Any,
    /// No address: the simulated provider in this process.
    Simulated,
}

/// One request on its way out.
#[derive(Debug)]
pub struct Outbound {
    /// The request; its URI is absolute.
    pub request: http::Request<Bytes>,
    /// Which addresses may be reached.
    pub reach: Reach,
}

/// Why there is no response, or why its body ended early.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EgressError {
    /// The name did not resolve or no connection was made; the request was not sent.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The TLS handshake failed; the request was not sent.
    #[error("TLS handshake failed: {0}")]
    Tls(String),
    /// The address is not one that this request may reach; nothing was sent.
    #[error("address {0} is not public; set allow_private_address on the provider to permit it")]
    AddressRefused(IpAddr),
    /// The connection broke after the request was (perhaps) sent.
    #[error("connection broke: {0}")]
    Broken(String),
}

impl EgressError {
    /// Whether the provider certainly never saw the request, so that sending it again costs nothing.
    pub fn is_before_sending(&self) -> bool {
        !matches!(self, Self::Broken(_))
    }
}

/// Sends requests: the one outbound client of the process.
#[async_trait]
pub trait Egress: Send + Sync {
    /// Sends `outbound` and waits for the response's head; the body follows as a stream.
    ///
    /// Dropping the future before the head arrives cancels the exchange.
    async fn send(&self, outbound: Outbound) -> Result<http::Response<EgressBody>, EgressError>;
}
