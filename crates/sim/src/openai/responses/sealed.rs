//! Encrypted reasoning: issued with an answer, checked when the item comes back.
//! See <https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items>.

use crate::digest::Digest;
use crate::media;

/// What stands for the reasoning of the item `id`.
pub(in crate::openai) fn seal(seed: u64, id: &str) -> String {
    let mut bytes = b"sim\x05".to_vec();
    bytes.extend_from_slice(&proof(seed, id).to_be_bytes());
    bytes.extend_from_slice(id.as_bytes());
    format!("gAAAAA{}", media::encode(&bytes))
}

/// The item that encrypted reasoning stands for, if this provider issued it.
pub(super) fn opened(seed: u64, sealed: &str) -> Option<String> {
    let bytes = media::decode_standard(sealed.strip_prefix("gAAAAA")?)?;
    let (_, id) = bytes.split_at_checked(12)?;
    let id = String::from_utf8(id.to_vec()).ok()?;
    (seal(seed, &id) == sealed).then_some(id)
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
        assert_eq!(opened(1, &sealed).as_deref(), Some("rs_a"));
        assert_eq!(opened(2, &sealed), None);
        for wrong in ["gAAAAA", "gAAAAAc2lt", "rs_a", "", "gAAAAA\u{e9}"] {
            assert_eq!(opened(1, wrong), None, "{wrong}");
        }
    }
}
