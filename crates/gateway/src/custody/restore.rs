//! Putting state back where a request brings tool calls without it, or with pieces of it.

use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::caller::Caller;
use domain::chat::Message;
use domain::clock::Moment;
use domain::custody::{FoundTurn, Place};
use domain::name::ProviderName;
use memchr::memmem::Finder;
use providers::dialect::Format;

use super::Custody;
use super::issuer::{self, Issuer};
use super::seal::Keys;
use super::shelf::{Shelved, Used};
use super::turn::{self, Turn};
use crate::routes::ResolvedTarget;
use crate::within::within;

/// The most calls of one request that are looked up in the store: the latest, if there are more.
const MAX_LOOKED_UP: usize = 256;
/// The most that one request brings from the store, in bytes.
const MAX_BROUGHT: u64 = 16 * 1024 * 1024;
/// How long a request waits for the store. What comes later is not put back.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the store is not asked again after it did not answer.
const REST: Duration = Duration::from_secs(1);
/// How long it is remembered that the store has nothing: another replica, whose loop writes once a second, may be
/// about to write it.
const NOTHING_FOR: Duration = Duration::from_secs(3);

/// A message whose state was put back.
pub(crate) struct Restored {
    /// Its place among the messages.
    pub(crate) message: usize,
    /// The account that made the state.
    pub(crate) provider: ProviderName,
}

/// A message that brings calls.
pub(super) struct Calling {
    message: usize,
    ids: Vec<String>,
    places: Vec<Place>,
    /// It brings state too, which may be in pieces. That is compared with what memory has, and no reason to
    /// ask the store.
    has_state: bool,
}

/// Whether a request that would pass as it is wants thoughts of a provider that refuses to go on without those of the
/// turn that called tools, and brings none. Claude Code leaves them out where an answer names another model than was
/// asked for, as that of a route or of `provider/model` does.
///
/// This is a look that is cheap beside reading the request: it may be wrong, and whether anything was kept decides.
pub(crate) fn lacks_thoughts(format: Format, body: &[u8]) -> bool {
    static MARKS: LazyLock<[Finder<'static>; 4]> = LazyLock::new(|| {
        [
            "\"tool_use\"",
            "\"thinking\"",
            "\"signature\"",
            "\"redacted_thinking\"",
        ]
        .map(Finder::new)
    });
    let [calls, thinks, signed, redacted] = &*MARKS;
    let holds = |mark: &Finder<'_>| mark.find(body).is_some();
    format == Format::AnthropicMessages
        && holds(calls)
        && holds(thinks)
        && !holds(signed)
        && !holds(redacted)
}

impl Custody {
    /// Puts back what `caller` left out of the turns that called tools, as far as it was kept for this caller
    /// and the target takes it.
    pub(crate) async fn restore(
        &self,
        caller: &Caller,
        target: &ResolvedTarget,
        format: Format,
        messages: &mut [Message],
    ) -> Vec<Restored> {
        if !issuer::holds_state(target, format) {
            return Vec::new();
        }
        let mut calling = calling(messages);
        if calling.is_empty() {
            return Vec::new();
        }
        let Some(keys) = self.root.keys_of(caller) else {
            return Vec::new();
        };
        for calling in &mut calling {
            calling.find_places(&keys);
        }
        let brought = self.look_up(caller, &keys, &calling).await;
        let target = Issuer::of(target, format);
        let mut restored = Vec::new();
        for calling in calling {
            let turns = self.turns(caller, &keys, &calling, &brought);
            let Some(Message::Assistant { content, .. }) = messages.get_mut(calling.message) else {
                continue;
            };
            let mut understood = turns;
            understood.retain(|turn| {
                turn.issuer.is_understood_by(&target)
                    && (!calling.has_state || turn.came_in_pieces(&calling.ids, content))
            });
            let mut provider = None;
            for turn in understood {
                let issuer = turn.issuer.provider.clone();
                if turn.put_back(&calling.ids, content) {
                    provider = Some(issuer);
                }
            }
            let message = calling.message;
            restored.extend(provider.map(|provider| Restored { message, provider }));
        }
        restored
    }

