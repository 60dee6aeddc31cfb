//! What the responses of one session take: a call for each of them, admitted, journaled, and settled with what
//! the provider says.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::call::{AttemptReason, Face, Operation};
use domain::caller::Caller;
use domain::clock::Moment;
use domain::id::RequestId;
use domain::limit::Priority;
use domain::name::ModelName;
use domain::problem::{Problem, ProblemKind};
use domain::provider_error::{Cause, ProviderError};
use domain::socket::Closing;
use domain::usage::Usage;
use providers::openai::realtime::{Done, Said, Told, said, told};
use providers::tap::Observed;

use super::words::Words;
use super::{Terms, Warden};
use crate::admit::{Admitted, expected_price, set_aside};
use crate::catalog::ModelFacts;
use crate::chat::{ChatError, Gateway};
use crate::ledger::{Ending, JournalError, OpenCall, Opening};
use crate::limits::{Admission, Expectation};

/// Responses of one session that may be asked for or made at the same time.
const MAX_RESPONSES: usize = 16;
/// Responses that a provider may be making: more than were asked for, since speech begins them too.
const MAX_MADE: usize = 64;
/// Bytes of base64 in a token of sound: a token is 100 ms, a second 48,000 bytes of samples.
const SOUND_BYTES: u64 = 6_400;
/// The most tokens that one event is reckoned to add. What is longer is a picture or sound, which takes fewer
/// than its length in bytes.
const MAX_EVENT_TOKENS: u64 = 8_000;

/// The calls of one session.
pub(super) struct Meter<'a> {
    gateway: &'a Gateway,
    warden: &'a dyn Warden,
    terms: &'a Terms,
    state: Mutex<State>,
}

struct State {
    caller: Caller,
    /// Asked for, and not begun.
    asked: VecDeque<Asked>,
    /// Begun, by the provider's identifier.
    made: HashMap<String, Box<OpenCall>>,
    context: Context,
    transcription_model: Option<String>,
    is_spoken: bool,
    last_event: Moment,
    /// An event of the provider's has been read and the caller does not have it yet.
    is_passing: bool,
    /// What new responses are refused with, and how the session ends as soon as none is being made.
    winding_down: Option<(Problem, Closing)>,
    /// What is said, where it is kept.
    words: Option<Words>,
}

/// A response that was asked for.
struct Asked {
    /// What an error about it refers to.
    event_id: Option<String>,
    call: Box<OpenCall>,
}

/// What the next response will read, in tokens, as far as it can be told.
#[derive(Clone, Copy, Default)]
struct Context {
    /// What the last one read and said.
    known: u64,
    /// Text that came since.
    text: u64,
    /// Bytes of sound that came since.
    sound_bytes: u64,
}

/// What of a provider's event is more than to be passed on.
pub(super) enum Heard {
    /// Nothing.
    Nothing,
    /// The provider began a response by itself that the caller may not have: it is to be cancelled.
    Unwanted {
        /// Which.
        id: String,
        /// Why.
        problem: Problem,
    },
    /// The provider does what no provider does.
    Absurd(ProviderError),
}

impl<'a> Meter<'a> {
    pub(super) fn new(gateway: &'a Gateway, terms: &'a Terms, warden: &'a dyn Warden) -> Self {
        Self {
            gateway,
            warden,
            terms,
            state: Mutex::new(State {
                caller: terms.caller.clone(),
                asked: VecDeque::new(),
                made: HashMap::new(),
                context: Context::default(),
                transcription_model: None,
                is_spoken: true,
                last_event: gateway.clock.moment(),
                is_passing: false,
                winding_down: None,
                words: Words::kept_by(&gateway.payloads, &terms.caller),
            }),
        }
    }

    /// Counts an event of the caller's before it is passed on. An error says that it must not be, and which
    /// event it is about.
    pub(super) async fn said(&self, text: &str) -> Result<(), (Problem, Option<String>)> {
        let event = said(text).map_err(|error| (self.warden.problem(error.into()), None))?;
        self.note_time();
        self.keep_said(&event, text);
        match event {
            Said::Sound(bytes) => {
                self.state().context.sound_bytes += bytes as u64;
                Ok(())
            }
            Said::Other => {
                let tokens = (text.len() as u64).div_ceil(4).min(MAX_EVENT_TOKENS);
                self.state().context.text += tokens;
                Ok(())
            }
            Said::Response {
                event_id,
                max_output_tokens,
            } => match self.ask(max_output_tokens).await {
                Ok(call) => {
                    let asked = Asked { event_id, call };
                    self.state().asked.push_back(asked);
                    Ok(())
                }
                Err(problem) => {
                    self.end_soon_without_money(&problem);
                    Err((problem, event_id))
                }
            },
        }
    }

