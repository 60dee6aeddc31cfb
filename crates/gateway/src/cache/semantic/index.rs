//! The vectors of what was asked, by partition.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::cache::CacheKey;
use jiff::Timestamp;

use super::graph::Graph;
use super::marks::Marks;

/// The vectors of what was asked. Those of a small partition are all looked at, which takes less time than to
/// find one in a graph; those of a large one are put into [graphs](Graph), one by one and later
/// ([`Index::arrange`]), and until then they are looked at as well.
pub(super) struct Index {
    bounds: Bounds,
    partitions: HashMap<Place, Partition>,
    /// Where each stands, the oldest first.
    order: BTreeMap<usize, Place>,
    /// The next one's number.
    next: usize,
}

/// How many are kept, and from how many on they are put into graphs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The most in all.
    pub(super) max: usize,
    /// The most of one partition.
    pub(super) max_partition: usize,
    /// The most of one partition that are all looked at.
    pub(super) max_scanned: usize,
}

/// Requests that are compared with each other: of one partition, and with the same [marks](Marks::digest) where
/// these must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::cache) struct Place {
    pub(super) partition: CacheKey,
    pub(super) marks: u64,
}

struct Partition {
    /// How many numbers a vector has.
    width: usize,
    /// By number, the oldest first.
    known: BTreeMap<usize, Known>,
    numbers: HashMap<CacheKey, usize>,
    /// The vectors that stand in no graph: all of them are looked at.
    scanned: BTreeMap<usize, Arc<[f32]>>,
    /// The oldest first; only the last one is filled.
    graphs: Vec<Arranged>,
}

/// A graph, and how many of its vectors are still known.
struct Arranged {
    graph: Graph,
    first: usize,
    alive: usize,
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
    /// Nothing is known yet.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            partitions: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The closest of those at `place` that answer a question as far as its marks tell, and are at least as alike as
    /// `threshold`. What stands in a graph is found nearly always, and what is found is always what it says.
    pub(super) fn nearest(
        &self,
        place: &Place,
        vector: &[f32],
        marks: &Marks,
        threshold: f32,
        now: Timestamp,
    ) -> Option<Nearest> {
        let partition = self.partitions.get(place)?;
        if partition.width != vector.len() {
            return None;
        }
        let is_alive = |number: usize| {
            let known = partition.known.get(&number);
            known.is_some_and(|known| known.expires_at > now)
        };
        let scanned = partition.scanned.iter();
        let scanned = scanned.map(|(number, other)| (*number, dot(vector, other)));
        let graphs = partition.graphs.iter();
        let arranged = graphs.flat_map(|arranged| arranged.graph.nearest(vector, is_alive));
        let mut best: Option<Nearest> = None;
        for (number, likeness) in scanned.chain(arranged) {
            let is_better = best.is_none_or(|best| likeness > best.likeness);
            if likeness < threshold || !is_better {
                continue;
            }
            let known = partition.known.get(&number);
            // Marks take longer to compare than vectors: only where it matters.
            if let Some(known) =
                known.filter(|known| known.expires_at > now && known.marks.allow(marks))
            {
                let key = known.key;
                best = Some(Nearest { key, likeness });
            }
        }
        best
    }

    /// Notes what was asked, of which `key` finds the answer until `expires_at`. Beyond the bounds the oldest go.
    /// Answers whether there is something to [arrange](Self::arrange) at `place`.
    pub(super) fn insert(
        &mut self,
        place: Place,
        key: CacheKey,
        vector: Arc<[f32]>,
        marks: Marks,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.make_room(&place, &key, vector.len(), now);
        let number = self.next;
        self.next += 1;
        let width = vector.len();
        let partition = self
            .partitions
            .entry(place)
            .or_insert_with(|| Partition::new(width));
        partition.scanned.insert(number, vector);
        partition.numbers.insert(key, number);
        let known = Known {
            key,
            marks,
            expires_at,
        };
        partition.known.insert(number, known);
        let is_large = partition.known.len() > self.bounds.max_scanned;
        let is_arranged = !partition.graphs.is_empty();
        self.order.insert(number, place);
        while self.order.len() > self.bounds.max {
            let Some((number, place)) = self.order.pop_first() else {
                break;
            };
            self.remove(number, &place);
        }
        is_large || is_arranged
    }

    /// Puts the oldest vector at `place` that stands in no graph into one; `false` where there is none.
    pub(super) fn arrange(&mut self, place: &Place) -> bool {
        let Some(partition) = self.partitions.get_mut(place) else {
            return false;
        };
        let Some((number, vector)) = partition.scanned.pop_first() else {
            return false;
        };
        if partition
            .graphs
            .last()
            .is_none_or(|last| last.graph.is_full())
        {
            partition.graphs.push(Arranged {
                graph: Graph::new(),
                first: number,
                alive: 0,
            });
        }
        if let Some(last) = partition.graphs.last_mut() {
            last.graph.insert(number, &vector);
            last.alive += 1;
        }
        true
    }

    /// Makes room for another at `place`: what it replaces, what has expired and what is too much goes.
    fn make_room(&mut self, place: &Place, key: &CacheKey, width: usize, now: Timestamp) {
        let Some(partition) = self.partitions.get(place) else {
            return;
        };
        let known = &partition.known;
        let going: Vec<usize> = if partition.width == width {
            let too_many = (known.len() + 1).saturating_sub(self.bounds.max_partition);
            let replaced = partition.numbers.get(key).copied();
            let oldest = known.iter().enumerate();
            let oldest = oldest
                .take_while(|(at, (_, known))| *at < too_many || known.expires_at <= now)
                .map(|(_, (number, _))| *number);
            replaced.into_iter().chain(oldest).collect()
        } else {
            // Another model has made those.
            known.keys().copied().collect()
        };
        for number in going {
            self.remove(number, place);
        }
    }

    fn remove(&mut self, number: usize, place: &Place) {
        self.order.remove(&number);
        if let Some(partition) = self.partitions.get_mut(place) {
            partition.remove(number);
            if partition.known.is_empty() {
                self.partitions.remove(place);
            }
        }
    }

    /// Forgets those whose answers `is_meant`.
    pub(super) fn remove_all(&mut self, is_meant: impl Fn(&CacheKey) -> bool) {
        let mut meant: Vec<(usize, Place)> = Vec::new();
        for (place, partition) in &self.partitions {
            let known = partition.known.iter();
            let of_place = known.filter(|(_, known)| is_meant(&known.key));
            meant.extend(of_place.map(|(number, _)| (*number, *place)));
        }
        for (number, place) in meant {
            self.remove(number, &place);
        }
    }
}

impl Partition {
    fn new(width: usize) -> Self {
        Self {
            width,
            known: BTreeMap::new(),
            numbers: HashMap::new(),
            scanned: BTreeMap::new(),
            graphs: Vec::new(),
        }
    }

    fn remove(&mut self, number: usize) {
        let Some(known) = self.known.remove(&number) else {
            return;
        };
        self.numbers.remove(&known.key);
        if self.scanned.remove(&number).is_some() {
            return;
        }
        // Vectors come into graphs in the order of their numbers.
        let holding = self.graphs.partition_point(|graph| graph.first <= number);
        let Some(at) = holding.checked_sub(1) else {
            return;
        };
        if let Some(graph) = self.graphs.get_mut(at) {
            graph.alive = graph.alive.saturating_sub(1);
            if graph.alive == 0 {
                self.graphs.remove(at);
            }
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
mod tests;
