//! Documents put in the order in which they answer a query.

use serde_json::value::RawValue;

use crate::chat::Extensions;
use crate::name::ModelName;
use crate::usage::Usage;

/// One request for an order. `None` means that the caller did not say.
#[derive(Debug, Clone)]
pub struct RerankRequest {
    /// The model's name as the caller wrote it.
    pub model: ModelName,
    /// What the documents are compared with.
    pub query: String,
    /// The documents, at least one; the answer names them by their place here.
    pub documents: Vec<RankedDocument>,
    /// How many results are wanted; all when not said.
    pub top_n: Option<u32>,
    /// Whether results repeat their documents.
    pub return_documents: Option<bool>,
    /// What of a document counts, in tokens; the rest is left out.
    pub max_tokens_per_document: Option<u32>,
    /// The rest, by path.
    pub extensions: Extensions,
}

/// One document.
#[derive(Debug, Clone)]
pub struct RankedDocument {
    /// Its words; `None` where it has other fields, which count, too.
    pub text: Option<String>,
    /// The document as the caller wrote it.
    pub raw: Box<RawValue>,
}

/// The order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RerankResponse {
    /// The provider's identifier of the answer.
    pub id: Option<String>,
    /// The model that answered, in the provider's words.
    pub model: Option<String>,
    /// The best first.
    pub results: Vec<Ranking>,
    /// What it took; `None` when the provider did not say.
    pub usage: Option<Usage>,
}

/// One document's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Which document, counted from 0 in the request.
    pub index: usize,
    /// How well it answers; the scale is the model's own.
    pub score: f64,
}
