//! Citations in OpenAI's `annotations` shape.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html>

use domain::chat::Annotation;
use serde_json::{Value, json};

/// A citation over the characters `start..end` of the answer's text. Sources on the web become OpenAI's
/// `url_citation`; the others keep Converse's fields.
pub(super) fn annotation(citation: &Value, start: usize, end: usize) -> Annotation {
    let on_the_web = citation
        .pointer("/location/web/url")
        .or_else(|| citation.get("source"))
        .and_then(Value::as_str)
        .filter(|source| source.starts_with("http"));
    if let Some(url) = on_the_web {
        let title = citation.get("title").and_then(Value::as_str);
        return json!({
            "type": "url_citation",
            "url_citation": {
                "url": url,
                "title": title.unwrap_or_default(),
                "start_index": start,
                "end_index": end,
            },
        });
    }
    let mut fields = citation.as_object().cloned().unwrap_or_default();
    fields.insert("start_index".to_owned(), Value::from(start));
    fields.insert("end_index".to_owned(), Value::from(end));
    json!({"type": "citation", "citation": fields})
}
