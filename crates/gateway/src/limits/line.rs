//! Who waits for room, and whose turn it is.
//!
//! Turns go round by deficit round robin: tenant after tenant, and what one is let in with in its turn is as
//! much as every other's, times the weight of the priority. So a tenant that sends more does not wait less than
//! one that sends little, and nobody waits for good.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::id::{KeyId, ProjectId};
use domain::limit::Priority;
use tokio::sync::Notify;

/// Whose calls wait in a row of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) project: ProjectId,
    /// The key, where the limit is one that keys of one project share.
    pub(super) key: Option<KeyId>,
    pub(super) priority: Priority,
}

/// A place in a line.
#[derive(Debug)]
pub(super) struct Place {
    /// How much room it waits for.
    amount: u64,
    /// Wakes whoever waits there.
    pub(super) woken: Notify,
}

/// How many may wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    all: usize,
    of_one_tenant: usize,
}

impl Places {
    /// Of a limit that several tenants share: none of them takes more than half.
    pub(super) fn of_many(all: usize) -> Self {
        Self {
            all,
            of_one_tenant: all.div_ceil(2),
        }
    }

    /// Of a limit that is one key's.
    pub(super) fn of_one(all: usize) -> Self {
        Self {
            all,
            of_one_tenant: all,
        }
    }
}

/// There are as many waiting as may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A bounded line.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Those that have somebody waiting; the first has its turn.
    flows: VecDeque<Waiting>,
    /// Whose turn it is, when it is somebody's: it keeps it until it leaves.
    next: Option<Arc<Place>>,
    count: usize,
    amount: u64,
}

#[derive(Debug)]
struct Waiting {
    flow: Flow,
    /// What it may still be let in with in this turn.
    credit: u64,
    places: VecDeque<Arc<Place>>,
}

impl Line {
    /// Takes a place at the end of the flow's row, where `places` leaves one.
    pub(super) fn join(
        &mut self,
        flow: Flow,
        amount: u64,
        places: Places,
    ) -> Result<Arc<Place>, Full> {
        let tenant = |waiting: &&Waiting| {
            (waiting.flow.project, waiting.flow.key) == (flow.project, flow.key)
        };
        let same = self.flows.iter().filter(tenant);
        let own: usize = same.map(|waiting| waiting.places.len()).sum();
        if self.count >= places.all || own >= places.of_one_tenant {
            return Err(Full);
        }
        let place = Arc::new(Place {
            amount,
            woken: Notify::new(),
        });
        self.count += 1;
        self.amount = self.amount.saturating_add(amount);
        match self.flows.iter_mut().find(|waiting| waiting.flow == flow) {
            Some(waiting) => waiting.places.push_back(Arc::clone(&place)),
            None => self.flows.push_back(Waiting {
                flow,
                credit: 0,
                places: VecDeque::from([Arc::clone(&place)]),
            }),
        }
        Ok(place)
    }

    /// Leaves the line, and wakes the next when it was its turn.
    pub(super) fn leave(&mut self, place: &Arc<Place>) {
        let was_next = self.next.take_if(|next| Arc::ptr_eq(next, place)).is_some();
        if !was_next {
            for waiting in &mut self.flows {
                waiting.places.retain(|other| !Arc::ptr_eq(other, place));
            }
            self.flows.retain(|waiting| !waiting.places.is_empty());
        }
        self.count = self.count.saturating_sub(1);
        self.amount = self.amount.saturating_sub(place.amount);
        if was_next {
            self.wake();
        }
    }

    /// Whether it is the turn of whoever waits at `place`.
    pub(super) fn is_turn_of(&mut self, place: &Arc<Place>) -> bool {
        self.choose();
        self.next
            .as_ref()
            .is_some_and(|next| Arc::ptr_eq(next, place))
    }

