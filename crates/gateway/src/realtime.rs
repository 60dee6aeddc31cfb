//! The life of a realtime session: a conversation over one connection to the provider, whose responses are
//! each a call of their own.
//!
//! [`Gateway::converse`] opens it as any call is opened: admitted, journaled, then connected, so that what goes
//! wrong is still an HTTP answer. [`Gateway::hold`] passes events both ways until someone ends it. The session's
//! own call says who was connected with whom and for how long; it costs nothing. What costs is a response or a
//! transcript, and `meter` opens a call for each: before it is passed on where the caller asks for it, and as
//! soon as it is seen where the provider begins by itself. `docs/adr/0013-a-response-of-a-session-is-a-call.md`
//! says why.

mod meter;
mod outset;
mod warden;
mod words;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::chat::{Finish, FinishReason};
use domain::clock::Moment;
use domain::egress::Outbound;
use domain::id::RequestId;
use domain::name::ModelName;
use domain::problem::{Problem, ProblemKind};
use domain::provider_error::{Cause, ProviderError};
use domain::socket::{Closing, Connected, Incoming, Message, Outgoing, Socket, SocketError};
use domain::usage::Usage;
use futures_util::future::{self, BoxFuture};
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, StatusCode};
use providers::openai::realtime::preset::Preset;
use providers::openai::realtime::{self, OpenaiRealtime};
use providers::tap::Observed;
use tokio::sync::mpsc;

use crate::admit::{priority_of, set_aside};
use crate::attempt::{AttemptError, Door, Errand, Way, unreachable};
use crate::chat::{ChatError, Gateway, Inbound, facts, failed};
use crate::ledger::{Ending, OpenCall};
use crate::limits::Expectation;
use crate::problem::provider_problem;
use crate::reply::ReplyFacts;
use crate::routes::{Candidates, Plan, ResolvedTarget};
use crate::within::within;

use meter::{Heard, Meter};
use outset::{Shown, show};
pub use warden::{Standing, Warden};

/// Bounds on conversations over sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketRules {
    /// The largest message, in bytes.
    pub max_message: usize,
    /// How long nobody may say anything.
    pub idle: Duration,
    /// How long a conversation may last.
    pub length: Duration,
}

impl Default for SocketRules {
    fn default() -> Self {
        Self {
            max_message: 16 * 1024 * 1024,
            idle: Duration::from_mins(15),
            length: Duration::from_hours(1),
        }
    }
}

/// Messages of the gateway's own that wait to be sent to one side.
const WAITING: usize = 16;
/// How often it is looked up whether the caller may go on: a revocation takes effect within seconds.
const WATCH: Duration = Duration::from_secs(1);
/// How often the caller's connection is kept in use, in turns of [`WATCH`]: proxies close what is silent.
const PING_TURNS: u64 = 30;
/// How long the end of a session may take: to tell the caller, and to hear from the provider what was taken.
const FAREWELL: Duration = Duration::from_secs(5);

/// A session whose provider is connected, and whose caller is to be.
pub struct Session {
    terms: Terms,
    call: Box<OpenCall>,
    provider: Socket,
    /// What it begins with, where a client secret says.
    preset: Option<Preset>,
}

/// What holds for every call of a session.
struct Terms {
    plan: Plan,
    caller: Caller,
    /// The model's name as the caller wrote it.
    model: ModelName,
    /// The caller's own identifier of the connection, or else ours: its responses have it too.
    mark: String,
    traceparent: Option<String>,
}

impl Session {
    /// What is said of it in the header of the answer.
    pub fn facts(&self) -> ReplyFacts {
        facts(self.terms.plan.target(), &self.call)
    }
}

/// A conversation that is asked for.
struct Handshake {
    /// Of the caller's own handshake.
    query: String,
    headers: HeaderMap,
}

impl Handshake {
    /// The first candidate that holds conversations, and what it is sent. What the first says of it is told
    /// where none does.
    fn first(&self, plan: &Plan) -> Result<(usize, Request<Bytes>), ChatError> {
        self.request(plan.target())
            .map(|request| (0, request))
            .or_else(|refused| {
                let mut others = plan.candidates.iter().enumerate().skip(1);
                others
                    .find_map(|(at, it)| Some((at, self.request(&it.target).ok()?)))
                    .ok_or(refused)
            })
    }

    fn request(&self, target: &ResolvedTarget) -> Result<Request<Bytes>, ChatError> {
        let (kind, target) = (target.kind, target.target());
        Ok(realtime::request(
            kind,
            &target,
            &self.query,
            &self.headers,
        )?)
    }
}

