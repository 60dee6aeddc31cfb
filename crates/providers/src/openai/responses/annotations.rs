//! Citations: chat completions and the domain nest what this format writes flat.

use domain::chat::Annotation;
use serde_json::{Map, Value};

use super::super::annotations::{self, URL};
use super::super::fields::Fields;
use crate::face::InvalidRequest;

/// Takes the citations of a part, as the domain keeps them.
pub(super) fn take(part: &mut Fields<'_>) -> Result<Vec<Annotation>, InvalidRequest> {
    let taken = annotations::take(part)?;
    Ok(taken.into_iter().map(nested).collect())
}

/// The citations that clients take, as this format writes them, then the others.
pub(super) fn parted(annotations: &[Annotation]) -> (Vec<Annotation>, Vec<Annotation>) {
    annotations.iter().map(flat).partition(is_own)
}

/// Whether a citation is of a kind that this format's clients know.
pub(super) fn is_own(annotation: &Annotation) -> bool {
    annotations::is_of(annotation, &annotations::RESPONSES)
}

/// As the domain keeps it: `{"type": "url_citation", "url_citation": {…}}`.
pub(super) fn nested(annotation: Annotation) -> Annotation {
    match annotation {
        Value::Object(mut flat) if is_url(&flat) && !flat.contains_key(URL) => {
            flat.shift_remove("type");
            let mut nested = Map::new();
            nested.insert("type".to_owned(), URL.into());
            nested.insert(URL.to_owned(), flat.into());
            nested.into()
        }
        other => other,
    }
}

/// As this format writes it: `{"type": "url_citation", "start_index": …, "url": …}`. Clients insist on
/// the places and the title, which other providers do not always tell.
pub(super) fn flat(annotation: &Annotation) -> Annotation {
    let Value::Object(object) = annotation else {
        return annotation.clone();
    };
    let (true, Some(Value::Object(inner))) = (is_url(object), object.get(URL)) else {
        return annotation.clone();
    };
    let mut flat = Map::new();
    flat.insert("type".to_owned(), URL.into());
    for (name, missing) in [
        ("start_index", Value::from(0)),
        ("end_index", Value::from(0)),
        ("url", Value::from("")),
        ("title", Value::from("")),
    ] {
        let told = inner.get(name).filter(|value| !value.is_null());
        flat.insert(name.to_owned(), told.cloned().unwrap_or(missing));
    }
    let outer = object.iter().filter(|(name, _)| *name != URL);
    for (name, value) in inner.iter().chain(outer) {
        flat.entry(name.clone()).or_insert_with(|| value.clone());
    }
    flat.into()
}

fn is_url(object: &Map<String, Value>) -> bool {
    object.get("type").and_then(Value::as_str) == Some(URL)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_citation_goes_flat_and_back() {
        let flat_shape = json!({"type": "url_citation", "start_index": 3, "end_index": 9, "url": "https://a.example", "title": "A"});
        assert_eq!(flat(&nested(flat_shape.clone())), flat_shape);
    }

    #[test]
    fn what_clients_insist_on_is_always_there() {
        let told = json!({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": null, "cited_text": "x"}});
        assert_eq!(
            flat(&told),
            json!({"type": "url_citation", "start_index": 0, "end_index": 0, "url": "https://a.example", "title": "", "cited_text": "x"})
        );
        let other = json!({"type": "file_citation", "file_id": "f"});
        assert_eq!(flat(&other), other);
    }
}
