//! The simulated provider on a socket.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::body::SimBody;
use crate::sim::Sim;

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
        let service = service_fn(move |request| {
            let sim = sim.clone();
            async move { Ok::<_, Infallible>(respond(&sim, request).await) }
        });
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            // A caller that hangs up is in the record; nobody else needs to hear of it.
            connection.await.is_ok()
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

async fn respond(sim: &Sim, request: Request<Incoming>) -> Response<SimBody> {
    let (head, body) = request.into_parts();
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
