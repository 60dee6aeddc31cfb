//! Settling the lines of a part that a provider ran: each becomes a call in the ledger, at the provider's
//! usage and at its price for batches.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use domain::batch::{Batch, EndedLine, Handover, HandoverStep};
use domain::call::AttemptReason;
use domain::egress::EgressBody;
use domain::id::RequestId;
use domain::name::ModelName;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::{ServiceTier, Usage};
use futures_util::StreamExt;
use http::StatusCode;
use providers::batches::{LineOutcome, ResultLine};
use providers::face::Rendering;
use providers::tap::Observed;

use super::cut::{LineCutter, is_blank};
use super::division::is_of;
use super::handover::{Errand, Provider, send, unsendable};
use super::input::Input;
use super::leash::Stop;
use super::lines::recorded_id;
use super::passage::{Answer, Passage, head, worded};
use super::submission::line_number;
use super::{Batches, Unfinished, is_final};
use crate::attempt::broken;
use crate::ledger::{Ending, OpenCall, Opening};
use crate::limits::Destination;
use crate::problem::provider_problem;
use crate::routes::Plan;

/// Lines that are kept together.
const PAGE: usize = 100;
/// The longest line of results, in bytes.
const MAX_LINE: usize = 64 * 1024 * 1024;
/// How often results are fetched that broke off.
const MAX_TRIES: u32 = 5;

/// Whether the results that were settled were those of the part.
pub(super) enum Settled {
    /// They were, and every line of the part has ended.
    All,
    /// They are another batch's.
    NotThis,
}

/// What becomes of lines that have no result.
pub(super) enum Rest {
    /// The provider ended before it was their turn.
    Unreached,
    /// The provider did not take them.
    Refused(ProviderError),
    /// What the provider did, and charges for, is not known.
    Unknown(ProviderError),
}

/// What is known of a line that the provider was given.
struct Given {
    number: u32,
    custom_id: String,
    model: ModelName,
    estimate: Usage,
    passage: Passage,
}

/// What the lines of one part are settled with.
struct Settling<'a> {
    errand: &'a Errand<'a>,
    batch: &'a Batch,
    part: &'a Handover,
    provider: Option<&'a Provider>,
    given: HashMap<u32, Given>,
    /// The lines that have ended.
    ended: HashSet<u32>,
}

impl Batches {
    /// Fetches the results that lie at `places`, and settles every line of the part that was not settled
    /// before.
    pub(super) async fn settle(
        &self,
        errand: &Errand<'_>,
        batch: &Batch,
        part: &Handover,
        provider: &Provider,
        places: &[String],
        is_cut_short: bool,
    ) -> Result<Settled, Unfinished> {
        let mut settling = self.settling(errand, batch, part, Some(provider)).await?;
        let mut is_whole = true;
        for place in places {
            let mut tries = 0;
            loop {
                let error = match self.settle_once(&mut settling, provider, place).await? {
                    Ok(Settled::All) => break,
                    Ok(Settled::NotThis) => return Ok(Settled::NotThis),
                    Err(error)
                        if error.cause == Cause::NotFound
                            && is_cut_short
                            && provider.api.names_places_early() =>
                    {
                        break;
                    }
                    Err(error) => error,
                };
                tries += 1;
                tracing::warn!(batch_id = %batch.id, %error, "the results of a batch broke off");
                if tries >= MAX_TRIES {
                    is_whole = false;
                    break;
                }
                let wait = std::time::Duration::from_secs(1 << tries);
                tokio::select! {
                    () = self.parts.clock.sleep(wait) => {}
                    () = self.halted() => return Err(Unfinished::Halted),
                }
            }
        }
        let is_certain = !matches!(
            part.step,
            HandoverStep::Running {
                is_certain: false,
                ..
            }
        );
        let rest = if is_certain && is_whole && is_cut_short {
            Rest::Unreached
        } else {
            let what = "The provider ran the batch and has no result for this line.";
            Rest::Unknown(ProviderError::new(Cause::Interrupted, what))
        };
        self.end_remaining(&mut settling, &rest).await?;
        Ok(Settled::All)
    }

