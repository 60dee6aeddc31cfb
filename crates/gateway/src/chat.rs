//! The life of a chat request, top to bottom.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use domain::call::Operation;
use domain::caller::Caller;
use domain::chat::Conversion;
use domain::clock::{Clock, Moment};
use domain::egress::Egress;
use domain::entropy::Entropy;
use domain::id::RequestId;
use domain::money::Cost;
use domain::name::{ModelName, ProviderName};
use domain::provider_error::ProviderError;
use domain::usage::{ServiceTier, Usage};
use jiff::Timestamp;
use providers::dialect::Refusal;
use providers::face::{Asked, Envelope, Face, InvalidRequest, Rendering};
use providers::kind::ProviderKind;
use providers::tap::Observed;
use serde_json::json;

use crate::attempt::{Answered, AttemptError, Wanted};
use crate::catalog::price;
use crate::drain::Drains;
use crate::estimate;
use crate::ledger::{Ending, JournalError, Ledger, OpenCall, Opening};
use crate::limits::{Admission, Expectation, LimitReached, Limits};
use crate::media::MediaRules;
use crate::payload::{Listener, Payloads};
use crate::prepare::{Passage, Prepared};
use crate::problem::provider_problem;
use crate::reply::{Reply, ReplyFacts, ReplyStream};
use crate::routes::{Plan, Routes, UnknownModel};

/// Bounds that hold for every call.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The largest whole answer that is taken from a provider, in bytes.
    pub max_response: usize,
    /// The most messages of one request.
    pub max_messages: usize,
    /// Bounds on fetching what a target cannot fetch.
    pub media: MediaRules,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_response: 64 * 1024 * 1024,
            max_messages: 10_000,
            media: MediaRules::default(),
        }
    }
}

/// What a gateway is made of.
pub struct Parts {
    /// Which target serves which name; replaced by a reload.
    pub routes: Arc<Routes>,
    /// Where calls are written down.
    pub ledger: Arc<Ledger>,
    /// What callers may use up.
    pub limits: Arc<Limits>,
    /// Where answers go whose callers went away.
    pub drains: Drains,
    /// Keeps what was said, where it is wanted.
    pub payloads: Arc<Payloads>,
    /// How requests leave.
    pub egress: Arc<dyn Egress>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Bounds.
    pub settings: Settings,
}

/// Takes requests, and answers them.
pub struct Gateway {
    routes: ArcSwap<Routes>,
    ledger: Arc<Ledger>,
    limits: Arc<Limits>,
    drains: Drains,
    payloads: Arc<Payloads>,
    pub(crate) egress: Arc<dyn Egress>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Settings,
}

/// A chat request as it arrived.
pub struct Inbound {
    /// Its identifier.
    pub request_id: RequestId,
    /// When it arrived.
    pub started_at: Timestamp,
    /// The same on the monotonic clock.
    pub received: Moment,
    /// The API that is spoken.
    pub face: &'static dyn Face,
    /// The same as it is recorded.
    pub face_name: domain::call::Face,
    /// What it says beside its body.
    pub asked: Asked,
    /// Its body.
    pub body: Bytes,
    /// The caller's own identifier (`x-client-request-id`).
    pub client_request_id: Option<String>,
    /// The caller's trace (W3C Trace Context).
    pub traceparent: Option<String>,
    /// What the caller wants to be told beside the answer.
    pub report: ReportWanted,
}

/// What the caller wants to be told beside the answer (`x-trunkline-report`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportWanted {
    /// What it cost, line by line.
    pub cost: bool,
    /// What a translation carried, changed, dropped.
    pub conversion: bool,
}

impl ReportWanted {
    /// Whether anything is wanted.
    pub fn any(self) -> bool {
        self.cost || self.conversion
    }
}

