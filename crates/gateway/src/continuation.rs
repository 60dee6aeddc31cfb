//! Going on with a stream that broke off after its first content: another target is shown what was said, as the
//! beginning of its own answer (a prefill), and continues it.
//!
//! Only words can be gone on with, of one answer to what a user said, without tools and without a form that the
//! answer must have; and only by models of which the catalog says that they continue what they are shown.

use std::sync::Arc;

use bytes::Bytes;
use domain::chat::{ChatEvent, ChatRequest, Message, OutputFormat, Part, ReasoningRequest, Text};
use domain::egress::EgressBody;
use domain::provider_error::{Cause, ProviderError};
use futures_util::StreamExt;
use http::response::Parts;
use providers::dialect::{Dialect, End, Format, StreamDecoder};
use providers::exchange::Exchange;
use providers::hosts::Prefill;
use providers::lift;
use serde_json::{Value, json};

use crate::attempt::{
    Again, Courier, Door, MAX_PREFACE, broken, is_json, successful, timed_out, with_status,
};
use crate::chat::Inbound;
use crate::ledger::OpenCall;
use crate::pipeline::provider_error;
use crate::routes::{Candidate, Plan, ResolvedTarget, Standing, When};
use crate::within::within;

/// How many bytes of words make a token, by rule of thumb.
const BYTES_A_TOKEN: u64 = 4;

/// What it takes to go on with a stream elsewhere.
pub(crate) struct Continuation {
    courier: Courier,
    plan: Plan,
    again: Box<Again>,
    /// The candidates that were asked, by their places.
    asked: Vec<usize>,
    /// Who went on, and where, as the caller is told at the end.
    joints: Vec<Value>,
}

/// What another target says; its first content is there.
pub(crate) struct Leg {
    /// Who goes on.
    pub(crate) target: Arc<ResolvedTarget>,
    /// What is to follow.
    pub(crate) body: EgressBody,
    /// Reads it.
    pub(crate) decoder: Box<dyn StreamDecoder>,
    /// What has come so far.
    pub(crate) events: Vec<ChatEvent>,
    /// The target's stream is over already.
    pub(crate) is_over: bool,
}

/// A request to go on, as it is sent.
struct Prepared {
    dialect: &'static dyn Dialect,
    request: http::Request<Bytes>,
    exchange: Exchange,
}

/// Whether an answer that breaks off is to be gone on with, and could be.
pub(crate) fn is_wanted(plan: &Plan, inbound: &Inbound) -> bool {
    let is_plain_request = || {
        let request = lift::parse(inbound.face, &inbound.asked, &inbound.body);
        request.is_ok_and(|request| is_plain(&request))
    };
    is_possible(plan) && is_plain_request()
}

/// Whether an answer to the request could be gone on with.
fn is_plain(request: &ChatRequest) -> bool {
    request.tools.is_empty()
        && matches!(request.output, OutputFormat::Text)
        && request.choices == 1
        && request.logprobs.is_none()
        && matches!(request.messages.last(), Some(Message::User { .. }))
}

/// Whether one candidate could go on with an answer of another.
fn is_possible(plan: &Plan) -> bool {
    let mut candidates = plan.candidates.iter();
    plan.continues && plan.candidates.len() > 1 && candidates.any(|it| takes_prefill(&it.target))
}

/// Whether the target continues words that it is shown as its own.
fn takes_prefill(target: &ResolvedTarget) -> bool {
    let is_known = target.capabilities.prefill == Some(true);
    is_known && target.provider.host.quirks.prefill != Prefill::Never
}

impl Continuation {
    /// For a stream that is answered by the candidate `at`.
    pub(crate) fn new(courier: Courier, plan: Plan, again: Box<Again>, at: usize) -> Self {
        Self {
            courier,
            plan,
            again,
            asked: vec![at],
            joints: Vec::new(),
        }
    }

    /// Has another target go on after `words`, which are all that was said; `None` where none does. Every attempt
    /// is in the journal before it is sent. Each candidate is asked once, as long as the call has time.
    pub(crate) async fn go_on(
        &mut self,
        words: &str,
        broke: &ProviderError,
        call: &mut OpenCall,
    ) -> Option<Leg> {
        let deadline = call.received().after(self.plan.timeouts.total);
        while let Some(at) = self.next() {
            self.asked.push(at);
            let target = Arc::clone(&self.plan.candidates.at(at).target);
            let Some(prepared) = self.prepare(&target, words) else {
                continue;
            };
            let now = self.courier.clock().moment();
            if now >= deadline || call.provide_for(&target).is_err() {
                continue;
            }
            let door = Door::next(&self.plan, &target, now);
            let flight = target.health.board(now);
            if let Err(error) = call.dispatch_continuation(&target, broke).await {
                tracing::warn!(request_id = %call.request_id(), %error, "nobody is asked to go on");
                return None;
            }
            call.board(flight);
            let bound = deadline.since(now).min(self.plan.timeouts.first_byte);
            let begun = begin(&self.courier, door, prepared, &target);
            let begun = within(self.courier.clock(), bound, begun).await;
            match begun.unwrap_or_else(|| Err(timed_out(bound))) {
                Ok((status, leg)) => {
                    call.attempt_answered(Some(status), None);
                    return Some(leg);
                }
                Err(error) => {
                    let now = self.courier.clock().moment();
                    target.health.note_failure(door.key, &error, now);
                    call.attempt_answered(error.status, Some(error.cause));
                }
            }
        }
        None
    }

