//! The text of a virtual key: `tl_` and 43 characters that carry 256 random bits; that of a client secret
//! begins with `ek_`.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::entropy::Entropy;
use domain::id::KeyId;
use domain::key::KeyHash;
use domain::secret::Secret;
use siphasher::sip128::SipHasher24;

/// The fewest characters a key text that an operator chose may have.
pub const MIN_LENGTH: usize = 16;

/// Begins the text of a client secret, as OpenAI's do.
pub const CLIENT_SECRET_PREFIX: &str = "ek_";

const PREFIX: &str = "tl_";
const SHOWN_FIRST: usize = 7;
const SHOWN_LAST: usize = 4;

/// Makes the text of a new key.
pub fn generate(entropy: &dyn Entropy) -> Secret<String> {
    random(PREFIX, entropy)
}

/// Makes the text of a new client secret.
pub fn generate_client_secret(entropy: &dyn Entropy) -> Secret<String> {
    random(CLIENT_SECRET_PREFIX, entropy)
}

fn random(prefix: &str, entropy: &dyn Entropy) -> Secret<String> {
    let mut random = [0; 32];
    entropy.fill(&mut random);
    Secret::new(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random)))
}

/// What may be shown of a key text: its first and its last characters.
pub fn shown(text: &Secret<String>) -> (String, String) {
    let text = text.reveal();
    let first: String = text.chars().take(SHOWN_FIRST).collect();
    let last = text
        .chars()
        .rev()
        .take(SHOWN_LAST)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    // A text that an operator chose shows less of itself: its beginning may be guessable.
    if text.starts_with(PREFIX) {
        (first, last)
    } else {
        (String::new(), last)
    }
}

/// Hashes key texts under the installation's secret, so that a stolen table of hashes recognises
/// nothing. Costs well under a microsecond: key texts carry enough random bits for a fast hash.
pub struct Hasher {
    key: hmac::Key,
    fingerprints: SipHasher24,
}

/// Recognises a key's text again within this process, at a tenth of what its hash costs: SipHash-2-4 of 128
/// bits, under a secret that is derived from the installation's. It is never written down.
pub(crate) type Fingerprint = u128;

impl Hasher {
    /// A hasher under `secret`; another secret recognises none of the same keys.
    pub fn new(secret: &Secret<Vec<u8>>) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal());
        let derived: [u8; 16] = beginning(&hmac::sign(&key, b"fingerprints of key texts"));
        Self {
            key,
            fingerprints: SipHasher24::new_with_key(&derived),
        }
    }

    /// The hash that recognises `text`.
    pub fn hash(&self, text: &str) -> KeyHash {
        beginning(&hmac::sign(&self.key, text.as_bytes()))
    }

    /// What recognises `text` again whose hash is known.
    pub(crate) fn fingerprint(&self, text: &str) -> Fingerprint {
        self.fingerprints.hash(text.as_bytes()).as_u128()
    }
}

/// The first `N` bytes; zeros where there are none.
fn beginning<const N: usize>(bytes: &impl AsRef<[u8]>) -> [u8; N] {
    let mut first = [0; N];
    let pairs = first.iter_mut().zip(bytes.as_ref());
    pairs.for_each(|(to, from)| *to = *from);
    first
}

/// The identifier of the configured key called `name`.
pub fn configured_id(name: &str) -> KeyId {
    let digest = digest::digest(&digest::SHA256, name.as_bytes());
    KeyId::of_configured(beginning(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;
    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn a_key_shows_its_first_and_last_characters_only() {
        let text = generate(&Sevens);
        assert_eq!(text.reveal().len(), 46);
        let (first, last) = shown(&text);
        assert_eq!(first, "tl_BwcH");
        assert_eq!(last.len(), 4);
        assert!(text.reveal().ends_with(&last));
    }

    #[test]
    fn a_chosen_text_shows_its_end_only() {
        let shown = shown(&Secret::new("correct horse battery".to_owned()));
        assert_eq!(shown, (String::new(), "tery".to_owned()));
    }

    #[test]
    fn a_hash_depends_on_the_secret_and_the_text() {
        let hasher = |secret: &[u8]| Hasher::new(&Secret::new(secret.to_vec()));
        let hash = hasher(b"one").hash("tl_a");
        assert_eq!(hash, hasher(b"one").hash("tl_a"));
        assert_ne!(hash, hasher(b"one").hash("tl_b"));
        assert_ne!(hash, hasher(b"two").hash("tl_a"));
        let fingerprint = hasher(b"one").fingerprint("tl_a");
        assert_eq!(fingerprint, hasher(b"one").fingerprint("tl_a"));
        assert_ne!(fingerprint, hasher(b"one").fingerprint("tl_b"));
        assert_ne!(fingerprint, hasher(b"two").fingerprint("tl_a"));
    }
}
