//! What carries a request to a provider: the network, the time, and the credentials that are fetched.

use std::sync::Arc;

use bytes::Bytes;
use domain::clock::Clock;
use domain::egress::{Egress, EgressBody, Outbound, Reach};
use domain::provider_error::ProviderError;
use providers::headroom::Headroom;

use super::Door;
use super::failure::{unauthorized, unreachable};
use crate::credentials::Credentials;

/// How many fields a credential takes at most.
const FIELDS_OF_CREDENTIAL: usize = 4;

/// Carries requests to providers. A copy is as good as the first.
#[derive(Clone)]
pub(crate) struct Courier {
    egress: Arc<dyn Egress>,
    clock: Arc<dyn Clock>,
    credentials: Arc<Credentials>,
}

impl Courier {
    pub(crate) fn new(egress: Arc<dyn Egress>, clock: Arc<dyn Clock>) -> Self {
        Self {
            egress,
            clock,
            credentials: Arc::default(),
        }
    }

    /// The time.
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Forgets the credentials that were fetched: the configuration is another.
    pub(crate) fn forget_credentials(&self) {
        self.credentials.clear();
    }

    /// Asks a target with one of its keys, and reads what its answer says of its rate limit.
    pub(crate) async fn ask_at(
        &self,
        door: Door<'_>,
        request: &http::Request<Bytes>,
    ) -> Result<http::Response<EgressBody>, ProviderError> {
        let target = door.target;
        let request = self.authorized(to_be_sent(request), door).await?;
        let answered = self.send(request, target.provider.reach()).await?;
        if door.is_watched
            && let Some(headroom) = Headroom::read(answered.headers(), self.clock.now())
        {
            let now = self.clock.moment();
            target.health.note_headroom(door.key, &headroom, now);
        }
        Ok(answered)
    }

    /// The request with the target's credential.
    pub(crate) async fn authorized(
        &self,
        mut request: http::Request<Bytes>,
        Door { target, key, .. }: Door<'_>,
    ) -> Result<http::Request<Bytes>, ProviderError> {
        let provider = &target.provider;
        let Some(source) = provider.source(key) else {
            return Ok(request);
        };
        let fetched;
        let credential = if let Some(ready) = source.ready() {
            ready
        } else {
            let (egress, clock) = (&*self.egress, &*self.clock);
            let name = &provider.name;
            fetched = Box::pin(self.credentials.of(name, source, egress, clock)).await?;
            &fetched
        };
        let kind = target.kind;
        kind.authorize(&mut request, &target.target(), credential, self.clock.now())
            .map_err(unauthorized)?;
        Ok(request)
    }

    /// Sends one request.
    pub(crate) async fn send(
        &self,
        request: http::Request<Bytes>,
        reach: Reach,
    ) -> Result<http::Response<EgressBody>, ProviderError> {
        self.egress
            .send(Outbound { request, reach })
            .await
            .map_err(|error| unreachable(&error))
    }
}

/// A copy with room for a credential: a plain one would have to grow for it.
fn to_be_sent(request: &http::Request<Bytes>) -> http::Request<Bytes> {
    let mut copy = http::Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.extensions_mut() = request.extensions().clone();
    let headers = copy.headers_mut();
    headers.reserve(request.headers().len() + FIELDS_OF_CREDENTIAL);
    for (name, value) in request.headers() {
        headers.append(name.clone(), value.clone());
    }
    copy
}
