//! How the answer goes back to the caller.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use domain::call::{CacheOutcome, Operation};
use domain::chat::Conversion;
use domain::clock::{Clock, Moment, Sleep};
use domain::egress::EgressBody;
use domain::money::Cost;
use domain::name::ProviderName;
use domain::provider_error::{Cause, ProviderError};
use futures_util::future::BoxFuture;
use futures_util::{Stream, StreamExt};
use http::HeaderValue;
use providers::dialect::End;
use providers::tap::Observed;

use crate::attempt::{Begun, broken};
use crate::chat::{ReportWanted, report_of};
use crate::continuation::{Continuation, Leg};
use crate::drain::{Drain, Drains};
use crate::ledger::{Ending, OpenCall};
use crate::limits::Standing;
use crate::payload::Listener;
use crate::pipeline::Pipeline;
use crate::problem::provider_problem;
use crate::responses::Events;
use crate::routes::{HangUp, Pace, ResolvedTarget, Timeouts};

/// An answer.
pub enum Reply {
    /// All at once.
    Whole {
        /// What is said of it in the header.
        facts: ReplyFacts,
        /// The media type of the body.
        content_type: HeaderValue,
        /// The body in the caller's format.
        body: Bytes,
    },
    /// Bit by bit.
    Stream {
        /// What is said of it in the header.
        facts: ReplyFacts,
        /// The media type of the body.
        content_type: HeaderValue,
        /// The body in the caller's format.
        stream: Box<ReplyStream>,
    },
}

impl Reply {
    /// The same answer, which can be read again at `url`.
    pub(crate) fn stored_at(mut self, url: Option<String>) -> Self {
        match &mut self {
            Self::Whole { facts, .. } | Self::Stream { facts, .. } => facts.media_url = url,
        }
        self
    }
}

/// What is said of an answer in the header.
#[derive(Debug, Clone)]
pub struct ReplyFacts {
    /// Who answered.
    pub provider: ProviderName,
    /// Which model, in the provider's words.
    pub model: String,
    /// Whether the simulated provider answered.
    pub is_simulated: bool,
    /// Whether no provider answered, and this is the safe reply of the route: then the provider and the model
    /// are those that were asked last.
    pub is_safe_reply: bool,
    /// Where the answer can be read again, where it was stored.
    pub media_url: Option<String>,
    /// How often the call was sent.
    pub attempts: usize,
    /// What it cost; `None` for a stream, or when no price is known.
    pub cost: Option<Cost>,
    /// What this process itself has added so far.
    pub overhead: Duration,
    /// What the cache said.
    pub cache: CacheOutcome,
    /// How old the answer is, in whole seconds, where the cache gave it.
    pub age: Option<Duration>,
    /// What is left of the caller's rates; `None` where there are none.
    pub standing: Option<Standing>,
}

/// How the request passed, as far as the caller may be told.
pub(crate) struct Passed {
    /// The caller speaks the provider's format, and so gets the provider's own words.
    pub(crate) same_format: bool,
    /// What was carried, changed, dropped.
    pub(crate) conversion: Conversion,
}

/// The body of a streamed answer. It ends the call when it ends; dropping it before is how the caller
/// goes away.
pub struct ReplyStream {
    flow: Option<Flow>,
    /// Another target is being asked to go on.
    resuming: Option<BoxFuture<'static, Resumed>>,
    ready: VecDeque<Bytes>,
    /// Written by the pipeline; kept for its capacity.
    written: Vec<Bytes>,
    /// Another's stream, which is looked at here.
    followed: Option<Events>,
    drains: Drains,
    listener: Option<Listener>,
    is_cut: bool,
}

/// What must be together to bring a call to its end.
struct Flow {
    body: EgressBody,
    pipeline: Pipeline,
    call: Box<OpenCall>,
    provider: ProviderName,
    passed: Passed,
    report: ReportWanted,
    hang_up: HangUp,
    waits: Waits,
    is_over: bool,
    continuation: Option<Box<Continuation>>,
}

