//! The answer's body: what is sent, in which pieces, at which pace, and how it ends.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::record::Entry;

/// The connection breaks here: what a caller sees when the simulated provider cuts an answer short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimCut;

impl std::fmt::Display for SimCut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the simulated connection broke")
    }
}

impl std::error::Error for SimCut {}

/// How a body ends once its pieces are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Complete,
    /// The connection breaks.
    Cut,
    /// Nothing more comes, and nothing closes.
    Hang,
}

/// An answer's body. Dropping it before its end leaves its call marked as not completed.
#[derive(Debug, Default)]
pub struct SimBody {
    pieces: VecDeque<Bytes>,
    ending: Ending,
    pause: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether what was handed over before is flushed before each further piece.
    is_flushed_between: bool,
    /// Whether the server was just given the chance to flush.
    has_rested: bool,
    /// The length told to the caller; a stream tells none.
    promised: Option<u64>,
    entry: Option<Entry>,
    /// Set once everything was handed over.
    done: Option<Arc<AtomicBool>>,
}

impl SimBody {
    /// A body of known length in one piece.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self {
            promised: Some(bytes.len() as u64),
            pieces: VecDeque::from([bytes]),
            ..Self::default()
        }
    }

    /// A body that comes piece by piece, of unknown length.
    pub(crate) fn pieces(pieces: VecDeque<Bytes>) -> Self {
        Self {
            pieces,
            ..Self::default()
        }
    }

    /// Keeps the first `count` pieces and ends as told after them.
    #[must_use]
    pub(crate) fn ending_after(mut self, count: usize, ending: Ending) -> Self {
        self.pieces.truncate(count);
        self.ending = ending;
        self
    }

    /// Keeps the first half of the bytes and ends as told after them; the promised length stays.
    #[must_use]
    pub(crate) fn ending_half_way(mut self, ending: Ending) -> Self {
        let half = self.pieces.iter().map(Bytes::len).sum::<usize>() / 2;
        let mut kept = 0;
        self.pieces.retain_mut(|piece| {
            piece.truncate(half - kept);
            kept += piece.len();
            !piece.is_empty()
        });
        self.ending = ending;
        self
    }

    /// Waits this long before every piece but the first.
    #[must_use]
    pub(crate) fn paced(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Cuts what is sent into pieces of `size` bytes, wherever that falls.
    #[must_use]
    pub(crate) fn in_pieces_of(mut self, size: usize) -> Self {
        let mut all = Vec::new();
        for piece in &self.pieces {
            all.extend_from_slice(piece);
        }
        let all = Bytes::from(all);
        let size = size.max(1);
        self.is_flushed_between = true;
        self.pieces = (0..all.len())
            .step_by(size)
            .map(|start| all.slice(start..all.len().min(start + size)))
            .collect();
        self
    }

    /// Ties the body to its call, which is marked as completed when everything was handed over.
    #[must_use]
    pub(crate) fn recorded(mut self, entry: Entry) -> Self {
        self.entry = Some(entry);
        self.note_if_complete();
        self
    }

    /// Sets a mark when everything was handed over.
    #[must_use]
    pub(crate) fn marking(mut self, done: Arc<AtomicBool>) -> Self {
        self.done = Some(done);
        self.note_if_complete();
        self
    }

    fn note_if_complete(&mut self) {
        if !self.pieces.is_empty() || self.ending != Ending::Complete {
            return;
        }
        if let Some(entry) = self.entry.take() {
            entry.note(|call| call.completed = true);
        }
        if let Some(done) = self.done.take() {
            done.store(true, Ordering::Release);
        }
    }
}

impl Body for SimBody {
    type Data = Bytes;
    type Error = SimCut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, SimCut>>> {
        let body = &mut *self;
        if let Some(sleep) = &mut body.sleep {
            ready!(sleep.as_mut().poll(context));
            body.sleep = None;
        }
        // A server flushes when its body has nothing ready. Without that, small pieces would be joined into one packet, and what
        // came before a cut would be thrown away with the connection.
        let is_cut_next = body.pieces.is_empty() && body.ending == Ending::Cut;
        if (body.is_flushed_between || is_cut_next) && !body.has_rested {
            body.has_rested = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        body.has_rested = false;
        if let Some(piece) = body.pieces.pop_front() {
            if !body.pause.is_zero() && !body.pieces.is_empty() {
                body.sleep = Some(Box::pin(tokio::time::sleep(body.pause)));
            }
            body.note_if_complete();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match body.ending {
            Ending::Complete => Poll::Ready(None),
            Ending::Cut => Poll::Ready(Some(Err(SimCut))),
            // Nobody is woken: the caller's own timeout or hang-up ends this.
            Ending::Hang => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.ending == Ending::Complete
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        match (self.promised, self.ending) {
            (Some(_), Ending::Complete) => SizeHint::with_exact(left),
            (Some(promised), Ending::Cut | Ending::Hang) => SizeHint::with_exact(promised),
            (None, _) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn body() -> SimBody {
        SimBody::pieces(["one ", "two ", "three"].map(Bytes::from).into())
    }

    async fn pieces(mut body: SimBody) -> (Vec<Bytes>, Option<SimCut>) {
        let mut pieces = Vec::new();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => pieces.push(frame.into_data().unwrap()),
                Err(cut) => return (pieces, Some(cut)),
            }
        }
        (pieces, None)
    }

    #[tokio::test]
    async fn pieces_come_as_they_were_given() {
        assert_eq!(
            pieces(body()).await,
            (vec!["one ".into(), "two ".into(), "three".into()], None)
        );
    }

    #[tokio::test]
    async fn a_cut_is_an_error_after_the_pieces_before_it() {
        assert_eq!(
            pieces(body().ending_after(1, Ending::Cut)).await,
            (vec!["one ".into()], Some(SimCut))
        );
        assert_eq!(
            pieces(body().ending_half_way(Ending::Cut)).await,
            (vec!["one ".into(), "tw".into()], Some(SimCut))
        );
    }

    #[tokio::test]
    async fn repacking_keeps_every_byte() {
        let (repacked, cut) = pieces(body().in_pieces_of(5)).await;
        assert_eq!(repacked, ["one t", "wo th", "ree"]);
        assert_eq!(cut, None);
    }

    #[tokio::test]
    async fn a_cut_whole_body_still_promises_its_full_length() {
        let body = SimBody::whole(Bytes::from_static(b"0123456789")).ending_half_way(Ending::Cut);
        assert_eq!(body.size_hint().exact(), Some(10));
        assert_eq!(pieces(body).await, (vec!["01234".into()], Some(SimCut)));
    }
}
