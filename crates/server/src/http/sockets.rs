//! Conversations over WebSocket: who may begin one, and how the connection goes on afterwards.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::call::Face as Recorded;
use domain::caller::Caller;
use domain::id::KeyId;
use domain::problem::{Problem, ProblemKind};
use domain::secret::Secret;
use domain::socket::Socket;
use gateway::ChatError;
use gateway::realtime::{Session, Standing, Warden};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use identity::client_secret::is_client_secret;
use identity::ring::Unrecognised;
use providers::openai::OpenaiChat;
use providers::openai::realtime::preset::Preset;
use providers::openai::realtime::{self, OpenaiRealtime};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::answer::Answer;
use super::auth::{authenticate, shown_key};
use super::call;
use super::faces::{Api, Spoken};
use super::problem::IntoProblem;
use super::request::Arrival;
use super::value::Values;
use crate::app::Shared;
use crate::socket;

/// What a connection goes on with once its response was sent: at most one conversation.
#[derive(Clone, Default)]
pub struct Sequel(Arc<Mutex<Option<Conversation>>>);

/// A conversation that runs until someone ends it.
pub type Conversation = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Sequel {
    /// The connection is to go on with this.
    pub fn set(&self, conversation: Conversation) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(conversation);
    }

    /// What the connection goes on with, if anything.
    pub fn take(&self) -> Option<Conversation> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The API in whose shape a refused handshake is answered, and under which it is recorded.
const SPOKEN: Spoken = Spoken {
    api: Api::Chat(&OpenaiChat),
    name: Recorded::Openai,
    model: None,
    stream: None,
};

/// `GET /v1/realtime`: a realtime session (<https://platform.openai.com/docs/api-reference/realtime>).
pub async fn realtime(
    app: &Shared,
    arrival: &Arrival,
    mut request: Request<Incoming>,
    sequel: &Sequel,
) -> Response<Answer> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let refuse = |problem: &Problem| {
        app.telemetry.refused(problem.kind);
        call::render(SPOKEN.api, problem, arrival)
    };
    let (mut door, mut accepted) = match knock(app, &parts, arrival) {
        Ok(known) => known,
        Err(problem) => return refuse(&problem),
    };
    let (caller, preset) = match whoever_converses(app, &parts, arrival).await {
        Ok(known) => known,
        Err(problem) => return refuse(&problem),
    };
    if preset.is_some() {
        door.shown = Shown::ClientSecretOf(caller.key_id());
    }
    let query = parts.uri.query().unwrap_or_default().to_owned();
    if realtime::is_offered(&parts.headers) {
        let protocol = HeaderValue::from_static(realtime::PROTOCOL);
        accepted
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let inbound = call::inbound(&OpenaiRealtime, SPOKEN, arrival, parts, Bytes::new());
    // The story of a call is long, and the server moves what it polls: on the heap it stays where it is.
    match Box::pin(app.gateway.converse(&caller, inbound, &query, preset)).await {
        Ok(session) => {
            call::describe(&session.facts(), &mut Values::new(), accepted.headers_mut());
            sequel.set(Box::pin(hold(session, upgrade, door)));
            accepted
        }
        Err(error @ ChatError::Failed { .. }) => call::failed(SPOKEN.api, error, arrival),
        Err(error) => refuse(&error.into_problem()),
    }
}

/// Who asks for a session, and what it begins with where a client secret is shown.
async fn whoever_converses(
    app: &Shared,
    parts: &Parts,
    arrival: &Arrival,
) -> Result<(Caller, Option<Preset>), Problem> {
    let text = shown_key(&parts.headers, &parts.uri).unwrap_or_default();
    let recognised = app.ring.recognise(text, arrival.address, arrival.at);
    if recognised.err() != Some(Unrecognised::Unknown) || !is_client_secret(text) {
        let caller = authenticate(app, parts, arrival)?;
        return Ok((caller, None));
    }
    let found = app.client_secrets.recognise(text, arrival.address).await;
    let (caller, session) = found.map_err(IntoProblem::into_problem)?;
    let preset = serde_json::from_slice(&session).map_err(|error| {
        tracing::error!(%error, key_id = %caller.key_id(), "a client secret's session cannot be read");
        let detail = "What the client secret describes cannot be read. Make another.";
        Problem::new(ProblemKind::Internal, detail)
    })?;
    Ok((caller, Some(preset)))
}

/// Holds a session for as long as it lasts.
async fn hold(session: Session, upgrade: OnUpgrade, door: Door) {
    if let Some(socket) = door.open(upgrade).await {
        door.app.gateway.hold(session, socket, &door).await;
    }
}

/// Whoever asks for a conversation, before anything else is known of it: what watches over it, and the response
/// that begins it.
pub fn knock(
    app: &Shared,
    parts: &Parts,
    arrival: &Arrival,
) -> Result<(Door, Response<Answer>), Problem> {
    let accept = socket::accept(&parts.headers)
        .filter(|_| parts.method == http::Method::GET && socket::is_wanted(&parts.headers));
    let Some(fields) = accept else {
        let detail = format!(
            "{} is a WebSocket (RFC 6455, version 13): ask by GET over HTTP/1.1 with `Connection: Upgrade` and \
             `Upgrade: websocket`.",
            parts.uri.path()
        );
        return Err(Problem::new(ProblemKind::InvalidRequest, detail));
    };
    let mut accepted = Response::new(Answer::whole(Bytes::new()));
    *accepted.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    accepted.headers_mut().extend(fields);
    let key = shown_key(&parts.headers, &parts.uri).unwrap_or_default();
    let door = Door {
        app: Arc::clone(app),
        shown: Shown::Key(Secret::new(key.to_owned())),
        address: arrival.address,
    };
    Ok((door, accepted))
}

/// Watches over one conversation.
pub struct Door {
    app: Shared,
    /// It is recognised again and again.
    shown: Shown,
    address: IpAddr,
}

/// What the caller showed.
enum Shown {
    /// The text of a key.
    Key(Secret<String>),
    /// A client secret of this key's, which may expire once the conversation has begun.
    ClientSecretOf(KeyId),
}

impl Door {
    /// The application.
    pub fn app(&self) -> &Shared {
        &self.app
    }

    /// The caller's side of the conversation; `None` when the caller has gone before it began.
    pub async fn open(&self, upgrade: OnUpgrade) -> Option<Socket> {
        let upgraded = upgrade.await.ok()?;
        let max_message = self.app.sockets.max_message;
        Some(socket::conversation(upgraded, Role::Server, max_message).await)
    }
}

impl Warden for Door {
    fn standing(&self) -> Standing {
        let app = &self.app;
        let now = app.clock.now();
        let recognised = match &self.shown {
            Shown::Key(text) => app.ring.recognise(text.reveal(), self.address, now),
            Shown::ClientSecretOf(key) => app.ring.recognise_delegate(*key, self.address, now),
        };
        match recognised {
            Err(error) => Standing::Gone(error.into_problem()),
            Ok(_) if app.is_stopping.load(Ordering::Relaxed) => {
                let detail = "The gateway stops. Connect again to go on.";
                Standing::Stopping(Problem::new(ProblemKind::Unavailable, detail))
            }
            Ok(caller) => Standing::Good(caller),
        }
    }

    fn problem(&self, error: ChatError) -> Problem {
        let problem = error.into_problem();
        self.app.telemetry.refused(problem.kind);
        problem
    }
}
