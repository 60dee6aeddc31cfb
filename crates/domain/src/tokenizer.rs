//! How many tokens a text is to a model: the tokenizer port, and which models have which.

use std::fmt;
use std::sync::Arc;

use crate::key::ModelPattern;

/// Why a tokenizer cannot say how many tokens a text is.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed: {0}")]
pub struct TokenizerError(pub String);

/// Cuts texts into tokens as a model does.
pub trait Tokenizer: Send + Sync {
    /// How many tokens `text` is, without what surrounds a message. Blocks in proportion to the text.
    fn count(&self, text: &str) -> Result<u64, TokenizerError>;
}

/// The tokenizers that an operator brought along, by the models that they are for.
#[derive(Clone, Default)]
pub struct Tokenizers(Vec<Row>);

#[derive(Clone)]
struct Row {
    models: Vec<ModelPattern>,
    tokenizer: Arc<dyn Tokenizer>,
}

impl Tokenizers {
    /// `tokenizer` is also for models that `models` cover, unless an earlier one is.
    pub fn push(&mut self, models: &[ModelPattern], tokenizer: Arc<dyn Tokenizer>) {
        let lower = |pattern: &ModelPattern| ModelPattern::new(pattern.as_str().to_lowercase());
        let models = models.iter().map(lower).collect();
        self.0.push(Row { models, tokenizer });
    }

    /// The tokenizer of a model, in the provider's words; names are compared without regard to case.
    pub fn of(&self, model: &str) -> Option<&dyn Tokenizer> {
        if self.0.is_empty() {
            return None;
        }
        let model = model.to_lowercase();
        let is_for = |row: &&Row| row.models.iter().any(|pattern| pattern.matches(&model));
        self.0.iter().find(is_for).map(|row| &*row.tokenizer)
    }
}

impl fmt::Debug for Tokenizers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|row| &row.models))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the same of every text.
    struct Always(u64);

    impl Tokenizer for Always {
        fn count(&self, _: &str) -> Result<u64, TokenizerError> {
            Ok(self.0)
        }
    }

    #[test]
    fn the_first_that_covers_a_model_counts_for_it() {
        let mut tokenizers = Tokenizers::default();
        let patterns = |texts: &[&str]| {
            let patterns = texts.iter().map(|text| ModelPattern::new(*text));
            patterns.collect::<Vec<_>>()
        };
        tokenizers.push(
            &patterns(&["meta-llama/*", "*Llama-3*"]),
            Arc::new(Always(1)),
        );
        tokenizers.push(&patterns(&["*"]), Arc::new(Always(2)));
        let count = |model| tokenizers.of(model).unwrap().count("").unwrap();
        assert_eq!(count("Meta-Llama/other"), 1);
        assert_eq!(count("accounts/fireworks/models/llama-3-70b"), 1);
        assert_eq!(count("qwen3"), 2);
        assert!(Tokenizers::default().of("qwen3").is_none());
    }
}
