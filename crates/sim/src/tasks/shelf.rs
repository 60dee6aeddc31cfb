//! What is kept between requests, within bounds: files, batches, fine-tuning, and jobs whose result is asked for later.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

/// How many files are kept, and how many bytes they may have together; the oldest goes first.
const FILES: usize = 256;
const FILE_BYTES: usize = 64 * 1024 * 1024;
/// How many batches, as many of fine-tuning, and jobs are kept.
const BATCHES: usize = 256;
const JOBS: usize = 1_000;

/// A file that was uploaded, or made by a batch.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) purpose: String,
    pub(crate) created: u64,
    pub(crate) bytes: Bytes,
}

/// A job that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// How often it was looked at.
    pub(crate) looks: u32,
    /// What is told once it is done.
    pub(crate) done: Value,
}

/// The shelf.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// How many files, batches and jobs there ever were: it makes their ids.
    count: u64,
    files: VecDeque<File>,
    batches: VecDeque<Value>,
    tunings: VecDeque<Value>,
    jobs: VecDeque<Job>,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that was not given before.
    pub(crate) fn number(&self) -> u64 {
        let mut kept = self.lock();
        kept.count += 1;
        kept.count
    }

    pub(crate) fn put_file(&self, file: File) {
        let mut kept = self.lock();
        kept.files.push_back(file);
        while kept.files.len() > FILES
            || kept
                .files
                .iter()
                .map(|file| file.bytes.len())
                .sum::<usize>()
                > FILE_BYTES
        {
            kept.files.pop_front();
        }
    }

    pub(crate) fn file(&self, id: &str) -> Option<File> {
        self.lock().files.iter().find(|file| file.id == id).cloned()
    }

    /// The files, newest first.
    pub(crate) fn files(&self) -> Vec<File> {
        self.lock().files.iter().rev().cloned().collect()
    }

    /// Throws a file away; whether it was there.
    pub(crate) fn remove_file(&self, id: &str) -> bool {
        let mut kept = self.lock();
        let before = kept.files.len();
        kept.files.retain(|file| file.id != id);
        kept.files.len() < before
    }

    /// Keeps a batch, in the place of the one with its id.
    pub(crate) fn put_batch(&self, batch: Value) {
        put(&mut self.lock().batches, batch);
    }

    pub(crate) fn batch(&self, id: &str) -> Option<Value> {
        let kept = self.lock();
        kept.batches.iter().find(|batch| batch["id"] == id).cloned()
    }

    /// The batches, newest first.
    pub(crate) fn batches(&self) -> Vec<Value> {
        self.lock().batches.iter().rev().cloned().collect()
    }

    /// Keeps a fine-tuning job, in the place of the one with its id.
    pub(crate) fn put_tuning(&self, job: Value) {
        put(&mut self.lock().tunings, job);
    }

    pub(crate) fn tuning(&self, id: &str) -> Option<Value> {
        let kept = self.lock();
        kept.tunings.iter().find(|job| job["id"] == id).cloned()
    }

    /// The fine-tuning jobs, newest first.
    pub(crate) fn tunings(&self) -> Vec<Value> {
        self.lock().tunings.iter().rev().cloned().collect()
    }

    pub(crate) fn put_job(&self, id: String, done: Value) {
        let mut kept = self.lock();
        kept.jobs.push_back(Job { id, looks: 0, done });
        if kept.jobs.len() > JOBS {
            kept.jobs.pop_front();
        }
    }

    /// Looks at a job, and notes that.
    pub(crate) fn look(&self, id: &str) -> Option<Job> {
        let mut kept = self.lock();
        let job = kept.jobs.iter_mut().find(|job| job.id == id)?;
        job.looks += 1;
        Some(job.clone())
    }
}

/// Puts an object in the place of the one with its id, or last; the first goes when there are too many.
fn put(kept: &mut VecDeque<Value>, object: Value) {
    match kept.iter_mut().find(|known| known["id"] == object["id"]) {
        Some(known) => *known = object,
        None => kept.push_back(object),
    }
    if kept.len() > BATCHES {
        kept.pop_front();
    }
}
