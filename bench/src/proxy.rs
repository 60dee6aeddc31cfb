//! The bare pass-through proxy, the measure of all figures: a hyper server and the same pooled client that
//! Trunkline uses, bodies streamed through in both directions, and nothing else.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::listen;

type Provider = Client<HttpConnector, Incoming>;

/// Forwards everything to the server on loopback at `target` until the process is ended.
pub async fn serve(port: u16, target: u16) -> anyhow::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let provider: Provider = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(1_024)
        .pool_idle_timeout(Duration::from_secs(55))
        .pool_timer(TokioTimer::new())
        .build(connector);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, target));
    let authority: Authority = address.to_string().parse()?;
    let listener = listen::bind(port).await?;
    let forward = move |request| forward(provider.clone(), authority.clone(), request);
    Ok(listen::serve(listener, forward).await?)
}

/// An error closes the caller's connection, which is as little as a proxy can do about it.
async fn forward(
    provider: Provider,
    authority: Authority,
    mut request: Request<Incoming>,
) -> anyhow::Result<Response<Incoming>> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(provider.request(request).await?)
}