impl Errand for Handshake {
    type Ready = Request<Bytes>;
    type Answer = Socket;

    fn patience(&self, plan: &Plan) -> Duration {
        plan.timeouts.first_byte
    }

    fn is_verbatim(_: &Request<Bytes>) -> bool {
        true
    }

    fn prepare<'a>(
        &'a self,
        _: &'a Gateway,
        target: &'a Arc<ResolvedTarget>,
        _: bool,
    ) -> BoxFuture<'a, Result<Option<Request<Bytes>>, ChatError>> {
        Box::pin(future::ready(self.request(target).map(Some)))
    }

    async fn exchange(
        &self,
        gateway: &Gateway,
        door: Door<'_>,
        ready: &Request<Bytes>,
        _: Moment,
    ) -> Result<(u16, Socket), ProviderError> {
        gateway.handshake(door, ready).await
    }
}

/// How a session ended.
enum Ended {
    /// The caller closed it, or went away.
    ByCaller(Option<Closing>),
    /// The provider closed it.
    ByProvider(Closing),
    /// The provider broke off.
    Broken(ProviderError),
    /// It may not go on.
    Over {
        /// What the caller is told before.
        event: Option<String>,
        closing: Closing,
    },
}

impl Gateway {
    /// Whether the caller may have sessions that begin with `preset`: asked when a client secret is made, and
    /// counted as a request.
    pub async fn offer_sessions(&self, caller: &Caller, preset: &Preset) -> Result<(), ChatError> {
        if let Some(model) = preset.model() {
            if !caller.may_use(model.as_str()) {
                return Err(ChatError::ModelNotPermitted(model.clone()));
            }
            let plan = self.routes().plan(model)?;
            let query = preset.query("")?;
            let headers = HeaderMap::new();
            Handshake { query, headers }.first(&plan)?;
        }
        Ok(self.limits.count_request(caller).await?)
    }

    /// Opens a session: `query` is that of the caller's handshake, and `preset` what the session begins with.
    ///
    /// Dropping the future cancels it.
    pub async fn converse(
        &self,
        caller: &Caller,
        mut inbound: Inbound<OpenaiRealtime>,
        query: &str,
        preset: Option<Preset>,
    ) -> Result<Session, ChatError> {
        let mut query = Cow::Borrowed(query);
        if let Some(preset) = &preset {
            query = Cow::Owned(preset.query(&query)?);
            preset.announce(&mut inbound.asked.headers);
        }
        let model = realtime::model(&query)?;
        if !caller.may_use(model.as_str()) {
            return Err(ChatError::ModelNotPermitted(model));
        }
        let mut plan = self.plan_session(caller, &inbound, &model)?;
        let nothing = Expectation {
            route: Some(&model),
            priority: priority_of(caller, &inbound.asked.headers),
            ..Expectation::NOTHING
        };
        let admission = self.limits.admit(caller, nothing).await?;
        let now = inbound.started_at;
        let admitted = set_aside(admission, &mut plan, Usage::default(), now).await?;
        let errand = Handshake {
            query: query.into_owned(),
            headers: inbound.asked.headers.clone(),
        };
        let (at, ready) = errand.first(&plan)?;
        let mark = inbound
            .client_request_id
            .clone()
            .unwrap_or_else(|| inbound.request_id.to_string());
        let traceparent = inbound.traceparent.clone();
        let operation = Operation::Realtime;
        let opening = inbound.opening(operation, true, model.clone(), caller, &plan, admitted);
        let mut call = self.ledger.open(opening)?;
        let mut way = Way {
            plan: &plan,
            errand,
            at,
            ready,
        };
        match self.attempt(&mut way, &mut call).await {
            Ok(provider) => {
                call.answer_with(StatusCode::SWITCHING_PROTOCOLS);
                call.first_content();
                let terms = Terms {
                    // Whoever answered is whom the session is with.
                    plan: Plan {
                        candidates: Candidates::only(plan.candidates.at(way.at).clone()),
                        ..plan.clone()
                    },
                    caller: caller.clone(),
                    model,
                    mark,
                    traceparent,
                };
                Ok(Session {
                    terms,
                    call,
                    provider,
                    preset,
                })
            }
            Err(AttemptError::Provider(failure)) => Err(failed(*failure, &plan, call)),
            Err(AttemptError::Journal(error)) => Err(error.into()),
        }
    }

