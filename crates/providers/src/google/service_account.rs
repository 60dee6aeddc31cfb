//! The key of a service account: a signed assertion is exchanged for a token (RFC 7523,
//! <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>).

use std::fmt::Write as _;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use domain::secret::Secret;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{InvalidAccount, SCOPE, parse, secure};
use crate::credential::{Step, Unobtained};
use crate::token;

/// How long an assertion, and the token that it buys, is good for: the most that is allowed.
const LIFETIME_SECONDS: i64 = 3_600;

/// A service account with a key of its own.
#[derive(Debug, Clone, Deserialize)]
pub struct ServiceAccount {
    client_email: String,
    /// PKCS #8 in PEM.
    private_key: Secret<String>,
    private_key_id: Option<String>,
    #[serde(default = "token_uri")]
    token_uri: String,
    pub(super) project_id: Option<String>,
}

fn token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

impl ServiceAccount {
    pub(super) fn read(json: &str) -> Result<Self, InvalidAccount> {
        let account: Self = parse(json)?;
        secure(&account.token_uri, "token_uri")?;
        account
            .key()
            .map_err(|reason| InvalidAccount(reason.to_owned()))?;
        Ok(account)
    }

    pub(super) fn begin(&self, now: Timestamp) -> Result<Step, Unobtained> {
        let assertion = Secret::new(self.assertion(now)?);
        let request = token::post(
            &self.token_uri,
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", assertion.reveal()),
            ],
        )?;
        Ok(Step::ask(
            request,
            super::reach(&self.token_uri),
            |answer, now| token::granted("Google", &answer, now).map(Step::Done),
        ))
    }

    /// The signed claim to be the account (RFC 7519, RFC 7515).
    fn assertion(&self, now: Timestamp) -> Result<String, Unobtained> {
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.private_key_id {
            header["kid"] = json!(id);
        }
        let issued_at = now.as_second();
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": issued_at,
            "exp": issued_at.saturating_add(LIFETIME_SECONDS),
        });
        let mut assertion = URL_SAFE_NO_PAD.encode(header.to_string());
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(claims.to_string(), &mut assertion);
        let unusable = |reason: &str| {
            Unobtained::for_good(format!(
                "the key of {} cannot sign: {reason}",
                self.client_email
            ))
        };
        let key = self.key().map_err(unusable)?;
        let mut signature = vec![0; key.public_modulus_len()];
        // This padding is not random: the same claim has the same signature.
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            assertion.as_bytes(),
            &mut signature,
        )
        .map_err(|_| unusable("the key is damaged"))?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        // Writing to a String cannot fail.
        let _written = write!(assertion, ".{signature}");
        Ok(assertion)
    }

    fn key(&self) -> Result<RsaKeyPair, &'static str> {
        let pem = self.private_key.reveal();
        let inner = pem
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"))
            .ok_or("its `private_key` does not begin with -----BEGIN PRIVATE KEY-----")?;
        let digits: String = inner.split_whitespace().collect();
        let der = STANDARD
            .decode(digits)
            .map(Secret::new)
            .map_err(|_| "its `private_key` is not base64")?;
        RsaKeyPair::from_pkcs8(der.reveal()).map_err(|_| "its `private_key` is not an RSA key")
    }
}
