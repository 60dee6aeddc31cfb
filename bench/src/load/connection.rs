//! One keep-alive connection, one request at a time.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Aim;
use crate::subject::CALLER_KEY;
use crate::wire;

/// A connection and the request that it repeats.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    headers: HeaderMap,
    body: Bytes,
    answer_length: usize,
}

/// When the answer came.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// The first byte of the body.
    pub first_byte: Instant,
    /// The last one.
    pub last_byte: Instant,
}

impl Connection {
    /// Connects.
    pub async fn open(aim: Aim) -> anyhow::Result<Self> {
        let address = aim.address();
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        crate::task::detach(async move {
            // A broken connection shows in the answer that does not come.
            drop(connection.await);
        });
        Ok(Self {
            sender,
            headers: headers(address)?,
            body: wire::request_body(aim.shape),
            answer_length: wire::answer_length(aim.shape),
        })
    }

    /// Sends the request and reads the answer to its end.
    pub async fn ask(&mut self) -> anyhow::Result<Answered> {
        let mut body = self.send().await?.into_body();
        let mut first_byte = None;
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                first_byte.get_or_insert_with(crate::clock::now);
                length += data.len();
            }
        }
        ensure!(
            length == self.answer_length,
            "the answer has {length} bytes instead of {}",
            self.answer_length
        );
        let last_byte = crate::clock::now();
        Ok(Answered {
            first_byte: first_byte.unwrap_or(last_byte),
            last_byte,
        })
    }

    /// Sends the request and reads until the first byte of the answer's body; the rest stays unread.
    pub async fn begin(&mut self) -> anyhow::Result<Incoming> {
        let mut body = self.send().await?.into_body();
        while let Some(frame) = body.frame().await {
            if frame?.is_data() {
                return Ok(body);
            }
        }
        bail!("the answer is empty");
    }

    async fn send(&mut self) -> anyhow::Result<Response<Incoming>> {
        self.sender.ready().await?;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(wire::PATH);
        *request.headers_mut() = self.headers.clone();
        let response = self.sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            bail!("status {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(response)
    }
}

/// The fields that an SDK sends, the credential among them.
fn headers(address: SocketAddr) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::try_from(address.to_string())?);
    headers.insert(
        AUTHORIZATION,
        HeaderValue::try_from(format!("Bearer {CALLER_KEY}"))?,
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("trunkline-bench"));
    Ok(headers)
}