    /// Asks the provider for a conversation.
    async fn handshake(
        &self,
        door: Door<'_>,
        request: &Request<Bytes>,
    ) -> Result<(u16, Socket), ProviderError> {
        let target = door.target;
        let request = self.courier.authorized(request.clone(), door).await?;
        let reach = target.provider.reach();
        let outbound = Outbound { request, reach };
        let max_message = self.settings.sockets.max_message;
        let connected = self.sockets.connect(outbound, max_message).await;
        match connected.map_err(|error| unreachable(&error))? {
            Connected::Socket(socket) => {
                let switched = StatusCode::SWITCHING_PROTOCOLS.as_u16();
                Ok((switched, socket))
            }
            Connected::Refused(response) => {
                drop(self.successful_task(target, response).await?);
                let what = "The provider answers a handshake as if it were any request.";
                Err(ProviderError::new(Cause::Malformed, what))
            }
        }
    }

    /// Passes the events of a session, which was opened by [`Gateway::converse`], between the provider and the
    /// caller's `socket`, until someone ends it.
    ///
    /// Dropping the future breaks both connections off, and the ledger records what was open as cancelled.
    pub async fn hold(&self, session: Session, socket: Socket, warden: &dyn Warden) {
        let Session {
            terms,
            call,
            provider:
                Socket {
                    mut incoming,
                    mut outgoing,
                },
            preset,
        } = session;
        let (awaited, update) = preset
            .map(|preset| {
                let event_id = self.event_id();
                let update = preset.update(&event_id, &terms.plan.target().model);
                (event_id, update)
            })
            .unzip();
        let meter = Meter::new(self, &terms, warden);
        let Socket {
            incoming: mut heard,
            outgoing: mut told,
        } = socket;
        let (to_caller, for_caller) = mpsc::channel(WAITING);
        let (to_provider, for_provider) = mpsc::channel(WAITING);
        let pass = Pass {
            gateway: self,
            meter: &meter,
            warden,
            to_caller,
            to_provider,
        };
        let ended = {
            let up = pass.up(&mut heard, &mut outgoing, for_provider, update);
            let down = pass.down(&mut incoming, &mut told, for_caller, awaited);
            let watch = pass.watch(&terms.model);
            tokio::select! {
                ended = up => ended,
                ended = down => ended,
                ended = watch => ended,
            }
        };
        let (event, closing) = pass.farewell(&ended, &terms.plan);
        let tell = async {
            if let Some(event) = event {
                told.send(Message::Text(event)).await?;
            }
            told.send(Message::Close(closing)).await?;
            told.close().await
        };
        let settle = async {
            if matches!(ended, Ended::ByCaller(_) | Ended::Over { .. }) {
                pass.settle(&mut incoming, &mut outgoing).await;
            }
        };
        let farewell = futures_util::future::join(tell, settle);
        // Whoever does not listen any more need not be told.
        drop(within(&*self.clock, FAREWELL, farewell).await);
        meter.close(ended.failure().as_ref()).await;
        end(call, ended).await;
    }

    fn event_id(&self) -> String {
        let id = RequestId::new(self.clock.now(), &*self.entropy);
        format!("event_{}", id.to_string().trim_start_matches("req_"))
    }
}

/// Ends the session's own call, which took nothing.
async fn end(mut call: Box<OpenCall>, ended: Ended) {
    let failure = ended.failure();
    let finish = failure.as_ref().map(|_| Finish {
        reason: FinishReason::Error,
        native: "broken".to_owned(),
        stop_sequence: None,
    });
    call.observe(Observed {
        usage: Some(Usage::default()),
        finish,
        has_content: true,
        ..Observed::default()
    });
    let ending = match (failure, ended) {
        (Some(error), _) => Ending::Broke(error),
        (None, Ended::ByCaller(None)) => Ending::CallerGone,
        (None, _) => Ending::Answered,
    };
    call.end_with_others(&ending).await;
}

impl Ended {
    /// The session may not go on; the caller is told `problem` and the connection closed.
    fn over(pass: &Pass<'_>, code: u16, problem: &Problem) -> Self {
        Self::Over {
            event: Some(pass.error_event(problem, None)),
            closing: Closing::new(code, problem.kind.title()),
        }
    }

    /// What went wrong at the provider.
    fn failure(&self) -> Option<ProviderError> {
        match self {
            Self::Broken(error) => Some(error.clone()),
            Self::ByProvider(closing) if !closing.is_orderly() => {
                let why = format!("The provider closed the session: {}.", closing.reason);
                Some(ProviderError::new(Cause::Interrupted, why))
            }
            Self::ByCaller(_) | Self::ByProvider(_) | Self::Over { .. } => None,
        }
    }
}

