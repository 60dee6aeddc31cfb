//! A person's own login: a refresh token is exchanged for an access token (RFC 6749 §6).

use domain::egress::Reach;
use domain::secret::Secret;
use serde::Deserialize;

use crate::credential::{Step, Unobtained};
use crate::token;

/// A person who logged in with `gcloud auth application-default login`.
#[derive(Debug, Clone, Deserialize)]
pub struct AuthorizedUser {
    client_id: String,
    client_secret: Secret<String>,
    refresh_token: Secret<String>,
    pub(super) quota_project_id: Option<String>,
}

impl AuthorizedUser {
    pub(super) fn begin(&self) -> Result<Step, Unobtained> {
        let request = token::post(
            "https://oauth2.googleapis.com/token",
            &[
                ("grant_type", "refresh_token"),
                ("client_id", &self.client_id),
                ("client_secret", self.client_secret.reveal()),
                ("refresh_token", self.refresh_token.reveal()),
            ],
        )?;
        Ok(Step::ask(request, Reach::Public, |answer, now| {
            token::granted("Google", &answer, now).map(Step::Done)
        }))
    }
}
