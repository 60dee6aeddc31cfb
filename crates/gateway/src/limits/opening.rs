//! What was spent before a process began, with every correction counted once.

use async_trait::async_trait;
use domain::key::Period;
use domain::spend::{CorrectionStore, Spend, SpendStore};
use domain::store_error::StoreError;
use jiff::Timestamp;

/// How often the sums are read again where corrections come meanwhile.
const READINGS: u32 = 5;

/// What was spent by the moment at which it was read, and what the store says of other times.
pub(super) struct Sums<'a> {
    known: Vec<(Timestamp, Vec<Spend>)>,
    store: &'a dyn SpendStore,
}

/// What was spent in every period that `now` is in, and the last correction that is in it. Where one comes while
/// it is read, it is read again; where that happens each time, what came last counts twice rather than not at all.
pub(super) async fn sums<'a>(
    store: &'a dyn SpendStore,
    corrections: &dyn CorrectionStore,
    now: Timestamp,
) -> Result<(Sums<'a>, u64), StoreError> {
    let mut reading = 0;
    let mut before = corrections.last_correction().await?;
    loop {
        let mut known = Vec::with_capacity(Period::ALL.len());
        for period in Period::ALL {
            let start = period.start(now);
            known.push((start, store.spend_since(start).await?));
        }
        let after = corrections.last_correction().await?;
        reading += 1;
        if after == before || reading == READINGS {
            return Ok((Sums { known, store }, before));
        }
        before = after;
    }
}

#[async_trait]
impl SpendStore for Sums<'_> {
    async fn spend_since(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError> {
        match self.known.iter().find(|(start, _)| *start == since) {
            Some((_, spends)) => Ok(spends.clone()),
            // A period has begun since.
            None => self.store.spend_since(since).await,
        }
    }

    async fn drop_hours_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.store.drop_hours_before(before, limit).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::id::ReplicaId;
    use domain::limit::Subject;
    use domain::money::Cost;
    use domain::spend::Correction;

    use super::*;
    use crate::testing::at_once;

    /// Books in which somebody corrects a call by a dollar while they are read, so many times.
    #[derive(Default)]
    struct Books {
        to_come: Mutex<u64>,
        corrected: Mutex<u64>,
    }

    #[async_trait]
    impl SpendStore for Books {
        async fn spend_since(&self, _: Timestamp) -> Result<Vec<Spend>, StoreError> {
            let mut corrected = self.corrected.lock().unwrap();
            let mut to_come = self.to_come.lock().unwrap();
            if *to_come > 0 {
                *to_come -= 1;
                *corrected += 1;
            }
            let dollars = i64::try_from(*corrected).unwrap();
            Ok(vec![Spend {
                subject: Subject::default(),
                cost: Cost::from_nano_dollars(dollars * 1_000_000_000),
            }])
        }

        async fn drop_hours_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
            Ok(0)
        }
    }

    #[async_trait]
    impl CorrectionStore for Books {
        async fn last_correction(&self) -> Result<u64, StoreError> {
            Ok(*self.corrected.lock().unwrap())
        }

        async fn corrections_after(&self, _: u64, _: u32) -> Result<Vec<Correction>, StoreError> {
            Ok(Vec::new())
        }

        async fn claim_correction(&self, _: u64, _: ReplicaId) -> Result<bool, StoreError> {
            Ok(true)
        }
    }

    /// Dollars that each period has, and how many corrections are in them.
    fn read(to_come: u64) -> (Vec<i64>, u64) {
        let books = Books {
            to_come: Mutex::new(to_come),
            corrected: Mutex::default(),
        };
        let now = Timestamp::from_second(1_000_000).unwrap();
        let (sums, corrected) = at_once(sums(&books, &books, now)).unwrap();
        let spent = Period::ALL.map(|period| {
            let spends = at_once(sums.spend_since(period.start(now))).unwrap();
            spends[0].cost.nano_dollars() / 1_000_000_000
        });
        (spent.to_vec(), corrected)
    }

    #[test]
    fn a_correction_that_comes_while_the_books_are_read_counts_once() {
        assert_eq!(read(0), (vec![0; Period::ALL.len()], 0));
        assert_eq!(read(1), (vec![1; Period::ALL.len()], 1));
        assert_eq!(read(7), (vec![7; Period::ALL.len()], 7));
    }

    #[test]
    fn what_never_rests_counts_twice_rather_than_not_at_all() {
        let (spent, corrected) = read(1_000);
        assert!(
            spent
                .iter()
                .all(|spent| u64::try_from(*spent).unwrap() > corrected)
        );
    }
}
