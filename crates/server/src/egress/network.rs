//! HTTP/1.1 and HTTP/2 over pooled connections, with TLS by rustls.

use std::error::Error as _;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use domain::egress::{EgressBody, EgressError, Reach};
use domain::socket::Connected;
use futures_util::TryStreamExt;
use http::StatusCode;
use http::header::SEC_WEBSOCKET_ACCEPT;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower::Service;
use tower::util::MapResponse;

use super::address::is_public;
use super::quiet::Quiet;
use crate::socket;

/// Idle connections that are kept for each host.
const IDLE_CONNECTIONS: usize = 1_024;
/// How long a connection is kept idle; below the minute after which many servers close it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);
/// The largest response header that is taken, in bytes.
const MAX_HEADER: usize = 64 * 1024;

/// Connections to addresses of one reach.
pub(super) struct Network {
    client: Pool,
    /// Over HTTP/1.1 only: a connection of HTTP/2 cannot be upgraded.
    upgrading: Pool,
    reach: Reach,
}

type Pool = Client<HttpsConnector<Dialler>, Full<Bytes>>;

/// Connects, and says nothing of the connection.
type Dialler = MapResponse<HttpConnector<Resolver>, fn(TokioIo<TcpStream>) -> TokioIo<Quiet>>;

/// What may be spoken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Versions {
    All,
    Http1,
}

impl Network {
    pub(super) fn new(reach: Reach, connect_timeout: Duration) -> std::io::Result<Self> {
        Ok(Self {
            client: pool(reach, connect_timeout, Versions::All)?,
            upgrading: pool(reach, connect_timeout, Versions::Http1)?,
            reach,
        })
    }

    pub(super) async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<EgressBody>, EgressError> {
        Ok(self.request(&self.client, request).await?.map(body))
    }

    /// Asks for a conversation over a connection of its own.
    pub(super) async fn connect(
        &self,
        mut request: http::Request<Bytes>,
        max_message: usize,
    ) -> Result<Connected, EgressError> {
        let accept = socket::ask(request.headers_mut());
        let mut response = self.request(&self.upgrading, request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Connected::Refused(response.map(body)));
        }
        if accept.is_none() || response.headers().get(SEC_WEBSOCKET_ACCEPT) != accept.as_ref() {
            let why = "the handshake was answered by something else than a WebSocket";
            return Err(EgressError::Broken(why.to_owned()));
        }
        let upgraded = hyper::upgrade::on(&mut response).await;
        let upgraded = upgraded.map_err(|error| EgressError::Broken(deepest(&error)))?;
        let socket = socket::conversation(upgraded, Role::Client, max_message).await;
        Ok(Connected::Socket(socket))
    }

    async fn request(
        &self,
        pool: &Pool,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Incoming>, EgressError> {
        if self.reach == Reach::Public
            && let Some(address) = literal_address(request.uri())
        {
            permit(self.reach, address)?;
        }
        let response = pool.request(request.map(Full::new)).await;
        response.map_err(|error| cause(&error))
    }
}

fn body(body: Incoming) -> EgressBody {
    let pieces = body.into_data_stream();
    Box::pin(pieces.map_err(|error| EgressError::Broken(deepest(&error))))
}

fn pool(reach: Reach, connect_timeout: Duration, versions: Versions) -> std::io::Result<Pool> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver { reach });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_keepalive(Some(Duration::from_mins(1)));
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider());
    let tls = match tls {
        Ok(tls) => tls,
        // A machine without certificates of its own still trusts what Mozilla trusts.
        Err(_) => HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(std::io::Error::other)?,
    };
    let tls = tls.https_or_http();
    let dialler: Dialler = MapResponse::new(tcp, quiet);
    let connector = match versions {
        Versions::All => tls.enable_all_versions().wrap_connector(dialler),
        Versions::Http1 => tls.enable_http1().wrap_connector(dialler),
    };
    Ok(Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http1_max_buf_size(MAX_HEADER * 4)
        .http2_max_header_list_size(u32::try_from(MAX_HEADER).unwrap_or(u32::MAX))
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .build(connector))
}

fn quiet(stream: TokioIo<TcpStream>) -> TokioIo<Quiet> {
    TokioIo::new(Quiet(stream.into_inner()))
}

/// Resolves names and refuses those that lead to addresses out of reach, so that a name that resolves
/// differently the second time gains nothing: these are the addresses that are connected to.
#[derive(Clone)]
struct Resolver {
    reach: Reach,
}

/// What the resolver found, as the connector wants it.
type Resolved =
    Pin<Box<dyn Future<Output = Result<std::vec::IntoIter<SocketAddr>, Refused>> + Send>>;

/// Why a name gave no address.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the name does not resolve: {0}")]
    NoAddress(std::io::Error),
    #[error(transparent)]
    Address(EgressError),
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Refused;
    type Future = Resolved;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found: Vec<SocketAddr> = found.map_err(Refused::NoAddress)?.collect();
            let refused = found
                .iter()
                .find_map(|address| permit(reach, address.ip()).err());
            let permitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| permit(reach, address.ip()).is_ok())
                .collect();
            match refused {
                Some(refused) if permitted.is_empty() => Err(Refused::Address(refused)),
                _ => Ok(permitted.into_iter()),
            }
        })
    }
}

fn permit(reach: Reach, address: IpAddr) -> Result<(), EgressError> {
    if reach == Reach::Public && !is_public(address) {
        return Err(EgressError::AddressRefused(address));
    }
    Ok(())
}

/// The address that stands in the URI itself; the connector does not resolve it.
fn literal_address(uri: &http::Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn cause(error: &ClientError) -> EgressError {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(Refused::Address(refused)) = inner.downcast_ref() {
            return refused.clone();
        }
        if let Some(tls) = unwrapped(inner).downcast_ref::<rustls::Error>() {
            return EgressError::Tls(tls.to_string());
        }
        source = inner.source();
    }
    if error.is_connect() {
        EgressError::Connect(deepest(error))
    } else {
        EgressError::Broken(deepest(error))
    }
}

/// What I/O errors wrap. They show it through `get_ref` only, and wrap one another.
fn unwrapped<'e>(
    mut error: &'e (dyn std::error::Error + 'static),
) -> &'e (dyn std::error::Error + 'static) {
    while let Some(inner) = error
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    error
}

/// The innermost cause says what happened; the outer ones say where.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
