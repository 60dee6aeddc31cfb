//! What was said in calls, kept only where the operator wants it, and apart from the ledger.
//!
//! Unlike calls, payloads are not journaled: when the store cannot keep up, the newest are lost, and
//! counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::Payload;
use domain::caller::Caller;
use domain::id::RequestId;
use domain::name::ProviderName;
use domain::tenant::PayloadRule;
use jiff::{SignedDuration, Timestamp};

use crate::cache::Recorder;
use crate::ledger::OpenCall;
use crate::responses::Memory;
use crate::waiting::Waiting;

/// The most of an answer that is kept, in bytes. A request is bounded by `server.max_body`.
const MAX_RESPONSE: usize = 4 * 1024 * 1024;

/// Keeps what was said, where it is wanted.
pub struct Payloads {
    /// How long it is kept; `None` keeps nothing.
    retention: Option<Duration>,
    waiting: Waiting<Payload>,
}

impl Payloads {
    /// Keeps what is said for `retention`; `None` keeps nothing.
    pub fn new(retention: Option<Duration>) -> Self {
        Self {
            retention,
            waiting: Waiting::new(length),
        }
    }

    /// Whether anything is kept of what `caller` says.
    pub(crate) fn keeps(&self, caller: &Caller) -> bool {
        self.retention_for(caller).is_some()
    }

    /// At most `limit` payloads for the store.
    pub fn take_batch(&self, limit: usize) -> Vec<Payload> {
        self.waiting.take(limit)
    }

    /// How many were lost because the store could not keep up.
    pub fn lost(&self) -> u64 {
        self.waiting.lost()
    }

    /// How long what `caller` says is kept: what its project says comes before what the configuration says.
    fn retention_for(&self, caller: &Caller) -> Option<Duration> {
        let of_project = caller.settings().and_then(|settings| settings.payloads);
        of_project.map_or(self.retention, PayloadRule::retention)
    }

    /// Begins to listen to a call; `None` where nothing is kept of the caller.
    pub(crate) fn listen(
        self: &Arc<Self>,
        caller: &Caller,
        request_id: RequestId,
        request: &Bytes,
        now: Timestamp,
    ) -> Option<Listener> {
        let retention = SignedDuration::try_from(self.retention_for(caller)?).ok()?;
        Some(Listener {
            payloads: Arc::clone(self),
            memory: None,
            recorder: None,
            heard: Some(Box::new(Payload {
                request_id,
                organization_id: caller.organization_id(),
                project_id: caller.project_id(),
                request: request.to_vec(),
                response: Vec::new(),
                keep_until: now.saturating_add(retention).unwrap_or(Timestamp::MAX),
            })),
        })
    }

    /// Has an answer that callers may refer to heard as well.
    pub(crate) fn remember(
        self: &Arc<Self>,
        listener: Option<Listener>,
        memory: Option<Memory>,
    ) -> Option<Listener> {
        let mut listener = listener.or_else(|| memory.is_some().then(|| Listener::deaf(self)))?;
        listener.memory = memory.map(Box::new);
        Some(listener)
    }

    /// Has an answer that may be given again heard as well.
    pub(crate) fn record(
        self: &Arc<Self>,
        listener: Option<Listener>,
        recorder: Option<Box<Recorder>>,
    ) -> Option<Listener> {
        let mut listener = listener.or_else(|| recorder.is_some().then(|| Listener::deaf(self)))?;
        listener.recorder = recorder;
        Some(listener)
    }
}

/// Listens to one call; small, since every call has room for one. What it heard is kept when it is dropped, however the call ends.
pub(crate) struct Listener {
    payloads: Arc<Payloads>,
    heard: Option<Box<Payload>>,
    memory: Option<Box<Memory>>,
    /// Keeps the answer to be given again.
    recorder: Option<Box<Recorder>>,
}

impl Listener {
    /// Hears who answers, and whether in the words of the request.
    pub(crate) fn answered_by(&mut self, provider: &ProviderName, is_verbatim: bool) {
        if let Some(memory) = &mut self.memory {
            memory.answered_by(provider, is_verbatim);
        }
    }

    /// Hears nothing for itself.
    fn deaf(payloads: &Arc<Payloads>) -> Self {
        Self {
            payloads: Arc::clone(payloads),
            heard: None,
            memory: None,
            recorder: None,
        }
    }

    /// Another target goes on with the answer: that of two is nothing that is given again.
    pub(crate) fn is_continued(&mut self) {
        self.recorder = None;
    }

    /// The answer's media type.
    pub(crate) fn content_type(&mut self, content_type: &http::HeaderValue) {
        if let Some(recorder) = &mut self.recorder {
            recorder.content_type(content_type);
        }
    }

    /// The answer is complete: beside what was heard, `rest` is all that the caller gets.
    pub(crate) fn conclude<'r>(
        &mut self,
        call: &mut OpenCall,
        rest: impl IntoIterator<Item = &'r Bytes>,
    ) {
        let recorder = self.recorder.take();
        let mut rest = rest.into_iter();
        if let Some(recorder) =
            recorder.and_then(|it| rest.try_fold(it, |it, piece| it.hear(piece)))
        {
            recorder.conclude(call);
        }
    }

    /// Hears a piece of the answer.
    pub(crate) fn hear(&mut self, piece: &[u8]) {
        self.recorder = self
            .recorder
            .take()
            .and_then(|recorder| recorder.hear(piece));
        self.memory = self.memory.take().and_then(|memory| memory.hear(piece));
        if let Some(heard) = &mut self.heard {
            let room = MAX_RESPONSE.saturating_sub(heard.response.len());
            heard
                .response
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(heard) = self.heard.take() {
            self.payloads.waiting.put(*heard);
        }
    }
}

fn length(payload: &Payload) -> usize {
    payload.request.len() + payload.response.len()
}
