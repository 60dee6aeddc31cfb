//! Cohere's citations and OpenAI's `annotations`. <https://docs.cohere.com/docs/rag-citations>

use domain::chat::Annotation;
use serde_json::{Map, Value, json};

/// The type, and the name of the object, of a citation that has no web page to show.
const KIND: &str = "citation";

/// The citations as annotations; `offset` is where their text begins, in characters of the answer. A
/// source on the web becomes OpenAI's `url_citation`; a citation without one keeps Cohere's fields.
pub(super) fn annotations(citation: &Value, offset: u64) -> Vec<Annotation> {
    let place = |name: &str| citation.get(name).and_then(Value::as_u64);
    let start = place("start").map_or(0, |start| start.saturating_add(offset));
    let end = place("end").map_or(start, |end| end.saturating_add(offset));
    let sources = citation.get("sources").and_then(Value::as_array);
    let pages: Vec<Annotation> = sources
        .into_iter()
        .flatten()
        .filter_map(|source| {
            let data = source
                .get("document")
                .or_else(|| source.get("tool_output"))?;
            let url = data.get("url").and_then(Value::as_str)?;
            let title = data.get("title").and_then(Value::as_str);
            url.starts_with("http").then(|| {
                json!({
                    "type": "url_citation",
                    "url_citation": {
                        "url": url,
                        "title": title.unwrap_or_default(),
                        "start_index": start,
                        "end_index": end,
                    },
                })
            })
        })
        .collect();
    if !pages.is_empty() {
        return pages;
    }
    let mut fields = citation.as_object().cloned().unwrap_or_default();
    fields.remove("start");
    fields.remove("end");
    fields.insert("start_index".to_owned(), start.into());
    fields.insert("end_index".to_owned(), end.into());
    let mut annotation = Map::new();
    annotation.insert("type".to_owned(), KIND.into());
    annotation.insert(KIND.to_owned(), Value::Object(fields));
    vec![Value::Object(annotation)]
}

/// The citation that an annotation was made of; `None` for those of other formats.
pub(super) fn native(annotation: &Annotation) -> Option<Value> {
    if annotation.get("type")? != KIND {
        return None;
    }
    let mut fields = annotation.get(KIND)?.as_object()?.clone();
    for (ours, name) in [("start_index", "start"), ("end_index", "end")] {
        let place = fields.remove(ours)?;
        fields.insert(name.to_owned(), place);
    }
    Some(Value::Object(fields))
}

/// The citation to show for an annotation of any format.
pub(super) fn shown(annotation: &Annotation) -> Value {
    if let Some(native) = native(annotation) {
        return native;
    }
    let Some(page) = annotation.get("url_citation") else {
        return json!({"sources": [{"type": "document", "document": annotation}]});
    };
    let field = |name: &str| page.get(name).cloned().unwrap_or_default();
    json!({
        "start": field("start_index"),
        "end": field("end_index"),
        "sources": [{
            "type": "document",
            "id": field("url"),
            "document": {"url": field("url"), "title": field("title")},
        }],
        "type": "TEXT_CONTENT",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_citation_of_the_callers_document_survives_both_ways() {
        let citation = json!({
            "start": 5, "end": 9, "text": "Rome", "type": "TEXT_CONTENT",
            "sources": [{"type": "document", "id": "doc:0", "document": {"id": "doc:0", "text": "Rome is big."}}],
        });
        let annotations = annotations(&citation, 0);
        assert_eq!(annotations.len(), 1);
        assert_eq!(native(&annotations[0]), Some(citation.clone()));
        assert_eq!(shown(&annotations[0]), citation);
    }

    #[test]
    fn a_source_on_the_web_becomes_a_url_citation() {
        let citation = json!({
            "start": 0, "end": 4, "text": "Rome",
            "sources": [{"type": "tool", "id": "s:0", "tool_output": {"url": "https://example.com", "title": "Italy"}}],
        });
        assert_eq!(
            annotations(&citation, 10),
            [json!({
                "type": "url_citation",
                "url_citation": {"url": "https://example.com", "title": "Italy", "start_index": 10, "end_index": 14},
            })]
        );
    }
}
