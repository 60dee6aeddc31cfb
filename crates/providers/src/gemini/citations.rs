//! Sources of an answer in OpenAI's `annotations` shape
//! (<https://platform.openai.com/docs/api-reference/chat/object>).

use domain::chat::Annotation;
use serde_json::json;

use super::wire::response::{CitationMetadata, GroundingMetadata};

/// One source. Positions are in bytes of the text, as Google counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Citation {
    /// `None` for a source of the whole answer.
    span: Option<(usize, usize)>,
    url: String,
    title: String,
}

impl Citation {
    /// The citation of `text`, with positions in characters, as OpenAI counts.
    pub(super) fn annotation(&self, text: &str) -> Annotation {
        let (start, end) = self.span.unwrap_or((0, text.len()));
        json!({
            "type": "url_citation",
            "url_citation": {
                "start_index": characters(text, start),
                "end_index": characters(text, end),
                "url": self.url,
                "title": self.title,
            }
        })
    }
}

/// How many characters begin before the given byte.
fn characters(text: &str, byte: usize) -> usize {
    text.char_indices()
        .take_while(|(start, _)| *start < byte)
        .count()
}

/// What a search found: once for each passage that it supports, or for the whole answer where Google
/// does not say which.
pub(super) fn grounded(metadata: &GroundingMetadata<'_>) -> Vec<Citation> {
    let sources: Vec<Option<(String, String)>> = metadata
        .grounding_chunks
        .iter()
        .flatten()
        .map(|chunk| {
            let source = chunk.web.as_ref().or(chunk.maps.as_ref());
            let source = source.or(chunk.retrieved_context.as_ref())?;
            let title = source.title.as_deref().unwrap_or_default();
            Some((source.uri.as_deref()?.to_owned(), title.to_owned()))
        })
        .collect();
    let supports = metadata.grounding_supports.as_deref().unwrap_or_default();
    let mut citations = Vec::new();
    for support in supports {
        let Some(segment) = &support.segment else {
            continue;
        };
        let span = (
            segment.start_index.unwrap_or(0),
            segment.end_index.unwrap_or(0),
        );
        for index in support.grounding_chunk_indices.iter().flatten() {
            if let Some(Some(source)) = sources.get(*index) {
                citations.push(citation(Some(span), source));
            }
        }
    }
    if supports.is_empty() {
        citations.extend(
            sources
                .iter()
                .flatten()
                .map(|source| citation(None, source)),
        );
    }
    citations
}

fn citation(span: Option<(usize, usize)>, (url, title): &(String, String)) -> Citation {
    Citation {
        span,
        url: url.clone(),
        title: title.clone(),
    }
}

/// What the model recited.
pub(super) fn recited(metadata: &CitationMetadata<'_>) -> Vec<Citation> {
    let sources = metadata.citation_sources.iter().flatten();
    sources
        .filter_map(|source| {
            Some(Citation {
                span: source
                    .end_index
                    .map(|end| (source.start_index.unwrap_or(0), end)),
                url: source.uri.as_deref()?.to_owned(),
                title: source.title.as_deref().unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_in_characters() {
        let citation = Citation {
            span: Some((3, 9)),
            url: "https://example.com".to_owned(),
            title: "Example".to_owned(),
        };
        // "é" takes two bytes: byte 3 begins the third character.
        let annotation = citation.annotation("né à Paris, oui");
        assert_eq!(annotation["url_citation"]["start_index"], 2);
        assert_eq!(annotation["url_citation"]["end_index"], 7);
    }

    #[test]
    fn positions_beyond_the_text_end_with_it() {
        let citation = Citation {
            span: Some((50, 90)),
            url: String::new(),
            title: String::new(),
        };
        assert_eq!(citation.annotation("abc")["url_citation"]["end_index"], 3);
    }
}
