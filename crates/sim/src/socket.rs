//! Conversations over WebSocket: who may begin one, and what it is on a real socket.

use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::azure::no_deployment;
use crate::body::SimBody;
use crate::escape::decoded;
use crate::handover::{marked, refused};
use crate::openai::error::{needless_model, unknown_model};
use crate::openai::realtime::{Session, SimFrame, is_realtime_model};
use crate::record::{Face, Host};
use crate::route::query;
use crate::sim::Sim;
use crate::tasks::SimTask;
use crate::vendor::{Api, field};

/// The subprotocol of OpenAI's realtime events.
const PROTOCOL: &str = "realtime";

/// One conversation. Dropping it hangs up.
#[derive(Debug)]
pub struct SimSocket {
    session: Session,
    /// The subprotocol that is spoken, where the client offers any.
    protocol: Option<&'static str>,
}

impl SimSocket {
    /// Takes one message of the client.
    pub fn take(&mut self, text: &str) {
        self.session.take(text);
    }

    /// The next frame when its time has come; `None` when the connection is broken. It may be dropped at any time.
    pub async fn next(&mut self) -> Option<SimFrame> {
        self.session.next().await
    }
}

impl Sim {
    /// Begins the conversation that a request asks for, or refuses it in the vendor's words. `None` for a request that asks for
    /// none, or elsewhere than where they are held.
    #[must_use]
    pub fn converse(&self, head: &Parts) -> Option<Result<SimSocket, Response<SimBody>>> {
        let host = match head.uri.path() {
            "/v1/realtime" => Host::OpenAi,
            "/openai/v1/realtime" | "/openai/realtime" => Host::AzureOpenAi,
            _ => return None,
        };
        let is_wanted = field(head, "upgrade")
            .is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
        if head.method != Method::GET || !is_wanted {
            return None;
        }
        let api = Api::of(Face::OpenAi, host);
        let model = query(head, "model").or_else(|| query(head, "deployment"));
        let model = model.map(decoded).unwrap_or_default();
        let is_transcription = query(head, "intent") == Some("transcription");
        let begun = self.authenticate(api, head, b"").and_then(|()| {
            if is_transcription && matches!(host, Host::OpenAi) {
                return if model.is_empty() {
                    Ok(())
                } else {
                    Err(needless_model())
                };
            }
            if is_realtime_model(&model) {
                return Ok(());
            }
            Err(match host {
                Host::AzureOpenAi => no_deployment(),
                _ => unknown_model(&model),
            })
        });
        let status = match &begun {
            Ok(()) => StatusCode::SWITCHING_PROTOCOLS.as_u16(),
            Err(failure) => failure.status,
        };
        let seed = self.options().seed;
        let sequence = self.tasks_kept().record.open(|sequence| SimTask {
            sequence,
            request_id: api.vendor.request_id(self.hash(sequence), sequence),
            vendor: api.face.name(),
            model: model.clone(),
            path: head.uri.path().to_owned(),
            streamed: true,
            status: Some(status),
            usage: None,
            completed: false,
            prompt: String::new(),
            client_request_id: field(head, "x-client-request-id").map(str::to_owned),
        });
        let request_id = api.vendor.request_id(self.hash(sequence), sequence);
        Some(match begun {
            Err(failure) => Err(marked(refused(api, &request_id, &failure, None))),
            Ok(()) => Ok(SimSocket {
                session: Session::new(
                    seed,
                    &model,
                    is_transcription,
                    sequence,
                    (self.options().now)(),
                ),
                protocol: field(head, "sec-websocket-protocol")
                    .is_some_and(|offered| offered.split(',').any(|word| word.trim() == PROTOCOL))
                    .then_some(PROTOCOL),
            }),
        })
    }
}

/// The answer that begins a conversation on a real socket; `None` where the handshake lacks its key.
pub(crate) fn accepted(head: &Parts, socket: &SimSocket) -> Option<Response<SimBody>> {
    let key = head.headers.get(SEC_WEBSOCKET_KEY)?;
    let mut response = Response::new(SimBody::whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    fields.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(protocol) = socket.protocol {
        let protocol = HeaderValue::from_static(protocol);
        fields.insert(http::header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Some(marked(response))
}

/// Holds a conversation until either side ends it.
pub(crate) async fn hold(mut socket: SimSocket, upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let stream = TokioIo::new(upgraded);
    let mut stream = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    loop {
        tokio::select! {
            frame = socket.next() => match frame {
                Some(SimFrame::Text(text)) => {
                    if stream.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(SimFrame::Break) | None => return,
            },
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => socket.take(&text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                // Sound in binary messages is not taken; the protocol answers pings itself.
                Some(Ok(_)) => {}
            },
        }
    }
}
