//! Citations in OpenAI's `annotations` shape.
//! <https://platform.claude.com/docs/en/build-with-claude/citations>

use domain::chat::Annotation;
use serde_json::{Map, Value, json};

/// A citation over the characters `start..end` of the answer's text. Sources on the web become
/// OpenAI's `url_citation`; the others keep Anthropic's type and fields.
pub(super) fn annotation(citation: &Value, start: usize, end: usize) -> Annotation {
    let text = |name: &str| citation.get(name).and_then(Value::as_str);
    let kind = text("type").unwrap_or("citation");
    let url = match kind {
        "web_search_result_location" => text("url"),
        "search_result_location" => text("source").filter(|source| source.starts_with("http")),
        _ => None,
    };
    if let Some(url) = url {
        return json!({
            "type": "url_citation",
            "url_citation": {
                "url": url,
                "title": text("title").unwrap_or_default(),
                "start_index": start,
                "end_index": end,
            },
        });
    }
    let mut fields = citation.as_object().cloned().unwrap_or_default();
    fields.remove("type");
    fields.insert("start_index".to_owned(), Value::from(start));
    fields.insert("end_index".to_owned(), Value::from(end));
    let mut annotation = Map::new();
    annotation.insert("type".to_owned(), Value::from(kind));
    annotation.insert(kind.to_owned(), Value::Object(fields));
    Value::Object(annotation)
}