    /// Ends every line of the part that has not ended, without a result.
    pub(super) async fn end_rest(
        &self,
        errand: &Errand<'_>,
        batch: &Batch,
        part: &Handover,
        provider: Option<&Provider>,
        rest: Rest,
    ) -> Result<(), Unfinished> {
        let mut settling = self.settling(errand, batch, part, provider).await?;
        self.end_remaining(&mut settling, &rest).await
    }

    async fn settling<'a>(
        &self,
        errand: &'a Errand<'a>,
        batch: &'a Batch,
        part: &'a Handover,
        provider: Option<&'a Provider>,
    ) -> Result<Settling<'a>, Unfinished> {
        let ended = self.parts.store.ended_numbers(batch.id).await?;
        let given = match given(errand, batch, part, provider).await {
            // What the provider did counts even where its lines are gone.
            Err(Unfinished::File(error)) if is_final(&error) => HashMap::new(),
            given => given?,
        };
        Ok(Settling {
            errand,
            batch,
            part,
            provider,
            given,
            ended: ended.into_iter().collect(),
        })
    }

    async fn settle_once(
        &self,
        settling: &mut Settling<'_>,
        provider: &Provider,
        place: &str,
    ) -> Result<Result<Settled, ProviderError>, Unfinished> {
        let (batch, api) = (settling.batch, provider.api);
        let target = provider.target.target();
        let sent = match api.fetch(&target, place).map_err(unsendable) {
            Ok(fetch) => send(settling.errand.gateway, &provider.target, fetch).await,
            Err(error) => Err(error),
        };
        let mut results = match sent {
            Ok((_, body)) => ResultLines::of(body),
            Err(error) => return Ok(Err(error)),
        };
        let mut page = Vec::new();
        let read = loop {
            let text = match results.next().await {
                Ok(Some(text)) => text,
                Ok(None) => break Ok(Settled::All),
                Err(error) => break Err(error),
            };
            let ResultLine { name, outcome } = match api.read_line(&text) {
                Ok(line) => line,
                Err(error) => {
                    tracing::warn!(batch_id = %batch.id, %error, "a line of results is not readable");
                    continue;
                }
            };
            let Some(number) = line_number(batch.id, &name) else {
                // One line is enough: no batch has lines of two.
                break Ok(Settled::NotThis);
            };
            if !settling.ended.insert(number) {
                continue;
            }
            let gone = Given::gone(number, &name, settling.part);
            let Some(given) = settling.given.get(&number).or(gone.as_ref()) else {
                continue;
            };
            match outcome {
                LineOutcome::Answered { status, body } => {
                    page.push(self.settle_line(settling, given, status, body).await?);
                }
                LineOutcome::Unreached => {
                    self.end_line(settling, given, &Rest::Unreached).await?;
                }
            }
            if page.len() >= PAGE {
                self.end_lines(batch, &std::mem::take(&mut page)).await?;
            }
        };
        self.end_lines(batch, &page).await?;
        Ok(read)
    }

    async fn end_remaining(
        &self,
        settling: &mut Settling<'_>,
        rest: &Rest,
    ) -> Result<(), Unfinished> {
        let mut remaining: Vec<&Given> = settling.given.values().collect();
        remaining.retain(|given| !settling.ended.contains(&given.number));
        remaining.sort_unstable_by_key(|given| given.number);
        let mut page = Vec::new();
        for given in remaining {
            page.extend(self.end_line(settling, given, rest).await?);
            if page.len() >= PAGE {
                self.end_lines(settling.batch, &std::mem::take(&mut page))
                    .await?;
            }
        }
        self.end_lines(settling.batch, &page).await
    }

    /// One answer becomes a call.
    async fn settle_line(
        &self,
        settling: &Settling<'_>,
        given: &Given,
        status: u16,
        body: Bytes,
    ) -> Result<EndedLine, Unfinished> {
        let mut call = self.open_line(settling, given).await?;
        let request_id = call.request_id();
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let read = if code.is_success() {
            call.attempt_answered(Some(status), None);
            given.passage.read(body, |asked| Rendering {
                id: request_id.to_string(),
                created: self.parts.clock.now(),
                model: settling.part.model.clone(),
                stream_usage: false,
                estimated_input_tokens: given.estimate.input_tokens,
                asked: asked.clone(),
            })
        } else {
            let error = settling.error(code, body, self.parts.clock.now());
            call.attempt_answered(Some(status), Some(error.cause));
            Err(error)
        };
        match read {
            Ok(Answer { body, observed }) => {
                call.answer_with(code);
                call.observe(Observed {
                    service_tier: Some(ServiceTier::Batch),
                    ..observed
                });
                call.end_with_others(&Ending::Answered).await;
                Ok(EndedLine {
                    number: given.number,
                    request_id,
                    status: code.as_u16(),
                    body,
                })
            }
            Err(error) => {
                let line = settling.failed(given, request_id, &error);
                call.answer_with(StatusCode::from_u16(line.status).unwrap_or(code));
                call.end_with_others(&Ending::Failed(error)).await;
                Ok(line)
            }
        }
    }

    /// One line becomes a call without a result; its owner is told of it where its batch's state does not
    /// say so already.
    async fn end_line(
        &self,
        settling: &Settling<'_>,
        given: &Given,
        rest: &Rest,
    ) -> Result<Option<EndedLine>, Unfinished> {
        let mut call = self.open_line(settling, given).await?;
        let request_id = call.request_id();
        let is_stopped = settling.errand.leash.stop() != Stop::No;
        let (error, is_told) = match rest {
            Rest::Unreached => {
                let what = "The provider ended the batch before it was this line's turn.";
                (ProviderError::new(Cause::Overloaded, what), false)
            }
            Rest::Refused(error) | Rest::Unknown(error) => (error.clone(), true),
        };
        call.observe(Observed {
            service_tier: Some(ServiceTier::Batch),
            ..Observed::default()
        });
        call.attempt_answered(None, Some(error.cause));
        let line = is_told.then(|| settling.failed(given, request_id, &error));
        let ending = match rest {
            Rest::Unreached if is_stopped => Ending::CallerGone,
            _ => Ending::Failed(error),
        };
        call.end_with_others(&ending).await;
        Ok(line)
    }

    /// Opens a line's call, under an identifier that follows from the batch: settled again after the process
    /// ended in between, it is still one row of the ledger.
    async fn open_line(
        &self,
        settling: &Settling<'_>,
        given: &Given,
    ) -> Result<Box<OpenCall>, Unfinished> {
        let Settling {
            errand,
            batch,
            part,
            provider,
            ..
        } = settling;
        let gateway = errand.gateway;
        let plan = gateway.routes().plan(&given.model).ok();
        let mut call = gateway.ledger.open(Opening {
            request_id: RequestId::of_line(batch.id, given.number, part.number.max(1)),
            client_request_id: Some(recorded_id(&given.custom_id)),
            batch_id: Some(batch.id),
            started_at: part.at,
            received: self.parts.clock.moment(),
            operation: errand.endpoint.operation(),
            face: errand.endpoint.recorded,
            streamed: false,
            request_model: given.model.clone(),
            variant: plan.as_ref().and_then(Plan::variant),
            shadow_of: None,
            route: plan.and_then(|plan| plan.route),
            caller: errand.caller.clone(),
            estimate: given.estimate,
            priced: None,
            facts: provider.and_then(|provider| provider.target.facts.clone()),
            admission: gateway.limits.admit_settled(
                errand.caller,
                Some(Destination {
                    provider: &part.provider,
                    model: &part.model,
                }),
                part.at,
            ),
            traceparent: None,
        })?;
        // It may have been handed over before, to a provider that had no room for it.
        let reason = match part.number {
            0 | 1 => AttemptReason::First,
            _ => AttemptReason::Retry,
        };
        call.dispatch(part.provider.clone(), &part.model, reason)
            .await?;
        Ok(call)
    }
}

