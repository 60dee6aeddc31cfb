//! The simulated prompt cache: which beginnings of a prompt were seen before, and what reading or writing them costs.

use std::collections::{HashMap, VecDeque};

use crate::digest::Digest;
use crate::tokens;

/// The shortest prefix that a cache keeps, in tokens.
/// See <https://platform.openai.com/docs/guides/prompt-caching> and
/// <https://docs.claude.com/en/docs/build-with-claude/prompt-caching>.
pub(crate) const LEAST: u64 = 1024;
/// Automatic caches grow in steps of this many tokens.
const STEP: u64 = 128;
/// How many prefixes are remembered.
const KEPT: usize = 20_000;
/// How far before a breakpoint an older one is looked for, in blocks.
const LOOK_BACK: usize = 20;
/// How long an automatic cache remembers, in seconds.
const AUTOMATIC_LIFE: u64 = 600;

/// The beginnings of one prompt that a cache may know.
#[derive(Debug, Default)]
pub(crate) enum Prefix {
    /// Nothing to be cached.
    #[default]
    None,
    /// Cached by itself: the hashes of the prompt's beginnings, 128 tokens apart.
    Automatic(Vec<u64>),
    /// Cached where the caller marked it.
    Marked {
        blocks: Vec<Block>,
        marks: Vec<Mark>,
    },
}

/// One block of a prompt: everything up to its end.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) hash: u64,
    pub(crate) tokens: u64,
}

/// A breakpoint that the caller set on a block.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) block: usize,
    pub(crate) life: Life,
}

/// How long a marked prefix lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    FiveMinutes,
    OneHour,
}

impl Life {
    const fn seconds(self) -> u64 {
        match self {
            Self::FiveMinutes => 300,
            Self::OneHour => 3600,
        }
    }
}

impl Prefix {
    /// The beginnings of `text`, which stands for a prompt of `input` tokens.
    pub(crate) fn automatic(digest: Digest, text: &[u8], input: u64) -> Self {
        let steps = usize::try_from(input / STEP).unwrap_or(usize::MAX);
        let mut running = digest;
        let hashes: Vec<u64> = text
            .chunks_exact(4 * 128)
            .take(steps)
            .map(|chunk| {
                running = running.with(chunk);
                running.value()
            })
            .collect();
        if (hashes.len() as u64) * STEP < LEAST {
            Self::None
        } else {
            Self::Automatic(hashes)
        }
    }
}

/// What a cache did for one request, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheUse {
    pub(crate) read: u64,
    pub(crate) write_5m: u64,
    pub(crate) write_1h: u64,
}

/// The prefixes seen so far, until when each is remembered.
#[derive(Debug, Default)]
pub(crate) struct PrefixCache {
    until: HashMap<u64, u64>,
    order: VecDeque<u64>,
}

impl PrefixCache {
    /// Looks a prompt up and remembers it; `now` is in seconds since 1970.
    pub(crate) fn pass(&mut self, prefix: &Prefix, now: u64) -> CacheUse {
        match prefix {
            Prefix::None => CacheUse::default(),
            Prefix::Automatic(hashes) => self.pass_automatic(hashes, now),
            Prefix::Marked { blocks, marks } => self.pass_marked(blocks, marks, now),
        }
    }

    fn pass_automatic(&mut self, hashes: &[u64], now: u64) -> CacheUse {
        let seen = hashes
            .iter()
            .rposition(|hash| self.knows(*hash, now))
            .map_or(0, |place| (place as u64 + 1) * STEP);
        for hash in hashes {
            self.remember(*hash, now + AUTOMATIC_LIFE);
        }
        CacheUse {
            read: if seen < LEAST { 0 } else { seen },
            ..CacheUse::default()
        }
    }

    fn pass_marked(&mut self, blocks: &[Block], marks: &[Mark], now: u64) -> CacheUse {
        let known = |block: &&Block| block.tokens >= LEAST && self.knows(block.hash, now);
        let read = marks
            .iter()
            .rev()
            .find_map(|mark| {
                blocks
                    .get(mark.block.saturating_sub(LOOK_BACK)..=mark.block)?
                    .iter()
                    .rev()
                    .find(known)
            })
            .map_or(0, |block| block.tokens);
        let mut written = CacheUse {
            read,
            ..CacheUse::default()
        };
        let mut reached = read;
        for mark in marks {
            let Some(block) = blocks.get(mark.block).filter(|block| block.tokens >= LEAST) else {
                continue;
            };
            let fresh = block.tokens.saturating_sub(reached);
            match mark.life {
                Life::FiveMinutes => written.write_5m += fresh,
                Life::OneHour => written.write_1h += fresh,
            }
            reached = reached.max(block.tokens);
            self.remember(block.hash, now + mark.life.seconds());
        }
        written
    }