/// What became of a stream that broke off and was to go on elsewhere.
struct Resumed {
    flow: Flow,
    /// What the caller gets of what the other target has said by now; or why the stream broke off.
    outcome: Result<Vec<Bytes>, ProviderError>,
}

/// Bounds on waiting for the next piece. One alarm serves all pieces: when it rings, it is looked up
/// whether the wait was really too long.
struct Waits {
    clock: Arc<dyn Clock>,
    alarm: Sleep,
    idle: Duration,
    last_piece: Moment,
    deadline: Moment,
    /// How fast the stream has to come; on the heap, since most may be as slow as they are.
    pace: Option<Box<Measured>>,
}

/// The pace of a stream, measured window by window. It is looked up when there is nothing left to read: what a
/// caller who reads slowly has not taken yet does not count against the provider.
struct Measured {
    pace: Pace,
    /// When the window ends.
    ends: Moment,
    /// How much content there was when it began, in bytes.
    before: u64,
}

impl ReplyStream {
    #[expect(
        clippy::too_many_arguments,
        reason = "a constructor with one caller, one page away"
    )]
    pub(crate) fn new(
        begun: Begun,
        call: Box<OpenCall>,
        timeouts: &Timeouts,
        target: &ResolvedTarget,
        passed: Passed,
        report: ReportWanted,
        clock: Arc<dyn Clock>,
        drains: Drains,
        listener: Option<Listener>,
    ) -> Self {
        let deadline = call.received().after(timeouts.total);
        // What is not a chat has no tokens that are seen.
        let pace = timeouts
            .slow
            .filter(|_| call.operation() == Operation::Chat);
        Self {
            flow: Some(Flow {
                body: begun.body,
                pipeline: *begun.pipeline,
                call,
                provider: target.provider.name.clone(),
                passed,
                report,
                hang_up: target.provider.hang_up,
                waits: Waits::new(clock, timeouts, pace, deadline),
                is_over: begun.is_over,
                continuation: begun.continuation,
            }),
            resuming: None,
            ready: begun.ready.into(),
            written: Vec::new(),
            followed: None,
            drains,
            listener,
            is_cut: false,
        }
    }

    /// Events of an answer that is made whether anybody looks or not.
    pub(crate) fn following(events: Events, drains: Drains) -> Self {
        Self {
            flow: None,
            resuming: None,
            ready: VecDeque::new(),
            written: Vec::new(),
            followed: Some(events),
            drains,
            listener: None,
            is_cut: false,
        }
    }

    /// An answer that is known already.
    pub(crate) fn known(body: Bytes, drains: Drains) -> Self {
        Self {
            flow: None,
            resuming: None,
            ready: VecDeque::from([body]),
            written: Vec::new(),
            followed: None,
            drains,
            listener: None,
            is_cut: false,
        }
    }

    /// Whether the stream, which is over, is not complete and could not say so: then the connection has
    /// to. Says so once.
    pub fn take_cut(&mut self) -> bool {
        std::mem::take(&mut self.is_cut)
    }

    fn take(&mut self, piece: Bytes) {
        let Some(flow) = &mut self.flow else { return };
        let pushed = flow.pipeline.push(piece, &mut self.written);
        self.ready.extend(self.written.drain(..));
        if let Err(error) = pushed {
            self.fail(error);
        }
    }

    /// The provider's stream is over: what is left is written and the call ends.
    fn finish(&mut self, end: End) {
        let Some(mut flow) = self.flow.take() else {
            return;
        };
        let finished = if flow.is_over {
            flow.pipeline.error().cloned().map_or(Ok(()), Err)
        } else {
            flow.pipeline.finish(end, &mut self.written)
        };
        flow.call.observe(flow.pipeline.observed().clone());
        match finished {
            Ok(()) => {
                let report = report_of(flow.report, &flow.passed.conversion, &mut flow.call);
                let report = match &flow.continuation {
                    Some(continuation) => continuation.mark(report),
                    None => report,
                };
                flow.pipeline.close(report.as_ref(), &mut self.written);
                if let Some(listener) = &mut self.listener {
                    let rest = self.ready.iter().chain(&self.written);
                    listener.conclude(&mut flow.call, rest);
                }
                flow.call.end(&Ending::Answered);
            }
            Err(error) => return self.break_off(flow, error),
        }
        self.ready.extend(self.written.drain(..));
    }

    fn fail(&mut self, error: ProviderError) {
        let Some(mut flow) = self.flow.take() else {
            return;
        };
        flow.call.observe(flow.pipeline.observed().clone());
        self.break_off(flow, error);
    }

    /// Goes on elsewhere, where that is wanted, or else says that the stream broke off.
    fn break_off(&mut self, flow: Flow, error: ProviderError) {
        self.ready.extend(self.written.drain(..));
        if flow.may_go_on() {
            self.resuming = Some(Box::pin(flow.go_on(error)));
            return;
        }
        self.is_cut = !flow.fail(error, &mut self.written);
        self.ready.extend(self.written.drain(..));
    }

    /// Takes up a stream again, or ends it where nobody goes on.
    fn resume(&mut self, Resumed { flow, outcome }: Resumed) {
        match outcome {
            Ok(bytes) => {
                if let Some(listener) = &mut self.listener {
                    listener.is_continued();
                }
                self.ready.extend(bytes);
                self.flow = Some(flow);
            }
            Err(error) => {
                self.is_cut = !flow.fail(error, &mut self.written);
                self.ready.extend(self.written.drain(..));
            }
        }
    }
}

