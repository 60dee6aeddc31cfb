//! One account acts for another
//! (<https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>).

use bytes::Bytes;
use domain::egress::Reach;
use domain::secret::Secret;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Account, InvalidAccount, SCOPE, parse, secure};
use crate::credential::{self, Credential, Granted, Step, Unobtained};
use crate::token;

/// How long a token is good for unless the file says otherwise, in seconds.
const LIFETIME_SECONDS: u32 = 3_600;

/// A service account that another account acts for.
#[derive(Debug, Clone)]
pub struct ImpersonatedAccount {
    source: Box<Account>,
    impersonation: Impersonation,
}

#[derive(Deserialize)]
struct Wire<'a> {
    service_account_impersonation_url: String,
    #[serde(borrow)]
    source_credentials: &'a RawValue,
    #[serde(default)]
    delegates: Vec<String>,
}

impl ImpersonatedAccount {
    pub(super) fn read(json: &str) -> Result<Self, InvalidAccount> {
        let wire: Wire<'_> = parse(json)?;
        let source =
            Account::read(wire.source_credentials.get()).map_err(|InvalidAccount(reason)| {
                InvalidAccount(format!("of its `source_credentials`, {reason}"))
            })?;
        let url = wire.service_account_impersonation_url;
        Ok(Self {
            source: Box::new(source),
            impersonation: Impersonation::new(url, wire.delegates, None)?,
        })
    }

    pub(super) fn begin(&self, now: Timestamp) -> Result<Step, Unobtained> {
        let impersonation = self.impersonation.clone();
        self.source
            .begin(now)?
            .and_then(now, move |granted, _| impersonation.ask(&granted))
    }
}

/// For whom an account acts.
#[derive(Debug, Clone)]
pub(super) struct Impersonation {
    url: String,
    delegates: Vec<String>,
    lifetime_seconds: u32,
}

impl Impersonation {
    pub(super) fn new(
        url: String,
        delegates: Vec<String>,
        lifetime_seconds: Option<u32>,
    ) -> Result<Self, InvalidAccount> {
        secure(&url, "service_account_impersonation_url")?;
        Ok(Self {
            url,
            delegates,
            lifetime_seconds: lifetime_seconds.unwrap_or(LIFETIME_SECONDS),
        })
    }

    /// Asks for a token of the account with the token of the one who acts for it.
    pub(super) fn ask(&self, granted: &Granted) -> Result<Step, Unobtained> {
        let Credential::Token(token) = &granted.credential else {
            return Err(Unobtained::for_good(
                "an account acts for another with an access token only",
            ));
        };
        let body = json!({
            "scope": [SCOPE],
            "lifetime": format!("{}s", self.lifetime_seconds),
            "delegates": self.delegates,
        });
        let bearer = credential::field("Bearer ", token)
            .map_err(|refusal| Unobtained::for_good(refusal.detail))?;
        let request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, bearer)
            .body(Bytes::from(body.to_string()))
            .map_err(|error| token::no_request(&self.url, &error))?;
        Ok(Step::ask(request, Reach::Public, |answer, now| {
            read(&answer, now).map(Step::Done)
        }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    access_token: Secret<String>,
    expire_time: Timestamp,
}

fn read(answer: &Response<Bytes>, now: Timestamp) -> Result<Granted, Unobtained> {
    const ISSUER: &str = "Google's service account credentials API";
    if !answer.status().is_success() {
        return Err(token::refused(ISSUER, answer, now));
    }
    let read: Answer = serde_json::from_slice(answer.body()).map_err(|_| {
        Unobtained::for_good(format!(
            "{ISSUER} answered something else than an access token"
        ))
    })?;
    Ok(Granted {
        credential: Credential::Token(read.access_token),
        expires_at: Some(read.expire_time),
    })
}
