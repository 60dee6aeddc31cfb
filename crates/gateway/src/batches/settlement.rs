//! Settling the lines of a batch that a provider ran: each becomes a call in the ledger, at the provider's
//! usage and at its price for batches.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use domain::batch::{Batch, EndedLine};
use domain::call::AttemptReason;
use domain::caller::Caller;
use domain::egress::EgressBody;
use domain::id::RequestId;
use domain::name::ModelName;
use domain::provider_error::{Cause, ProviderError};
use domain::usage::{ServiceTier, Usage};
use futures_util::StreamExt;
use http::StatusCode;
use providers::batches::LineOutcome;
use providers::dialect::DecodeError;

use super::cut::{LineCutter, is_blank};
use super::endpoint::Endpoint;
use super::handover::{Provider, send, unsendable};
use super::input::Input;
use super::lines::recorded_id;
use super::{Batches, Unfinished};
use crate::attempt::broken;
use crate::chat::Gateway;
use crate::ledger::{Ending, Opening};
use crate::routes::Plan;

/// Lines that are kept together.
const PAGE: usize = 100;
/// The longest line of results, in bytes.
const MAX_LINE: usize = 64 * 1024 * 1024;
/// How often results are fetched that broke off.
const MAX_TRIES: u32 = 5;

/// What is known of a line that the provider was given.
struct Given {
    number: u32,
    model: ModelName,
    estimate: Usage,
}

/// What all lines are settled with.
struct Settling<'a> {
    endpoint: Endpoint,
    provider: &'a Provider,
    caller: &'a Caller,
    given: HashMap<String, Given>,
}

impl Batches {
    /// Fetches the results that lie at `place` and settles those that were not settled before.
    pub(super) async fn settle(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        endpoint: Endpoint,
        provider: &Provider,
        caller: &Caller,
        place: &str,
    ) -> Result<(), Unfinished> {
        let settling = Settling {
            endpoint,
            provider,
            caller,
            given: given(gateway, batch, endpoint).await?,
        };
        let mut tries = 0;
        loop {
            let error = match self.settle_once(gateway, batch, &settling, place).await? {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            tries += 1;
            tracing::warn!(batch_id = %batch.id, %error, "the results of a batch broke off");
            if tries >= MAX_TRIES {
                // What is missing is told as not reached; what came is settled.
                return Ok(());
            }
            let wait = std::time::Duration::from_secs(1 << tries);
            self.parts.clock.sleep(wait).await;
        }
    }

    async fn settle_once(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        settling: &Settling<'_>,
        place: &str,
    ) -> Result<Result<(), ProviderError>, Unfinished> {
        let plan = &settling.provider.plan;
        let api = settling.provider.api;
        let ended = self.parts.store.ended_numbers(batch.id).await?;
        let mut settled: HashSet<u32> = ended.into_iter().collect();
        let fetch = api
            .fetch(&plan.target().target(), place)
            .map_err(unsendable);
        let sent = match fetch {
            Ok(fetch) => send(gateway, plan, fetch).await,
            Err(error) => Err(error),
        };
        let mut results = match sent {
            Ok((_, body)) => ResultLines::of(body),
            Err(error) => return Ok(Err(error)),
        };
        let mut page = Vec::new();
        loop {
            let text = match results.next().await {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(error) => {
                    self.end_lines(batch, &page).await?;
                    return Ok(Err(error));
                }
            };
            let line = match api.read_line(&text) {
                Ok(line) => line,
                Err(error) => {
                    tracing::warn!(batch_id = %batch.id, %error, "a line of results is not readable");
                    continue;
                }
            };
            let LineOutcome::Answered { status, body } = line.outcome else {
                continue;
            };
            let Some(given) = settling.given.get(&line.custom_id) else {
                tracing::warn!(batch_id = %batch.id, "a result is of no line that was asked");
                continue;
            };
            if !settled.insert(given.number) {
                continue;
            }
            let line = self
                .settle_line(
                    gateway,
                    batch,
                    settling,
                    given,
                    &line.custom_id,
                    status,
                    body,
                )
                .await?;
            page.push(line);
            if page.len() >= PAGE {
                self.end_lines(batch, &std::mem::take(&mut page)).await?;
            }
        }
        self.end_lines(batch, &page).await?;
        Ok(Ok(()))
    }

    /// One line becomes a call, under an identifier that follows from the batch: settled again after the
    /// process ended in between, it is still one row of the ledger.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one fact about the one line"
    )]
    async fn settle_line(
        &self,
        gateway: &Gateway,
        batch: &Batch,
        settling: &Settling<'_>,
        given: &Given,
        custom_id: &str,
        status: u16,
        body: Bytes,
    ) -> Result<EndedLine, Unfinished> {
        let handover = batch.details.handover.as_ref();
        let number = handover.map_or(1, |handover| handover.number);
        let started_at = handover.map_or(batch.created_at, |handover| handover.at);
        let plan = gateway.routes().plan(&given.model).ok();
        let plan: &Plan = plan.as_ref().unwrap_or(&settling.provider.plan);
        let request_id = RequestId::of_line(batch.id, given.number, number);
        let mut call = gateway.ledger.open(Opening {
            request_id,
            client_request_id: Some(recorded_id(custom_id)),
            batch_id: Some(batch.id),
            started_at,
            received: self.parts.clock.moment(),
            operation: settling.endpoint.operation(),
            face: settling.endpoint.recorded,
            streamed: false,
            request_model: given.model.clone(),
            route: plan.route.clone(),
            variant: plan.variant(),
            caller: settling.caller.clone(),
            estimate: given.estimate,
            priced: None,
            facts: plan.target().facts.clone(),
            admission: gateway.limits.admit_settled(
                settling.caller,
                Some(plan.target().destination()),
                started_at,
            ),
            traceparent: None,
        })?;
        let target = plan.target();
        call.dispatch(
            target.provider.name.clone(),
            &target.model,
            AttemptReason::First,
        )
        .await?;
        let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        call.answer_with(code);
        let ending = if code.is_success() {
            call.attempt_answered(Some(status), None);
            match settling.provider.api.observe(settling.endpoint.path, &body) {
                Ok(mut observed) => {
                    observed.service_tier = Some(ServiceTier::Batch);
                    call.observe(observed);
                    Ending::Answered
                }
                // The answer is the provider's to write; what it took is estimated.
                Err(DecodeError::Malformed(_)) => Ending::Answered,
                Err(DecodeError::Provider(error)) => Ending::Failed(error),
            }
        } else {
            let mut response = http::Response::new(());
            *response.status_mut() = code;
            let (head, ()) = response.into_parts();
            let error = target
                .kind
                .decode_error(&head, &body, self.parts.clock.now());
            call.attempt_answered(Some(status), Some(error.cause));
            Ending::Failed(error)
        };
        call.end_with_others(&ending).await;
        Ok(EndedLine {
            number: given.number,
            request_id,
            status: code.as_u16(),
            body,
        })
    }
}

/// What the provider was given, by the lines' own identifiers.
async fn given(
    gateway: &Gateway,
    batch: &Batch,
    endpoint: Endpoint,
) -> Result<HashMap<String, Given>, Unfinished> {
    let mut given = HashMap::new();
    let mut input = Input::of(gateway, batch).await?;
    while let Some(line) = input.next_line(batch.face).await? {
        if let Ok(request) = endpoint.read(&line.body) {
            let known = Given {
                number: line.number,
                model: request.model,
                estimate: request.estimate,
            };
            given.insert(line.custom_id, known);
        }
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
