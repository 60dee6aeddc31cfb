//! Copies of calls that go to another target as well: their answers go to nobody, and are compared.
//!
//! A copy is made when its call is opened, and sent by a loop of the server's, so that nobody waits for it. It is
//! a call of its own: it has a row in the ledger that names the call it is a copy of, and a budget. Nothing of it
//! is kept: no payload, no reasoning state, no cached answer, no place in a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use domain::call::Operation;
use domain::caller::Caller;
use domain::clock::Moment;
use domain::id::RequestId;
use futures_util::StreamExt;
use memchr::memmem;
use providers::dialect::Format;
use providers::face::Envelope;
use tokio::sync::mpsc;

use crate::admit::Admitted;
use crate::attempt::{Again, ChatErrand};
use crate::chat::{ChatError, Gateway, Inbound, OpenChat, ReportWanted};
use crate::reply::Reply;
use crate::responses::Recalled;
use crate::routes::Plan;
use crate::routes::shadow::Shadow;

pub mod comparison;

/// The most that waits to be sent, in bytes of bodies.
const MAX_WAITING: usize = 64 * 1024 * 1024;
/// How long a copy may wait: what is sent much later would be compared with another hour of the provider's.
const PATIENCE: Duration = Duration::from_mins(1);

/// The bounded queue of copies.
#[derive(Clone)]
pub struct Shadows {
    queue: mpsc::Sender<CallCopy>,
    tally: Arc<Tally>,
}

/// A copy of a call that waits to be sent. Dropping it sends nothing.
pub struct CallCopy {
    again: Again,
    shadow: Arc<Shadow>,
    queued: Moment,
    held: Held,
}

/// What became of copies, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShadowCounts {
    /// They were sent.
    pub sent: u64,
    /// There was no room for them in the queue, or they waited for too long.
    pub dropped: u64,
    /// Their budget is spent, a limit of the provider's is reached, or their model has no price.
    pub over_budget: u64,
    /// The target does not take what the call asks for.
    pub refused: u64,
}

#[derive(Default)]
struct Tally {
    waiting: AtomicUsize,
    sent: AtomicU64,
    dropped: AtomicU64,
    over_budget: AtomicU64,
    refused: AtomicU64,
}

/// The room that a waiting copy takes.
struct Held {
    tally: Arc<Tally>,
    bytes: usize,
}

impl Shadows {
    /// A queue of at most `capacity` copies, and its other end, which `server` reads.
    pub fn new(capacity: usize) -> (Self, mpsc::Receiver<CallCopy>) {
        let (queue, copies) = mpsc::channel(capacity);
        let tally = Arc::default();
        (Self { queue, tally }, copies)
    }

