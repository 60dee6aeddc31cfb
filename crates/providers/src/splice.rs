//! Edits of a JSON object's own fields that touch no other byte: numbers, key order, white space and
//! fields that nobody knows stay as they were written.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::dialect::Refusal;
use crate::openai::fields::Fields;

/// The object `body` without the fields `removed` and with the fields `added`, whose values are JSON, at
/// its beginning.
pub(crate) fn fields(
    body: &[u8],
    removed: &[&str],
    added: &[(&str, &str)],
) -> Result<Bytes, Refusal> {
    edited(body, |name| !removed.contains(&name), added)
}

/// The object `body` with no other fields than those `kept`.
pub(crate) fn only(body: &[u8], kept: &[&str]) -> Result<Bytes, Refusal> {
    edited(body, |name| kept.contains(&name), &[])
}

fn edited(
    body: &[u8],
    is_kept: impl Fn(&str) -> bool,
    added: &[(&str, &str)],
) -> Result<Bytes, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal {
        detail: "The request body is not valid UTF-8.".to_owned(),
        param: None,
    })?;
    let members = members(text)?;
    let kept = members
        .into_iter()
        .filter(|(name, _)| is_kept(name))
        .filter_map(|(_, span)| body.get(span));
    let growth: usize = added
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    let mut edited = BytesMut::with_capacity(body.len() + growth);
    edited.put_u8(b'{');
    let begin = |out: &mut BytesMut| {
        if out.len() > 1 {
            out.put_u8(b',');
        }
    };
    for (name, value) in added {
        begin(&mut edited);
        edited.put_slice(format!("\"{name}\":{value}").as_bytes());
    }
    for member in kept {
        begin(&mut edited);
        edited.put_slice(member);
    }
    edited.put_u8(b'}');
    Ok(edited.freeze())
}

/// The names of the object's fields, and where each stands between its separators.
fn members(text: &str) -> Result<Vec<(String, Range<usize>)>, Refusal> {
    let read = Fields::read_body(text).map_err(|invalid| Refusal {
        detail: invalid.detail,
        param: invalid.param,
    })?;
    let mut start = text.find('{').map_or(0, |brace| brace + 1);
    let members = read.rest().map(|(name, value)| {
        let value_end = value.get().as_ptr().addr() - text.as_ptr().addr() + value.get().len();
        // Nothing but white space stands between a value and what separates it from the next.
        let separator = text
            .get(value_end..)
            .and_then(|rest| rest.find([',', '}']))
            .map_or(text.len(), |gap| value_end + gap);
        let span = start..separator;
        start = separator + 1;
        (name.into_owned(), span)
    });
    Ok(members.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(body: &str, removed: &[&str], added: &[(&str, &str)]) -> String {
        let bytes = fields(body.as_bytes(), removed, added).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn what_is_not_named_stays_byte_for_byte() {
        let body = r#"{ "model" : "m",
            "n": 12345678901234567890.10, "model2":{"model":[1,"}"]} , "é\"\u0065":"é" }"#;
        assert_eq!(
            edited(body, &["model"], &[("v", "\"1\"")]),
            r#"{"v":"1",
            "n": 12345678901234567890.10, "model2":{"model":[1,"}"]} , "é\"\u0065":"é" }"#
        );
        assert_eq!(edited(body, &[], &[]), body);
        assert_eq!(
            edited(body, &["n", "model2"], &[]),
            r#"{ "model" : "m", "é\"\u0065":"é" }"#
        );
    }

    #[test]
    fn the_only_field_may_go() {
        assert_eq!(edited(r#"{"model":"m"}"#, &["model"], &[]), "{}");
        assert_eq!(edited("{ }", &["model"], &[("v", "1")]), "{\"v\":1}");
        assert_eq!(
            edited(r#"{"a":1,"model":"m"}"#, &["model"], &[]),
            r#"{"a":1}"#
        );
    }

    #[test]
    fn a_field_written_with_escapes_is_known_by_its_name() {
        assert_eq!(
            edited(r#"{"m\u006fdel":"m","a":1}"#, &["model"], &[]),
            r#"{"a":1}"#
        );
    }

    #[test]
    fn what_is_not_to_be_kept_goes() {
        let kept = only(br#"{"a": 1.0,"b":{"c":2}, "c" : [3]}"#, &["c", "a", "d"]);
        assert_eq!(kept.unwrap(), r#"{"a": 1.0, "c" : [3]}"#);
        assert_eq!(only(br#"{"a":1}"#, &["b"]).unwrap(), "{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[]", "{", "{\"a\":1,\"a\":2}"] {
            assert!(fields(body.as_bytes(), &[], &[]).is_err(), "{body}");
        }
    }
}
