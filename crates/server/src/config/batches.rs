//! `batches`: how many requests of batches are asked at the same time, and how large batches may be.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::batches::BatchRules;

use super::fields::{Fields, Section};
use super::size::ByteSize;

/// What bounds batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    concurrency: NonZeroU32,
    max_lines: NonZeroU32,
    max_bytes: ByteSize,
    max_open: NonZeroU32,
    poll: Duration,
    keep: Duration,
}

impl Batches {
    /// The bounds.
    pub fn rules(&self) -> BatchRules {
        BatchRules {
            concurrency: self.concurrency.get() as usize,
            max_lines: self.max_lines.get(),
            max_bytes: self.max_bytes.bytes(),
            max_open: self.max_open.get(),
            poll: self.poll,
            keep: self.keep,
        }
    }
}

impl Section for Batches {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let concurrency = fields.or(
            "concurrency",
            "8",
            "How many requests of batches this process asks at the same time, where no provider \
             takes the batch as a whole.",
        );
        let max_lines = fields.or("max_lines", "50000", "The most requests of one batch.");
        let max_bytes = fields.or(
            "max_bytes",
            "100MiB",
            "The largest file of requests. A batch that a provider takes as a whole is in memory \
             while it is handed over.",
        );
        let max_open = fields.or(
            "max_open",
            "100",
            "The most batches of one key that have not ended; more are answered with status 429.",
        );
        let poll = fields.or(
            "poll",
            "30s",
            "How often a provider is asked how far its batch has come.",
        );
        let keep = fields.or(
            "keep",
            "29d",
            "How long batches that have ended, and the results of message batches, are kept.",
        );
        Some(Self {
            concurrency: concurrency?,
            max_lines: max_lines?,
            max_bytes: max_bytes?,
            max_open: max_open?,
            poll: poll?,
            keep: keep?,
        })
    }
}
