//! Small local models behind the domain's ports.
//!
//! [`SentenceModel`] is the model of sentences that an operator names by its folder; [`LocalEmbedder`] is the
//! port in front of it, which bounds how many texts it works on. [`Vocabulary`] is the tokenizer of a model that
//! answers elsewhere.

mod embedder;
mod file;
mod sentence;
mod vocabulary;

pub use embedder::LocalEmbedder;
pub use file::LoadError;
pub use sentence::SentenceModel;
pub use vocabulary::Vocabulary;
