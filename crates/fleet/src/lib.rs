//! What replicas share, kept in Valkey or Redis.
//!
//! [`Shared`] is the connection: every question has a bound in time, and while there is no answer to be had,
//! nobody waits for one. Everything else is a port of the domain's, kept behind it.
//!
//! Suggested reading order: `location` (where), `connection` (how it is asked, and what is done when there is
//! no answer), then the ports: `breakers`, `counters` (with its script, `exchange.lua`), `election` and
//! `cache`. Only commands that Valkey and Redis share are used (Redis 7.0).

mod breakers;
mod cache;
mod connection;
mod counters;
mod election;
mod location;

pub use breakers::Breakers;
pub use cache::Answers;
pub use connection::{Clustered, Namespace, Shared};
pub use counters::Counters;
pub use election::SharedElection;
pub use location::{InvalidLocation, Location};
