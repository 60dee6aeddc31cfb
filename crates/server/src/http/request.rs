//! What every request has: an identifier, the moment at which it arrived, and the address it came from.

use std::net::{IpAddr, Ipv4Addr};

use domain::clock::Moment;
use domain::id::RequestId;
use http::HeaderName;
use jiff::Timestamp;

use crate::app::App;

/// The response field that names the request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request, on arrival.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its identifier.
    pub request_id: RequestId,
    /// When.
    pub at: Timestamp,
    /// The same on the monotonic clock.
    pub moment: Moment,
    /// The other end of the connection. A proxy in front is the caller: fields that claim another
    /// address are not believed.
    pub address: IpAddr,
}

impl Arrival {
    /// A request arrives.
    pub fn now(app: &App, address: IpAddr) -> Self {
        let at = app.clock.now();
        Self {
            request_id: RequestId::new(at, &*app.entropy),
            at,
            moment: app.clock.moment(),
            address,
        }
    }

    /// The arrival of a request that the router was given. One that was given without is treated as
    /// having arrived from nowhere, at the beginning of time.
    pub fn of<B>(request: &http::Request<B>) -> Self {
        request.extensions().get().copied().unwrap_or(Self {
            request_id: RequestId::NONE,
            at: Timestamp::UNIX_EPOCH,
            moment: Moment::at(std::time::Duration::ZERO),
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        })
    }
}
