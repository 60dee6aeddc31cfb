//! Waiting for room: until it is a call's turn, or until it is sure not to come in time.

use std::sync::Arc;
use std::time::Duration;

use domain::limit::{Limit, Priority, QueueRules};

use super::Bench;
use super::counter::{Counter, Now, Shortage, State, Want};
use super::holder::Holder;
use super::line::{Flow, Line, Place, Places};
use super::reached::{LimitReached, Relief};
use crate::within::within;

/// How long a call waits for more of what replicas share, where it waits for nothing else: until the others were
/// heard, who exchange every fifth of a second.
const SHARE_WAIT: Duration = Duration::from_millis(250);
/// The same where the replica has no share yet: for the exchange that is under way, and for its own. These have
/// bounds of their own, and say that there is no share to be had; here is what a busy machine adds to them.
const FIRST_SHARE_WAIT: Duration = Duration::from_secs(2);
/// How many calls wait so for one counter, of which one tenant's take half: as many as a replica under full load
/// is sent in that time.
const SHARE_WAITING: u32 = 16_384;

/// Why a call may not begin now.
pub(super) struct Refusal {
    pub(super) reached: LimitReached,
    pub(super) counter: Arc<Counter>,
    pub(super) shortage: Shortage,
    /// How it may wait; `None` where it may not.
    rules: Option<QueueRules>,
    /// How it may wait for more of what replicas share, where that is what is missing.
    share_rules: Option<QueueRules>,
}

impl Refusal {
    /// Refuses what there is no room for, and what has no place among those who wait already.
    pub(super) fn unless_free(
        counter: &Arc<Counter>,
        state: &mut State,
        want: &Want,
        held: u64,
        now: Now,
        place: Option<&Arc<Place>>,
    ) -> Result<(), Box<Self>> {
        let shortage = match state.check(want, held, now) {
            Err(shortage) => shortage,
            Ok(()) if state.lets_in(place) || state.has_room_for_all(want, held, place, now) => {
                return Ok(());
            }
            Ok(()) => state.shortage_of(want, held, now),
        };
        // One exchange is enough for all who wait.
        let ahead = state.line.as_ref().map_or(0, |line| line.waiting_for());
        let mut share_rules = None;
        if let Some(share) = &mut state.share {
            share.wish(ahead.saturating_add(shortage.need.wanted));
            share_rules = Some(QueueRules {
                max_wait: if share.is_first() {
                    FIRST_SHARE_WAIT
                } else {
                    SHARE_WAIT
                },
                max_waiting: SHARE_WAITING,
            });
        }
        let share_rules = share_rules.filter(|_| !shortage.is_whole);
        let never = matches!(shortage.relief, Relief::Never { .. });
        Err(Box::new(Self {
            reached: state.reached(shortage.relief),
            counter: Arc::clone(counter),
            shortage,
            rules: state.limit.queue.or(share_rules).filter(|_| !never),
            share_rules,
        }))
    }

    /// The same, of a call that waits for more of what replicas share and for nothing else.
    pub(super) fn but_for_a_share(mut self: Box<Self>) -> Box<Self> {
        self.rules = self.share_rules;
        self
    }

    /// Whether all that there is of `counter` is used up.
    pub(super) fn is_for_good(&self, counter: &Arc<Counter>) -> bool {
        let never = matches!(self.shortage.relief, Relief::Never { .. });
        self.shortage.is_whole && !never && Arc::ptr_eq(&self.counter, counter)
    }

    /// Whether it is longer until this passes than until `other` does.
    pub(super) fn is_worse_than(&self, other: &Self) -> bool {
        self.wait() > other.wait()
    }

    /// Whether the call may wait for room.
    pub(super) fn may_wait(&self) -> bool {
        self.rules.is_some()
    }

    fn wait(&self) -> Duration {
        match self.shortage.relief {
            Relief::After(wait) => wait,
            Relief::At(_) | Relief::Unknown | Relief::Never { .. } => Duration::MAX,
        }
    }
}

impl State {
    /// Whether nobody else is to go first.
    fn lets_in(&mut self, place: Option<&Arc<Place>>) -> bool {
        match (&mut self.line, place) {
            (None, _) => true,
            (Some(line), Some(place)) => line.is_turn_of(place) || line.is_empty(),
            (Some(line), None) => line.is_empty(),
        }
    }
}

