//! What vectors are for, in the vendors' words.

use domain::embedding::EmbeddingPurpose;

/// Reads Gemini's word (<https://ai.google.dev/gemini-api/docs/embeddings#supported-task-types>).
pub(super) fn of_gemini(word: &str) -> Option<EmbeddingPurpose> {
    Some(match word {
        "RETRIEVAL_QUERY" => EmbeddingPurpose::Query,
        "RETRIEVAL_DOCUMENT" => EmbeddingPurpose::Document,
        "SEMANTIC_SIMILARITY" => EmbeddingPurpose::Similarity,
        "CLASSIFICATION" => EmbeddingPurpose::Classification,
        "CLUSTERING" => EmbeddingPurpose::Clustering,
        "QUESTION_ANSWERING" => EmbeddingPurpose::QuestionAnswering,
        "FACT_VERIFICATION" => EmbeddingPurpose::FactVerification,
        "CODE_RETRIEVAL_QUERY" => EmbeddingPurpose::CodeQuery,
        _ => return None,
    })
}

/// Gemini's word.
pub(super) fn gemini_word(purpose: EmbeddingPurpose) -> &'static str {
    match purpose {
        EmbeddingPurpose::Query => "RETRIEVAL_QUERY",
        EmbeddingPurpose::Document => "RETRIEVAL_DOCUMENT",
        EmbeddingPurpose::Similarity => "SEMANTIC_SIMILARITY",
        EmbeddingPurpose::Classification => "CLASSIFICATION",
        EmbeddingPurpose::Clustering => "CLUSTERING",
        EmbeddingPurpose::QuestionAnswering => "QUESTION_ANSWERING",
        EmbeddingPurpose::FactVerification => "FACT_VERIFICATION",
        EmbeddingPurpose::CodeQuery => "CODE_RETRIEVAL_QUERY",
    }
}

/// Reads Cohere's word (<https://docs.cohere.com/reference/embed#request.body.input_type>), and those of
/// the hosts that speak OpenAI's format and know a purpose
/// (<https://docs.voyageai.com/reference/embeddings-api>).
pub(super) fn of_cohere(word: &str) -> Option<EmbeddingPurpose> {
    Some(match word {
        "search_query" | "query" => EmbeddingPurpose::Query,
        // The purpose of pictures is that of documents; Cohere 4 takes either word.
        "search_document" | "document" | "image" => EmbeddingPurpose::Document,
        "classification" => EmbeddingPurpose::Classification,
        "clustering" => EmbeddingPurpose::Clustering,
        _ => return None,
    })
}

/// Cohere's word, and whether it means exactly the same.
pub(super) fn cohere_word(purpose: EmbeddingPurpose) -> (&'static str, bool) {
    match purpose {
        EmbeddingPurpose::Query => ("search_query", true),
        EmbeddingPurpose::Document => ("search_document", true),
        EmbeddingPurpose::Classification => ("classification", true),
        EmbeddingPurpose::Clustering => ("clustering", true),
        EmbeddingPurpose::Similarity => ("clustering", false),
        EmbeddingPurpose::QuestionAnswering
        | EmbeddingPurpose::FactVerification
        | EmbeddingPurpose::CodeQuery => ("search_query", false),
    }
}
