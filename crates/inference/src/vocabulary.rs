//! Tokenizers of open models, from the file `tokenizer.json` as it is published with them
//! (<https://huggingface.co/docs/tokenizers/api/tokenizer>): Llama, DeepSeek, Qwen, Mistral, Gemma, Command and others.

use std::path::Path;

use domain::tokenizer::{self, TokenizerError};
use tokenizers::Tokenizer;

use crate::file::{LoadError, read, wrong};

/// The tokenizer of a model.
pub struct Vocabulary(Tokenizer);

impl Vocabulary {
    /// Loads a `tokenizer.json`. Blocks while it reads, for a second where the vocabulary is large.
    pub fn load(file: &Path) -> Result<Self, LoadError> {
        let mut tokenizer = Tokenizer::from_bytes(read(file)?)
            .map_err(|error| wrong(file, "is no tokenizer", &error))?;
        // What is counted is counted to its end, and nothing is counted that is not there.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(None)
            .map_err(|error| wrong(file, "is no tokenizer", &error))?;
        Ok(Self(tokenizer))
    }
}

impl tokenizer::Tokenizer for Vocabulary {
    fn count(&self, text: &str) -> Result<u64, TokenizerError> {
        let encoding = self
            .0
            .encode_fast(text, false)
            .map_err(|error| TokenizerError(error.to_string()))?;
        Ok(encoding.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use domain::tokenizer::Tokenizer as _;

    use super::*;

    /// A tokenizer of one word for each word, which would cut off after two of them.
    const WORDS: &str = r#"{
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 16}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "?"},
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": {"?": 0, "one": 1}, "unk_token": "?"}
    }"#;

    #[test]
    fn a_text_is_counted_whole_and_alone() {
        let file = std::env::temp_dir().join(format!("tokenizer-{}.json", std::process::id()));
        fs::write(&file, WORDS).unwrap();
        let vocabulary = Vocabulary::load(&file);
        fs::remove_file(&file).unwrap();
        let vocabulary = vocabulary.unwrap();
        assert_eq!(vocabulary.count("one two three four").unwrap(), 4);
        assert_eq!(vocabulary.count("").unwrap(), 0);
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_named() {
        let absent = std::env::temp_dir().join("trunkline-no-such-tokenizer.json");
        let error = Vocabulary::load(&absent).err().unwrap().to_string();
        assert!(
            error.contains("trunkline-no-such-tokenizer.json cannot be read"),
            "{error}"
        );
    }
}
