//! Where sealed turns stand: a bounded map in which what was not needed for longest goes first.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use domain::clock::Moment;

use super::seal::Place;

/// What the shelf itself takes for each place, in bytes, about.
const PLACE_BYTES: usize = 160;

/// Sealed turns by the places where they are found.
pub(super) struct Shelf {
    max_bytes: usize,
    bytes: usize,
    /// By their last use, oldest first; all live equally long after it, so that this is the order in which
    /// they expire, too.
    turns: BTreeMap<u64, Shelved>,
    by_place: HashMap<Place, u64>,
    next: u64,
}

struct Shelved {
    sealed: Bytes,
    places: Vec<Place>,
    until: Moment,
}

impl Shelved {
    fn bytes(&self) -> usize {
        self.sealed.len() + self.places.len() * PLACE_BYTES
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

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Keeps a turn until `until`; what stood at its places before gives way.
    pub(super) fn put(&mut self, places: Vec<Place>, sealed: Bytes, now: Moment, until: Moment) {
        self.expire(now);
        for place in &places {
            if let Some(turn) = self.by_place.get(place).copied() {
                self.remove(turn);
            }
        }
        let turn = Shelved {
            sealed,
            places,
            until,
        };
        if turn.bytes() > self.max_bytes {
            return;
        }
        self.insert(turn);
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.turns.keys().next().copied() else {
                return;
            };
            self.remove(oldest);
        }
    }

    /// The turn at a place, which is then kept until `until`.
    pub(super) fn find(&mut self, place: &Place, now: Moment, until: Moment) -> Option<Bytes> {
        self.expire(now);
        let turn = self.by_place.get(place).copied()?;
        let turn = self.remove(turn)?;
        let sealed = turn.sealed.clone();
        self.insert(Shelved { until, ..turn });
        Some(sealed)
    }

    #[cfg(test)]
    pub(super) fn any_sealed(&self) -> Option<Bytes> {
        self.turns.values().next().map(|turn| turn.sealed.clone())
    }

    fn insert(&mut self, turn: Shelved) {
        let number = self.next;
        self.next += 1;
        self.bytes += turn.bytes();
        for place in &turn.places {
            self.by_place.insert(*place, number);
        }
        self.turns.insert(number, turn);
    }

    fn remove(&mut self, number: u64) -> Option<Shelved> {
        let turn = self.turns.remove(&number)?;
        self.bytes -= turn.bytes();
        for place in &turn.places {
            self.by_place.remove(place);
        }
        Some(turn)
    }

    fn expire(&mut self, now: Moment) {
        while let Some((number, turn)) = self.turns.first_key_value()
            && turn.until <= now
        {
            let number = *number;
            self.remove(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn place(number: u8) -> Place {
        [number; 32]
    }

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    fn shelf_for(turns: usize) -> Shelf {
        Shelf::new(turns * (PLACE_BYTES + 10))
    }

    fn put(shelf: &mut Shelf, number: u8) {
        let sealed = Bytes::from(vec![number; 10]);
        shelf.put(vec![place(number)], sealed, at(0), at(60));
    }

    fn has(shelf: &mut Shelf, number: u8) -> bool {
        shelf.find(&place(number), at(0), at(60)).is_some()
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
        assert!(shelf.find(&place(1), at(59), at(119)).is_some());
        assert!(shelf.find(&place(1), at(118), at(178)).is_some());
        assert!(shelf.find(&place(1), at(178), at(238)).is_none());
        assert!(shelf.is_empty());
    }

    #[test]
    fn what_is_larger_than_the_shelf_is_not_kept() {
        let mut shelf = shelf_for(1);
        put(&mut shelf, 1);
        shelf.put(vec![place(2)], Bytes::from(vec![0; 11]), at(0), at(60));
        assert!(has(&mut shelf, 1) && !has(&mut shelf, 2));
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
                shelf.put(places, Bytes::from(vec![0; length]), at(now), at(now + 10));
                let held: usize = shelf.turns.values().map(Shelved::bytes).sum();
                prop_assert_eq!(held, shelf.bytes);
                prop_assert!(held <= 1_000);
                let known: usize = shelf.turns.values().map(|turn| turn.places.len()).sum();
                prop_assert_eq!(known, shelf.by_place.len());
                shelf.find(&first, at(now), at(now + 10));
            }
        }
    }
}
