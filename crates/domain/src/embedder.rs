//! The embedder port: what a text means, as a vector.

use async_trait::async_trait;

/// Why there is no vector.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// The text is longer than the model reads: a vector would leave out what it does not read.
    #[error("the text has {tokens} tokens and the model reads {max}")]
    TooLong {
        /// How many the text has.
        tokens: usize,
        /// How many the model reads.
        max: usize,
    },
    /// As many texts as are taken wait already.
    #[error("too many texts wait for the model")]
    Busy,
    /// The model failed.
    #[error("the model failed: {0}")]
    Failed(String),
}

/// Gives texts vectors of length 1, which are the more alike the more alike the texts are in what they mean.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The vector of a text; always of as many numbers.
    async fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedderError>;
}
