//! The simulated provider on a socket.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::body::SimBody;
use crate::sim::Sim;
use crate::socket::{self, SimSocket};

/// The largest request that is read, in bytes.
const LARGEST: usize = 128 * 1024 * 1024;
/// How long open answers may go on once a shutdown was asked for.
const GRACE: Duration = Duration::from_secs(2);

/// Serves HTTP/1.1 and HTTP/2 without TLS on `listener` until `shutdown` resolves.
/// Answers that are then still being sent get two seconds; what hangs on purpose is dropped.
pub async fn serve(
    sim: Sim,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(4096);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    // A connection that broke before it was accepted, or no free descriptor: neither is the end of the server.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                stream
            }
            Some(_) = connections.join_next() => continue,
            () = &mut shutdown => break,
        };
        // Without it small events wait for one another; a socket that refuses is only slower.
        stream.set_nodelay(true).ok();
        let sim = sim.clone();
        let begun: Begun = Arc::default();
        let beginning = Arc::clone(&begun);
        let service = service_fn(move |request| {
            let (sim, begun) = (sim.clone(), Arc::clone(&beginning));
            async move { Ok::<_, Infallible>(respond(&sim, request, &begun).await) }
        });
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A caller that hangs up is in the record; nobody else needs to hear of it.
            connection.await.ok();
            let conversation = begun.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((conversation, upgrade)) = conversation {
                socket::hold(conversation, upgrade).await;
            }
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(GRACE) => {}
    }
    connections.shutdown().await;
    Ok(())
}

/// The conversation that a connection goes on with once its response was sent.
type Begun = Arc<Mutex<Option<(SimSocket, OnUpgrade)>>>;

async fn respond(sim: &Sim, mut request: Request<Incoming>, begun: &Begun) -> Response<SimBody> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    match sim.converse(&head) {
        Some(Err(refusal)) => return refusal,
        Some(Ok(conversation)) => {
            if let Some(response) = socket::accepted(&head, &conversation) {
                let mut begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
                *begun = Some((conversation, upgrade));
                return response;
            }
        }
        None => {}
    }
    if let Ok(body) = Limited::new(body, LARGEST).collect().await {
        return sim
            .respond(Request::from_parts(head, body.to_bytes()))
            .await;
    }
    let refusal = b"the request could not be read, or is larger than 128 MiB\n";
    let mut response = Response::new(SimBody::whole(Bytes::from_static(refusal)));
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    response
}
