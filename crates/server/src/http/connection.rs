//! Connections: accepted, bounded in number and in patience, and brought to an end in order.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::Service;

use super::answer::Answer;
use super::faces::{CHAT, REALTIME};
use super::farewell::Farewell;
use super::leftover::{self, Lent};
use super::request::{Arrival, REQUEST_ID};
use super::router::router;
use super::sockets::Sequel;
use super::{call, chat_socket, faces, passing, sockets};
use crate::app::Shared;
use crate::socket;

/// The most connections at a time. Whoever comes then waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// How long a caller may take over the header of a request.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);
/// How long the rest of a body is waited for that an answer did not need.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(5);
/// How long nobody is accepted after the kernel had no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop` completes; what is under way then may take `drain` longer. Requests that come meanwhile
/// on open connections are answered, and each answer is the last on its connection.
pub async fn serve(app: Shared, listener: TcpListener, stop: impl Future, drain: Duration) {
    let site = Arc::new(Site {
        router: router(Arc::clone(&app)),
        app,
        farewell: Farewell::default(),
    });
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = Arc::clone(&room).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = &mut stop => break,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, address)) => {
                let connection = site.connection(stream, address.ip());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    for (stream, address) in taken_by_the_kernel(listener) {
        connections.spawn(site.connection(stream, address.ip()));
    }
    // A conversation goes on after its connection was given up by HTTP; each looks for itself that it is time.
    let all = async {
        let ended = async { while connections.join_next().await.is_some() {} };
        tokio::select! {
            () = ended => return,
            () = site.farewell.quiet(drain / 2) => {}
        }
        site.farewell.say();
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(drain, all).await.is_err() {
        tracing::warn!("some answers did not finish in time and were cut off");
    }
    connections.shutdown().await;
}

/// To their callers, connections that the kernel has taken are open, whether or not the runtime was told of them.
/// Nobody is accepted any more.
fn taken_by_the_kernel(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let accepted = listener.into_std().map(|listener| {
        std::iter::from_fn(|| listener.accept().ok())
            .take(MAX_CONNECTIONS)
            .filter_map(|(stream, address)| {
                stream.set_nonblocking(true).ok()?;
                Some((TcpStream::from_std(stream).ok()?, address))
            })
            .collect()
    });
    accepted.unwrap_or_default()
}

/// Whether a caller's first bytes are not those that HTTP/2 begins with
/// (<https://www.rfc-editor.org/rfc/rfc9113#section-3.4>). They stay to be read.
async fn is_plainly_http_1(stream: &TcpStream) -> std::io::Result<bool> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut first = [0; PREFACE.len()];
    let count = stream.peek(&mut first).await?;
    Ok(!first
        .get(..count)
        .is_some_and(|first| PREFACE.starts_with(first)))
}

/// Whether only the connection failed that was to be accepted.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// Everything that can be asked for.
struct Site {
    app: Shared,
    router: Router,
    farewell: Farewell,
}

impl Site {
    /// Serves one connection, over HTTP/1.1 or, where the caller begins with it, HTTP/2; where a request
    /// turned it into a conversation, until that is over.
    fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        address: IpAddr,
    ) -> impl Future<Output = ()> + use<> {
        // Without it, small pieces of a stream wait for each other.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let site = Arc::clone(self);
        let sequel = Sequel::default();
        let setting = sequel.clone();
        let service = service_fn(move |request| {
            let (site, sequel) = (Arc::clone(&site), setting.clone());
            async move { Ok::<_, Infallible>(site.answer(request, address, &sequel).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_PATIENCE);
        builder.http2().timer(TokioTimer::new());
        let mut guest = self.farewell.guest();
        async move {
            let begun = tokio::time::timeout(HEADER_PATIENCE, is_plainly_http_1(&stream));
            match guest.unless_over(begun).await {
                None | Some(Err(_) | Ok(Err(_))) => return,
                // Whoever looks for HTTP/2 first takes twice the room to read for as long as the connection lasts.
                Some(Ok(Ok(true))) => builder = builder.http1_only(),
                Some(Ok(Ok(false))) => {}
            }
            let connection = builder
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .into_owned();
            // The caller went away, or sent what is not HTTP: there is nobody to tell.
            if let Err(error) = guest.drive(connection).await {
                tracing::debug!(%error, "a connection ended");
            }
            if let Some(conversation) = sequel.take() {
                conversation.await;
            }
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        address: IpAddr,
        sequel: &Sequel,
    ) -> Response<Answer> {
        let arrival = Arrival::now(&self.app, address);
        let is_anthropics = request.headers().contains_key("anthropic-version");
        let is_http_1 = request.version() < Version::HTTP_2;
        let uri = request.uri();
        let mut is_reusable = true;
        let mut response = match faces::spoken_at(uri.path(), uri.query()) {
            Some(_) if uri.path() == CHAT && socket::is_wanted(request.headers()) => {
                chat_socket::begin(&self.app, &arrival, request, sequel)
            }
            None if uri.path() == REALTIME => {
                sockets::realtime(&self.app, &arrival, request, sequel).await
            }
            spoken => {
                let is_held_back = request.headers().contains_key(EXPECT);
                let (parts, mut body) = request.into_parts();
                let (response, left) = if let Some(spoken) = spoken {
                    let request = Request::from_parts(parts, &mut body);
                    let response = call::answer(&self.app, spoken, &arrival, request).await;
                    (response, Some(body))
                } else if passing::is_meant(parts.uri.path()) {
                    let request = Request::from_parts(parts, &mut body);
                    let response = passing::answer(&self.app, &arrival, request).await;
                    (response, Some(body))
                } else {
                    self.route(arrival, parts, body).await
                };
                let left = left.filter(|left| is_http_1 && !left.is_end_stream());
                if let Some(left) = left {
                    // Of what is too large as it is, no more is read; a client that waits for a word before it
                    // sends its body gets none.
                    let is_over = response.status() == StatusCode::PAYLOAD_TOO_LARGE;
                    is_reusable = !is_over
                        && !is_held_back
                        && Box::pin(leftover::read_out(
                            left,
                            self.app.max_body,
                            LEFTOVER_PATIENCE,
                        ))
                        .await;
                }
                response
            }
        };
        if is_http_1 && self.app.is_stopping.load(Ordering::Relaxed) {
            self.farewell.asked();
            is_reusable = false;
        }
        if !is_reusable {
            let fields = response.headers_mut();
            // An answer that turns the connection into a conversation names that here.
            fields
                .entry(CONNECTION)
                .or_insert(HeaderValue::from_static("close"));
        }
        if let Ok(value) = HeaderValue::try_from(arrival.request_id.to_string()) {
            // Anthropic's clients look for it under their own vendor's name.
            if is_anthropics {
                response.headers_mut().insert("request-id", value.clone());
            }
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }

    /// By the router; with what it left of the body.
    async fn route(
        &self,
        arrival: Arrival,
        parts: Parts,
        body: Incoming,
    ) -> (Response<Answer>, Option<Incoming>) {
        // The router wants a body to keep.
        let (lent, mut back) = Lent::new(body);
        let mut request = Request::from_parts(parts, Body::new(lent));
        request.extensions_mut().insert(arrival);
        let Ok(response) = self.router.clone().call(request).await;
        (response.map(Answer::Routed), back.try_recv().ok())
    }
}
