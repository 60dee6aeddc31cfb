//! `tokenizers`: what counts the tokens of models whose provider cannot be asked.

use std::path::PathBuf;

use domain::key::ModelPattern;
use serde_json::{Value, json};

use super::fields::{Fields, Section};
use super::problem::Complaint;
use super::scalar::{Misfit, Scalar};

/// The tokenizer of some models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerRow {
    /// The models, in their providers' words.
    pub models: Vec<ModelPattern>,
    /// The `tokenizer.json` that is published with them.
    pub file: PathBuf,
}

impl Section for TokenizerRow {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let models = fields.list(
            "models",
            &[],
            "The models whose words it counts, as their providers call them, in any case; `*` stands for any \
             text. The first entry that covers a model counts for it.",
        );
        let file: Option<File> = fields.required(
            "file",
            "/etc/trunkline/llama-3/tokenizer.json",
            "The `tokenizer.json` that is published with the models, for Hugging Face's tokenizers. It is \
             read when Trunkline starts.",
        );
        if !fields.is_given("models") {
            let complaint = Complaint::new("it is not said whose tokenizer it is");
            fields.refuse(
                "",
                complaint.suggest("add `models: [\"*llama-3*\"]` beside the file"),
            );
            return None;
        }
        Some(Self {
            models,
            file: file?.0,
        })
    }
}

/// The name of a file.
struct File(PathBuf);

impl Scalar for File {
    const EXPECTED: &'static str = "the name of a file";

    fn parse(text: &str) -> Result<Self, Misfit> {
        if text.is_empty() {
            return Err(Misfit::because("it is empty"));
        }
        Ok(Self(PathBuf::from(text)))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
