//! What is left of a request's body when its answer did not need it: the path is unknown, or the caller.
//!
//! A connection on which it is left unread cannot be used again, and its client is to know: one that thinks otherwise
//! loses the next request (<https://www.rfc-editor.org/rfc/rfc9112#section-9.6>).

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::oneshot;

/// Reads what is left of a body and keeps none of it; whether that was all. What is longer than `most` bytes, or
/// does not come within `patience`, stays where it is.
pub async fn read_out<B>(body: B, most: usize, patience: Duration) -> bool
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    if body.size_hint().lower() > most as u64 {
        return false;
    }
    let all = async {
        let mut body = pin!(body);
        let mut room = most;
        while let Some(frame) = body.frame().await {
            let length = frame.map(|frame| frame.data_ref().map_or(0, Bytes::len));
            let rest = length.ok().and_then(|length| room.checked_sub(length));
            match rest {
                Some(rest) => room = rest,
                None => return false,
            }
        }
        true
    };
    tokio::time::timeout(patience, all).await.unwrap_or(false)
}

/// A body that its owner has back when whoever it was lent to lets go of it.
pub struct Lent(Option<(Incoming, oneshot::Sender<Incoming>)>);

impl Lent {
    /// Lends a body.
    pub fn new(body: Incoming) -> (Self, oneshot::Receiver<Incoming>) {
        let (owner, back) = oneshot::channel();
        (Self(Some((body, owner))), back)
    }

    fn body(&self) -> Option<&Incoming> {
        self.0.as_ref().map(|(body, _)| body)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((body, owner)) = self.0.take() {
            // An owner who is gone has no use for it.
            drop(owner.send(body));
        }
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Some((body, _)) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body().map(Body::size_hint).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn as_much_is_read_out_as_there_may_be() {
        let body = || Full::new(Bytes::from_static(b"12345"));
        assert!(read_out(body(), 5, PATIENCE).await);
        assert!(!read_out(body(), 4, PATIENCE).await);
        // Of a body that does not say how long it is, too.
        let pieces = || {
            let frames =
                ["123", "45"].map(|text| Ok::<_, BoxError>(Frame::data(Bytes::from(text))));
            StreamBody::new(futures_util::stream::iter(frames))
        };
        assert!(read_out(pieces(), 5, PATIENCE).await);
        assert!(!read_out(pieces(), 4, PATIENCE).await);
    }

    #[tokio::test]
    async fn what_does_not_come_is_not_waited_for() {
        let pieces = futures_util::stream::pending::<Result<Frame<Bytes>, BoxError>>();
        assert!(!read_out(StreamBody::new(pieces), 5, Duration::ZERO).await);
    }
}