impl Flow {
    /// Whether another target could go on.
    fn may_go_on(&self) -> bool {
        let is_finished = self.pipeline.observed().finish.is_some();
        self.continuation.is_some() && !is_finished && self.pipeline.to_be_continued().is_some()
    }

    /// Has another target go on. Dropping this ends the call, as one whose caller went away.
    async fn go_on(mut self, error: ProviderError) -> Resumed {
        let words = self.pipeline.to_be_continued().map(str::to_owned);
        let leg = match (&mut self.continuation, words) {
            (Some(continuation), Some(words)) => {
                continuation.go_on(&words, &error, &mut self.call).await
            }
            _ => None,
        };
        let outcome = match leg {
            Some(leg) => self.take_up(leg),
            None => Err(error),
        };
        Resumed {
            flow: self,
            outcome,
        }
    }

    fn take_up(&mut self, leg: Leg) -> Result<Vec<Bytes>, ProviderError> {
        let mut written = Vec::new();
        let before = self.call.taken_by_others();
        let characters = self
            .pipeline
            .go_on(leg.decoder, leg.events, before, &mut written)?;
        let provider = &leg.target.provider;
        if let Some(continuation) = &mut self.continuation {
            continuation.join(&leg.target, characters);
        }
        self.provider = provider.name.clone();
        self.hang_up = provider.hang_up;
        self.passed.same_format = false;
        self.body = leg.body;
        self.is_over = leg.is_over;
        self.waits.begin_anew();
        Ok(written)
    }

    /// Ends the call; answers whether the caller is told.
    fn fail(mut self, error: ProviderError, written: &mut Vec<Bytes>) -> bool {
        let problem = provider_problem(&error, &self.provider, self.passed.same_format);
        let is_told = self.pipeline.fail(&problem, written);
        self.call.end(&Ending::Broke(error));
        is_told
    }
}

impl Stream for ReplyStream {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let this = &mut *self;
        loop {
            if let Some(bytes) = this.ready.pop_front() {
                if let Some(listener) = &mut this.listener {
                    listener.hear(&bytes);
                }
                return Poll::Ready(Some(bytes));
            }
            if let Some(resuming) = &mut this.resuming {
                let resumed = ready!(resuming.as_mut().poll(context));
                this.resuming = None;
                this.resume(resumed);
                continue;
            }
            let Some(flow) = &mut this.flow else {
                return match &mut this.followed {
                    Some(events) => events.poll_next_unpin(context),
                    None => Poll::Ready(None),
                };
            };
            if flow.is_over {
                this.finish(End::Clean);
                continue;
            }
            match flow.body.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    flow.waits.last_piece = flow.waits.clock.moment();
                    this.take(piece);
                }
                Poll::Ready(Some(Err(error))) => {
                    let complete = flow.pipeline.observed().finish.is_some();
                    if complete {
                        this.finish(End::Broken);
                    } else {
                        this.fail(broken(&error));
                    }
                }
                Poll::Ready(None) => this.finish(End::Clean),
                Poll::Pending => match flow.waits.poll(flow.pipeline.observed(), context) {
                    Poll::Ready(error) => this.fail(error),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }
}