impl Settling<'_> {
    /// Reads a result that is an error, as an answer of its own would be.
    fn error(&self, status: StatusCode, body: Bytes, now: jiff::Timestamp) -> ProviderError {
        let head = head(status);
        match self.provider {
            Some(provider) => {
                let kind = provider.target.kind;
                let error = kind.decode_error(&head, &body, now);
                // A result that is an error passes where answers pass.
                let body = error.body.clone().or(Some(body));
                ProviderError { body, ..error }
            }
            None => ProviderError::new(Cause::Server, "The provider failed."),
        }
    }

    /// A line that has ended with a failure, told in the words of its endpoint.
    fn failed(&self, given: &Given, request_id: RequestId, error: &ProviderError) -> EndedLine {
        let same_format = given.passage.is_verbatim();
        let verbatim = error.body.clone().filter(|_| same_format);
        let passes = error.status.zip(verbatim);
        let (status, body) = passes.unwrap_or_else(|| {
            let problem = provider_problem(error, &self.part.provider, same_format);
            let endpoint = self.errand.endpoint;
            endpoint.refuse(&problem, &request_id.to_string())
        });
        EndedLine {
            number: given.number,
            request_id,
            status,
            body,
        }
    }
}

impl Given {
    /// A line of which nothing is left but its result.
    fn gone(number: u32, name: &str, part: &Handover) -> Option<Self> {
        Some(Self {
            number,
            custom_id: name.to_owned(),
            model: part.asked_as.first()?.clone(),
            estimate: Usage::default(),
            passage: Passage::Unread,
        })
    }
}

