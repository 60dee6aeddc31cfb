//! What stands in memory: a bounded map in which what ends first goes first.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use domain::clock::Moment;
use domain::custody::Place;

/// What the shelf itself takes for each place, in bytes, about.
const PLACE_BYTES: usize = 160;

/// Sealed turns by the places where they are found.
pub(super) struct Shelf {
    max_bytes: usize,
    bytes: usize,
    /// By their end. Turns live equally long after their last use, so that what was not needed for longest
    /// comes first.
    turns: BTreeMap<Slot, Shelved>,
    by_place: HashMap<Place, Slot>,
    next: u64,
}

/// The end of what stands there, and a number of its own.
type Slot = (Moment, u64);

/// What stands at one or more places.
pub(super) struct Shelved {
    /// `None` where it is known that there is no turn.
    sealed: Option<Bytes>,
    places: Vec<Place>,
    until: Moment,
    /// Until when the store keeps it.
    stored_until: Moment,
}

/// A turn that was found.
pub(super) struct Used {
    pub(super) sealed: Bytes,
    /// It is to be brought into the store again, lest it end there too soon.
    pub(super) is_due: bool,
}

impl Shelved {
    /// A turn, which stands here until `until` and in the store until `stored_until`.
    pub(super) fn turn(
        sealed: Bytes,
        places: Vec<Place>,
        until: Moment,
        stored_until: Moment,
    ) -> Self {
        Self {
            sealed: Some(sealed),
            places,
            until,
            stored_until,
        }
    }

    /// That there is no turn at these places.
    pub(super) fn nothing(places: Vec<Place>, until: Moment) -> Self {
        Self {
            sealed: None,
            places,
            until,
            stored_until: until,
        }
    }

    fn bytes(&self) -> usize {
        self.sealed.as_ref().map_or(0, Bytes::len) + self.places.len() * PLACE_BYTES
    }
}

