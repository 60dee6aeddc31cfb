//! Encryption: what is kept for one caller can be opened, and even be found, only for the same caller.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use domain::caller::Caller;
use domain::custody::Place;
use domain::entropy::Entropy;
use domain::secret::Secret;

use super::turn::Turn;

/// What the keys of every caller are derived from (HKDF with SHA-256, RFC 5869).
pub(super) struct Root(hkdf::Prk);

/// The keys of one caller: of an organization, a project and a virtual key together.
pub(super) struct Keys {
    place: hmac::Key,
    /// AES-256-GCM with random nonces, which is safe for 2³² turns of each caller (NIST SP 800-38D §8.3).
    seal: LessSafeKey,
}

impl Root {
    pub(super) fn new(secret: &Secret<Vec<u8>>) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"trunkline custody of reasoning state");
        Self(salt.extract(secret.reveal()))
    }

    /// The keys of `caller`. The derivation has no way to fail but one that would be in the library itself.
    pub(super) fn keys_of(&self, caller: &Caller) -> Option<Keys> {
        let organization = caller.organization_id().to_string();
        let project = caller.project_id().to_string();
        let key = caller.key_id().to_string();
        // Identifiers have one length each, so that no two owners share a text.
        let owner = [organization.as_bytes(), project.as_bytes(), key.as_bytes()];
        let [organization, project, key] = owner;
        let purpose = |purpose: &'static [u8]| [purpose, organization, project, key];
        let (place, seal) = (purpose(b"place "), purpose(b"seal "));
        Some(Keys {
            place: self.0.expand(&place, hmac::HMAC_SHA256).ok()?.into(),
            seal: LessSafeKey::new(UnboundKey::from(self.0.expand(&seal, &AES_256_GCM).ok()?)),
        })
    }
}

impl Keys {
    /// Where the turn is found that made the call of this id.
    pub(super) fn place(&self, call_id: &str) -> Place {
        let tag = hmac::sign(&self.place, call_id.as_bytes());
        let mut hash = [0; 32];
        hash.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        Place::new(hash)
    }

    /// A turn as it is kept: the nonce, then what is encrypted.
    pub(super) fn seal(&self, turn: &Turn, entropy: &dyn Entropy) -> Option<Vec<u8>> {
        let mut text = serde_json::to_vec(turn).ok()?;
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let once = Nonce::assume_unique_for_key(nonce);
        self.seal
            .seal_in_place_append_tag(once, Aad::empty(), &mut text)
            .ok()?;
        Some([nonce.as_slice(), &text].concat())
    }

    /// Opens what was kept; `None` of what these keys did not seal.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Turn> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut text = sealed.to_vec();
        let text = self
            .seal
            .open_in_place(nonce, Aad::empty(), &mut text)
            .ok()?;
        serde_json::from_slice(text).ok()
    }
}