impl Waits {
    fn new(
        clock: Arc<dyn Clock>,
        timeouts: &Timeouts,
        pace: Option<Pace>,
        deadline: Moment,
    ) -> Self {
        let now = clock.moment();
        let pace = pace.map(|pace| Box::new(Measured::from(pace, now)));
        Self {
            alarm: clock.sleep(Self::first(timeouts.idle, deadline, pace.as_deref(), now)),
            clock,
            idle: timeouts.idle,
            last_piece: now,
            deadline,
            pace,
        }
    }

    /// Another target goes on: it has its own time.
    fn begin_anew(&mut self) {
        let now = self.clock.moment();
        self.last_piece = now;
        if let Some(measured) = &mut self.pace {
            **measured = Measured::from(measured.pace, now);
        }
        let first = Self::first(self.idle, self.deadline, self.pace.as_deref(), now);
        self.alarm = self.clock.sleep(first);
    }

    /// How long it is until the first of the bounds.
    fn first(idle: Duration, deadline: Moment, pace: Option<&Measured>, now: Moment) -> Duration {
        let first = idle.min(deadline.since(now));
        pace.map_or(first, |measured| first.min(measured.pace.window))
    }

    /// Ready when the provider has been silent, or slow, for too long.
    fn poll(&mut self, observed: &Observed, context: &mut Context<'_>) -> Poll<ProviderError> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let now = self.clock.moment();
            let silence = now.since(self.last_piece);
            if silence >= self.idle {
                let seconds = self.idle.as_secs_f64();
                let what = format!("The provider went silent for {seconds} seconds.");
                return Poll::Ready(ProviderError::new(Cause::Timeout, what));
            }
            if now >= self.deadline {
                let what = "The answer took longer than the route's total timeout.";
                return Poll::Ready(ProviderError::new(Cause::Timeout, what));
            }
            let mut rest = self
                .idle
                .saturating_sub(silence)
                .min(self.deadline.since(now));
            if let Some(measured) = &mut self.pace {
                if let Some(error) = measured.too_slow(observed.output_bytes, now) {
                    return Poll::Ready(error);
                }
                rest = rest.min(measured.ends.since(now));
            }
            self.alarm = self.clock.sleep(rest);
        }
        Poll::Pending
    }
}

impl Measured {
    /// A stream that begins now.
    fn from(pace: Pace, now: Moment) -> Self {
        Self {
            pace,
            ends: now.after(pace.window),
            before: 0,
        }
    }

    /// What is wrong where a window is over that had too little; begins the next one where it had enough.
    fn too_slow(&mut self, bytes: u64, now: Moment) -> Option<ProviderError> {
        if now < self.ends {
            return None;
        }
        if bytes.saturating_sub(self.before) < self.pace.least_bytes() {
            let Pace {
                tokens_per_second,
                window,
            } = self.pace;
            let what = format!(
                "The provider sent less than {tokens_per_second} tokens per second for {} seconds.",
                window.as_secs_f64()
            );
            return Some(ProviderError::new(Cause::Timeout, what));
        }
        self.before = bytes;
        self.ends = now.after(self.pace.window);
        None
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        let Some(mut flow) = self.flow.take() else {
            return;
        };
        flow.call.observe(flow.pipeline.observed().clone());
        if flow.is_over || flow.hang_up == HangUp::Cancel {
            flow.call.end(&Ending::CallerGone);
            return;
        }
        self.drains.offer(Drain {
            body: flow.body,
            pipeline: flow.pipeline,
            call: flow.call,
        });
    }
}

#[cfg(test)]
mod tests;
