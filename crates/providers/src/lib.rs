//! Wire formats to and from the domain, pure and synchronous: no clock, no sockets, no environment.
//!
//! Suggested reading order: [`dialect`] (the target's side of a format) with [`kind`], [`host`] and [`credential`],
//! [`face`] (the caller's side),
//! [`framing`] (how streams are cut into events), then one folder per format. [`tap`] reads along where
//! bytes pass untouched, [`collect`] folds a stream into a whole answer and [`unfold`] does the reverse;
//! [`failure`] is what every format's errors need. [`task`] is everything that is not a chat.

pub mod anthropic;
pub mod aws;
pub mod collect;
pub mod credential;
pub mod dialect;
pub mod exchange;
pub mod face;
pub mod failure;
pub mod framing;
pub mod gemini;
pub mod host;
pub mod hosts;
pub mod kind;
pub mod native_usage;
pub mod openai;
pub mod tap;
pub mod task;
pub mod unfold;