/// The two directions of a session, which run side by side.
struct Pass<'a> {
    gateway: &'a Gateway,
    meter: &'a Meter<'a>,
    warden: &'a dyn Warden,
    /// What the gateway itself has to say to the caller.
    to_caller: mpsc::Sender<Message>,
    /// What the gateway itself has to say to the provider.
    to_provider: mpsc::Sender<Message>,
}

impl Pass<'_> {
    /// Passes on what the caller says, at the provider's pace, after `first`.
    async fn up(
        &self,
        heard: &mut Incoming,
        outgoing: &mut Outgoing,
        mut orders: mpsc::Receiver<Message>,
        first: Option<String>,
    ) -> Ended {
        if let Some(first) = first {
            // It is counted like what the caller says, and always an event.
            drop(self.meter.said(&first).await);
            if outgoing.send(Message::Text(first)).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        loop {
            let message = tokio::select! {
                Some(order) = orders.recv() => order,
                next = heard.next() => match self.heard(next).await {
                    Ok(Some(message)) => message,
                    Ok(None) => continue,
                    Err(ended) => return ended,
                },
            };
            if outgoing.send(message).await.is_err() {
                // The provider's own last words say why; they come the other way.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What of the caller's next message is to be passed on, if anything.
    async fn heard(
        &self,
        next: Option<Result<Message, SocketError>>,
    ) -> Result<Option<Message>, Ended> {
        let text = match next {
            None | Some(Err(SocketError::Broken(_))) => return Err(Ended::ByCaller(None)),
            Some(Ok(Message::Close(closing))) => return Err(Ended::ByCaller(Some(closing))),
            Some(Err(SocketError::TooLarge { max })) => {
                let detail = format!("A message may have {max} bytes.");
                let problem = Problem::new(ProblemKind::TooLarge, detail);
                return Err(Ended::over(self, Closing::TOO_LARGE, &problem));
            }
            Some(Ok(Message::Ping)) => return Ok(None),
            Some(Ok(Message::Binary(_))) => {
                let detail = "Events are JSON in text messages; sound goes into them as base64.";
                let problem = Problem::new(ProblemKind::InvalidRequest, detail);
                self.tell_caller(&problem, None).await;
                return Ok(None);
            }
            Some(Ok(Message::Text(text))) => text,
        };
        let Err((problem, event_id)) = self.meter.said(&text).await else {
            return Ok(Some(Message::Text(text)));
        };
        if let Some(closing) = self.meter.is_over() {
            let event = Some(self.error_event(&problem, event_id.as_deref()));
            return Err(Ended::Over { event, closing });
        }
        self.tell_caller(&problem, event_id.as_deref()).await;
        Ok(None)
    }

    /// Passes on what the provider says, at the caller's pace. `awaited` is the event that describes the session,
    /// which the provider answers first.
    async fn down(
        &self,
        incoming: &mut Incoming,
        told: &mut Outgoing,
        mut notices: mpsc::Receiver<Message>,
        mut awaited: Option<String>,
    ) -> Ended {
        loop {
            let (message, heard) = tokio::select! {
                Some(notice) = notices.recv() => (notice, Heard::Nothing),
                next = incoming.next() => match next {
                    None => return broken("the connection ended"),
                    Some(Err(error)) => return broken(&error.to_string()),
                    Some(Ok(Message::Close(closing))) => return Ended::ByProvider(closing),
                    Some(Ok(Message::Ping)) => continue,
                    Some(Ok(Message::Binary(bytes))) => (Message::Binary(bytes), Heard::Nothing),
                    Some(Ok(Message::Text(text))) => match show(&mut awaited, text) {
                        Shown::Event(text) => {
                            let heard = self.meter.told(&text).await;
                            (Message::Text(text), heard)
                        }
                        Shown::Nothing => continue,
                        Shown::Refused(event) => {
                            let why = "The provider refuses what the client secret describes.";
                            let closing = Closing::new(Closing::POLICY, why);
                            return Ended::Over { event: Some(event), closing };
                        }
                    },
                },
            };
            if told.send(message).await.is_err() {
                return Ended::ByCaller(None);
            }
            self.meter.passed();
            match heard {
                Heard::Nothing => {}
                Heard::Absurd(error) => return Ended::Broken(error),
                Heard::Unwanted { id, problem } => {
                    let cancel = Message::Text(realtime::cancellation(&id));
                    let event = Message::Text(self.error_event(&problem, None));
                    if self.to_provider.try_send(cancel).is_err() {
                        return broken("the provider does not take that a response is cancelled");
                    }
                    if told.send(event).await.is_err() {
                        return Ended::ByCaller(None);
                    }
                }
            }
            if let Some(closing) = self.meter.is_over() {
                let event = None;
                return Ended::Over { event, closing };
            }
        }
    }

    /// Ends when the caller may not go on.
    async fn watch(&self, model: &ModelName) -> Ended {
        let clock = &*self.gateway.clock;
        let rules = self.gateway.settings.sockets;
        let began = clock.moment();
        let mut turn = 0_u64;
        loop {
            clock.sleep(WATCH).await;
            turn = turn.wrapping_add(1);
            match self.warden.standing() {
                Standing::Good(caller) if caller.may_use(model.as_str()) => {
                    self.meter.renew(caller);
                }
                Standing::Good(_) => {
                    let error = ChatError::ModelNotPermitted(model.clone());
                    return Ended::over(self, Closing::POLICY, &self.warden.problem(error));
                }
                Standing::Gone(problem) => {
                    return Ended::over(self, Closing::POLICY, &problem);
                }
                Standing::Stopping(problem) => {
                    let closing = Closing::new(Closing::GOING_AWAY, problem.kind.title());
                    self.meter.wind_down(problem, closing);
                }
            }
            if let Some(closing) = self.meter.is_over() {
                let event = None;
                return Ended::Over { event, closing };
            }
            let now = clock.moment();
            let over = [
                (began, rules.length, "The session may last no longer than"),
                (
                    self.meter.last_event(),
                    rules.idle,
                    "Nobody has said anything for",
                ),
            ];
            for (since, bound, what) in over {
                if now.since(since) >= bound {
                    let detail = format!("{what} {} s. Connect again to go on.", bound.as_secs());
                    let problem = Problem::new(ProblemKind::Unavailable, detail);
                    return Ended::Over {
                        event: Some(self.error_event(&problem, None)),
                        closing: Closing::new(Closing::NORMAL, "The session is over."),
                    };
                }
            }
            if turn.is_multiple_of(PING_TURNS) {
                // With a full queue the connection is in use anyway.
                drop(self.to_caller.try_send(Message::Ping));
            }
        }
    }

    /// Lets the provider end what it makes, so that it says what was taken.
    async fn settle(&self, incoming: &mut Incoming, outgoing: &mut Outgoing) {
        for id in self.meter.made() {
            let cancel = Message::Text(realtime::cancellation(&id));
            if outgoing.send(cancel).await.is_err() {
                return;
            }
        }
        while self.meter.is_busy() {
            match incoming.next().await {
                Some(Ok(Message::Text(text))) => drop(self.meter.told(&text).await),
                Some(Ok(Message::Binary(_) | Message::Ping)) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            }
        }
        let closing = Closing::new(Closing::NORMAL, "");
        if outgoing.send(Message::Close(closing)).await.is_ok() {
            drop(outgoing.close().await);
        }
    }

    /// What the caller is told at the end.
    fn farewell(&self, ended: &Ended, plan: &Plan) -> (Option<String>, Closing) {
        match ended {
            Ended::ByCaller(closing) => {
                let closing = closing.clone().filter(Closing::may_be_sent);
                (None, closing.unwrap_or(Closing::new(Closing::NORMAL, "")))
            }
            Ended::ByProvider(closing) if closing.may_be_sent() => (None, closing.clone()),
            Ended::ByProvider(_) => (None, Closing::new(Closing::NORMAL, "")),
            Ended::Broken(error) => {
                let problem = provider_problem(error, &plan.target().provider.name, true);
                let closing = Closing::new(Closing::FAILED, problem.kind.title());
                (Some(self.error_event(&problem, None)), closing)
            }
            Ended::Over { event, closing } => (event.clone(), closing.clone()),
        }
    }

    async fn tell_caller(&self, problem: &Problem, event_id: Option<&str>) {
        let event = self.error_event(problem, event_id);
        // The receiver lives as long as the session does.
        drop(self.to_caller.send(Message::Text(event)).await);
    }

    fn error_event(&self, problem: &Problem, event_id: Option<&str>) -> String {
        realtime::error_event(problem, &self.gateway.event_id(), event_id)
    }
}

fn broken(why: &str) -> Ended {
    let what = format!("The connection to the provider broke: {why}.");
    Ended::Broken(ProviderError::new(Cause::Interrupted, what))
}

#[cfg(test)]
mod tests;
