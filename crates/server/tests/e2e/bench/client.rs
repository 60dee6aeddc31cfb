//! A caller: plain HTTP, one pool of connections for each key.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::wait::{eventually, soon};

#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    key: String,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer whose body is still to come. Dropping it hangs up.
pub(crate) struct Open {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    body: Incoming,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self {
            address,
            key: key.to_owned(),
            pool,
        }
    }

    /// The same caller under another key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            ..self.clone()
        }
    }

    /// Sends a request and waits for its head, or for the connection to break.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Open> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into()))?;
        let response = soon("the head of an answer", self.pool.request(request)).await?;
        let (head, body) = response.into_parts();
        Ok(Open {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
        })
    }

    /// Sends a request and reads its answer to the end, or until the connection breaks.
    pub(crate) async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        let open = self.open(method, path, headers, body).await?;
        let body = soon("the body of an answer", open.body.collect())
            .await?
            .to_bytes();
        Ok(Answer {
            status: open.status,
            headers: open.headers,
            body,
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_send(Method::GET, path, &[], Bytes::new())
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_send(Method::POST, path, &[], body.to_string())
            .await
            .unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.try_send(Method::PATCH, path, &[], body.to_string())
            .await
            .unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.try_send(Method::DELETE, path, &[], Bytes::new())
            .await
            .unwrap()
    }

    /// `POST /v1/chat/completions`
    pub(crate) async fn chat(&self, request: &Value) -> Answer {
        self.chat_with(&[], request).await
    }

    /// The same with more fields.
    pub(crate) async fn chat_with(&self, headers: &[(&str, &str)], request: &Value) -> Answer {
        self.chat_bytes(headers, request.to_string()).await
    }

    /// The same with a body that need not be JSON.
    pub(crate) async fn chat_bytes(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        self.try_chat(headers, body).await.unwrap()
    }

    /// The same, where the connection may break.
    pub(crate) async fn try_chat(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Answer> {
        self.try_send(Method::POST, "/v1/chat/completions", headers, body)
            .await
    }

    /// A streamed chat, of which nothing was read.
    pub(crate) async fn open_chat(&self, request: &Value) -> Open {
        let path = "/v1/chat/completions";
        self.open(Method::POST, path, &[], request.to_string())
            .await
            .unwrap()
    }

    /// Every recorded call that the key may see, newest first. `query` is empty or begins with `&`.
    pub(crate) async fn logs(&self, query: &str) -> Vec<Value> {
        let mut calls = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .get(&format!("/api/v1/db/logs?limit=1000{query}{cursor}"))
                .await;
            assert_eq!(page.status, 200, "{page:?}");
            let data = &page.json()["data"];
            calls.extend(data["items"].as_array().unwrap().iter().cloned());
            match data["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return calls,
            }
        }
    }

    /// The record of the call with this `x-client-request-id`, once it is there.
    pub(crate) async fn recorded(&self, client_request_id: &str) -> Value {
        let query = format!("&client_request_id={client_request_id}");
        eventually("the call is recorded", async || {
            let mut calls = self.logs(&query).await;
            assert!(calls.len() < 2, "recorded more than once: {calls:#?}");
            calls.pop()
        })
        .await
    }

    /// The sum over all series of a metric.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").await;
        let lines = metrics.text().lines().filter(|line| !line.starts_with('#'));
        let values = lines.filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{'])
                .then(|| rest.rsplit(' ').next().unwrap().parse::<f64>())
        });
        values.map(Result::unwrap).sum()
    }
}

impl Open {
    /// The next piece of the body; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = soon("the next piece of an answer", self.body.frame()).await?;
            if let Ok(piece) = frame.unwrap().into_data() {
                return Some(piece);
            }
        }
    }

    /// The next piece of the body; `None` at its end, and when the connection broke.
    pub(crate) async fn next_or_broken(&mut self) -> Option<Bytes> {
        let frame = soon("the next piece of an answer", self.body.frame()).await?;
        frame.ok()?.into_data().ok()
    }

    /// Reads to the end.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut read = Vec::new();
        while let Some(piece) = self.next().await {
            read.extend_from_slice(&piece);
        }
        read
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What the model said, of a whole answer or of a stream.
    pub(crate) fn said(&self) -> String {
        if let Some(text) = serde_json::from_slice::<Value>(&self.body).ok().as_ref() {
            return text["choices"][0]["message"]["content"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
        }
        let chunks = self.events().into_iter();
        chunks
            .filter_map(|chunk| {
                chunk
                    .pointer("/choices/0/delta/content")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            })
            .collect()
    }

    /// The events of a stream, all but `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// Checks that this is a failure in OpenAI's shape, and gives its sentence.
    pub(crate) fn sentence(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["type"].is_string(), "{error}");
        error["message"].as_str().unwrap().to_owned()
    }
}
