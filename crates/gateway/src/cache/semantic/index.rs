//! The vectors of what was asked, by partition.

use std::collections::{HashMap, VecDeque};

use domain::cache::CacheKey;
use jiff::Timestamp;

use super::marks::Marks;

/// The vectors of what was asked. Those of one partition stand one after the other, and all of them are
/// looked at: within the bound of a partition that takes about as long as to find one in an index.
#[derive(Default)]
pub(super) struct Index {
    partitions: HashMap<CacheKey, Partition>,
    /// The oldest first.
    order: VecDeque<(CacheKey, CacheKey)>,
}

#[derive(Default)]
struct Partition {
    vectors: Vec<f32>,
    known: Vec<Known>,
}

/// One that was asked.
struct Known {
    /// Finds its answer.
    key: CacheKey,
    marks: Marks,
    expires_at: Timestamp,
}

/// What is closest to a question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Nearest {
    pub(super) key: CacheKey,
    /// The cosine of the angle between both vectors.
    pub(super) likeness: f32,
}

impl Index {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The closest of those in `partition` that answer it as far as its marks tell.
    pub(super) fn nearest(
        &self,
        partition: &CacheKey,
        vector: &[f32],
        marks: &Marks,
        now: Timestamp,
    ) -> Option<Nearest> {
        let partition = self.partitions.get(partition)?;
        let rows = partition.vectors.chunks_exact(vector.len().max(1));
        let known = partition.known.iter().zip(rows);
        let likely = known
            .filter(|(known, _)| known.expires_at > now && known.marks.allow(marks))
            .map(|(known, row)| Nearest {
                key: known.key,
                likeness: dot(vector, row),
            });
        likely.max_by(|one, other| one.likeness.total_cmp(&other.likeness))
    }

    /// Notes what was asked, of which `key` finds the answer until `expires_at`. Beyond `max` in all, or
    /// `max_partition` in one partition, the oldest go.
    #[expect(clippy::too_many_arguments, reason = "one row and its two bounds")]
    pub(super) fn insert(
        &mut self,
        partition: CacheKey,
        key: CacheKey,
        vector: &[f32],
        marks: Marks,
        expires_at: Timestamp,
        max: usize,
        max_partition: usize,
    ) {
        self.remove(&partition, &key);
        let of_partition = self.partitions.entry(partition).or_default();
        if of_partition.vectors.len() != of_partition.known.len() * vector.len() {
            // Another model has made those.
            *of_partition = Partition::default();
            self.order.retain(|(other, _)| *other != partition);
        }
        let of_partition = self.partitions.entry(partition).or_default();
        of_partition.vectors.extend_from_slice(vector);
        of_partition.known.push(Known {
            key,
            marks,
            expires_at,
        });
        let oldest = (of_partition.known.len() > max_partition)
            .then(|| of_partition.known.first().map(|known| known.key))
            .flatten();
        self.order.push_back((partition, key));
        if let Some(oldest) = oldest {
            self.remove(&partition, &oldest);
        }
        while self.order.len() > max {
            let Some((partition, key)) = self.order.front().copied() else {
                break;
            };
            self.remove(&partition, &key);
        }
    }

    /// Forgets one that was asked.
    pub(super) fn remove(&mut self, partition: &CacheKey, key: &CacheKey) {
        let Some(of_partition) = self.partitions.get_mut(partition) else {
            return;
        };
        let Some(at) = of_partition
            .known
            .iter()
            .position(|known| known.key == *key)
        else {
            return;
        };
        let width = of_partition.vectors.len() / of_partition.known.len();
        of_partition.known.remove(at);
        of_partition.vectors.drain(at * width..(at + 1) * width);
        if of_partition.known.is_empty() {
            self.partitions.remove(partition);
        }
        self.order.retain(|place| *place != (*partition, *key));
    }

    /// Forgets those whose answers `is_meant`.
    pub(super) fn remove_all(&mut self, is_meant: impl Fn(&CacheKey) -> bool) {
        let meant: Vec<(CacheKey, CacheKey)> = self
            .order
            .iter()
            .filter(|(_, key)| is_meant(key))
            .copied()
            .collect();
        for (partition, key) in meant {
            self.remove(&partition, &key);
        }
    }
}

/// The cosine of the angle between two vectors of length 1.
///
/// Eight sums at a time: floating-point numbers may not be added in another order than is written, and one sum
/// alone would keep the processor from working on several at once.
pub(super) fn dot(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 8;
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let rest = ones.remainder().iter().zip(others.remainder());
    let rest: f32 = rest.map(|(one, other)| one * other).sum();
    let mut sums = [0.0_f32; LANES];
    for (one, other) in ones.zip(others) {
        for (sum, (one, other)) in sums.iter_mut().zip(one.iter().zip(other)) {
            *sum += one * other;
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use domain::id::{OrganizationId, ProjectId};

    use super::*;

    fn key(number: u8) -> CacheKey {
        CacheKey {
            organization_id: OrganizationId::DEFAULT,
            project_id: ProjectId::DEFAULT,
            digest: [number; 32],
        }
    }

    fn later() -> Timestamp {
        Timestamp::from_second(100).unwrap()
    }

    fn find(
        index: &Index,
        partition: u8,
        vector: [f32; 2],
        text: &str,
        now: i64,
    ) -> Option<CacheKey> {
        let now = Timestamp::from_second(now).unwrap();
        let nearest = index.nearest(&key(partition), &vector, &Marks::of(text), now);
        nearest.map(|nearest| nearest.key)
    }

    #[test]
    fn the_closest_of_a_partition_is_found_and_no_other_partitions() {
        let mut index = Index::default();
        for (number, vector) in [(1, [1.0, 0.0]), (2, [0.8, 0.6])] {
            index.insert(
                key(0),
                key(number),
                &vector,
                Marks::of("a b"),
                later(),
                9,
                9,
            );
        }
        index.insert(key(9), key(3), &[0.6, 0.8], Marks::of("a b"), later(), 9, 9);
        assert_eq!(find(&index, 0, [0.6, 0.8], "a b", 0), Some(key(2)));
        assert_eq!(find(&index, 9, [1.0, 0.0], "a b", 0), Some(key(3)));
        assert_eq!(find(&index, 7, [1.0, 0.0], "a b", 0), None);
        assert_eq!(find(&index, 0, [1.0, 0.0], "a 7 b", 0), None);
        assert_eq!(find(&index, 0, [1.0, 0.0], "a b", 100), None);
        index.remove(&key(0), &key(2));
        assert_eq!(find(&index, 0, [0.6, 0.8], "a b", 0), Some(key(1)));
        index.remove_all(|_| true);
        assert_eq!((index.len(), index.partitions.len()), (0, 0));
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let mut index = Index::default();
        for number in 1..=5 {
            index.insert(
                key(0),
                key(number),
                &[1.0, 0.0],
                Marks::of("a"),
                later(),
                9,
                3,
            );
        }
        assert_eq!(index.len(), 3);
        for number in 1..=5 {
            index.insert(
                key(number),
                key(number),
                &[1.0, 0.0],
                Marks::of("a"),
                later(),
                4,
                3,
            );
        }
        assert_eq!(index.len(), 4);
        assert_eq!(find(&index, 1, [1.0, 0.0], "a", 0), None);
        assert_eq!(find(&index, 5, [1.0, 0.0], "a", 0), Some(key(5)));
    }
}
