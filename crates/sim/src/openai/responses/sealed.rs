//! Encrypted reasoning: issued with an answer, checked when the item comes back.
//! See <https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items>.

use crate::digest::Digest;
use crate::media;

/// What stands for the reasoning of the item `id`.
pub(super) fn seal(seed: u64, id: &str) -> String {
    let mut bytes = b"sim\x05".to_vec();
    bytes.extend_from_slice(&proof(seed, id).to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    format!("gAAAAA{}", media::encode(&bytes))
}

/// Whether encrypted reasoning is as this provider issued it for the item `id`.
pub(super) fn is_ours(seed: u64, id: &str, sealed: &str) -> bool {
    sealed == seal(seed, id)
}

fn proof(seed: u64, id: &str) -> u64 {
    Digest::new(seed)
        .with(b"reasoning")
        .with(id.as_bytes())
        .value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encrypted_reasoning_belongs_to_one_item_and_one_provider() {
        let sealed = seal(1, "rs_a");
        assert!(is_ours(1, "rs_a", &sealed));
        assert!(!is_ours(1, "rs_b", &sealed));
        assert!(!is_ours(2, "rs_a", &sealed));
        assert!(!is_ours(1, "rs_a", "gAAAAA"));
    }
}