    /// Keeps what the caller says, where that is wanted.
    fn keep_said(&self, event: &Said, text: &str) {
        if let Some(words) = &mut self.state().words {
            match event {
                Said::Sound(bytes) => words.sounded(*bytes),
                Said::Response { .. } | Said::Other => words.said(text),
            }
        }
    }

    /// Opens the call of a response that the caller asks for.
    async fn ask(&self, max_output_tokens: Option<u64>) -> Result<Box<OpenCall>, Problem> {
        let in_flight = {
            let state = self.state();
            if let Some((problem, _)) = &state.winding_down {
                return Err(problem.clone());
            }
            state.asked.len() + state.made.len()
        };
        if in_flight >= MAX_RESPONSES {
            let detail = format!(
                "{MAX_RESPONSES} responses of this session are under way. Wait until one is done."
            );
            return Err(Problem::new(ProblemKind::InvalidRequest, detail));
        }
        let refused = |error: ChatError| self.warden.problem(error);
        let admitted = self.admit(max_output_tokens).await.map_err(refused)?;
        let call = self.open(admitted).await;
        call.map_err(|error| refused(error.into()))
    }

    /// Reads along with an event of the provider's, before the caller gets it ([`Meter::passed`]).
    pub(super) async fn told(&self, text: &str) -> Heard {
        self.note_time();
        self.state().is_passing = true;
        match told(text) {
            Told::Session {
                transcription_model,
                is_spoken,
            } => {
                let mut state = self.state();
                state.transcription_model = transcription_model;
                state.is_spoken = is_spoken;
            }
            Told::Begun { id } => return self.begun(id).await,
            Told::Content { id } => {
                if let Some(call) = self.state().made.get_mut(&id) {
                    call.first_content();
                }
            }
            Told::Done(done) => self.done(*done, text).await,
            Told::Transcribed(Some(usage)) => self.transcribed(usage, text).await,
            Told::Error { event_id, error } => self.refused(event_id.as_deref(), *error).await,
            Told::Transcribed(None) | Told::Other => {}
        }
        Heard::Nothing
    }

    /// The caller has what was read last.
    pub(super) fn passed(&self) {
        self.state().is_passing = false;
    }

    async fn begun(&self, id: String) -> Heard {
        let asked = self.state().asked.pop_front();
        let mut unwanted = None;
        let call = if let Some(asked) = asked {
            Ok(asked.call)
        } else {
            // Speech began it: there was no moment before at which it could have been refused.
            let refused = if let Some(problem) = self.winding_down() {
                Err(problem)
            } else {
                let admitted = self.admit(None).await;
                admitted.map_err(|error| self.warden.problem(error))
            };
            let admitted = refused.unwrap_or_else(|problem| {
                self.end_soon_without_money(&problem);
                unwanted = Some(problem);
                self.admit_begun()
            });
            self.open(admitted).await
        };
        match call {
            Ok(call) => {
                let mut state = self.state();
                if state.made.len() >= MAX_MADE {
                    let what =
                        format!("The provider makes more than {MAX_MADE} responses at once.");
                    return Heard::Absurd(ProviderError::new(Cause::Malformed, what));
                }
                state.made.insert(id.clone(), call);
            }
            Err(error) => unwanted = Some(self.warden.problem(error.into())),
        }
        match unwanted {
            Some(problem) => Heard::Unwanted { id, problem },
            None => Heard::Nothing,
        }
    }

    async fn done(&self, done: Done, event: &str) {
        let call = {
            let mut state = self.state();
            if let Some(usage) = &done.usage {
                state.context = Context {
                    known: usage.total_tokens(),
                    ..Context::default()
                };
            }
            state.made.remove(&done.id)
        };
        let Some(mut call) = call else { return };
        if let Some(words) = &mut self.state().words {
            words.done(call.request_id(), event);
        }
        call.observe(Observed {
            usage: done.usage,
            finish: Some(done.finish),
            has_content: true,
            ..Observed::default()
        });
        let ending = done.error.map_or(Ending::Answered, Ending::Failed);
        call.end_with_others(&ending).await;
    }