    /// Wakes whose turn it is.
    pub(super) fn wake(&mut self) {
        self.choose();
        if let Some(next) = &self.next {
            next.woken.notify_one();
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        let waiting = self.flows.iter().flat_map(|waiting| &waiting.places);
        for place in waiting.chain(&self.next) {
            place.woken.notify_one();
        }
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How much room those who wait need together.
    pub(super) fn waiting_for(&self) -> u64 {
        self.amount
    }

    fn choose(&mut self) {
        if self.next.is_some() {
            return;
        }
        let heads = self
            .flows
            .iter()
            .filter_map(|waiting| waiting.places.front());
        // One turn is enough for any who waits: everyone who has a turn lets at least one in.
        let turn = heads.map(|place| place.amount).max().unwrap_or(1).max(1);
        while let Some(mut first) = self.flows.pop_front() {
            let Some(place) = first.places.pop_front() else {
                continue;
            };
            if first.credit < place.amount {
                let weight = first.flow.priority.weight();
                first.credit = first.credit.saturating_add(turn.saturating_mul(weight));
            }
            first.credit = first.credit.saturating_sub(place.amount);
            if first.places.is_empty() {
                // Who comes back later begins with nothing.
            } else if first.credit < first.places.front().map_or(0, |next| next.amount) {
                self.flows.push_back(first);
            } else {
                self.flows.push_front(first);
            }
            self.next = Some(place);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::caller;
    use domain::key::Rate;

    fn flow(priority: Priority) -> Flow {
        let caller = caller(Rate::default(), None);
        Flow {
            project: caller.project_id(),
            key: Some(caller.key_id()),
            priority,
        }
    }

    /// Lets everyone in, and says of which of the places they were.
    fn order(line: &mut Line, places: &[(&str, Arc<Place>)]) -> String {
        let mut order = String::new();
        while !line.is_empty() {
            let turn = places.iter().find(|(_, place)| line.is_turn_of(place));
            let (name, place) = turn.unwrap();
            order.push_str(name);
            line.leave(place);
        }
        order
    }

    #[test]
    fn tenants_take_turns_however_many_of_one_wait() {
        let mut line = Line::default();
        let (many, few) = (flow(Priority::Low), flow(Priority::Low));
        let mut places = Vec::new();
        for _ in 0..4 {
            places.push(("m", line.join(many, 1, Places::of_many(100)).unwrap()));
        }
        for _ in 0..2 {
            places.push(("f", line.join(few, 1, Places::of_many(100)).unwrap()));
        }
        assert_eq!(order(&mut line, &places), "mfmfmm");
    }

    #[test]
    fn a_higher_priority_is_let_in_more_often_and_a_lower_one_still() {
        let mut line = Line::default();
        let (low, normal) = (flow(Priority::Low), flow(Priority::Normal));
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(("l", line.join(low, 1, Places::of_many(100)).unwrap()));
        }
        for _ in 0..6 {
            places.push(("n", line.join(normal, 1, Places::of_many(100)).unwrap()));
        }
        assert_eq!(order(&mut line, &places), "lnnnnlnnl");
    }

    #[test]
    fn large_amounts_have_as_much_in_their_turn_as_small_ones() {
        let mut line = Line::default();
        let (large, small) = (flow(Priority::Low), flow(Priority::Low));
        let mut places = Vec::new();
        for _ in 0..2 {
            places.push(("L", line.join(large, 30, Places::of_many(100)).unwrap()));
        }
        for _ in 0..6 {
            places.push(("s", line.join(small, 10, Places::of_many(100)).unwrap()));
        }
        assert_eq!(order(&mut line, &places), "LsssLsss");
    }

    #[test]
    fn a_line_is_bounded_and_no_tenant_fills_it() {
        let mut line = Line::default();
        let (one, other) = (flow(Priority::Normal), flow(Priority::Normal));
        line.join(one, 1, Places::of_many(3)).unwrap();
        line.join(one, 1, Places::of_many(3)).unwrap();
        assert_eq!(line.join(one, 1, Places::of_many(3)).unwrap_err(), Full);
        let place = line.join(other, 1, Places::of_many(3)).unwrap();
        assert_eq!(line.join(other, 1, Places::of_many(3)).unwrap_err(), Full);
        // Where there is one tenant, it has all places.
        let mut alone = Line::default();
        alone.join(one, 1, Places::of_one(2)).unwrap();
        alone.join(one, 1, Places::of_one(2)).unwrap();
        assert_eq!(alone.join(one, 1, Places::of_one(2)).unwrap_err(), Full);
        line.leave(&place);
        assert_eq!((line.len(), line.waiting_for()), (2, 2));
    }
}
