//! Answers to what means the same as something that was asked before.
//!
//! Only the last words of the user are compared, and only within a partition: requests that are the same but for
//! these words. They are compared by their vectors, and by their [marks](marks), which vectors do not tell
//! apart. In shadow mode nothing is served: what would have been served is compared with the real answer.

mod graph;
mod index;
mod marks;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use domain::cache::CacheKey;
use domain::caller::Caller;
use domain::embedder::{Embedder, EmbedderError};
use domain::name::ModelName;
use jiff::Timestamp;
use serde::Serialize;

pub(in crate::cache) use self::index::Place;
use self::index::{Bounds, Index, dot};
use self::marks::Marks;
use super::question::Alike;
use super::vectors::Asks;

/// How many texts' vectors are remembered.
const REMEMBERED: usize = 4_096;
/// The most requests of one partition that are all compared with one; beyond that a graph finds the closest. So
/// many take about a third of a millisecond.
const MAX_SCANNED: usize = 4_096;
/// How many vectors are put into a graph at a time, about a millisecond each: more than come meanwhile, so that all
/// of them get there.
const ARRANGED: usize = 4;

/// Who gives texts their vectors.
pub enum Embedding {
    /// A model in this process.
    Here(Arc<dyn Embedder>),
    /// A provider, by `provider/model`.
    At(ModelName),
}

/// What the operator wants of answers to what means the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SemanticRules {
    /// How alike two requests must be, 0 to 1, unless their route says otherwise.
    pub threshold: f32,
    /// Whether answers are served.
    pub mode: SemanticMode,
    /// How alike two answers are at least that say the same, 0 to 1; for shadow mode.
    pub answer_threshold: f32,
    /// The most requests that are compared with, in all.
    pub max_entries: usize,
    /// The most of them in one partition.
    pub max_partition: usize,
    /// How long a request waits for its vector.
    pub wait: Duration,
}

/// Whether answers to what means the same are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SemanticMode {
    /// They are.
    Serve,
    /// They are not: it is measured how often they would be, and how often they would be wrong.
    Shadow,
}

/// Finds answers to what means the same.
pub struct Semantic {
    pub(super) rules: SemanticRules,
    embedding: Embedding,
    index: Mutex<Index>,
    /// By what makes them, whose they are and the text: nobody learns from how long it takes that another tenant
    /// has asked the same.
    vectors: quick_cache::sync::Cache<[u8; 32], Arc<[f32]>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    looked_up: AtomicU64,
    hits: AtomicU64,
    failures: AtomicU64,
    remembered: AtomicU64,
    would_hit: AtomicU64,
    confirmed: AtomicU64,
    false_hits: AtomicU64,
}

/// What happened since the process began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SemanticStats {
    /// Requests that are compared with.
    pub entries: u64,
    /// Requests that were compared.
    pub looked_up: u64,
    /// Calls that were answered because something that means the same had been asked.
    pub hits: u64,
    /// How often there was no vector: the text was too long, the model busy, or the caller's budget spent.
    pub failures: u64,
    /// Vectors that were remembered and did not have to be made.
    pub vectors_remembered: u64,
    /// In shadow mode: how often an answer would have been served.
    pub would_hit: u64,
    /// How often it said what the real answer said.
    pub confirmed: u64,
    /// How often it did not.
    pub false_hits: u64,
}

/// A request that was compared and is to be noted once it has an answer.
pub(super) struct Compared {
    place: Place,
    vector: Arc<[f32]>,
    marks: Marks,
    /// In shadow mode: whose answer would have been served, and to whom.
    pub(super) would_serve: Option<(CacheKey, Caller)>,
}

/// Who asks, and how a provider is asked on their behalf.
pub(super) struct Asker<'a> {
    pub(super) caller: &'a Caller,
    pub(super) asks: &'a dyn Asks,
}

impl Semantic {
    /// Compares by the vectors of `embedding`; nothing is known yet.
    pub fn new(rules: SemanticRules, embedding: Embedding) -> Self {
        let bounds = Bounds {
            max: rules.max_entries,
            max_partition: rules.max_partition,
            max_scanned: MAX_SCANNED,
        };
        Self {
            rules,
            embedding,
            index: Mutex::new(Index::new(bounds)),
            vectors: quick_cache::sync::Cache::new(REMEMBERED),
            counts: Counts::default(),
        }
    }

    pub(super) fn stats(&self) -> SemanticStats {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = &self.counts;
        SemanticStats {
            entries: self.index().len() as u64,
            looked_up: of(&counts.looked_up),
            hits: of(&counts.hits),
            failures: of(&counts.failures),
            vectors_remembered: of(&counts.remembered),
            would_hit: of(&counts.would_hit),
            confirmed: of(&counts.confirmed),
            false_hits: of(&counts.false_hits),
        }
    }

