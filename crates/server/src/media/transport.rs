//! How the object storage library reaches the network: through the one outbound client.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::egress::{Egress, EgressBody, EgressError, Outbound, Reach};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

/// How long the storage may take to begin its answer, the request's body included.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends the library's requests. The operator names the storage, so any address may be reached.
#[derive(Clone)]
pub(super) struct Transport(pub(super) Arc<dyn Egress>);

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let outbound = Outbound {
            request: http::Request::from_parts(parts, body),
            reach: Reach::Any,
        };
        let sent = tokio::time::timeout(PATIENCE, self.0.send(outbound)).await;
        let response = sent
            .map_err(|elapsed| HttpError::new(HttpErrorKind::Timeout, elapsed))?
            .map_err(failed)?;
        Ok(response.map(|body| HttpResponseBody::new(Shared(Mutex::new(body)))))
    }
}

fn failed(error: EgressError) -> HttpError {
    let kind = if error.is_before_sending() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error)
}

/// A body that several threads may know of, as the library demands, though only one ever reads it.
struct Shared(Mutex<EgressBody>);

impl Body for Shared {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let body = self.get_mut().0.get_mut();
        let body = body.unwrap_or_else(PoisonError::into_inner);
        let piece = body.as_mut().poll_next(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(failed)))
    }
}
