//! Signatures over thinking: issued with an answer, checked when the block comes back.
//! See <https://docs.claude.com/en/docs/build-with-claude/extended-thinking#thinking-encryption>.

use crate::digest::Digest;
use crate::media;

/// The signature of a thinking text.
pub(crate) fn sign(seed: u64, thinking: &str) -> String {
    let first = Digest::new(seed)
        .with(b"thinking")
        .with(thinking.as_bytes());
    let second = first.with_number(1);
    let mut bytes = b"sim\x01".to_vec();
    bytes.extend_from_slice(&first.value().to_be_bytes());
    bytes.extend_from_slice(&second.value().to_be_bytes());
    media::encode(&bytes)
}

/// What stands for a thinking text that is not shown.
pub(crate) fn redact(seed: u64, thinking: &str) -> String {
    media::encode(format!("sim\x02{}\0{thinking}", sign(seed, thinking)).as_bytes())
}

/// Whether redacted thinking is as this provider issued it.
pub(crate) fn is_redacted(seed: u64, data: &str) -> bool {
    let Some(bytes) = media::decode_standard(data) else {
        return false;
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return false;
    };
    text.strip_prefix("sim\x02")
        .and_then(|text| text.split_once('\0'))
        .is_some_and(|(signature, thinking)| signature == sign(seed, thinking))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_altered_thought_has_another_signature() {
        assert_eq!(sign(1, "a thought"), sign(1, "a thought"));
        assert_ne!(sign(1, "a thought"), sign(1, "A thought"));
        assert_ne!(sign(1, "a thought"), sign(2, "a thought"));
    }

    #[test]
    fn redacted_thinking_is_known_again_unless_altered() {
        let data = redact(1, "a thought");
        assert!(is_redacted(1, &data));
        assert!(!is_redacted(2, &data));
        assert!(!is_redacted(1, "AAAA"));
    }
}
