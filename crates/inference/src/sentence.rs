//! Sentence models of BERT's kind, such as all-MiniLM-L6-v2
//! (<https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>), from the files as they are published.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use domain::embedder::EmbedderError;
use tokenizers::Tokenizer;

use crate::file::{LoadError, read, wrong};

/// A model that gives a sentence a vector: the mean of its tokens' vectors, brought to length 1.
pub struct SentenceModel {
    model: BertModel,
    tokenizer: Tokenizer,
    /// How many tokens it reads.
    max_tokens: usize,
}

impl SentenceModel {
    /// Loads `config.json`, `model.safetensors` and `tokenizer.json` of a folder. Blocks while it reads.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        let config_file = folder.join("config.json");
        let config = read(&config_file)?;
        let config: Config = serde_json::from_slice(&config)
            .map_err(|error| wrong(&config_file, "is no configuration of BERT's", &error))?;
        let tokenizer_file = folder.join("tokenizer.json");
        let mut tokenizer = Tokenizer::from_bytes(read(&tokenizer_file)?)
            .map_err(|error| wrong(&tokenizer_file, "is no tokenizer", &error))?;
        // Texts come one by one and are never cut: what is too long is refused.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| wrong(&tokenizer_file, "is no tokenizer", &error))?;
        let weights_file = folder.join("model.safetensors");
        let no_weights = |error| wrong(&weights_file, "has not the weights of a BERT", &error);
        let weights =
            VarBuilder::from_buffered_safetensors(read(&weights_file)?, DType::F32, &Device::Cpu);
        let weights = weights.map_err(no_weights)?;
        let model = BertModel::load(weights, &config).map_err(no_weights)?;
        Ok(Self {
            model,
            tokenizer,
            max_tokens: config.max_position_embeddings,
        })
    }

    /// The vector of a text, of length 1. Takes some milliseconds of one core.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedderError> {
        let encoding = self
            .tokenizer
            .encode(text, true)
            .map_err(|error| EmbedderError::Failed(error.to_string()))?;
        let (ids, kinds) = (encoding.get_ids(), encoding.get_type_ids());
        if ids.len() > self.max_tokens {
            return Err(EmbedderError::TooLong {
                tokens: ids.len(),
                max: self.max_tokens,
            });
        }
        self.forward(ids, kinds)
            .map_err(|error| EmbedderError::Failed(error.to_string()))
    }

    fn forward(&self, ids: &[u32], kinds: &[u32]) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::new(ids, &Device::Cpu)?.unsqueeze(0)?;
        let kinds = Tensor::new(kinds, &Device::Cpu)?.unsqueeze(0)?;
        let tokens = self.model.forward(&ids, &kinds, None)?;
        let mean = tokens.mean(1)?.squeeze(0)?;
        let length = mean.sqr()?.sum_all()?.sqrt()?;
        mean.broadcast_div(&length)?.to_vec1()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_folder_without_a_model_names_the_file() {
        let folder = std::env::temp_dir().join("trunkline-no-such-model");
        let Err(error) = SentenceModel::load(&folder) else {
            panic!("there is no model")
        };
        assert!(error.to_string().contains("config.json cannot be read"));
    }

    #[test]
    fn sentences_that_mean_the_same_are_more_alike_than_others() {
        let model = SentenceModel::load(&model_folder()).unwrap();
        let vectors = [
            "How do I reset my password?",
            "What are the steps to reset my password?",
            "Which restaurants in Lisbon serve fish?",
        ]
        .map(|text| model.embed(text).unwrap());
        let alike = |one: &[f32], other: &[f32]| -> f32 {
            one.iter().zip(other).map(|(one, other)| one * other).sum()
        };
        let [first, same, other] = &vectors;
        assert_eq!(first.len(), 384);
        assert!((alike(first, first) - 1.0).abs() < 1e-5);
        assert!(alike(first, same) > 0.85, "{}", alike(first, same));
        assert!(alike(first, other) < 0.3, "{}", alike(first, other));
        let refused = model.embed(&"word ".repeat(600));
        assert!(matches!(
            refused,
            Err(EmbedderError::TooLong {
                tokens: 602,
                max: 512
            })
        ));
    }

    #[expect(clippy::disallowed_methods, reason = "a test is told where a model is")]
    fn model_folder() -> PathBuf {
        let folder = std::env::var("TRUNKLINE_TEST_SENTENCE_MODEL").expect(
            "TRUNKLINE_TEST_SENTENCE_MODEL does not name a model's folder: run scripts/test, which brings one",
        );
        PathBuf::from(folder)
    }
}