    /// What became of copies.
    pub fn counts(&self) -> ShadowCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ShadowCounts {
            sent: read(&self.tally.sent),
            dropped: read(&self.tally.dropped),
            over_budget: read(&self.tally.over_budget),
            refused: read(&self.tally.refused),
        }
    }

    /// Takes a copy in, where there is room.
    fn offer(&self, copy: CallCopy) {
        if self.queue.try_send(copy).is_err() {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Room for so many bytes; counts the copy as dropped where there is none.
    fn hold(&self, bytes: usize) -> Option<Held> {
        let tally = Arc::clone(&self.tally);
        let waiting = tally.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let held = Held { tally, bytes };
        if waiting > MAX_WAITING {
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tally.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Gateway {
    /// A copy of a call that is about to be opened, where its route has a shadow that takes it.
    pub(crate) fn copy(
        &self,
        plan: &Plan,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
        recalled: &Recalled,
        admitted: &Admitted,
    ) -> Option<Box<CallCopy>> {
        let shadow = plan.shadow.as_ref()?;
        let asked = &recalled.asked;
        // A line of a batch is nobody's wait, and what an answer of one provider's is continued by, another
        // cannot know.
        let is_copied = inbound.batch_id.is_none()
            && shadow.takes(inbound.request_id)
            && !refers_to_a_provider(inbound)
            && shadow.is_for(caller, &self.routes.load());
        let held = is_copied.then(|| self.shadows.hold(inbound.body.len() + asked.len()))??;
        let inbound = Inbound {
            client_request_id: None,
            traceparent: None,
            report: ReportWanted::default(),
            wishes: None,
            ..inbound.clone()
        };
        let again = Again {
            caller: caller.clone(),
            inbound,
            envelope: envelope.clone(),
            asked: asked.clone(),
            estimated_input_tokens: admitted.estimate.input_tokens,
        };
        Some(Box::new(CallCopy {
            again,
            shadow: Arc::clone(shadow),
            queued: self.clock.moment(),
            held,
        }))
    }

    /// Has a copy sent.
    pub(crate) fn offer_copy(&self, copy: Option<Box<CallCopy>>) {
        if let Some(copy) = copy {
            self.shadows.offer(*copy);
        }
    }

    /// What became of copies.
    pub fn shadow_counts(&self) -> ShadowCounts {
        self.shadows.counts()
    }

    /// Sends a copy, and reads its answer to the end. Dropping the future cancels the copy's call.
    pub async fn send_copy(&self, copy: CallCopy) {
        let tally = &self.shadows.tally;
        if self.clock.moment().since(copy.queued) > PATIENCE {
            tally.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let route = copy.shadow.route().clone();
        let counted = match Box::pin(self.follow(copy)).await {
            Ok(()) | Err(ChatError::Failed { .. }) => &tally.sent,
            Err(ChatError::LimitReached(_)) => &tally.over_budget,
            Err(error @ ChatError::Unpriced { .. }) => {
                tracing::warn!(%route, %error, "copies of calls are not sent: their budget could not hold");
                &tally.over_budget
            }
            Err(error) => {
                tracing::debug!(%route, %error, "a copy of a call is not sent");
                &tally.refused
            }
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    async fn follow(&self, copy: CallCopy) -> Result<(), ChatError> {
        let CallCopy {
            again,
            shadow,
            held,
            ..
        } = copy;
        let Again {
            caller,
            mut inbound,
            envelope,
            asked,
            ..
        } = again;
        let original = inbound.request_id;
        inbound.started_at = self.clock.now();
        inbound.received = self.clock.moment();
        inbound.request_id = RequestId::new(inbound.started_at, &*self.entropy);
        let mut plan = shadow.plan();
        let bound = envelope.max_output_tokens;
        let bound = bound.map(|tokens| tokens.saturating_mul(u64::from(envelope.choices)));
        let model = Some(&envelope.model);
        let admitted = self
            .admit_chat(shadow.caller(), &inbound, model, bound, &mut plan)
            .await?;
        let input_tokens = admitted.estimate.input_tokens;
        let target = Arc::clone(plan.target());
        let strict = plan.strict;
        // What the conversation needs to be put back is the caller's.
        let prepared = self
            .prepare(&caller, &inbound, &envelope, &target, strict)
            .await?;
        let mut ready = self.ready(
            prepared,
            &caller,
            &inbound,
            &envelope,
            &target,
            input_tokens,
            asked,
        );
        ready.keeper = None;
        let errand = ChatErrand {
            face: inbound.face,
            streamed: envelope.stream,
            choices: envelope.choices,
            is_continued: false,
            report: ReportWanted::default(),
            again: None,
        };
        let mut opening = inbound.opening(
            Operation::Chat,
            envelope.stream,
            envelope.model,
            shadow.caller(),
            &plan,
            admitted,
        );
        opening.shadow_of = Some(original);
        let call = self.ledger.open(opening)?;
        // What was waiting is on its way now.
        drop(held);
        let reply = self
            .answer(OpenChat::new(errand, plan, ready, call))
            .await?;
        if let Reply::Stream { mut stream, .. } = reply {
            while stream.next().await.is_some() {}
        }
        Ok(())
    }
}

/// Whether the request goes on with an answer that only the provider has.
fn refers_to_a_provider(inbound: &Inbound) -> bool {
    inbound.face.format() == Format::OpenaiResponses
        && memmem::find(&inbound.body, b"\"previous_response_id\"").is_some()
}

#[cfg(test)]
mod tests;