/// Why a chat request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The request is not what the face allows.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// There are more messages than [`Settings::max_messages`].
    #[error("the request has {count} messages and at most {max} are taken")]
    TooManyMessages {
        /// How many there are.
        count: usize,
        /// How many are taken.
        max: usize,
    },
    /// No target serves the model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// The caller's key does not permit the model.
    #[error("the key does not permit model {0}")]
    ModelNotPermitted(ModelName),
    /// A limit of the caller's is reached.
    #[error(transparent)]
    LimitReached(#[from] LimitReached),
    /// The target cannot do what is asked.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The route is strict, and the translation would drop something.
    #[error("the route is strict and the target cannot take everything")]
    WouldDrop(Conversion),
    /// The call cannot be written down, so it was not sent.
    #[error(transparent)]
    Ledger(#[from] JournalError),
    /// Every attempt failed; the last failure. Turned into [`ChatError::Failed`] before it leaves.
    #[error(transparent)]
    Provider(Box<ProviderError>),
    /// Every attempt failed.
    #[error("all {attempts} attempts failed")]
    Failed {
        /// What the caller is told.
        problem: Box<domain::problem::Problem>,
        /// The provider.
        provider: ProviderName,
        /// How often it was tried.
        attempts: usize,
    },
}

impl Gateway {
    /// A gateway of these parts.
    pub fn new(parts: Parts) -> Self {
        Self {
            routes: ArcSwap::new(parts.routes),
            ledger: parts.ledger,
            limits: parts.limits,
            drains: parts.drains,
            payloads: parts.payloads,
            egress: parts.egress,
            clock: parts.clock,
            entropy: parts.entropy,
            settings: parts.settings,
        }
    }

    /// The routes in force.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// Puts other routes in force. Calls that have begun go on as they were planned.
    pub fn replace_routes(&self, routes: Arc<Routes>) {
        self.routes.store(routes);
    }

    /// Answers a chat request.
    ///
    /// Dropping the future cancels the call: the provider sees the caller go, and the ledger records it.
    pub async fn chat(&self, caller: &Caller, inbound: Inbound) -> Result<Reply, ChatError> {
        let envelope = inbound.face.envelope(&inbound.asked, &inbound.body)?;
        self.check(caller, &envelope)?;
        let face = inbound.face;
        let plan = self.routes.load().plan(&envelope.model, face.format())?;
        let (admission, estimate) = self.admit(caller, &inbound, &envelope, &plan)?;
        let prepared = self.prepare(&inbound, &envelope, &plan).await?;
        let rendering = rendering(&inbound, &envelope, &plan, &estimate);
        let wanted = Wanted {
            face,
            rendering: &rendering,
            streamed: envelope.stream,
            report: inbound.report,
        };
        let listener = self.payloads.listen(
            caller,
            inbound.request_id,
            &inbound.body,
            inbound.started_at,
        );
        let opening = opening(inbound, caller, &envelope, &plan, admission, estimate);
        let mut call = self.ledger.open(opening)?;
        match self.attempt(&plan, &prepared, wanted, &mut call).await {
            Ok(answered) => Ok(self.reply(answered, &plan, prepared, wanted, call, listener)),
            Err(AttemptError::Provider(error)) => Err(failed(error, &plan, face, call)),
            Err(error) => Err(error.into()),
        }
    }

    fn check(&self, caller: &Caller, envelope: &Envelope) -> Result<(), ChatError> {
        let max = self.settings.max_messages;
        if envelope.messages > max {
            return Err(ChatError::TooManyMessages {
                count: envelope.messages,
                max,
            });
        }
        if !caller.may_use(envelope.model.as_str()) {
            return Err(ChatError::ModelNotPermitted(envelope.model.clone()));
        }
        Ok(())
    }

    /// Counts the call in and sets aside what it may cost.
    fn admit(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        plan: &Plan,
    ) -> Result<(Admission, Usage), LimitReached> {
        let input_tokens = estimate::input_tokens(&inbound.body);
        let max_output_tokens = envelope
            .max_output_tokens
            .map(|tokens| tokens.saturating_mul(u64::from(envelope.choices)));
        let mut admission = self.limits.admit(
            caller,
            Expectation {
                input_tokens,
                max_output_tokens,
            },
        )?;
        let estimate = Usage::text(input_tokens, admission.expected_output_tokens());
        let priced = plan.target.facts.as_deref().and_then(|facts| {
            price(facts, &estimate, ServiceTier::Standard, inbound.started_at).ok()
        });
        admission.reserve(priced.map_or(Cost::ZERO, |priced| priced.total))?;
        Ok((admission, estimate))
    }

    fn reply(
        &self,
        answered: Answered,
        plan: &Plan,
        prepared: Prepared,
        wanted: Wanted<'_>,
        mut call: OpenCall,
        mut listener: Option<Listener>,
    ) -> Reply {
        call.answer_with(http::StatusCode::OK);
        match answered {
            Answered::Whole { body, response } => {
                call.observe(&Observed::of(&response));
                let report = report_of(wanted.report, prepared.passage.report(), &call);
                let body = match prepared.passage {
                    Passage::Verbatim { .. } => match &report {
                        None => body,
                        Some(report) => wanted.face.attach_report(body, report),
                    },
                    Passage::Translated { .. } => {
                        wanted
                            .face
                            .render(&response, wanted.rendering, report.as_ref())
                    }
                };
                let cost = call.cost().map(|priced| priced.total);
                let facts = ReplyFacts {
                    cost,
                    ..facts(plan, &call)
                };
                if let Some(listener) = &mut listener {
                    listener.hear(&body);
                }
                call.end(&Ending::Answered);
                Reply::Whole { facts, body }
            }
            Answered::Stream {
                body,
                pipeline,
                ready,
                is_over,
            } => {
                call.first_content();
                let facts = facts(plan, &call);
                let stream = ReplyStream::new(
                    body,
                    *pipeline,
                    ready,
                    is_over,
                    call,
                    plan,
                    prepared.passage,
                    wanted.report,
                    Arc::clone(&self.clock),
                    wanted.face.format() == plan.dialect.format(),
                    self.drains.clone(),
                    listener,
                );
                Reply::Stream {
                    facts,
                    stream: Box::new(stream),
                }
            }
        }
    }
}

/// The report that the caller wants, as it goes into the answer's `trunkline` field.
pub(crate) fn report_of(
    wanted: ReportWanted,
    conversion: Option<&Conversion>,
    call: &OpenCall,
) -> Option<serde_json::Value> {
    if !wanted.any() {
        return None;
    }
    let mut report = serde_json::Map::new();
    if wanted.cost {
        report.insert("cost".to_owned(), json!(call.cost()));
    }
    if wanted.conversion {
        let nothing_translated = Conversion::default();
        let conversion = conversion.unwrap_or(&nothing_translated);
        report.insert("conversion".to_owned(), json!(conversion));
    }
    Some(report.into())
}

fn rendering(inbound: &Inbound, envelope: &Envelope, plan: &Plan, estimate: &Usage) -> Rendering {
    Rendering {
        id: inbound.request_id.to_string(),
        created: inbound.started_at,
        model: plan.target.model.clone(),
        stream_usage: envelope.stream_usage,
        estimated_input_tokens: estimate.input_tokens,
        asked: inbound.body.clone(),
    }
}

fn opening(
    inbound: Inbound,
    caller: &Caller,
    envelope: &Envelope,
    plan: &Plan,
    admission: Admission,
    estimate: Usage,
) -> Opening {
    Opening {
        request_id: inbound.request_id,
        client_request_id: inbound.client_request_id,
        started_at: inbound.started_at,
        received: inbound.received,
        operation: Operation::Chat,
        face: inbound.face_name,
        streamed: envelope.stream,
        request_model: envelope.model.clone(),
        route: plan.route.clone(),
        caller: caller.clone(),
        estimate,
        facts: plan.target.facts.clone(),
        admission,
        traceparent: inbound.traceparent,
    }
}

fn facts(plan: &Plan, call: &OpenCall) -> ReplyFacts {
    ReplyFacts {
        provider: plan.target.provider.name.clone(),
        model: plan.target.model.clone(),
        is_simulated: plan.target.provider.kind == ProviderKind::Sim,
        attempts: call.attempts(),
        cost: None,
        overhead: call.overhead(),
    }
}

fn failed(error: ProviderError, plan: &Plan, face: &dyn Face, mut call: OpenCall) -> ChatError {
    let provider = plan.target.provider.name.clone();
    let same_format = face.format() == plan.dialect.format();
    let problem = provider_problem(&error, &provider, same_format);
    let attempts = call.attempts();
    call.answer_with(problem.status());
    call.end(&Ending::Failed(error));
    ChatError::Failed {
        problem: Box::new(problem),
        provider,
        attempts,
    }
}

#[cfg(test)]
mod endings;
#[cfg(test)]
mod tests;
