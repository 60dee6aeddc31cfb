//! Small local models behind the domain's ports.
//!
//! [`SentenceModel`] is the model of sentences that an operator names by its folder; [`LocalEmbedder`] is the
//! port in front of it, which bounds how many texts it works on.

mod embedder;
mod sentence;

pub use embedder::LocalEmbedder;
pub use sentence::{LoadError, SentenceModel};
