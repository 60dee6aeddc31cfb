//! The mock provider: fixed answers in OpenAI's format, as cheaply as a hyper server can give them, on the
//! load generator's own thread.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::listen;
use crate::wire::{self, Shape};

/// What is answered, made once.
struct Answers {
    whole: Bytes,
    frames: Arc<[Bytes]>,
    frames_with_usage: Arc<[Bytes]>,
}

/// Serves on a free port of loopback, which it answers, until the process ends.
pub async fn start() -> anyhow::Result<u16> {
    let answers = Arc::new(Answers {
        whole: wire::whole_answer(),
        frames: wire::stream_frames(false).into(),
        frames_with_usage: wire::stream_frames(true).into(),
    });
    let listener = listen::bind(0).await?;
    let port = listener.local_addr()?.port();
    let answer = move |request| answer(Arc::clone(&answers), request);
    crate::task::detach(async move {
        // When it stops, answers stop as well, and those are counted.
        drop(listen::serve(listener, answer).await);
    });
    Ok(port)
}

async fn answer(
    answers: Arc<Answers>,
    request: Request<Incoming>,
) -> Result<Response<Reply>, hyper::Error> {
    if request.uri().path() == "/readyz" {
        return Ok(Response::new(Reply::Whole(Some(Bytes::from_static(
            b"ready",
        )))));
    }
    let body = request.into_body().collect().await?.to_bytes();
    let (reply, content_type) = match wire::wanted_shape(&body) {
        Shape::Whole => (
            Reply::Whole(Some(answers.whole.clone())),
            "application/json",
        ),
        shape => (
            Reply::Stream(Chunks::new(&answers, wire::wants_usage(&body), shape)),
            "text/event-stream; charset=utf-8",
        ),
    };
    let mut response = Response::new(reply);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        HeaderName::from_static("x-request-id"),
        HeaderValue::from_static("req_5f0c2a9be41d4c7a8f7e5b0a3d9c1e42"),
    );
    Ok(response)
}

/// The body of an answer.
enum Reply {
    Whole(Option<Bytes>),
    Stream(Chunks),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Self::Stream(chunks) => chunks.poll_next(context).map(|frame| frame.map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_none(),
            Self::Stream(chunks) => chunks.next >= chunks.frames.len(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A streamed answer; each chunk is written to the socket by itself, as real providers do.
struct Chunks {
    frames: Arc<[Bytes]>,
    next: usize,
    pause: Pause,
}

/// What lies between two chunks.
enum Pause {
    /// A turn of the scheduler: hyper writes out what it has when a body is not ready.
    Turn { taken: bool },
    /// Time.
    Time {
        every: Duration,
        sleep: Pin<Box<Sleep>>,
    },
}

impl Chunks {
    fn new(answers: &Answers, with_usage: bool, shape: Shape) -> Self {
        let frames = if with_usage {
            &answers.frames_with_usage
        } else {
            &answers.frames
        };
        let pause = match shape {
            Shape::Whole | Shape::Stream => Pause::Turn { taken: true },
            Shape::Paced(milliseconds) => Pause::Time {
                every: Duration::from_millis(milliseconds),
                // The first chunk comes at once.
                sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            },
        };
        Self {
            frames: Arc::clone(frames),
            next: 0,
            pause,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        // As providers do it: the chunk that names the role comes with the first word, and the
        // terminator with the last chunk.
        let follows_at_once = self.next == 1 || self.next + 1 == self.frames.len();
        if !follows_at_once {
            ready!(self.pause.poll(context));
            self.pause.begin();
        }
        let frame = self.frames.get(self.next).cloned();
        self.next += 1;
        Poll::Ready(frame.map(Frame::data))
    }
}

impl Pause {
    fn begin(&mut self) {
        match self {
            Self::Turn { taken } => *taken = false,
            Self::Time { every, sleep } => {
                // From the time it was due, so that a late wake-up does not slow the stream down.
                let due: Instant = sleep.deadline() + *every;
                sleep.as_mut().reset(due);
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Turn { taken: true } => Poll::Ready(()),
            Self::Turn { taken } => {
                *taken = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Time { sleep, .. } => sleep.as_mut().poll(context),
        }
    }
}
