//! Vectors of texts and pictures: what is asked and what is answered, whatever the vendor's words.

use crate::chat::{Extensions, Media};
use crate::name::ModelName;
use crate::usage::Usage;

/// One request for vectors. `None` means that the caller did not say.
#[derive(Debug, Clone)]
pub struct EmbeddingRequest {
    /// The model's name as the caller wrote it.
    pub model: ModelName,
    /// What gets a vector each, in the order of the answer; at least one.
    pub inputs: Vec<EmbeddingInput>,
    /// How many numbers a vector shall have, for models that can shorten theirs.
    pub dimensions: Option<u32>,
    /// What the vectors are for, which some models take into account.
    pub purpose: Option<EmbeddingPurpose>,
    /// What becomes of an input that is too long.
    pub truncation: Option<Truncation>,
    /// Who is asking, as an opaque identifier for the provider's abuse detection.
    pub user: Option<String>,
    /// The rest, by path.
    pub extensions: Extensions,
}

/// What gets one vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingInput {
    /// Words.
    Text(String),
    /// Words in the numbers of one model's tokenizer.
    Tokens(Vec<u32>),
    /// Words and pictures together.
    Mixed(Vec<EmbeddingPart>),
}

impl EmbeddingInput {
    /// The words, where there is one text and nothing else.
    pub fn only_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Mixed(parts) => match parts.as_slice() {
                [EmbeddingPart::Text(text)] => Some(text),
                _ => None,
            },
            Self::Tokens(_) => None,
        }
    }
}

/// A piece of an input of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddingPart {
    /// Words.
    Text(String),
    /// A picture, a recording or a document.
    Media(Media),
}

/// What vectors are for (Gemini's `taskType`, Cohere's `input_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingPurpose {
    /// The question of a search.
    Query,
    /// What a search looks through.
    Document,
    /// A classifier's input.
    Classification,
    /// To be grouped.
    Clustering,
    /// To be compared with each other.
    Similarity,
    /// A question whose answer is looked for.
    QuestionAnswering,
    /// A statement that is to be verified.
    FactVerification,
    /// A question about code.
    CodeQuery,
}

/// What becomes of an input that is longer than the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    /// It is refused.
    None,
    /// Its beginning is left out.
    Start,
    /// Its end is left out.
    End,
}

/// The vectors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmbeddingResponse {
    /// The provider's identifier of the answer.
    pub id: Option<String>,
    /// The model that answered, in the provider's words.
    pub model: Option<String>,
    /// One vector for each input, in the order of the inputs.
    pub vectors: Vec<Vec<f64>>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
}
