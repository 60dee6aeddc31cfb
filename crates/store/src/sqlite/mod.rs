//! What only SQLite needs: opening the file, and writing a batch of calls.

mod calls;
mod durability;
mod opening;

pub(crate) use calls::{add_to_sums, record_calls};
pub(crate) use durability::make_durable;
pub(crate) use opening::{Pools, open};
