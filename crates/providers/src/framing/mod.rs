//! How streams of bytes are cut into events.

pub(crate) mod cut;
pub mod event_stream;
pub mod sse;
