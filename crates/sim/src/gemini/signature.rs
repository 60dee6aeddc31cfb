//! Thought signatures: issued with an answer, expected back with its function calls.
//! See <https://ai.google.dev/gemini-api/docs/thought-signatures>.

use crate::digest::Digest;
use crate::media;

/// What a caller may send where the call came from another model, as the vendor documents.
const PLACEHOLDERS: [&str; 2] = [
    "context_engineering_is_the_way_to_go",
    "skip_thought_signature_validator",
];

/// The signature of a thought that led to `subject`.
pub(super) fn sign(seed: u64, subject: u64) -> String {
    let mut bytes = b"sim\x03".to_vec();
    bytes.extend_from_slice(&subject.to_be_bytes());
    bytes.extend_from_slice(&proof(seed, subject).to_be_bytes());
    media::encode(&bytes)
}

/// Whether a signature was issued by this provider, or is one of the documented placeholders.
pub(super) fn is_ours(seed: u64, signature: &str) -> bool {
    let Some(bytes) = media::decode_any(signature) else {
        return PLACEHOLDERS.contains(&signature);
    };
    if let [b's', b'i', b'm', 3, subject @ .., a, b, c, d, e, f, g, h] = bytes.as_slice()
        && let Ok(subject) = <[u8; 8]>::try_from(subject)
    {
        return proof(seed, u64::from_be_bytes(subject))
            == u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
    }
    // Placeholders are sent as they are, or as the base64 of their letters.
    PLACEHOLDERS
        .iter()
        .any(|placeholder| *placeholder == signature || placeholder.as_bytes() == bytes)
}

fn proof(seed: u64, subject: u64) -> u64 {
    Digest::new(seed)
        .with(b"thought")
        .with_number(subject)
        .value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_signatures_and_the_placeholders_are_known() {
        assert!(is_ours(1, &sign(1, 99)));
        assert!(!is_ours(2, &sign(1, 99)));
        assert!(is_ours(1, "skip_thought_signature_validator"));
        assert!(is_ours(
            1,
            &media::encode(b"skip_thought_signature_validator")
        ));
        assert!(!is_ours(1, "c2lt"));
    }
}
