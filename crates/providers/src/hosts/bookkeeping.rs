//! What is left out of requests that otherwise pass byte for byte: what a host refuses although it shapes
//! nothing of the answer.

use bytes::Bytes;
use domain::chat::Conversion;
use memchr::memmem;

use super::Quirks;
use crate::dialect::Refusal;
use crate::openai::envelope;
use crate::openai::fields::Fields;
use crate::passing;
use crate::splice;

/// Fields by which OpenAI keeps, files, bills and caches requests
/// (<https://platform.openai.com/docs/api-reference/chat/create>). Its clients send them of their own accord; of what
/// is answered they say nothing.
const BOOKKEEPING: [&str; 7] = [
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

/// `body`, a chat completions request, without the bookkeeping that the host refuses; the report says what was
/// left out. No other byte is touched, and a host that refuses none of it costs no look at the body.
///
/// What shapes the answer stays: the host refuses it in its own words.
///
/// # Errors
///
/// When the body is no JSON object.
pub fn without_refused_bookkeeping(
    quirks: &Quirks,
    body: Bytes,
    report: &mut Conversion,
) -> Result<Bytes, Refusal> {
    let is_there = |field: &&str| BOOKKEEPING.contains(field) && may_name(&body, field);
    let mut refused = quirks.refused.iter().copied().filter(is_there).peekable();
    if refused.peek().is_none() {
        return Ok(body);
    }
    let refused: Vec<&'static str> = refused.collect();
    let text = envelope::text(&body).map_err(passing::refusal)?;
    let mut fields = Fields::read_body(text).map_err(passing::refusal)?;
    let mut found = Vec::with_capacity(refused.len());
    for field in refused {
        let Some(value) = fields.take_or_null(field) else {
            continue;
        };
        found.push(field);
        // Nothing was wished.
        if value.get() != "null" {
            report.drop(field, "the host refuses it");
        }
    }
    if found.is_empty() {
        return Ok(body);
    }
    splice::fields(&body, &found, &[])
}

/// Whether an object somewhere in the body may have a field of that name: a look that is cheap beside reading it.
fn may_name(body: &[u8], field: &str) -> bool {
    memmem::find_iter(body, field.as_bytes()).any(|start| {
        let before = start.checked_sub(1).and_then(|place| body.get(place));
        let mut after = body.iter().skip(start + field.len());
        before == Some(&b'"')
            && after.next() == Some(&b'"')
            && after.find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Quirks = Quirks {
        refused: &["logit_bias", "user", "store", "metadata"],
        ..Quirks::NONE
    };

    fn left(quirks: &Quirks, body: &str) -> (String, Vec<String>) {
        let mut report = Conversion::default();
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let left = without_refused_bookkeeping(quirks, bytes, &mut report).unwrap();
        let dropped = report.dropped.iter().map(|loss| loss.field.to_string());
        (String::from_utf8(left.to_vec()).unwrap(), dropped.collect())
    }

    #[test]
    fn what_the_host_refuses_is_left_out_and_told_and_no_other_byte_changes() {
        let body = r#"{ "model":"m", "store" : false,"user":"u","metadata":null, "n" : 1.0,"x":{"store":1} }"#;
        let (left_out, dropped) = left(&STRICT, body);
        assert_eq!(left_out, r#"{ "model":"m", "n" : 1.0,"x":{"store":1} }"#);
        assert_eq!(dropped, ["user", "store"]);
        assert_eq!(left(&Quirks::NONE, body), (body.to_owned(), Vec::new()));
    }

    #[test]
    fn what_shapes_the_answer_and_what_only_looks_refused_stay() {
        for body in [
            r#"{"model":"m","logit_bias":{"1":2}}"#,
            r#"{"messages":[{"role":"user","content":"\"store\": true"}]}"#,
            r#"{"tools":[{"function":{"parameters":{"properties":{"store":{}, "user" : {}}}}}]}"#,
            r#"{"model":"store","messages":[{"role":"user"}]}"#,
        ] {
            assert_eq!(left(&STRICT, body), (body.to_owned(), Vec::new()), "{body}");
        }
    }
}