    /// The turns that made the calls of a message, each once.
    pub(super) fn turns(
        &self,
        caller: &Caller,
        keys: &Keys,
        calling: &Calling,
        brought: &HashMap<Place, Bytes>,
    ) -> Vec<Turn> {
        let mut found: Vec<Turn> = Vec::new();
        for (id, place) in calling.ids.iter().zip(&calling.places) {
            if found.iter().any(|turn| turn.has_called(id)) {
                continue;
            }
            let now = self.clock.moment();
            let shelved = self.shelf().find(place, now, self.ttl);
            let brought = || {
                let sealed = brought.get(place)?.clone();
                let is_due = false;
                Some(Used { sealed, is_due })
            };
            let Some(Used { sealed, is_due }) = shelved.or_else(brought) else {
                continue;
            };
            let Some(turn) = keys.open(&sealed) else {
                continue;
            };
            if is_due {
                self.store_later(caller, &turn, turn.places(keys), sealed);
            }
            found.push(turn);
        }
        found
    }

    /// What the store has of the calls that memory does not know. It is in memory from now on, as far as
    /// there is room.
    pub(super) async fn look_up(
        &self,
        caller: &Caller,
        keys: &Keys,
        calling: &[Calling],
    ) -> HashMap<Place, Bytes> {
        let now = self.clock.moment();
        let unknown: Vec<Place> = {
            let mut shelf = self.shelf();
            let without = calling.iter().filter(|calling| !calling.has_state);
            let places = without.flat_map(|calling| calling.places.iter().copied());
            let unknown = places.filter(|place| !shelf.knows(place, now));
            unknown.take(MAX_LOOKED_UP).collect()
        };
        if unknown.is_empty() || now < *self.rests_until() {
            return HashMap::new();
        }
        let owner = caller.key_id();
        let found = self
            .store
            .turns(&unknown, owner, self.clock.now(), MAX_BROUGHT);
        let error = match within(&*self.clock, PATIENCE, found).await {
            Some(Ok(found)) => return self.take_over(keys, &unknown, found),
            Some(Err(error)) => error.to_string(),
            None => format!("it did not answer within {PATIENCE:?}"),
        };
        tracing::warn!(%error, "reasoning state cannot be looked up; requests go on without it");
        *self.rests_until() = self.clock.moment().after(REST);
        HashMap::new()
    }

    fn rests_until(&self) -> MutexGuard<'_, Moment> {
        let rests_until = self.rests_until.lock();
        rests_until.unwrap_or_else(PoisonError::into_inner)
    }

    fn take_over(
        &self,
        keys: &Keys,
        asked: &[Place],
        found: Vec<FoundTurn>,
    ) -> HashMap<Place, Bytes> {
        let now = self.clock.moment();
        let today = self.clock.now();
        let mut brought = HashMap::new();
        let mut shelf = self.shelf();
        for FoundTurn { sealed, keep_until } in found {
            // What these keys did not seal, or a later version wrote, is as good as not there.
            let Some(turn) = keys.open(&sealed) else {
                continue;
            };
            let places = turn.places(keys);
            brought.extend(places.iter().map(|place| (*place, sealed.clone())));
            let left = Duration::try_from(keep_until.duration_since(today)).unwrap_or_default();
            let until = now.after(self.ttl);
            shelf.put(Shelved::turn(sealed, places, until, now.after(left)), now);
        }
        for place in asked {
            if !brought.contains_key(place) && !shelf.knows(place, now) {
                shelf.put(Shelved::nothing(vec![*place], now.after(NOTHING_FOR)), now);
            }
        }
        brought
    }
}

impl Calling {
    /// Finds out where the state of its calls would be.
    pub(super) fn find_places(&mut self, keys: &Keys) {
        self.places = self.ids.iter().map(|id| keys.place(id)).collect();
    }
}

/// The messages that bring calls, the latest first. Some providers begin to count the ids of
/// calls anew: the latest turn is the one that is known.
pub(super) fn calling(messages: &[Message]) -> Vec<Calling> {
    let mut seen = HashSet::new();
    let mut calling = Vec::new();
    for (message, said) in messages.iter().enumerate().rev() {
        let Message::Assistant { content, .. } = said else {
            continue;
        };
        let new = turn::call_ids(content).filter(|id| seen.insert(*id));
        let ids: Vec<String> = new.map(str::to_owned).collect();
        if !ids.is_empty() {
            calling.push(Calling {
                message,
                ids,
                places: Vec::new(),
                has_state: turn::has_state(content),
            });
        }
    }
    calling
}
