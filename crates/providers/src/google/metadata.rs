//! The service account of a machine in Google Cloud
//! (<https://cloud.google.com/compute/docs/metadata/overview>).

use bytes::Bytes;
use domain::egress::Reach;
use http::Request;

use super::SCOPE;
use crate::credential::{Step, Unobtained};
use crate::token;
use crate::url;

/// The server that every machine of the platform finds under this name, at a link-local address.
const SERVER: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// Asks the metadata server.
pub(super) fn begin() -> Result<Step, Unobtained> {
    let request = Request::get(format!("{SERVER}?{}", url::form(&[("scopes", SCOPE)])))
        .header("metadata-flavor", "Google")
        .body(Bytes::new())
        .map_err(|error| token::no_request(SERVER, &error))?;
    Ok(Step::ask(request, Reach::Any, |answer, now| {
        token::granted("the metadata server", &answer, now).map(Step::Done)
    }))
}
