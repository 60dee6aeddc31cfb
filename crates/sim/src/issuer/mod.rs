//! Where callers of the clouds get their tokens: Google's, Microsoft's and Amazon's token endpoints.
//!
//! A token says by itself who gave it out, for what and until when, so none has to be remembered.

mod entra;
mod form;
mod google;
mod metadata;
mod record;
mod service_account;
mod sts;
mod token;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::SimBody;
use crate::directive::Fault;
use crate::handover::html;
use crate::sim::Sim;

pub use record::SimToken;
pub(crate) use record::TokenRecord;
pub(crate) use service_account::ServiceAccount;
pub(crate) use token::{Audience, Standing, issue, standing};

/// Which token endpoint a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// `POST /token`: Google's tokens for service accounts and users.
    Google,
    /// `POST /v1/token`: Google's tokens for identities of others.
    GoogleExchange,
    /// `POST /v1/projects/-/serviceAccounts/{email}:generateAccessToken`.
    GoogleImpersonation { email: String },
    /// `POST /{tenant}/oauth2/v2.0/token`.
    Entra { tenant: String },
    /// `POST /` with an `Action`.
    AwsSts,
    /// What a machine in a cloud asks about itself.
    Metadata,
}

impl Issuer {
    /// The name used in records and fault matches.
    const fn name(&self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::GoogleExchange => "google_exchange",
            Self::GoogleImpersonation { .. } => "google_impersonation",
            Self::Entra { .. } => "entra",
            Self::AwsSts => "aws_sts",
            Self::Metadata => "metadata",
        }
    }

    /// The token endpoint that a path stands for.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Self> {
        if metadata::is_known(path) {
            return Some(Self::Metadata);
        }
        if method != Method::POST {
            return None;
        }
        match path {
            "/token" => return Some(Self::Google),
            "/v1/token" => return Some(Self::GoogleExchange),
            "/" => return Some(Self::AwsSts),
            _ => {}
        }
        if let Some(email) = path
            .strip_prefix("/v1/projects/-/serviceAccounts/")
            .and_then(|rest| rest.strip_suffix(":generateAccessToken"))
        {
            let email = email.replace("%40", "@");
            return Some(Self::GoogleImpersonation { email });
        }
        let tenant = path
            .strip_prefix('/')?
            .strip_suffix("/oauth2/v2.0/token")
            .filter(|tenant| !tenant.is_empty() && !tenant.contains('/'))?;
        Some(Self::Entra {
            tenant: tenant.to_owned(),
        })
    }
}

/// A request for a token.
pub(crate) struct Request<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a [u8],
    pub(crate) seed: u64,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Whose signatures Google accepts.
    pub(crate) account: &'a ServiceAccount,
}

/// The face by which queued faults name requests for tokens.
pub(crate) const FACE: &str = "token";

/// Answers a request for a token, with whatever fault was planned for it.
pub(crate) async fn respond(
    sim: &Sim,
    issuer: &Issuer,
    head: &Parts,
    body: &[u8],
) -> Response<SimBody> {
    let request = Request {
        head,
        body,
        seed: sim.options().seed,
        now: (sim.options().now)(),
        account: sim.account(),
    };
    let planned = sim.faults().named(FACE, issuer.name());
    let directive = planned.unwrap_or_default();
    if !directive.latency.is_zero() {
        tokio::time::sleep(directive.latency).await;
    }
    let response = match directive.fault {
        None => granted(issuer, &request),
        Some(Fault::HangHead | Fault::HangBody) => std::future::pending().await,
        Some(Fault::Html) => html(),
        Some(Fault::Status(status)) => {
            let error = json!({"error": "temporarily_unavailable", "error_description": "The service failed (simulated)."});
            written(status, "application/json", error.to_string())
        }
        Some(_) => written(
            200,
            "application/json",
            "{\"simulated\": garbage".to_owned(),
        ),
    };
    let status = response.status().as_u16();
    sim.token_record()
        .note(issuer.name(), head.uri.path(), status);
    response
}

fn granted(issuer: &Issuer, request: &Request<'_>) -> Response<SimBody> {
    match issuer {
        Issuer::Google => answered(&google::token(request)),
        Issuer::GoogleExchange => answered(&google::exchange(request)),
        Issuer::GoogleImpersonation { email } => answered(&google::impersonate(request, email)),
        Issuer::Entra { tenant } => answered(&entra::token(request, tenant)),
        Issuer::AwsSts => sts::respond(request),
        Issuer::Metadata => metadata::respond(request),
    }
}

/// A status and what is said with it.
type Answer = (u16, Value);

fn answered((status, value): &Answer) -> Response<SimBody> {
    written(*status, "application/json", value.to_string())
}

fn written(status: u16, kind: &'static str, text: String) -> Response<SimBody> {
    let mut response = Response::new(SimBody::whole(Bytes::from(text)));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