    fn knows(&self, hash: u64, now: u64) -> bool {
        self.until.get(&hash).is_some_and(|until| *until > now)
    }

    fn remember(&mut self, hash: u64, until: u64) {
        if self.until.insert(hash, until).is_none() {
            self.order.push_back(hash);
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.until.remove(&oldest);
        }
    }
}

/// Collects the blocks of a prompt whose caller marks what is to be cached.
#[derive(Debug)]
pub(crate) struct MarkedPrefix {
    running: Digest,
    tokens: u64,
    blocks: Vec<Block>,
    marks: Vec<Mark>,
}

impl MarkedPrefix {
    pub(crate) const fn new(digest: Digest) -> Self {
        Self {
            running: digest,
            tokens: 0,
            blocks: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Adds a block of text that costs `tokens`.
    pub(crate) fn block(&mut self, text: &str, tokens: u64) {
        self.running = self.running.with(text.as_bytes());
        self.tokens += tokens;
        self.blocks.push(Block {
            hash: self.running.value(),
            tokens: self.tokens,
        });
    }

    /// Adds tokens that belong to no block.
    pub(crate) fn frame(&mut self) {
        self.tokens += tokens::MESSAGE;
    }

    /// Marks the last block.
    pub(crate) fn mark(&mut self, life: Life) {
        if let Some(block) = self.blocks.len().checked_sub(1) {
            self.marks.push(Mark { block, life });
        }
    }

    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }

    pub(crate) fn marks(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn finish(self) -> Prefix {
        if self.marks.is_empty() {
            Prefix::None
        } else {
            Prefix::Marked {
                blocks: self.blocks,
                marks: self.marks,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_automatic_cache_reads_in_steps_once_the_beginning_was_seen() {
        let mut cache = PrefixCache::default();
        let text = vec![b'a'; 4 * 1500];
        let prefix = |text: &[u8]| Prefix::automatic(Digest::new(1), text, 1500);
        assert_eq!(cache.pass(&prefix(&text), 0).read, 0);
        assert_eq!(cache.pass(&prefix(&text), 1).read, 1408);
        let mut other_end = text.clone();
        other_end[4 * 1100..].fill(b'b');
        assert_eq!(cache.pass(&prefix(&other_end), 1).read, 1024);
        assert_eq!(cache.pass(&prefix(&text), 10_000).read, 0, "it forgets");
    }

    #[test]
    fn a_short_prompt_is_not_cached() {
        assert!(matches!(
            Prefix::automatic(Digest::new(1), &[b'a'; 4 * 1000], 1000),
            Prefix::None
        ));
    }

    fn marked(texts: &[(&str, u64, Option<Life>)]) -> Prefix {
        let mut prefix = MarkedPrefix::new(Digest::new(1));
        for (text, tokens, life) in texts {
            prefix.block(text, *tokens);
            if let Some(life) = life {
                prefix.mark(*life);
            }
        }
        prefix.finish()
    }

    #[test]
    fn a_marked_prefix_is_written_once_and_then_read() {
        let mut cache = PrefixCache::default();
        let first = marked(&[
            ("tools", 1500, Some(Life::OneHour)),
            ("question", 600, Some(Life::FiveMinutes)),
            ("rest", 10, None),
        ]);
        assert_eq!(
            cache.pass(&first, 0),
            CacheUse {
                read: 0,
                write_5m: 600,
                write_1h: 1500
            }
        );
        assert_eq!(
            cache.pass(&first, 1),
            CacheUse {
                read: 2100,
                ..CacheUse::default()
            }
        );
        assert_eq!(
            cache.pass(&first, 400),
            CacheUse {
                read: 1500,
                write_5m: 600,
                write_1h: 0
            },
            "five minutes are over"
        );
    }

    #[test]
    fn a_breakpoint_that_moved_on_still_reads_what_was_written_before_it() {
        let mut cache = PrefixCache::default();
        cache.pass(&marked(&[("a", 2000, Some(Life::FiveMinutes))]), 0);
        let moved = marked(&[
            ("a", 2000, None),
            ("b", 50, None),
            ("c", 50, Some(Life::FiveMinutes)),
        ]);
        assert_eq!(
            cache.pass(&moved, 1),
            CacheUse {
                read: 2000,
                write_5m: 100,
                write_1h: 0
            }
        );
    }

    #[test]
    fn too_short_a_prefix_is_neither_written_nor_read() {
        let mut cache = PrefixCache::default();
        let short = marked(&[("a", 1000, Some(Life::FiveMinutes))]);
        assert_eq!(cache.pass(&short, 0), CacheUse::default());
        assert_eq!(cache.pass(&short, 0), CacheUse::default());
    }
}
