//! Wire formats to and from the domain, pure and synchronous: no clock, no sockets, no environment.
//!
//! Suggested reading order: [`dialect`] (the target's side of a format) with [`kind`], [`host`] and [`credential`],
//! [`face`] (the caller's side),
//! [`framing`] (how streams are cut into events), then one folder per format. [`tap`] reads along where
//! bytes pass untouched, [`collect`] folds a stream into a whole answer and [`unfold`] does the reverse;
//! [`lift`] spares pictures the reading;
//! [`failure`] is what every format's errors need. [`task`] is everything that is not a chat, [`native`] what passes to a
//! vendor's own API. [`breakpoints`] helps vendors' prompt caches. [`count`] asks
//! or estimates how many tokens a request has. [`batches`] hands many requests over at once.

mod answer;
pub mod anthropic;
pub mod application;
pub mod attached;
pub mod audio;
pub mod aws;
pub mod azure;
pub mod batches;
pub mod bedrock;
pub mod breakpoints;
pub mod cohere;
pub mod collect;
pub mod count;
pub mod credential;
pub mod dialect;
mod elsewhere;
pub mod embeddings;
pub mod entra;
pub mod exchange;
pub mod face;
pub mod failure;
pub mod framing;
pub mod gemini;
pub mod google;
pub mod headroom;
pub mod host;
pub mod hosts;
pub mod images;
pub mod kind;
pub mod lift;
mod media;
pub mod moderation;
pub mod multipart;
pub mod native;
pub mod native_usage;
pub mod openai;
mod outgoing;
pub(crate) mod passing;
pub mod probe;
pub mod rerank;
mod splice;
pub mod tap;
pub mod task;
mod token;
mod tool_names;
pub mod unfold;
mod url;
pub mod vertex;