impl Shelf {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            turns: BTreeMap::new(),
            by_place: HashMap::new(),
            next: 0,
        }
    }

    /// Takes something in; what stood at its places before gives way.
    pub(super) fn put(&mut self, shelved: Shelved, now: Moment) {
        self.expire(now);
        for place in &shelved.places {
            if let Some(slot) = self.by_place.get(place).copied() {
                self.remove(slot);
            }
        }
        if shelved.bytes() > self.max_bytes {
            return;
        }
        self.insert(shelved);
        while self.bytes > self.max_bytes {
            let Some(first) = self.turns.keys().next().copied() else {
                return;
            };
            self.remove(first);
        }
    }

    /// Whether it is known what stands at a place, even if it is nothing.
    pub(super) fn knows(&mut self, place: &Place, now: Moment) -> bool {
        self.expire(now);
        self.by_place.contains_key(place)
    }

    /// The turn at a place, which is used and so lives for `ttl` from `now` on.
    pub(super) fn find(&mut self, place: &Place, now: Moment, ttl: Duration) -> Option<Used> {
        self.expire(now);
        let slot = *self.by_place.get(place)?;
        let sealed = self.turns.get(&slot)?.sealed.clone()?;
        let turn = self.remove(slot)?;
        let until = now.after(ttl);
        let is_due = turn.stored_until.since(now) <= ttl / 2;
        let stored_until = if is_due { until } else { turn.stored_until };
        self.insert(Shelved {
            until,
            stored_until,
            ..turn
        });
        Some(Used { sealed, is_due })
    }

    #[cfg(test)]
    pub(super) fn any_sealed(&self) -> Option<Bytes> {
        self.turns.values().find_map(|turn| turn.sealed.clone())
    }

    fn insert(&mut self, turn: Shelved) {
        let slot = (turn.until, self.next);
        self.next += 1;
        self.bytes += turn.bytes();
        for place in &turn.places {
            self.by_place.insert(*place, slot);
        }
        self.turns.insert(slot, turn);
    }

    fn remove(&mut self, slot: Slot) -> Option<Shelved> {
        let turn = self.turns.remove(&slot)?;
        self.bytes -= turn.bytes();
        for place in &turn.places {
            self.by_place.remove(place);
        }
        Some(turn)
    }

    fn expire(&mut self, now: Moment) {
        while let Some((slot, _)) = self.turns.first_key_value()
            && slot.0 <= now
        {
            let slot = *slot;
            self.remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_mins(1);

    fn place(number: u8) -> Place {
        Place::new([number; 32])
    }

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn shelf_for(turns: usize) -> Shelf {
        Shelf::new(turns * (PLACE_BYTES + 10))
    }

    fn put(shelf: &mut Shelf, number: u8) {
        let sealed = Bytes::from(vec![number; 10]);
        shelf.put(
            Shelved::turn(sealed, vec![place(number)], at(60), at(60)),
            at(0),
        );
    }

    fn has(shelf: &mut Shelf, number: u8) -> bool {
        shelf.find(&place(number), at(1), TTL).is_some()
    }

    #[test]
    fn what_was_not_needed_for_longest_goes_first() {
        let mut shelf = shelf_for(2);
        put(&mut shelf, 1);
        put(&mut shelf, 2);
        assert!(has(&mut shelf, 1));
        put(&mut shelf, 3);
        assert!(has(&mut shelf, 1) && !has(&mut shelf, 2) && has(&mut shelf, 3));
    }

    #[test]
    fn a_turn_expires_that_long_after_its_last_use() {
        let mut shelf = shelf_for(2);
        put(&mut shelf, 1);
        assert!(shelf.find(&place(1), at(59), TTL).is_some());
        assert!(shelf.find(&place(1), at(118), TTL).is_some());
        assert!(shelf.find(&place(1), at(178), TTL).is_none());
        assert!(shelf.turns.is_empty());
    }

    #[test]
    fn what_is_larger_than_the_shelf_is_not_kept() {
        let mut shelf = shelf_for(1);
        put(&mut shelf, 1);
        let sealed = Bytes::from(vec![0; 11]);
        shelf.put(Shelved::turn(sealed, vec![place(2)], at(60), at(60)), at(0));
        assert!(has(&mut shelf, 1) && !has(&mut shelf, 2));
    }

    #[test]
    fn a_turn_is_due_once_when_half_of_its_time_in_the_store_is_over() {
        let mut shelf = shelf_for(2);
        put(&mut shelf, 1);
        let mut is_due = |second| shelf.find(&place(1), at(second), TTL).unwrap().is_due;
        assert!(!is_due(29));
        assert!(is_due(30));
        assert!(!is_due(31) && !is_due(59));
        assert!(is_due(60));
    }

    #[test]
    fn that_there_is_nothing_is_known_and_ends_before_turns_do() {
        let mut shelf = shelf_for(2);
        put(&mut shelf, 1);
        shelf.put(Shelved::nothing(vec![place(2)], at(10)), at(0));
        assert!(shelf.knows(&place(2), at(9)) && shelf.knows(&place(1), at(9)));
        assert!(!shelf.knows(&place(3), at(9)));
        assert!(shelf.find(&place(2), at(9), TTL).is_none());
        assert!(!shelf.knows(&place(2), at(10)), "asking is no use of it");
        assert!(shelf.knows(&place(1), at(10)));
    }

    proptest! {
        #[test]
        fn the_shelf_never_holds_more_than_it_may(
            turns in proptest::collection::vec((proptest::collection::vec(0_u8..20, 1..4), 0_usize..400, 0_u64..5), 0..60),
        ) {
            let mut shelf = Shelf::new(1_000);
            let mut now = 0;
            for (places, length, passed) in turns {
                now += passed;
                let mut places: Vec<Place> = places.into_iter().map(place).collect();
                places.sort_unstable();
                places.dedup();
                let first = places[0];
                let sealed = Bytes::from(vec![0; length]);
                shelf.put(Shelved::turn(sealed, places, at(now + 10), at(now + 10)), at(now));
                let held: usize = shelf.turns.values().map(Shelved::bytes).sum();
                prop_assert_eq!(held, shelf.bytes);
                prop_assert!(held <= 1_000);
                let known: usize = shelf.turns.values().map(|turn| turn.places.len()).sum();
                prop_assert_eq!(known, shelf.by_place.len());
                shelf.find(&first, at(now), Duration::from_secs(10));
            }
        }
    }
}
