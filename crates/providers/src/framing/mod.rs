//! How streams of bytes are cut into events.

pub mod sse;
