//! The thoughts of other providers in a conversation that goes on with Anthropic.
//!
//! Answers of other providers show their thoughts as blocks that Anthropic never made: thoughts with an empty
//! signature, OpenAI's encrypted thoughts, and blocks of our own (`custody`). Callers give both back, as they should, and Anthropic refuses
//! a whole request for one of them. So they are taken out where the bytes pass untouched otherwise; Anthropic's
//! own blocks always bear a signature or its own data.

use std::ops::Range;

use memchr::memmem;
use serde_json::value::RawValue;

use super::super::messages;
use crate::openai::envelope::span;
use crate::openai::fields::Fields;

/// The edits that take the blocks out of a body, in order.
pub(super) fn edits(body: &[u8]) -> Vec<(Range<usize>, String)> {
    if !may_hold_some(body) {
        return Vec::new();
    }
    let edits = std::str::from_utf8(body).ok().and_then(|text| {
        let mut fields = Fields::read_body(text).ok()?;
        let messages = fields.list("messages").ok()??;
        let edited = messages
            .into_iter()
            .filter_map(|(path, raw)| without(text, Fields::read(raw, path).ok()?));
        Some(edited.collect())
    });
    edits.unwrap_or_default()
}

/// Whether the bytes have what marks such a block; few requests do, and then none is read.
fn may_hold_some(body: &[u8]) -> bool {
    const NAME: &[u8] = b"\"signature\"";
    let is_empty = |at: usize| {
        let value = body.get(at + NAME.len()..).unwrap_or_default();
        let value = value.trim_ascii_start().strip_prefix(b":");
        value.is_some_and(|value| value.trim_ascii_start().starts_with(b"\"\""))
    };
    memmem::find(body, b"\"redacted_thinking\"").is_some()
        || memmem::find_iter(body, NAME).any(is_empty)
}

/// The edit that takes the blocks out of one message. A message of nothing else stays as it is: one without
/// content would be refused as well.
fn without(body: &str, mut message: Fields<'_>) -> Option<(Range<usize>, String)> {
    let content = message.look("content")?;
    let blocks = message.list("content").ok()??;
    let all = blocks.len();
    let kept: Vec<&str> = blocks
        .into_iter()
        .filter(|(_, raw)| !is_foreign(raw))
        .map(|(_, raw)| raw.get())
        .collect();
    if kept.is_empty() || kept.len() == all {
        return None;
    }
    Some((span(body, content.get()), format!("[{}]", kept.join(","))))
}

fn is_foreign(raw: &RawValue) -> bool {
    let text = |fields: &mut Fields<'_>, name: &str| fields.text(name).ok().flatten();
    let Ok(mut block) = Fields::read(raw, String::new()) else {
        return false;
    };
    match text(&mut block, "type").as_deref() {
        Some("thinking") => text(&mut block, "signature").is_some_and(|text| text.is_empty()),
        Some("redacted_thinking") => {
            text(&mut block, "data").is_some_and(|data| !messages::is_own_data(&data))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai::envelope::apply;

    fn edited(content: &str) -> String {
        let body = format!(
            r#"{{ "messages": [{{"role":"user","content":"Hi"}}, {{"content": {content}, "role":"assistant"}}], "n": 1e2 }}"#
        );
        let edits = edits(body.as_bytes());
        String::from_utf8(apply(&bytes::Bytes::from(body), &edits).to_vec()).unwrap()
    }

    fn around(content: &str) -> String {
        format!(
            r#"{{ "messages": [{{"role":"user","content":"Hi"}}, {{"content": {content}, "role":"assistant"}}], "n": 1e2 }}"#
        )
    }

    #[test]
    fn thoughts_that_anthropic_did_not_make_are_taken_out_and_nothing_else_is_touched() {
        let text = r#"{ "type": "text", "text": "I \u0061m." }"#;
        let own = r#"{"type":"thinking","thinking":"Hm","signature":"EqQB"}"#;
        let unsigned = r#"{"type":"thinking","thinking":"Hm","signature" : ""}"#;
        let sealed = r#"{"type":"redacted_thinking","data":"trunkline:call:1:ac2ln"}"#;
        let encrypted = r#"{"type":"redacted_thinking","data":"openai:gAAAAB"}"#;
        let whole = format!("[{unsigned}, {own},{sealed}, {encrypted}, {text}]");
        assert_eq!(edited(&whole), around(&format!("[{own},{text}]")));
    }

    #[test]
    fn a_request_without_any_passes_as_it_is() {
        for content in [
            r#"[ {"type":"thinking","thinking":"","signature":"EqQB"} ]"#,
            r#""a text about trunkline:call and \"signature\":\"\"""#,
            r#"[{"type":"redacted_thinking","data":"Emwk"}]"#,
            // Nothing would be left.
            r#"[{"type":"thinking","thinking":"Hm","signature":""}]"#,
        ] {
            assert_eq!(edited(content), around(content));
        }
    }
}