    /// An event was refused: of those that ask for a response, the one it is about. An error that names no event
    /// is taken for the answer to the oldest that has no name. Where that is wrong, its response begins all the
    /// same, and is then counted like one that speech began.
    async fn refused(&self, event_id: Option<&str>, error: ProviderError) {
        let asked = {
            let mut state = self.state();
            let mut asked = state.asked.iter();
            let place = asked.position(|asked| asked.event_id.as_deref() == event_id);
            place.and_then(|place| state.asked.remove(place))
        };
        if let Some(asked) = asked {
            asked.call.end_with_others(&Ending::Failed(error)).await;
        }
    }

    /// Records that speech was written down, which is seen only when it is done.
    async fn transcribed(&self, usage: Usage, event: &str) {
        let now = self.gateway.clock.now();
        let model = self.state().transcription_model.clone();
        let model = model.unwrap_or_else(|| self.terms.plan.target().model.clone());
        let facts = self
            .gateway
            .routes()
            .facts(&self.terms.plan.target().provider, &model);
        let admitted = Admitted {
            admission: self.begun_admission(),
            estimate: usage,
            priced: expected_price(facts.as_deref(), &usage, now),
        };
        let name = model.parse().unwrap_or_else(|_| self.terms.model.clone());
        let opened = self
            .open_for(Operation::Transcription, name, &model, facts, admitted)
            .await;
        match opened {
            Ok(mut call) => {
                {
                    let state = self.state();
                    if let Some(words) = &state.words {
                        words.transcribed(&state.caller, call.request_id(), event, now);
                    }
                }
                call.observe(Observed {
                    usage: Some(usage),
                    has_content: true,
                    ..Observed::default()
                });
                call.end_with_others(&Ending::Answered).await;
            }
            Err(error) => {
                tracing::error!(session = %self.terms.mark, %error, "a transcript could not be recorded");
            }
        }
    }

    /// Counts a response in and sets aside what it may cost.
    async fn admit(&self, max_output_tokens: Option<u64>) -> Result<Admitted, ChatError> {
        let (caller, context) = {
            let state = self.state();
            (state.caller.clone(), state.context)
        };
        let expected = Expectation {
            input_tokens: context.tokens(),
            max_output_tokens,
            ..self.expectation()
        };
        let admission = self.gateway.limits.admit(&caller, expected).await?;
        let estimate = self.estimate(&admission);
        let now = self.gateway.clock.now();
        let mut plan = self.terms.plan.clone();
        set_aside(admission, &mut plan, estimate, now).await
    }

    /// Counts in what the provider has begun, whatever the limits say.
    fn admit_begun(&self) -> Admitted {
        let admission = self.begun_admission();
        let estimate = self.estimate(&admission);
        let facts = self.terms.plan.target().facts.as_deref();
        let priced = expected_price(facts, &estimate, self.gateway.clock.now());
        Admitted {
            admission,
            estimate,
            priced,
        }
    }

    fn begun_admission(&self) -> Admission {
        let caller = self.state().caller.clone();
        let target = self.terms.plan.target().destination();
        let limits = &self.gateway.limits;
        limits.admit_begun(&caller, target, self.expectation())
    }

