//! The domain's embedder in front of a local model.

use async_trait::async_trait;
use domain::embedder::{Embedder, EmbedderError};
use tokio::sync::Semaphore;

use crate::sentence::SentenceModel;

/// Gives texts vectors in this process.
pub struct LocalEmbedder {
    model: SentenceModel,
    /// Texts that are worked on, one core each.
    working: Semaphore,
    /// Those, and the texts that wait.
    taken: Semaphore,
}

impl LocalEmbedder {
    /// Works on at most `concurrency` texts at the same time; `waiting` more wait, and others are refused.
    pub fn new(model: SentenceModel, concurrency: usize, waiting: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            model,
            working: Semaphore::new(concurrency),
            taken: Semaphore::new(concurrency.saturating_add(waiting)),
        }
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    /// To be called in a runtime of several threads: the model works on this one, whose other tasks move on.
    async fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedderError> {
        let Ok(_taken) = self.taken.try_acquire() else {
            return Err(EmbedderError::Busy);
        };
        // The semaphore is never closed.
        let Ok(_working) = self.working.acquire().await else {
            return Err(EmbedderError::Busy);
        };
        tokio::task::block_in_place(|| self.model.embed(text))
    }
}