    /// The candidate whose turn it is.
    fn next(&self) -> Option<usize> {
        let now = self.courier.clock().moment();
        let candidates = &self.plan.candidates;
        let was_asked = |target: &ResolvedTarget| {
            let mut asked = self.asked.iter().map(|at| candidates.at(*at));
            asked.any(|it| Arc::ptr_eq(&it.target.health, &target.health))
        };
        let could = |it: &Candidate| {
            matches!(
                it.standing,
                Standing::Primary | Standing::Fallback(When::Always)
            ) && takes_prefill(&it.target)
                && !was_asked(&it.target)
        };
        // As at the beginning of a call, whoever seems out is asked where there is nobody else.
        candidates
            .iter()
            .position(|it| could(it) && it.target.health.is_available(now))
            .or_else(|| candidates.iter().position(could))
    }

    /// What a target is sent; `None` where it cannot take the request.
    fn prepare(&self, target: &ResolvedTarget, words: &str) -> Option<Prepared> {
        let inbound = &self.again.inbound;
        let dialect = target.dialect(Format::OpenaiChat)?;
        let request = lift::parse(inbound.face, &inbound.asked, &inbound.body).ok()?;
        let request = going_on(request, words);
        let resolved = target.target();
        if !dialect.media_needed(&request, &resolved).is_empty() {
            return None;
        }
        let encoded = dialect
            .encode(&request, &resolved, inbound.started_at)
            .ok()?;
        if self.plan.strict && !encoded.report.is_lossless() {
            return None;
        }
        let streamed = encoded.exchange.streamed;
        let request = dialect
            .request(&resolved, streamed, &encoded.fields, encoded.body)
            .ok()?;
        Some(Prepared {
            dialect,
            request,
            exchange: encoded.exchange,
        })
    }

    /// Notes that a target goes on after so many characters.
    pub(crate) fn join(&mut self, target: &ResolvedTarget, characters: usize) {
        self.joints.push(json!({
            "provider": target.provider.name,
            "model": target.model,
            "after_characters": characters,
        }));
    }

    /// The report that the caller wants, or none, with who went on.
    pub(crate) fn mark(&self, report: Option<Value>) -> Option<Value> {
        if self.joints.is_empty() {
            return report;
        }
        let mut report = report.unwrap_or_else(|| json!({}));
        if let Some(members) = report.as_object_mut() {
            members.insert("continuations".to_owned(), self.joints.clone().into());
        }
        Some(report)
    }
}

/// The same request, whose answer has begun with `words`.
fn going_on(mut request: ChatRequest, words: &str) -> ChatRequest {
    if !words.is_empty() {
        request.messages.push(Message::Assistant {
            content: vec![Part::Text(Text::from(words))],
            name: None,
        });
    }
    let said = (words.len() as u64).div_ceil(BYTES_A_TOKEN);
    let bound = request.max_output_tokens;
    request.max_output_tokens = bound.map(|most| most.saturating_sub(said).max(1));
    // Who begins with another's words does not think first; Anthropic refuses both together.
    request.reasoning = ReasoningRequest::default();
    request
}

/// Asks a target, and reads until its first content.
async fn begin(
    courier: &Courier,
    door: Door<'_>,
    prepared: Prepared,
    target: &Arc<ResolvedTarget>,
) -> Result<(u16, Leg), ProviderError> {
    let dialect = prepared.dialect;
    let answered = courier.ask_at(door, &prepared.request).await?;
    let now = courier.clock().now();
    let read = |head: &Parts, body: &[u8]| dialect.decode_error(head, body, now);
    let (head, body) = successful(answered, read).await?;
    if is_json(&head) {
        let what = "The provider was asked for a stream and answered with a document.";
        return Err(with_status(
            ProviderError::new(Cause::Malformed, what),
            &head,
        ));
    }
    let mut leg = Leg {
        target: Arc::clone(target),
        body,
        decoder: dialect.decoder(&prepared.exchange),
        events: Vec::new(),
        is_over: false,
    };
    match leg.read_until_content().await {
        Ok(()) => Ok((head.status.as_u16(), leg)),
        Err(error) => Err(with_status(error, &head)),
    }
}

impl Leg {
    async fn read_until_content(&mut self) -> Result<(), ProviderError> {
        let mut length = 0;
        while !self.events.iter().any(ChatEvent::is_content) {
            if self.is_over || length > MAX_PREFACE {
                let what = "The provider's stream had no content.";
                return Err(ProviderError::new(Cause::Malformed, what));
            }
            let read: Result<(), _> = match self.body.next().await {
                Some(Ok(piece)) => {
                    length += piece.len();
                    self.decoder.push(&piece, &mut self.events)
                }
                Some(Err(error)) => return Err(broken(&error)),
                None => {
                    self.is_over = true;
                    self.decoder.finish(End::Clean, &mut self.events)
                }
            };
            read.map_err(provider_error)?;
            let failed = self.events.iter().find_map(|event| match event {
                ChatEvent::Error(error) => Some(error.clone()),
                _ => None,
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
