//! The body of a response.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as Routed;
use bytes::Bytes;
use futures_util::Stream;
use gateway::reply::ReplyStream;
use http_body::{Body, Frame, SizeHint};

/// The body of a response. The two that calls are answered with are not boxed.
pub enum Answer {
    /// All at once; `None` when it was taken.
    Whole(Option<Bytes>),
    /// Bit by bit.
    Stream(Box<ReplyStream>),
    /// What a handler of the router made.
    Routed(Routed),
}

impl Answer {
    /// All at once.
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => match Pin::new(&mut *stream).poll_next(context) {
                Poll::Ready(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                // Without an error the caller would take what came for the whole.
                Poll::Ready(None) if stream.take_cut() => Poll::Ready(Some(Err(axum::Error::new(
                    "the provider's answer broke off",
                )))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Self::Routed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(_) => false,
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(_) => SizeHint::default(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}
