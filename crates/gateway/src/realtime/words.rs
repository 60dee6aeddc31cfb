//! What is said in a session, kept where `payloads` wants it: of each response what its caller said since the one
//! before, and the event with which it was over, which holds all of it but the sound.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::caller::Caller;
use domain::id::RequestId;
use jiff::Timestamp;

use crate::payload::{Listener, Payloads};

/// The most of what a caller says before a response that is kept, in bytes; what is beyond is left out.
const MAX_SAID: usize = 1024 * 1024;

/// What is kept of one session.
pub(super) struct Words {
    payloads: Arc<Payloads>,
    /// The caller's events since the last response, each a line.
    said: Vec<u8>,
    /// Bytes of base64 of the sound that came after that.
    sound: usize,
    /// Of responses that are not over.
    listeners: HashMap<RequestId, Listener>,
}

impl Words {
    /// `None` where nothing is kept of the caller.
    pub(super) fn kept_by(payloads: &Arc<Payloads>, caller: &Caller) -> Option<Self> {
        payloads.keeps(caller).then(|| Self {
            payloads: Arc::clone(payloads),
            said: Vec::new(),
            sound: 0,
            listeners: HashMap::new(),
        })
    }

    /// The caller said `event`.
    pub(super) fn said(&mut self, event: &str) {
        self.end_sound();
        self.keep(event);
    }

    fn keep(&mut self, event: &str) {
        if self.said.len() + event.len() < MAX_SAID {
            self.said.extend_from_slice(event.as_bytes());
            self.said.push(b'\n');
        }
    }

    /// The caller sent sound, of so many bytes of base64, of which no more is kept: pieces that follow each other
    /// are told as one, since there are ten and more of them in a second.
    pub(super) fn sounded(&mut self, bytes: usize) {
        self.sound = self.sound.saturating_add(bytes);
    }

    fn end_sound(&mut self) {
        let bytes = std::mem::take(&mut self.sound);
        if bytes > 0 {
            self.keep(&format!(
                r#"{{"type":"input_audio_buffer.append","audio_bytes":{bytes}}}"#
            ));
        }
    }

    /// A response was asked for, or begun, under `call`.
    pub(super) fn begun(&mut self, caller: &Caller, call: RequestId, now: Timestamp) {
        self.end_sound();
        let said = Bytes::from(std::mem::take(&mut self.said));
        if let Some(listener) = self.payloads.listen(caller, call, &said, now) {
            self.listeners.insert(call, listener);
        }
    }

    /// The response under `call` is over, with `event`. What was never over is kept without it.
    pub(super) fn done(&mut self, call: RequestId, event: &str) {
        if let Some(mut listener) = self.listeners.remove(&call) {
            listener.hear(event.as_bytes());
        }
    }

    /// What was heard under `call` was written down in `event`.
    pub(super) fn transcribed(
        &self,
        caller: &Caller,
        call: RequestId,
        event: &str,
        now: Timestamp,
    ) {
        if let Some(mut listener) = self.payloads.listen(caller, call, &Bytes::new(), now) {
            listener.hear(event.as_bytes());
        }
    }
}
