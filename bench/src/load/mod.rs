//! The load generator: real chat requests over keep-alive connections, every answer checked.

pub mod burst;
pub mod connection;
pub mod hold;
pub mod outcome;
pub mod question;
pub mod steady;

use std::net::{Ipv4Addr, SocketAddr};

use crate::wire::Ask;

/// Where the load goes and what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// The subject's port on loopback.
    pub port: u16,
    /// What is asked.
    pub ask: Ask,
}

impl Aim {
    /// The subject's address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }
}
