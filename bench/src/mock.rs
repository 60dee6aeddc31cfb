//! The mock provider: fixed answers in every format, as cheaply as a hyper server can give them, on the
//! load generator's own thread.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use memchr::memmem;
use tokio::time::{Instant, Sleep};

use crate::listen;
use crate::wire::{Format, Shape, Wanted, anthropic, gemini, openai, picture};

/// What is answered, made once.
struct Answers {
    openai: Answer,
    openai_with_usage: Answer,
    anthropic: Answer,
    gemini: Answer,
    /// What every text means.
    vector: Bytes,
    /// The picture that large requests must arrive with.
    picture: String,
}

/// One answer, in both shapes.
struct Answer {
    whole: Bytes,
    stream: Arc<[Bytes]>,
}

impl Answers {
    fn new() -> Self {
        let answer = |whole, stream: Vec<Bytes>| Answer {
            whole,
            stream: stream.into(),
        };
        Self {
            openai: answer(openai::whole(), openai::stream(false)),
            openai_with_usage: answer(openai::whole(), openai::stream(true)),
            anthropic: answer(anthropic::whole(), anthropic::stream()),
            gemini: answer(gemini::whole(), gemini::stream()),
            vector: openai::vector(),
            picture: picture::base64(),
        }
    }

    fn of(&self, format: Format, wanted: Wanted) -> &Answer {
        match format {
            Format::Openai if wanted.usage => &self.openai_with_usage,
            Format::Openai => &self.openai,
            Format::Anthropic => &self.anthropic,
            Format::Gemini => &self.gemini,
        }
    }

    /// Whether the picture that a body seems to hold is there to its last character.
    fn picture_is_whole(&self, body: &[u8]) -> bool {
        let Some(at) = memmem::find(body, picture::HEAD.as_bytes()) else {
            return true;
        };
        let rest = body.get(at..).unwrap_or_default();
        rest.strip_prefix(self.picture.as_bytes())
            .is_some_and(|behind| behind.starts_with(b"\""))
    }
}

/// Serves on a free port of loopback, which it answers, until the process ends.
pub async fn start() -> anyhow::Result<u16> {
    let answers = Arc::new(Answers::new());
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
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/readyz" {
        return Ok(Response::new(Reply::whole(&Bytes::from_static(b"ready"))));
    }
    if path == openai::EMBEDDINGS_PATH {
        body.collect().await?;
        let mut response = Response::new(Reply::whole(&answers.vector));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        return Ok(response);
    }
    let Some(format) = Format::at(path) else {
        return Ok(refusal(StatusCode::NOT_FOUND, b"no such path"));
    };
    let body = body.collect().await?.to_bytes();
    if !answers.picture_is_whole(&body) {
        return Ok(refusal(StatusCode::BAD_REQUEST, b"the picture is damaged"));
    }
    let wanted = Wanted::read(format, path, &body);
    drop(body);
    if let Shape::Delayed(milliseconds) = wanted.shape {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let answer = answers.of(format, wanted);
    let (reply, content_type) = if wanted.shape.is_streamed() {
        (
            Reply::Stream(Chunks::new(answer, wanted.shape)),
            "text/event-stream; charset=utf-8",
        )
    } else {
        (Reply::whole(&answer.whole), "application/json")
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

fn refusal(status: StatusCode, why: &'static [u8]) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(&Bytes::from_static(why)));
    *response.status_mut() = status;
    response
}

/// The body of an answer.
enum Reply {
    Whole(Option<Bytes>),
    Stream(Chunks),
}

impl Reply {
    fn whole(body: &Bytes) -> Self {
        Self::Whole(Some(body.clone()))
    }
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

/// A streamed answer; each piece is written to the socket by itself, as real providers do.
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
    fn new(answer: &Answer, shape: Shape) -> Self {
        let pause = match shape {
            Shape::Whole | Shape::Delayed(_) | Shape::Stream => Pause::Turn { taken: true },
            Shape::Paced(milliseconds) => Pause::Time {
                every: Duration::from_millis(milliseconds),
                // The first chunk comes at once.
                sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            },
        };
        Self {
            frames: Arc::clone(&answer.stream),
            next: 0,
            pause,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        ready!(self.pause.poll(context));
        self.pause.begin();
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
