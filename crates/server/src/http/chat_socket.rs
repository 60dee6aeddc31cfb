//! `/api/ai/chat` over WebSocket: several chats at the same time on one connection.
//!
//! The caller sends `{"type": "chat", "id": "a", "request": {…}}` with the body of a `POST`, and
//! `{"type": "cancel", "id": "a"}`. It gets, each with the `id` of its request:
//!
//! | `type` | holds |
//! | --- | --- |
//! | `chunk` | `data`: a frame of the event stream, where the request says `stream` |
//! | `answer` | `data`: the whole answer |
//! | `error` | `error`: the error object; without an `id` where the message names none |
//! | `done` | nothing follows for this `id`; `requestId` is how the logs call it |
//! | `cancelled` | the same, because the caller wished it |

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::Face as Recorded;
use domain::caller::Caller;
use domain::problem::{Problem, ProblemKind};
use domain::socket::{Closing, Message, Outgoing, Socket, SocketError};
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use gateway::realtime::{Standing, Warden};
use gateway::reply::Reply;
use gateway::{ChatError, Inbound, ReportWanted};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use providers::application::{self, ApplicationChat};
use providers::face::Asked;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::answer::Answer;
use super::applications;
use super::auth::authenticate;
use super::call;
use super::faces::Api;
use super::request::Arrival;
use super::sockets::{Door, Sequel, knock};
use crate::app::Shared;

/// Chats of one connection at the same time.
const IN_FLIGHT: usize = 16;
/// Frames that wait for the caller to take them; with so many, the chats wait as well.
const WAITING: usize = 64;
/// How long the caller may take over a frame.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest identifier of a request, in bytes.
const MAX_ID: usize = 256;
/// How often it is looked up whether the caller may go on.
const WATCH: Duration = Duration::from_secs(1);

/// What a caller sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(rename = "type")]
    kind: Kind,
    id: String,
    /// Of a chat.
    request: Option<Box<RawValue>>,
}

/// What a message is for.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Chat,
    Cancel,
}

/// Begins a conversation, or refuses it as a `POST` would be.
pub fn begin(
    app: &Shared,
    arrival: &Arrival,
    mut request: Request<Incoming>,
    sequel: &Sequel,
) -> Response<Answer> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let known = knock(app, &parts, arrival)
        .and_then(|known| Ok((known, authenticate(app, &parts, arrival)?)));
    match known {
        Ok(((door, accepted), caller)) => {
            let address = arrival.address;
            sequel.set(Box::pin(hold(door, caller, address, upgrade)));
            accepted
        }
        Err(problem) => {
            app.telemetry.refused(problem.kind);
            call::render(Api::Chat(&ApplicationChat), &problem, arrival)
        }
    }
}

/// Holds a conversation until someone ends it. Whatever is still being answered then is cancelled.
async fn hold(door: Door, caller: Caller, address: IpAddr, upgrade: OnUpgrade) {
    let Some(Socket {
        mut incoming,
        mut outgoing,
    }) = door.open(upgrade).await
    else {
        return;
    };
    let app = Arc::clone(door.app());
    let (frames, mut waiting) = mpsc::channel(WAITING);
    let mut chats = Chats {
        app: Arc::clone(&app),
        caller,
        address,
        frames,
        running: HashMap::new(),
    };
    let mut answering = FuturesUnordered::new();
    let rules = app.sockets;
    let began = app.clock.moment();
    let mut last = began;
    let mut is_stopping = false;
    let closing = loop {
        tokio::select! {
            Some(frame) = waiting.recv() => {
                if !send(&mut outgoing, Message::Text(frame)).await {
                    return;
                }
            }
            Some(ended) = answering.next(), if !answering.is_empty() => {
                // One that was cancelled is no longer among those that run.
                let ended: Result<String, _> = ended;
                if let Ok(id) = ended {
                    chats.running.remove(&id);
                }
            }
            message = incoming.next() => {
                last = app.clock.moment();
                let told = match message {
                    Some(Ok(Message::Text(text))) if is_stopping => chats.refuse_while_stopping(&text),
                    Some(Ok(Message::Text(text))) => match chats.said(&text) {
                        Ok(chat) => {
                            answering.push(chat);
                            None
                        }
                        Err(told) => Some(told),
                    },
                    Some(Ok(Message::Ping)) => None,
                    Some(Ok(Message::Binary(_))) => {
                        let problem = Problem::new(ProblemKind::InvalidRequest, "Send text messages.");
                        Some(error(None, &problem))
                    }
                    Some(Ok(Message::Close(_)) | Err(SocketError::Broken(_))) | None => return,
                    Some(Err(SocketError::TooLarge { max })) => {
                        let detail = format!("A message may have {max} bytes.");
                        let problem = Problem::new(ProblemKind::TooLarge, detail);
                        send(&mut outgoing, Message::Text(error(None, &problem))).await;
                        break Closing::new(Closing::TOO_LARGE, problem.kind.title());
                    }
                };
                // What waits was said before.
                while told.is_some() && let Ok(frame) = waiting.try_recv() {
                    if !send(&mut outgoing, Message::Text(frame)).await {
                        return;
                    }
                }
                if let Some(told) = told && !send(&mut outgoing, Message::Text(told)).await {
                    return;
                }
            }
            () = app.clock.sleep(WATCH) => {}
        }
        match door.standing() {
            Standing::Good(caller) => chats.caller = caller,
            Standing::Gone(problem) => {
                send(&mut outgoing, Message::Text(error(None, &problem))).await;
                break Closing::new(Closing::POLICY, problem.kind.title());
            }
            Standing::Stopping(_) => is_stopping = true,
        }
        if is_stopping && answering.is_empty() && waiting.is_empty() {
            break Closing::new(Closing::GOING_AWAY, "The gateway stops.");
        }
        let now = app.clock.moment();
        let is_idle = answering.is_empty() && now.since(last) >= rules.idle;
        if is_idle || now.since(began) >= rules.length {
            break Closing::new(Closing::NORMAL, "The conversation is over.");
        }
    };
    send(&mut outgoing, Message::Close(closing)).await;
}

