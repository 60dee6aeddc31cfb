//! What only PostgreSQL needs: opening the connections, writing a batch of calls, and partitions.

mod calls;
mod opening;
mod partitions;

pub(crate) use calls::{add_to_sums, record_calls};
pub(crate) use opening::open;
pub(crate) use partitions::prepare as prepare_partitions;
