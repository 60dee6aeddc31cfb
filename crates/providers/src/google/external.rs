//! Workload identity federation: a token of another issuer, from a file or a URL, is exchanged for one
//! of Google's security token service (RFC 8693), which may then act for a service account
//! (<https://google.aip.dev/auth/4117>).

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::egress::Reach;
use domain::secret::Secret;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::impersonation::Impersonation;
use super::{InvalidAccount, SCOPE, parse, secure};
use crate::credential::{Step, Unobtained};
use crate::token;

/// An identity of another cloud or of a workload.
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    exchange: Exchange,
    subject: Subject,
    impersonation: Option<Impersonation>,
}

/// The exchange of the foreign token.
#[derive(Debug, Clone, Deserialize)]
struct Exchange {
    audience: String,
    subject_token_type: String,
    #[serde(default = "token_url")]
    token_url: String,
    client_id: Option<String>,
    client_secret: Option<Secret<String>>,
    workforce_pool_user_project: Option<String>,
}

fn token_url() -> String {
    "https://sts.googleapis.com/v1/token".to_owned()
}

/// Where the foreign token is.
#[derive(Debug, Clone)]
enum Subject {
    File(PathBuf, Form),
    Url(String, BTreeMap<String, String>, Form),
}

/// How the foreign token is written.
#[derive(Debug, Clone)]
enum Form {
    Text,
    /// In this field of a JSON object.
    Field(String),
}

#[derive(Deserialize)]
struct Wire {
    #[serde(flatten)]
    exchange: Exchange,
    credential_source: WireSource,
    service_account_impersonation_url: Option<String>,
    #[serde(default)]
    service_account_impersonation: WireImpersonation,
}

#[derive(Deserialize, Default)]
struct WireImpersonation {
    token_lifetime_seconds: Option<u32>,
}

#[derive(Deserialize)]
struct WireSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<WireForm>,
}

#[derive(Deserialize)]
struct WireForm {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

impl ExternalAccount {
    pub(super) fn read(json: &str) -> Result<Self, InvalidAccount> {
        let wire: Wire = parse(json)?;
        secure(&wire.exchange.token_url, "token_url")?;
        let form = match wire.credential_source.format {
            None => Form::Text,
            Some(WireForm { kind, .. }) if kind == "text" => Form::Text,
            Some(WireForm {
                subject_token_field_name: Some(field),
                ..
            }) => Form::Field(field),
            Some(_) => {
                return Err(InvalidAccount(
                    "its `credential_source.format` has no `subject_token_field_name`".to_owned(),
                ));
            }
        };
        let subject = match (wire.credential_source.file, wire.credential_source.url) {
            (Some(file), None) => Subject::File(file, form),
            (None, Some(url)) => Subject::Url(url, wire.credential_source.headers, form),
            _ => {
                return Err(InvalidAccount(
                    "its `credential_source` is neither a `file` nor a `url`; executables, \
                     certificates and AWS are not supported"
                        .to_owned(),
                ));
            }
        };
        let lifetime = wire.service_account_impersonation.token_lifetime_seconds;
        let impersonation = wire
            .service_account_impersonation_url
            .map(|url| Impersonation::new(url, Vec::new(), lifetime))
            .transpose()?;
        Ok(Self {
            exchange: wire.exchange,
            subject,
            impersonation,
        })
    }

    pub(super) fn begin(&self, now: Timestamp) -> Result<Step, Unobtained> {
        let exchange = self.exchange.clone();
        let step = match &self.subject {
            Subject::File(file, form) => {
                let form = form.clone();
                Step::read(file.clone(), move |content, _| {
                    exchange.ask(&form.token(&content)?)
                })
            }
            Subject::Url(url, fields, form) => {
                let form = form.clone();
                let mut request = Request::get(url);
                for (name, value) in fields {
                    request = request.header(name, value);
                }
                let request = request
                    .body(Bytes::new())
                    .map_err(|error| token::no_request(url, &error))?;
                let url = url.clone();
                // The operator's file names it, and identity services are at private addresses.
                Step::ask(request, Reach::Any, move |answer, now| {
                    if !answer.status().is_success() {
                        return Err(token::refused(&url, &answer, now));
                    }
                    exchange.ask(&form.token(answer.body())?)
                })
            }
        };
        match self.impersonation.clone() {
            Some(impersonation) => {
                step.and_then(now, move |granted, _| impersonation.ask(&granted))
            }
            None => Ok(step),
        }
    }
}

impl Form {
    fn token(&self, content: &[u8]) -> Result<Secret<String>, Unobtained> {
        let text = std::str::from_utf8(content).ok().map(str::trim);
        let token = match self {
            Self::Text => text.map(str::to_owned),
            Self::Field(field) => text
                .and_then(|text| serde_json::from_str::<Value>(text).ok())
                .and_then(|object| object.get(field)?.as_str().map(str::to_owned)),
        };
        let token = token.filter(|token| !token.is_empty());
        token.map(Secret::new).ok_or_else(|| {
            Unobtained::for_good(match self {
                Self::Text => "the workload's own token is empty".to_owned(),
                Self::Field(field) => {
                    format!("the workload's own token is not in the field `{field}`")
                }
            })
        })
    }
}

impl Exchange {
    /// Asks the security token service.
    fn ask(&self, subject_token: &Secret<String>) -> Result<Step, Unobtained> {
        let options = self
            .workforce_pool_user_project
            .as_ref()
            .map(|project| json!({ "userProject": project }).to_string());
        let mut fields = vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", &self.audience),
            ("scope", SCOPE),
            ("subject_token", subject_token.reveal()),
            ("subject_token_type", &self.subject_token_type),
        ];
        if let Some(options) = &options {
            fields.push(("options", options));
        }
        let mut request = token::post(&self.token_url, &fields)?;
        if let (Some(id), Some(secret)) = (&self.client_id, &self.client_secret) {
            let pair = Secret::new(format!("{id}:{}", secret.reveal()));
            let basic = Secret::new(format!("Basic {}", STANDARD.encode(pair.reveal())));
            let mut value = HeaderValue::try_from(basic.reveal().as_str())
                .map_err(|error| token::no_request(&self.token_url, &error.into()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Ok(Step::ask(request, Reach::Public, |answer, now| {
            token::granted("Google's security token service", &answer, now).map(Step::Done)
        }))
    }
}