impl State {
    /// Whether there is room for `want` and for everybody who waits, so that it does not matter who goes first.
    fn has_room_for_all(
        &mut self,
        want: &Want,
        held: u64,
        place: Option<&Arc<Place>>,
        now: Now,
    ) -> bool {
        let waiting = self.line.as_ref().map_or(0, |line| line.waiting_for());
        let own = match place {
            Some(_) => 0,
            None => want.of(self.limit.bound).saturating_sub(held),
        };
        let all = waiting.saturating_add(own);
        self.taken(now).saturating_add(all) <= self.ceiling()
    }

    /// Wakes all who wait where there is room for all of them, otherwise who is next in line.
    pub(super) fn wake_who_fits(&mut self, now: Now) {
        let waiting = self.line.as_ref().map_or(0, |line| line.waiting_for());
        let fits = self.taken(now).saturating_add(waiting) <= self.ceiling();
        match &mut self.line {
            Some(line) if fits => line.wake_all(),
            _ => self.wake(),
        }
    }
}

/// A place in a counter's line, which is left when this is dropped.
struct Seat<'a> {
    counter: &'a Counter,
    place: Arc<Place>,
}

impl Seat<'_> {
    fn is_turn(&self) -> bool {
        let mut state = self.counter.lock();
        let line = state.line.as_mut();
        line.is_some_and(|line| line.is_turn_of(&self.place))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.counter.lock();
        if let Some(line) = &mut state.line {
            line.leave(&self.place);
            if line.is_empty() {
                state.line = None;
            }
        }
    }
}

impl Bench {
    /// Waits until `again` succeeds: in the line of the counter that has no room, and of the next one that has
    /// none then. Dropping the future leaves the line.
    pub(super) async fn in_turn<T>(
        &self,
        holder: &Holder,
        priority: Priority,
        mut refusal: Box<Refusal>,
        mut again: impl FnMut(&Arc<Place>) -> Result<T, Box<Refusal>>,
    ) -> Result<T, LimitReached> {
        let began = self.clock.moment();
        loop {
            let Some(mut rules) = refusal.rules else {
                return Err(refusal.reached);
            };
            let left = |rules: QueueRules| {
                rules
                    .max_wait
                    .saturating_sub(self.clock.moment().since(began))
            };
            // Of a share that is too small nobody knows when it grows.
            let is_sure = refusal.shortage.is_whole;
            if is_sure && refusal.wait() > left(rules) {
                return Err(refusal.reached);
            }
            let counter = Arc::clone(&refusal.counter);
            let Some(seat) = seat(&counter, holder, priority, &refusal, rules) else {
                return Err(refusal.reached);
            };
            refusal = loop {
                let left = left(rules);
                let pause = if seat.is_turn() && is_sure && !refusal.wait().is_zero() {
                    refusal.wait().min(left)
                } else {
                    left
                };
                let woken = within(&*self.clock, pause, seat.place.woken.notified()).await;
                // Whose turn it is not may go all the same where there is room for all.
                match again(&seat.place) {
                    Ok(admitted) => return Ok(admitted),
                    Err(found) => match found.rules {
                        Some(now) if Arc::ptr_eq(&found.counter, &counter) => {
                            (refusal, rules) = (found, now);
                        }
                        _ => break found,
                    },
                }
                if woken.is_none() && self.clock.moment().since(began) >= rules.max_wait {
                    return Err(refusal.reached);
                }
            };
        }
    }
}

/// Takes a place in the line of a counter; `None` when it is full.
fn seat<'a>(
    counter: &'a Counter,
    holder: &Holder,
    priority: Priority,
    refusal: &Refusal,
    rules: QueueRules,
) -> Option<Seat<'a>> {
    let mut state = counter.lock();
    let flow = flow(&state.limit, holder, priority)?;
    let most = usize::try_from(rules.max_waiting).unwrap_or(usize::MAX);
    let places = if state.limit.scope.key.is_any() {
        Places::of_many(most)
    } else {
        Places::of_one(most)
    };
    let line = state.line.get_or_insert_with(Box::<Line>::default);
    let place = line.join(flow, refusal.shortage.need.least, places).ok()?;
    Some(Seat { counter, place })
}

/// In whose row a call waits: where keys of one project share a limit, each key has one, otherwise each project.
fn flow(limit: &Limit, holder: &Holder, priority: Priority) -> Option<Flow> {
    let scope = &limit.scope;
    let is_within_project = !scope.project.is_any()
        || !scope.user.is_any()
        || !scope.application.is_any()
        || !scope.key.is_any();
    let key = holder.key()?;
    Some(Flow {
        project: key.project_id,
        key: is_within_project.then_some(key.id),
        priority,
    })
}
