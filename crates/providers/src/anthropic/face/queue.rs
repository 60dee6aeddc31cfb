//! The blocks of a stream, one after the other, while the events of other providers interleave.
//!
//! The blocks stand in a queue: what the first one says is written at once; what a later one says waits until
//! those before it are closed.

use std::collections::VecDeque;

use bytes::BytesMut;

use super::blocks::{Block, Delta, Event};

/// The blocks that are not closed.
#[derive(Default)]
pub(super) struct BlockQueue {
    queue: VecDeque<Pending>,
    /// How many blocks there were.
    blocks: u32,
}

/// A block that is not closed.
struct Pending {
    index: u32,
    kind: Kind,
    /// What was written of it while others stood before it.
    written: BytesMut,
}

/// What a block is, and whether it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    SignedThinking,
    Call {
        call: u32,
        has_arguments: bool,
        has_ended: bool,
    },
    /// A block that was whole from the beginning.
    Whole,
}

impl Kind {
    /// A call that begins.
    pub(super) fn call(call: u32) -> Self {
        Self::Call {
            call,
            has_arguments: false,
            has_ended: false,
        }
    }

    /// Whether nothing will be added; `is_last` says that no other block has begun.
    fn is_over(self, is_last: bool) -> bool {
        match self {
            Self::Call { has_ended, .. } => has_ended,
            Self::Whole => true,
            Self::Text | Self::Thinking | Self::SignedThinking => !is_last,
        }
    }
}

impl BlockQueue {
    /// Whether no block was opened.
    pub(super) fn is_untouched(&self) -> bool {
        self.blocks == 0
    }

    /// The block that was opened last, while it is not closed.
    pub(super) fn last(&self) -> Option<Kind> {
        self.queue.back().map(|pending| pending.kind)
    }

    /// Opens a block behind the others.
    pub(super) fn open(&mut self, kind: Kind, content_block: Block<'_>, out: &mut BytesMut) {
        let index = self.blocks;
        self.blocks += 1;
        let start = Event::ContentBlockStart {
            index,
            content_block,
        };
        let mut written = BytesMut::new();
        if self.queue.is_empty() {
            start.write(out);
        } else {
            start.write(&mut written);
        }
        self.queue.push_back(Pending {
            index,
            kind,
            written,
        });
        self.advance(out);
    }

    /// Writes a step of the block that was opened last.
    pub(super) fn step(&mut self, delta: Delta<'_>, out: &mut BytesMut) {
        if let Some(last) = self.queue.len().checked_sub(1) {
            self.step_at(last, delta, out);
        }
    }

    /// Writes the signature over the thought that was opened last.
    pub(super) fn sign(&mut self, signature: &str, out: &mut BytesMut) {
        self.step(Delta::Signature { signature }, out);
        if let Some(last) = self.queue.back_mut() {
            last.kind = Kind::SignedThinking;
        }
    }

    /// Writes a piece of a call's arguments.
    pub(super) fn arguments(&mut self, call: u32, partial_json: &str, out: &mut BytesMut) {
        let Some(place) = self.place_of(call) else {
            return;
        };
        self.step_at(place, Delta::Input { partial_json }, out);
        if let Some(Kind::Call { has_arguments, .. }) = self.kind_at(place) {
            *has_arguments = true;
        }
    }

    /// Ends a call. One without arguments says so in one step, as the clients of this format expect.
    pub(super) fn end_call(&mut self, call: u32, out: &mut BytesMut) {
        let Some(place) = self.place_of(call) else {
            return;
        };
        if let Some(Kind::Call {
            has_arguments: false,
            ..
        }) = self.kind_at(place)
        {
            self.step_at(place, Delta::Input { partial_json: "{}" }, out);
        }
        if let Some(Kind::Call { has_ended, .. }) = self.kind_at(place) {
            *has_ended = true;
        }
        self.advance(out);
    }

    /// Closes every block.
    pub(super) fn close(&mut self, out: &mut BytesMut) {
        let calls: Vec<u32> = self
            .queue
            .iter()
            .filter_map(|pending| match pending.kind {
                Kind::Call { call, .. } => Some(call),
                _ => None,
            })
            .collect();
        for call in calls {
            self.end_call(call, out);
        }
        if let Some(last) = self.queue.back_mut() {
            last.kind = Kind::Whole;
        }
        self.advance(out);
    }

    /// Closes the blocks at the front that are over, and writes what waited behind them.
    fn advance(&mut self, out: &mut BytesMut) {
        while let Some(first) = self.queue.front()
            && first.kind.is_over(self.queue.len() == 1)
        {
            let index = first.index;
            Event::ContentBlockStop { index }.write(out);
            self.queue.pop_front();
            if let Some(next) = self.queue.front_mut() {
                out.unsplit(next.written.split());
            }
        }
    }

    fn step_at(&mut self, place: usize, delta: Delta<'_>, out: &mut BytesMut) {
        if let Some(pending) = self.queue.get_mut(place) {
            let index = pending.index;
            let sink = if place == 0 {
                out
            } else {
                &mut pending.written
            };
            Event::ContentBlockDelta { index, delta }.write(sink);
        }
    }

    fn kind_at(&mut self, place: usize) -> Option<&mut Kind> {
        self.queue.get_mut(place).map(|pending| &mut pending.kind)
    }

    /// Where in the queue a call stands.
    fn place_of(&self, wanted: u32) -> Option<usize> {
        let is_wanted =
            |pending: &Pending| matches!(pending.kind, Kind::Call { call, .. } if call == wanted);
        self.queue.iter().position(is_wanted)
    }
}