/// What the provider was given, by the lines' numbers.
async fn given(
    errand: &Errand<'_>,
    batch: &Batch,
    part: &Handover,
    provider: Option<&Provider>,
) -> Result<HashMap<u32, Given>, Unfinished> {
    let Errand {
        gateway, endpoint, ..
    } = *errand;
    let mut given = HashMap::new();
    let mut input = Input::of(gateway, batch).await?;
    while let Some(line) = input.next_line(batch.face).await? {
        let Ok(request) = endpoint.read(&line.body) else {
            continue;
        };
        if !is_of(part, &request.model) {
            continue;
        }
        let worded = provider.and_then(|provider| {
            worded(
                gateway,
                provider.way(endpoint),
                &line.body,
                batch.created_at,
            )
        });
        let known = Given {
            number: line.number,
            custom_id: line.custom_id,
            model: request.model,
            estimate: request.estimate,
            passage: worded.map_or(Passage::Unread, |worded| worded.passage),
        };
        given.insert(line.number, known);
    }
    Ok(given)
}

/// Cuts results into lines as they arrive; what is held is one line and one piece.
struct ResultLines {
    body: EgressBody,
    cutter: LineCutter,
    is_over: bool,
}

impl ResultLines {
    fn of(body: EgressBody) -> Self {
        Self {
            body,
            cutter: LineCutter::default(),
            is_over: false,
        }
    }

    /// The next line that has content.
    async fn next(&mut self) -> Result<Option<Bytes>, ProviderError> {
        loop {
            let line = match self.cutter.next() {
                None if self.is_over => return Ok(self.cutter.rest().filter(|it| !is_blank(it))),
                line => line,
            };
            match line {
                Some(line) if is_blank(&line) => continue,
                Some(line) => return Ok(Some(line)),
                None if self.cutter.held() > MAX_LINE => {
                    let what = format!("A line of results exceeds {MAX_LINE} bytes.");
                    return Err(ProviderError::new(Cause::Malformed, what));
                }
                None => {}
            }
            match self.body.next().await {
                Some(piece) => self.cutter.push(&piece.map_err(|error| broken(&error))?),
                None => self.is_over = true,
            }
        }
    }
}
