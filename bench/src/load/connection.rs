//! One keep-alive connection, one request at a time.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::question::Question;
use crate::wire::openai;

/// A connection and the request that it repeats.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    question: Arc<Question>,
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
    pub async fn open(question: &Arc<Question>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(question.address).await;
        let stream = stream.context("connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        crate::task::detach(async move {
            // A broken connection shows in the answer that does not come.
            drop(connection.await);
        });
        Ok(Self {
            sender,
            question: Arc::clone(question),
        })
    }

    /// Sends the request and reads the answer to its end.
    pub async fn ask(&mut self) -> anyhow::Result<Answered> {
        let mut body = self.send().await?.into_body();
        let mut first_byte = None;
        let mut reading = self.question.begin();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                first_byte.get_or_insert_with(crate::clock::now);
                reading.push(&data);
            }
        }
        let last_byte = crate::clock::now();
        reading.end()?;
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
        let mut request = Request::new(Full::new(self.question.body()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from_static(openai::PATH);
        *request.headers_mut() = self.question.headers.clone();
        let response = self.sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            bail!("status {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(response)
    }
}