/// Sends a message; `false` when the caller does not take it.
async fn send(outgoing: &mut Outgoing, message: Message) -> bool {
    let sent = tokio::time::timeout(PATIENCE, outgoing.send(message));
    matches!(sent.await, Ok(Ok(())))
}

/// The chats of one connection.
struct Chats {
    app: Shared,
    caller: Caller,
    address: IpAddr,
    frames: mpsc::Sender<String>,
    /// Those that are being answered, by the caller's identifier.
    running: HashMap<String, AbortHandle>,
}

impl Chats {
    /// The chat that a message asks for, to be answered. An error is the frame with which any other is answered.
    fn said(
        &mut self,
        text: &str,
    ) -> Result<Abortable<impl Future<Output = String> + Send + use<>>, String> {
        let invalid = |id: Option<&str>, detail: String| {
            error(id, &Problem::new(ProblemKind::InvalidRequest, detail))
        };
        let said: Said = serde_json::from_str(text).map_err(|error| {
            let detail = format!(
                "The message is not understood: {error}. Send {{\"type\": \"chat\", \"id\": …, \"request\": …}} \
                 or {{\"type\": \"cancel\", \"id\": …}}."
            );
            invalid(None, detail)
        })?;
        let Said { kind, id, request } = said;
        let request = match (kind, request) {
            (Kind::Cancel, _) => return Err(self.cancel(&id)),
            (Kind::Chat, Some(request)) => request,
            (Kind::Chat, None) => {
                let detail = "'request' is missing: the body of a POST.".to_owned();
                return Err(invalid(Some(&id), detail));
            }
        };
        if id.is_empty() || id.len() > MAX_ID {
            return Err(invalid(
                None,
                format!("'id' must have 1 to {MAX_ID} bytes."),
            ));
        }
        if self.running.contains_key(&id) {
            let detail = "A chat of this 'id' is being answered. Give every chat its own.";
            return Err(invalid(Some(&id), detail.to_owned()));
        }
        if self.running.len() >= IN_FLIGHT {
            let detail = format!(
                "{IN_FLIGHT} chats of this connection are being answered. Wait until one is done."
            );
            let problem = Problem::new(ProblemKind::RateLimited, detail);
            return Err(error(Some(&id), &problem));
        }
        let (handle, registration) = AbortHandle::new_pair();
        self.running.insert(id.clone(), handle);
        let chat = Chat {
            app: Arc::clone(&self.app),
            caller: self.caller.clone(),
            arrival: Arrival::now(&self.app, self.address),
            id,
            frames: self.frames.clone(),
        };
        let body = Bytes::from(String::from(Box::<str>::from(request)));
        Ok(Abortable::new(chat.answer(body), registration))
    }

    /// Stops a chat; the frame that says so, or that there is none.
    fn cancel(&mut self, id: &str) -> String {
        if let Some(handle) = self.running.remove(id) {
            handle.abort();
            return json!({ "type": "cancelled", "id": id }).to_string();
        }
        let detail = "Nothing of this 'id' is being answered.";
        error(Some(id), &Problem::new(ProblemKind::InvalidRequest, detail))
    }