    /// Compares a request with those that are known: whose answer may be served, and what is to be noted of
    /// this one. `None` where it has no vector.
    pub(super) async fn compare(
        &self,
        asker: &Asker<'_>,
        alike: &Alike,
        threshold: Option<f32>,
        now: Timestamp,
    ) -> Option<(Option<CacheKey>, Compared)> {
        let vector = self.vector(asker, &alike.words).await?;
        self.counts.looked_up.fetch_add(1, Ordering::Relaxed);
        let marks = Marks::of(&alike.words);
        let place = Place {
            partition: alike.partition,
            marks: marks.digest(),
        };
        let threshold = threshold.unwrap_or(self.rules.threshold);
        let index = self.index();
        let near = index.nearest(&place, &vector, &marks, threshold, now);
        drop(index);
        let near = near.map(|near| near.key);
        let (serves, would_serve) = match self.rules.mode {
            SemanticMode::Serve => (near, None),
            SemanticMode::Shadow => (None, near.map(|key| (key, asker.caller.clone()))),
        };
        if would_serve.is_some() {
            self.counts.would_hit.fetch_add(1, Ordering::Relaxed);
        }
        let compared = Compared {
            place,
            vector,
            marks,
            would_serve,
        };
        Some((serves, compared))
    }

    /// Notes a request that `key` finds the answer of until `expires_at`; answers what is to be
    /// [arranged](Self::arrange) later.
    pub(super) fn note(
        &self,
        compared: Compared,
        key: CacheKey,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Option<Place> {
        let Compared {
            place,
            vector,
            marks,
            ..
        } = compared;
        let mut index = self.index();
        let is_to_be_arranged = index.insert(place, key, vector, marks, expires_at, now);
        is_to_be_arranged.then_some(place)
    }

    /// Puts some of what was noted at `place` where it is found without looking at all of it. Who compares
    /// meanwhile waits for one of them at most.
    pub(super) fn arrange(&self, place: &Place) {
        for _ in 0..ARRANGED {
            if !self.index().arrange(place) {
                break;
            }
        }
    }

    pub(super) fn hit(&self) {
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Forgets requests whose answers `is_meant`.
    pub(super) fn forget(&self, is_meant: impl Fn(&CacheKey) -> bool) {
        self.index().remove_all(is_meant);
    }

    /// Whether the answer that would have been served says what the real one says.
    pub(super) async fn judge(&self, asker: &Asker<'_>, served: &str, real: &str) {
        let Some(served) = self.vector(asker, served).await else {
            return;
        };
        let Some(real) = self.vector(asker, real).await else {
            return;
        };
        let count = if dot(&served, &real) >= self.rules.answer_threshold {
            &self.counts.confirmed
        } else {
            &self.counts.false_hits
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The vector of a text; `None` where there is none.
    async fn vector(&self, asker: &Asker<'_>, text: &str) -> Option<Arc<[f32]>> {
        let key = self.place(asker.caller, text);
        if let Some(vector) = self.vectors.get(&key) {
            self.counts.remembered.fetch_add(1, Ordering::Relaxed);
            return Some(vector);
        }
        let vector = match &self.embedding {
            Embedding::Here(embedder) => embedder.embed(text).await,
            Embedding::At(model) => asker.asks.ask(model, text).await.and_then(unit),
        };
        match vector {
            Ok(vector) => {
                let vector: Arc<[f32]> = vector.into();
                self.vectors.insert(key, Arc::clone(&vector));
                Some(vector)
            }
            Err(error) => {
                self.has_no_vector();
                tracing::debug!(%error, "a text has no vector");
                None
            }
        }
    }

    /// Counts that a request had no vector.
    pub(super) fn has_no_vector(&self) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn place(&self, caller: &Caller, text: &str) -> [u8; 32] {
        let model = match &self.embedding {
            Embedding::Here(_) => "",
            Embedding::At(model) => model.as_str(),
        };
        let mut hash = Context::new(&SHA256);
        for part in [
            model,
            &caller.organization_id().to_string(),
            &caller.project_id().to_string(),
            text,
        ] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let mut place = [0; 32];
        place.copy_from_slice(hash.finish().as_ref());
        place
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same direction with length 1.
fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, EmbedderError> {
    let length = dot(&vector, &vector).sqrt();
    if !length.is_normal() {
        return Err(EmbedderError::Failed(
            "the vector has no direction".to_owned(),
        ));
    }
    for number in &mut vector {
        *number /= length;
    }
    Ok(vector)
}