    /// What is expected of a response before anything is known of it. The session is the call that there is at
    /// the same time as others.
    fn expectation(&self) -> Expectation<'_> {
        Expectation {
            route: Some(&self.terms.model),
            input_tokens: 0,
            max_output_tokens: None,
            priority: Priority::Normal,
            is_within_call: true,
        }
    }

    /// What a response is expected to take.
    fn estimate(&self, admission: &Admission) -> Usage {
        let (context, is_spoken) = {
            let state = self.state();
            (state.context, state.is_spoken)
        };
        let output = admission.expected_output_tokens();
        Usage {
            input_audio_tokens: context.sound(),
            output_audio_tokens: if is_spoken { output } else { 0 },
            ..Usage::text(context.tokens(), output)
        }
    }

    async fn open(&self, admitted: Admitted) -> Result<Box<OpenCall>, JournalError> {
        let target = &self.terms.plan.target();
        let facts = target.facts.clone();
        let (model, sent) = (self.terms.model.clone(), &target.model);
        let call = self
            .open_for(Operation::Realtime, model, sent, facts, admitted)
            .await?;
        let now = self.gateway.clock.now();
        let state = &mut *self.state();
        if let Some(words) = &mut state.words {
            words.begun(&state.caller, call.request_id(), now);
        }
        Ok(call)
    }

    /// Opens a call of the session and journals that it is sent.
    async fn open_for(
        &self,
        operation: Operation,
        request_model: ModelName,
        model: &str,
        facts: Option<Arc<ModelFacts>>,
        admitted: Admitted,
    ) -> Result<Box<OpenCall>, JournalError> {
        let now = self.gateway.clock.now();
        let opening = Opening {
            request_id: RequestId::new(now, &*self.gateway.entropy),
            client_request_id: Some(self.terms.mark.clone()),
            started_at: now,
            received: self.gateway.clock.moment(),
            operation,
            face: Face::Openai,
            streamed: true,
            request_model,
            route: self.terms.plan.route.clone(),
            variant: self.terms.plan.variant(),
            shadow_of: None,
            caller: self.state().caller.clone(),
            estimate: admitted.estimate,
            priced: admitted.priced,
            facts,
            admission: admitted.admission,
            traceparent: self.terms.traceparent.clone(),
            batch_id: None,
        };
        let mut call = self.gateway.ledger.open(opening)?;
        call.dispatch(
            self.terms.plan.target().provider.name.clone(),
            model,
            AttemptReason::First,
        )
        .await?;
        Ok(call)
    }

    /// Takes over the caller as its key is now.
    pub(super) fn renew(&self, caller: Caller) {
        self.state().caller = caller;
    }

    /// From now on no response may begin; the session ends as `closing` says when none is being made.
    pub(super) fn wind_down(&self, problem: Problem, closing: Closing) {
        self.state().winding_down.get_or_insert((problem, closing));
    }

    /// Where the money is spent, nothing the caller could do in this session would be answered.
    fn end_soon_without_money(&self, problem: &Problem) {
        if problem.kind == ProblemKind::BudgetExhausted {
            let closing = Closing::new(Closing::POLICY, "The budget is spent.");
            self.wind_down(problem.clone(), closing);
        }
    }

    fn winding_down(&self) -> Option<Problem> {
        let state = self.state();
        state
            .winding_down
            .as_ref()
            .map(|(problem, _)| problem.clone())
    }

    /// How the session ends, when it is winding down and the caller has all that was made.
    pub(super) fn is_over(&self) -> Option<Closing> {
        let state = self.state();
        let (_, closing) = state.winding_down.as_ref()?;
        let is_done = state.asked.is_empty() && state.made.is_empty() && !state.is_passing;
        is_done.then(|| closing.clone())
    }

    /// The responses that are being made.
    pub(super) fn made(&self) -> Vec<String> {
        self.state().made.keys().cloned().collect()
    }

    /// Whether anything is asked for or being made.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state();
        !state.asked.is_empty() || !state.made.is_empty()
    }

    /// When someone said something last.
    pub(super) fn last_event(&self) -> Moment {
        self.state().last_event
    }

    /// Ends what is still open: of the provider's failure, or else because the caller is gone.
    pub(super) async fn close(&self, failure: Option<&ProviderError>) {
        let (asked, made) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.asked),
                std::mem::take(&mut state.made),
            )
        };
        let ending = failure.map_or(Ending::CallerGone, |error| Ending::Broke(error.clone()));
        for mut call in made.into_values() {
            call.observe(Observed {
                has_content: true,
                ..Observed::default()
            });
            call.end_with_others(&ending).await;
        }
        for asked in asked {
            asked.call.end_with_others(&ending).await;
        }
    }

    fn note_time(&self) {
        self.state().last_event = self.gateway.clock.moment();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Context {
    fn sound(self) -> u64 {
        self.sound_bytes.div_ceil(SOUND_BYTES)
    }

    fn tokens(self) -> u64 {
        self.known + self.text + self.sound()
    }
}
