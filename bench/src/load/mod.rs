//! The load generator: real chat requests over keep-alive connections, every answer checked.

pub mod burst;
pub mod connection;
pub mod hold;
pub mod outcome;
pub mod steady;

use std::net::{Ipv4Addr, SocketAddr};

use crate::wire::Shape;

/// Where the load goes and what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// The subject's port on loopback.
    pub port: u16,
    /// The shape of the answers.
    pub shape: Shape,
}

impl Aim {
    /// The subject's address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}
