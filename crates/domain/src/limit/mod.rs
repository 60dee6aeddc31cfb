//! Limits: how much of something may be taken in which time.

mod port;
mod shares;

pub use port::{CounterName, Demand, Epoch, GONE, Grant, LEASE, MAX_DEMANDS, SharedCounters, Span};
pub use shares::Shares;
