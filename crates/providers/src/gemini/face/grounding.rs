//! Sources in Google's shape (<https://ai.google.dev/api/generate-content#GroundingMetadata>), and
//! probabilities of tokens likewise.

use std::borrow::Cow;

use domain::chat::Annotation;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::wire::ProviderContent;
use crate::dialect::Format;

/// The sources that annotations name: each once, with the passages that it supports. Positions are in
/// bytes of `text`, as Google counts; annotations count characters. `None` where no annotation names a
/// page of the web.
pub(super) fn metadata(annotations: &[Annotation], text: &str) -> Option<Value> {
    let mut sources: Vec<(&str, &str)> = Vec::new();
    let mut supports = Vec::new();
    for annotation in annotations {
        let Some(citation) = annotation.get("url_citation") else {
            continue;
        };
        let words = |name| citation.get(name).and_then(Value::as_str);
        let Some(url) = words("url") else { continue };
        let source = (url, words("title").unwrap_or_default());
        let place = sources.iter().position(|known| *known == source);
        let place = place.unwrap_or_else(|| {
            sources.push(source);
            sources.len() - 1
        });
        let position = |name| {
            let characters = citation.get(name).and_then(Value::as_u64)?;
            Some(byte_of(text, usize::try_from(characters).ok()?))
        };
        if let (Some(start), Some(end)) = (position("start_index"), position("end_index"))
            && let Some(passage) = text.get(start..end)
            && !passage.is_empty()
        {
            supports.push(json!({
                "segment": {"startIndex": start, "endIndex": end, "text": passage},
                "groundingChunkIndices": [place],
            }));
        }
    }
    if sources.is_empty() {
        return None;
    }
    let chunks: Vec<Value> = sources
        .iter()
        .map(|(uri, title)| json!({"web": {"uri": uri, "title": title}}))
        .collect();
    Some(json!({"groundingChunks": chunks, "groundingSupports": supports}))
}

/// The annotations that [`metadata`] has no place for, as they are.
pub(super) fn untold<'a>(annotations: &[Annotation]) -> Vec<ProviderContent<'a>> {
    let is_told = |annotation: &&Annotation| {
        let citation = annotation.get("url_citation");
        citation.is_some_and(|citation| citation.get("url").is_some_and(Value::is_string))
    };
    let untold = annotations.iter().filter(move |it| !is_told(it));
    let content = |annotation| {
        Some(ProviderContent {
            format: Format::OpenaiChat.as_str(),
            raw: Cow::Owned(to_raw_value(annotation).ok()?),
        })
    };
    untold.filter_map(content).collect()
}

/// Where the given character begins.
fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(byte, _)| byte)
}

/// Probabilities of tokens from OpenAI's shape (<https://ai.google.dev/api/generate-content#LogprobsResult>).
pub(super) fn logprobs<'a>(pieces: impl IntoIterator<Item = &'a RawValue>) -> Option<Value> {
    let mut chosen = Vec::new();
    let mut top = Vec::new();
    for piece in pieces {
        let piece: Value = serde_json::from_str(piece.get()).unwrap_or_default();
        for token in piece
            .get("content")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            chosen.push(candidate(token));
            let alternatives = token.get("top_logprobs").and_then(Value::as_array);
            let alternatives: Vec<Value> =
                alternatives.into_iter().flatten().map(candidate).collect();
            top.push(json!({"candidates": alternatives}));
        }
    }
    (!chosen.is_empty()).then(|| json!({"chosenCandidates": chosen, "topCandidates": top}))
}

fn candidate(token: &Value) -> Value {
    json!({
        "token": token.get("token").unwrap_or(&Value::Null),
        "logProbability": token.get("logprob").unwrap_or(&Value::Null),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_once_with_its_passages_in_bytes() {
        let cite = |start: u64, end: u64, url: &str| {
            json!({"type": "url_citation", "url_citation":
                {"start_index": start, "end_index": end, "url": url, "title": "T"}})
        };
        let found = metadata(
            &[
                cite(2, 7, "https://a"),
                cite(8, 9, "https://b"),
                cite(0, 1, "https://a"),
            ],
            "né à Paris",
        );
        assert_eq!(
            found,
            Some(json!({
                "groundingChunks": [
                    {"web": {"uri": "https://a", "title": "T"}}, {"web": {"uri": "https://b", "title": "T"}}
                ],
                "groundingSupports": [
                    {"segment": {"startIndex": 3, "endIndex": 9, "text": " à Pa"}, "groundingChunkIndices": [0]},
                    {"segment": {"startIndex": 10, "endIndex": 11, "text": "i"}, "groundingChunkIndices": [1]},
                    {"segment": {"startIndex": 0, "endIndex": 1, "text": "n"}, "groundingChunkIndices": [0]}
                ]
            }))
        );
    }

    #[test]
    fn what_cites_no_page_grounds_nothing() {
        assert_eq!(metadata(&[json!({"type": "file_citation"})], "x"), None);
    }

    #[test]
    fn probabilities_of_all_pieces_stand_in_one_list() {
        let pieces = [
            r#"{"content":[{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"b","logprob":-1}]}]}"#,
            r#"{"content":null,"refusal":null}"#,
            r#"{"content":[{"token":"c","logprob":0}]}"#,
        ]
        .map(|json| RawValue::from_string(json.to_owned()).unwrap());
        assert_eq!(
            logprobs(pieces.iter().map(|piece| &**piece)),
            Some(json!({
                "chosenCandidates": [{"token": "a", "logProbability": -0.5}, {"token": "c", "logProbability": 0}],
                "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1}]}, {"candidates": []}]
            }))
        );
    }
}
