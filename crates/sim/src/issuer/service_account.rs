//! The one service account whose signatures Google's token endpoint accepts here.
//! See <https://developers.google.com/identity/protocols/oauth2/service-account>.

use std::sync::OnceLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The address by which the account is called.
pub(super) const EMAIL: &str = "simulated@trunkline-sim.iam.gserviceaccount.com";
const KEY_ID: &str = "51c7c1b727224a959e3779b97f4a7c155157c1b7";

/// The account. Its key is made when it is first asked for, and lives as long as the provider.
#[derive(Debug, Default)]
pub(crate) struct ServiceAccount(OnceLock<Option<RsaKeyPair>>);

/// Why a signed assertion is not accepted, in Google's words.
pub(super) struct Unsound(pub(super) &'static str);

impl ServiceAccount {
    fn key(&self) -> Option<&RsaKeyPair> {
        self.0
            .get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).ok())
            .as_ref()
    }

    /// The key file that Google would hand out, with `base_url` as the place to get tokens from.
    /// `None` if the machine has no randomness to make a key of.
    pub(crate) fn key_file(&self, base_url: &str) -> Option<Value> {
        let der = self.key()?.as_der().ok()?;
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        let text = STANDARD.encode(der.as_ref());
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Some(json!({
            "type": "service_account",
            "project_id": "trunkline-sim",
            "private_key_id": KEY_ID,
            "private_key": pem,
            "client_email": EMAIL,
            "client_id": "100000000000000000017",
            "auth_uri": format!("{base_url}/auth"),
            "token_uri": format!("{base_url}/token"),
            "universe_domain": "googleapis.com",
        }))
    }

    /// Checks the signature of a JSON Web Token (RFC 7515) and gives back its claims.
    pub(super) fn claims(&self, token: &str) -> Result<Value, Unsound> {
        let malformed = || Unsound("Invalid JWT: Failed reading the token.");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let parse =
            |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).map_err(|_| malformed());
        let header = parse(decode(header)?)?;
        if header["alg"] != "RS256" {
            return Err(Unsound("Invalid JWT: unsupported algorithm."));
        }
        if header.get("kid").is_some_and(|id| id != KEY_ID) {
            return Err(Unsound("Invalid JWT Signature."));
        }
        let unsigned = || Unsound("Invalid JWT Signature.");
        let key = self.key().ok_or_else(unsigned)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
            .verify(signed.as_bytes(), &decode(signature)?)
            .map_err(|_| unsigned())?;
        parse(decode(claims)?)
    }
}
