//! Custody of reasoning state, for clients that leave it out of what they send back.
//!
//! Anthropic signs thoughts, Gemini signs tool calls, OpenAI encrypts thoughts, and each wants them back with
//! the results of the tools; many clients of other formats keep only what their own format knows. So the
//! state of every turn that calls tools is kept for a while under the ids of its calls, and put back where a
//! later request of the same caller brings these calls without it.
//!
//! Read `turn` for what is kept and how it is put back, `reader` for how it is read along, `seal` for
//! who can open it, and `shelf` for its bounds. It is memory: an end of the process loses it, and then a
//! request is translated as it came.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::caller::Caller;
use domain::chat::{Message, Part};
use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::secret::Secret;
use providers::dialect::Format;

use crate::routes::{Plan, ResolvedTarget};

mod issuer;
mod reader;
mod seal;
mod shelf;
mod turn;

pub(crate) use reader::Reader;

use issuer::Issuer;
use seal::{Keys, Root};
use shelf::Shelf;
use turn::Turn;

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustodyRules {
    /// How long the state of a turn is kept after it came or was last put back.
    pub ttl: Duration,
    /// The most that is kept, in bytes; beyond it, what was not needed for longest goes first.
    pub max_bytes: usize,
}

/// Keeps the reasoning state of turns that called tools, encrypted and for each caller apart.
pub struct Custody {
    ttl: Duration,
    root: Root,
    shelf: Mutex<Shelf>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Custody {
    /// An empty custody whose keys are derived from the installation's `secret`.
    pub fn new(
        rules: CustodyRules,
        secret: &Secret<Vec<u8>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self {
            ttl: rules.ttl,
            root: Root::new(secret),
            shelf: Mutex::new(Shelf::new(rules.max_bytes)),
            clock,
            entropy,
        }
    }

    /// What keeps the state of one call's answer.
    pub(crate) fn keeper(self: &Arc<Self>, caller: &Caller, plan: &Plan, format: Format) -> Keeper {
        Keeper {
            custody: Arc::clone(self),
            caller: caller.clone(),
            target: Arc::clone(&plan.target),
            format,
        }
    }

    /// Puts back what `caller` left out of the turns that called tools, as far as it was kept for this caller
    /// and the target takes it. Answers the places of the messages that were changed.
    pub(crate) fn restore(
        &self,
        caller: &Caller,
        plan: &Plan,
        format: Format,
        messages: &mut [Message],
    ) -> Vec<usize> {
        if self.shelf().is_empty() {
            return Vec::new();
        }
        let mut keys = None;
        let mut seen = HashSet::new();
        let mut restored = Vec::new();
        let target = Issuer::of(&plan.target, format);
        // Some providers begin to count the ids of calls anew: the latest turn is the one that is known.
        for (place, message) in messages.iter_mut().enumerate().rev() {
            let Message::Assistant { content, .. } = message else {
                continue;
            };
            let ids = called(content, &mut seen);
            if ids.is_empty() || turn::has_state(content) {
                continue;
            }
            if keys.is_none() {
                keys = self.root.keys_of(caller);
            }
            let Some(keys) = &keys else { break };
            let turns = self.turns(keys, &ids, &target);
            let mut is_changed = false;
            for turn in turns {
                is_changed |= turn.put_back(&ids, content);
            }
            if is_changed {
                restored.push(place);
            }
        }
        restored
    }

    /// The turns that made the calls of these ids, each once.
    fn turns(&self, keys: &Keys, ids: &[String], target: &Issuer) -> Vec<Turn> {
        let mut found: Vec<Turn> = Vec::new();
        for id in ids {
            if found.iter().any(|turn| turn.has_called(id)) {
                continue;
            }
            let now = self.clock.moment();
            let until = now.after(self.ttl);
            let sealed = self.shelf().find(&keys.place(id), now, until);
            let turn = sealed.and_then(|sealed| keys.open(&sealed));
            found.extend(turn.filter(|turn: &Turn| turn.issuer.is_understood_by(target)));
        }
        found
    }

    fn keep(&self, keys: &Keys, turn: &Turn) {
        let Some(sealed) = keys.seal(turn, &*self.entropy) else {
            return;
        };
        let places = turn.call_ids().map(|id| keys.place(id)).collect();
        let now = self.clock.moment();
        let until = now.after(self.ttl);
        self.shelf().put(places, Bytes::from(sealed), now, until);
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the state of one call's answer. Cheap to make and to clone: most answers have nothing to keep.
#[derive(Clone)]
pub(crate) struct Keeper {
    custody: Arc<Custody>,
    caller: Caller,
    target: Arc<ResolvedTarget>,
    format: Format,
}

impl Keeper {
    /// Keeps the state of one answer, where it called tools and there is any.
    pub(crate) fn keep(&self, content: &[Part]) {
        if !turn::is_worth_keeping(content) {
            return;
        }
        let turn = Turn::of(content, Issuer::of(&self.target, self.format));
        if let Some(keys) = self.custody.root.keys_of(&self.caller) {
            self.custody.keep(&keys, &turn);
        }
    }

    /// Keeps the state of a whole answer that passes verbatim, which `decode` reads only where it may hold
    /// any.
    pub(crate) fn keep_unread(
        &self,
        body: &[u8],
        decode: impl FnOnce() -> Option<domain::chat::ChatResponse>,
    ) {
        /// What stands in the name of every field that holds reasoning state, in any format.
        const MARKS: [&[u8]; 3] = [b"ignature", b"encrypted", b"redacted"];
        let may_hold_state = MARKS
            .iter()
            .any(|mark| memchr::memmem::find(body, mark).is_some());
        if !may_hold_state {
            return;
        }
        for choice in decode().into_iter().flat_map(|answer| answer.choices) {
            self.keep(&choice.content);
        }
    }

    /// Reads along with a streamed answer.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.clone())
    }
}

/// The ids of the calls that were not seen in a later message.
fn called(content: &[Part], seen: &mut HashSet<String>) -> Vec<String> {
    let calls = content.iter().filter_map(|part| match part {
        Part::ToolCall(call) if !call.id.is_empty() => Some(&call.id),
        _ => None,
    });
    let new = calls.filter(|id| seen.insert((*id).clone()));
    new.cloned().collect()
}

#[cfg(test)]
mod tests;