    /// While the process stops, chats may be cancelled and none begins.
    fn refuse_while_stopping(&mut self, text: &str) -> Option<String> {
        let said = serde_json::from_str::<Said>(text);
        if let Ok(said) = said
            && said.kind == Kind::Chat
        {
            let detail = "The gateway stops. Connect again.";
            let problem = Problem::new(ProblemKind::Unavailable, detail);
            return Some(error(Some(&said.id), &problem));
        }
        self.said(text).err()
    }
}

/// One chat.
struct Chat {
    app: Shared,
    caller: Caller,
    arrival: Arrival,
    id: String,
    frames: mpsc::Sender<String>,
}

impl Chat {
    /// Answers it, frame by frame; gives back its identifier. Dropping the future cancels the call.
    async fn answer(self, body: Bytes) -> String {
        let mut inbound = Inbound {
            request_id: self.arrival.request_id,
            started_at: self.arrival.at,
            received: self.arrival.moment,
            face: &ApplicationChat as &'static dyn providers::face::Face,
            face_name: Recorded::Application,
            client_request_id: Some(self.id.clone()),
            traceparent: None,
            wishes: None,
            report: ReportWanted::default(),
            asked: Asked::default(),
            body,
            batch_id: None,
        };
        let reply = match applications::ask(&self.app, &mut inbound) {
            // The story of a call is long; on the heap it stays where it is.
            Ok(()) => Box::pin(self.app.gateway.chat(&self.caller, inbound))
                .await
                .map_err(|error| self.problem(error)),
            Err(problem) => Err(problem),
        };
        match reply.map(applications::show) {
            Ok(Reply::Whole { body, .. }) => self.tell("answer", "data", &body).await,
            Ok(Reply::Stream { mut stream, .. }) => {
                let mut cut = Vec::new();
                while let Some(bytes) = stream.next().await {
                    cut.extend_from_slice(&bytes);
                    for data in frames_of(&mut cut) {
                        self.pass(&data).await;
                    }
                }
            }
            Err(problem) => self.send(error(Some(&self.id), &problem)).await,
        }
        let request_id = self.arrival.request_id.to_string();
        self.send(json!({ "type": "done", "id": self.id, "requestId": request_id }).to_string())
            .await;
        self.id
    }

    fn problem(&self, error: ChatError) -> Problem {
        use super::problem::IntoProblem;
        let has_failed = matches!(error, ChatError::Failed { .. });
        let problem = error.into_problem();
        if !has_failed {
            self.app.telemetry.refused(problem.kind);
        }
        problem
    }

    /// Passes on one frame of the event stream.
    async fn pass(&self, data: &[u8]) {
        // A failure in the middle of the stream is a frame with nothing but the error.
        let failure = serde_json::from_slice::<Value>(data).ok();
        let failure = failure.and_then(|mut frame| frame.get_mut("error").map(Value::take));
        match failure {
            Some(error) => {
                let frame = json!({ "type": "error", "id": self.id, "error": error });
                self.send(frame.to_string()).await;
            }
            None => self.tell("chunk", "data", data).await,
        }
    }

    /// Sends a frame that holds JSON as it is.
    async fn tell(&self, kind: &str, name: &str, data: &[u8]) {
        let id = Value::from(self.id.as_str());
        let data = String::from_utf8_lossy(data);
        self.send(format!(r#"{{"type":"{kind}","id":{id},"{name}":{data}}}"#))
            .await;
    }

    async fn send(&self, frame: String) {
        // The receiver lives as long as the connection, and with it this future.
        drop(self.frames.send(frame).await);
    }
}

/// The frame that tells a problem.
fn error(id: Option<&str>, problem: &Problem) -> String {
    json!({ "type": "error", "id": id, "error": application::error(problem, None) }).to_string()
}

/// Takes the data of the events that are complete; `[DONE]` and comments are the event stream's own.
fn frames_of(cut: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some(end) = cut.windows(2).position(|two| two == b"\n\n") {
        let event: Vec<u8> = cut.drain(..end + 2).collect();
        let data = event.trim_ascii().strip_prefix(b"data: ");
        frames.extend(data.filter(|data| *data != b"[DONE]").map(<[u8]>::to_vec));
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_as_they_become_complete() {
        let mut cut = b": keep-alive\n\ndata: {\"a\"".to_vec();
        assert_eq!(frames_of(&mut cut), Vec::<Vec<u8>>::new());
        cut.extend_from_slice(b":1}\n\n\n\ndata: {}\n\ndata: [DONE]\n\ndata: x");
        assert_eq!(frames_of(&mut cut), [b"{\"a\":1}".to_vec(), b"{}".to_vec()]);
        assert_eq!(cut, b"data: x");
    }
}
