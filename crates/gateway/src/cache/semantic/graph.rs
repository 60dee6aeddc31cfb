//! The vectors of a large partition as a graph: a hierarchical navigable small world (<https://arxiv.org/abs/1603.09320>).
//!
//! The library is met here only, so that what it does with values that it does not expect is looked after in one
//! place: it asserts that distances are not negative, and takes vectors of different lengths.

use hnsw_rs::prelude::{Distance, Hnsw};

use super::index::dot;

/// How many neighbours a vector has in the graph.
const NEIGHBOURS: usize = 16;
/// The most layers of the graph.
const LAYERS: usize = 16;
/// How many are looked at to find a new vector's neighbours.
const CARE: usize = 100;
/// How many of the closest are looked for: those that may not answer are among them.
const WANTED: usize = 64;

/// A graph of at most [`Graph::MAX`] vectors. Nothing is taken out of it: what is gone is passed by, and the
/// graph goes as a whole when nothing is left that is wanted.
pub(super) struct Graph {
    graph: Hnsw<'static, f32, Angle>,
    len: usize,
}

#[derive(Clone, Copy, Default)]
struct Angle;

impl Distance<f32> for Angle {
    /// Never negative, and never no number: rounding must not make the library panic.
    fn eval(&self, one: &[f32], other: &[f32]) -> f32 {
        (1.0 - dot(one, other)).max(0.0)
    }
}

impl Graph {
    /// The most vectors of one graph. What is gone takes memory until the whole graph goes, so it is bounded.
    pub(super) const MAX: usize = 32_768;

    /// A graph without vectors.
    pub(super) fn new() -> Self {
        // The number of vectors is a hint for allocations.
        let graph = Hnsw::new(NEIGHBOURS, 1_024, LAYERS, CARE, Angle);
        Self { graph, len: 0 }
    }

    /// Whether no vector has room any more.
    pub(super) fn is_full(&self) -> bool {
        self.len >= Self::MAX
    }

    /// Takes a vector in, whose number is found again. All vectors must be of one length.
    pub(super) fn insert(&mut self, number: usize, vector: &[f32]) {
        self.graph.insert((vector, number));
        self.len += 1;
    }

    /// The numbers of the closest vectors that are `wanted`, each with its likeness, the closest first.
    pub(super) fn nearest(
        &self,
        vector: &[f32],
        wanted: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (usize, f32)> {
        let is_wanted = |number: &usize| wanted(*number);
        let found = self
            .graph
            .search_filter(vector, WANTED, WANTED, Some(&is_wanted));
        found
            .into_iter()
            .map(|neighbour| (neighbour.d_id, 1.0 - neighbour.distance))
    }
}
