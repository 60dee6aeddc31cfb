//! Where OpenAI's endpoints are: at a compatible host or at a resource of Azure.

use crate::azure;
use crate::dialect::{Refusal, Target};
use crate::kind::ProviderKind;

/// The URL of an endpoint (`images/generations`).
pub(crate) fn url(
    kind: ProviderKind,
    target: &Target<'_>,
    endpoint: &str,
) -> Result<String, Refusal> {
    if kind == ProviderKind::AzureOpenai {
        return azure::endpoint(target, endpoint);
    }
    Ok(format!("{}/{endpoint}", target.base_url))
}
