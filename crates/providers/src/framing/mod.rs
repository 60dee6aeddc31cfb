//! How streams of bytes are cut into events.

pub mod event_stream;
pub(crate) mod cut;
pub mod sse;
