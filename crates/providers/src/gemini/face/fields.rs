//! What protobuf's JSON is more lenient about than JSON is
//! (<https://protobuf.dev/programming-guides/json/>): names in snake case, one item in place of a list, and
//! numbers as strings or with a fraction of zero.

use serde_json::value::RawValue;

use crate::face::InvalidRequest;
use crate::openai::fields::{self, Fields, Kind};

/// Takes an object.
pub(super) fn object<'a>(
    fields: &mut Fields<'a>,
    name: &str,
) -> Result<Option<Fields<'a>>, InvalidRequest> {
    fields.object(name)?.map(Fields::in_camel_case).transpose()
}

/// Reads an object.
pub(in crate::gemini) fn read(raw: &RawValue, path: String) -> Result<Fields<'_>, InvalidRequest> {
    Fields::read(raw, path)?.in_camel_case()
}

/// Takes the items of a list, with their paths. A single object stands for a list of one.
pub(super) fn list<'a>(
    fields: &mut Fields<'a>,
    name: &str,
) -> Result<Vec<(String, &'a RawValue)>, InvalidRequest> {
    let Some(raw) = fields.take(name) else {
        return Ok(Vec::new());
    };
    let path = fields.path_of(name);
    if Kind::of(raw.get()) == Some(Kind::Object) {
        return Ok(vec![(path, raw)]);
    }
    fields::list(raw, &path)
}

/// Takes a number, which may be written as a string.
pub(super) fn number(fields: &mut Fields<'_>, name: &str) -> Result<Option<f64>, InvalidRequest> {
    let Some(raw) = fields.take(name) else {
        return Ok(None);
    };
    let number = match Kind::of(raw.get()) {
        Some(Kind::Number) => raw.get().parse().ok(),
        Some(Kind::Text) => raw.get().trim_matches('"').parse().ok(),
        _ => None,
    };
    match number.filter(|number: &f64| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(fields.wrong_type(name, "a number", raw.get())),
    }
}

/// Takes a whole number between `least` and `most`, which may be written as a string or as `40.0`.
pub(super) fn whole(
    fields: &mut Fields<'_>,
    name: &str,
    least: i64,
    most: i64,
) -> Result<Option<i64>, InvalidRequest> {
    let Some(raw) = fields.take(name) else {
        return Ok(None);
    };
    let text = match Kind::of(raw.get()) {
        Some(Kind::Number) => raw.get(),
        Some(Kind::Text) => raw.get().trim_matches('"'),
        _ => return Err(fields.wrong_type(name, "a whole number", raw.get())),
    };
    let digits = text.split_once('.').map_or(text, |(whole, fraction)| {
        if fraction.bytes().all(|byte| byte == b'0') {
            whole
        } else {
            text
        }
    });
    match digits.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => {
            let path = fields.path_of(name);
            let found: String = text.chars().take(64).collect();
            let expected = if most == i64::MAX {
                format!("a whole number of at least {least}")
            } else {
                format!("a whole number from {least} to {most}")
            };
            let detail = format!("`{path}` must be {expected}, not {found}.");
            Err(InvalidRequest::of(path, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_of(json: &str) -> Result<Option<i64>, InvalidRequest> {
        let body = format!(r#"{{"top_k":{json}}}"#);
        let mut fields = Fields::read_body(&body)?.in_camel_case()?;
        whole(&mut fields, "topK", 0, 100)
    }

    #[test]
    fn whole_numbers_come_in_three_spellings() {
        for (json, expected) in [("40", 40), ("40.0", 40), ("\"40\"", 40), ("0", 0)] {
            assert_eq!(whole_of(json), Ok(Some(expected)), "{json}");
        }
        assert_eq!(whole_of("null"), Ok(None));
        for json in ["40.5", "-1", "101", "\"x\"", "true", "[]", "1e3"] {
            let refusal = whole_of(json).unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some("topK"), "{json}");
        }
    }

    #[test]
    fn a_name_in_both_spellings_is_refused() {
        let body = r#"{"topK":1,"top_k":2}"#;
        let refused = Fields::read_body(body)
            .and_then(Fields::in_camel_case)
            .err();
        assert_eq!(refused.and_then(|it| it.param).as_deref(), Some("topK"));
    }
}
