//! What only PostgreSQL needs: opening the connections, writing a batch of calls, and partitions.

mod calls;
mod opening;
mod partitions;

pub(crate) use calls::record_calls;
pub(crate) use opening::open;
pub(crate) use partitions::prepare as prepare_partitions;
