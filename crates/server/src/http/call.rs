//! Calls of every face, from the socket and back.

use std::pin::{Pin, pin};
use std::time::Duration;

use axum::BoxError;
use bytes::{Bytes, BytesMut};
use domain::call::{CacheOutcome, Face as Recorded};
use domain::problem::{Problem, ProblemKind};
use gateway::reply::{Reply, ReplyFacts};
use gateway::{ChatError, Inbound, ReportWanted};
use http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use providers::face::Asked;

use super::answer::Answer;
use super::applications;
use super::auth::authenticate;
use super::faces::{Api, Spoken};
use super::problem::IntoProblem;
use super::rates;
use super::request::Arrival;
use super::value::Values;
use crate::app::App;

const PROVIDER: HeaderName = HeaderName::from_static("x-trunkline-provider");
const MODEL: HeaderName = HeaderName::from_static("x-trunkline-model");
const COST: HeaderName = HeaderName::from_static("x-trunkline-cost-usd");
const CACHE: HeaderName = HeaderName::from_static("x-trunkline-cache");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-trunkline-attempts");
const OVERHEAD: HeaderName = HeaderName::from_static("x-trunkline-overhead-ms");
const REPORT: HeaderName = HeaderName::from_static("x-trunkline-report");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const MEDIA_URL: HeaderName = HeaderName::from_static("x-trunkline-media-url");
const SIMULATED: HeaderName = HeaderName::from_static("x-trunkline-simulated");
const SAFE_REPLY: HeaderName = HeaderName::from_static("x-trunkline-safe-reply");
/// How many bytes of a body there is room for before any has come.
const SURE: usize = 256 * 1024;
/// How many fields an answer's header has room for at once: its own, those of the caller's rates, and the
/// server's.
const FIELDS: usize = 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers a call, whole or streamed, in the caller's own shape whatever provider answers.
pub async fn answer<B>(
    app: &App,
    spoken: Spoken,
    arrival: &Arrival,
    request: Request<B>,
) -> Response<Answer>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let api = spoken.api;
    let refuse = |problem: &Problem| {
        app.telemetry.refused(problem.kind);
        render(api, problem, arrival)
    };
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        let detail = format!("{} takes POST only.", parts.uri.path());
        return refuse(&Problem::new(ProblemKind::MethodNotAllowed, detail));
    }
    let caller = match authenticate(app, &parts, arrival) {
        Ok(caller) => caller,
        Err(problem) => return refuse(&problem),
    };
    let body = match read(body, app.max_body).await {
        Ok(body) => body,
        Err(problem) => return refuse(&problem),
    };
    // The story of a call is long, and the server moves what it polls: on the heap it stays where it is.
    let name = spoken.name;
    let outcome = match api {
        Api::Chat(face) => {
            let mut inbound = inbound(face, spoken, arrival, parts, body);
            if name == Recorded::Application {
                if let Err(problem) = applications::ask(app, &mut inbound) {
                    return refuse(&problem);
                }
                let reply = on_the_heap(|| app.gateway.chat(&caller, inbound)).await;
                reply.map(applications::show)
            } else {
                on_the_heap(|| app.gateway.chat(&caller, inbound)).await
            }
        }
        Api::Task(task) => {
            let inbound = inbound(task, spoken, arrival, parts, body);
            on_the_heap(|| app.gateway.perform(&caller, inbound)).await
        }
    };
    match outcome {
        Ok(reply) => respond(reply, name, arrival),
        Err(error @ ChatError::Failed { .. }) => failed(api, error, arrival),
        Err(error) => {
            let standing = rates::of_refusal(&error);
            let mut response = refuse(&error.into_problem());
            let mut values = Values::new();
            rates::tell(
                name,
                standing,
                arrival.at,
                &mut values,
                response.headers_mut(),
            );
            response
        }
    }
}

/// A future on the heap, made where it is to lie: one that is made before is copied there, all four kilobytes of
/// a call's story.
fn on_the_heap<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// A request as the gateway takes it.
pub fn inbound<A: ?Sized>(
    face: &'static A,
    spoken: Spoken,
    arrival: &Arrival,
    mut parts: Parts,
    body: Bytes,
) -> Inbound<A> {
    // HTTP/2 names the host in the URI, and links to media begin with it.
    if let Some(authority) = parts.uri.authority() {
        insert(&mut parts.headers, HOST, authority.as_str());
    }
    Inbound {
        request_id: arrival.request_id,
        started_at: arrival.at,
        received: arrival.moment,
        face,
        face_name: spoken.name,
        batch_id: None,
        client_request_id: text(&parts.headers, &CLIENT_REQUEST_ID, 256),
        traceparent: text(&parts.headers, &TRACEPARENT, 64),
        wishes: None,
        report: report_wanted(&parts.headers),
        asked: Asked {
            model: spoken.model,
            stream: spoken.stream,
            headers: parts.headers,
            request_id: arrival.request_id.to_string(),
        },
        body,
    }
}

/// An answer as a response of the API `face`.
pub(super) fn respond(reply: Reply, face: Recorded, arrival: &Arrival) -> Response<Answer> {
    let (facts, content_type, body) = match reply {
        Reply::Whole {
            facts,
            content_type,
            body,
        } => (facts, content_type, Answer::whole(body)),
        Reply::Stream {
            facts,
            content_type,
            stream,
        } => (facts, content_type, Answer::Stream(stream)),
    };
    let is_streamed = matches!(body, Answer::Stream(_));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.reserve(FIELDS);
    headers.insert(CONTENT_TYPE, content_type);
    if is_streamed {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    let mut values = Values::new();
    describe(&facts, &mut values, headers);
    rates::tell(face, facts.standing, arrival.at, &mut values, headers);
    response
}

/// Reads a body of at most `max` bytes.
pub async fn read<B>(body: B, max: usize) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let too_large = || {
        let detail = format!("The body is larger than {max} bytes (server.max_body).");
        Problem::new(ProblemKind::TooLarge, detail)
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let promised = body.size_hint().exact();
    let promised = promised.and_then(|length| usize::try_from(length).ok());
    let gathered = gather(Limited::new(body, max), promised.unwrap_or_default()).await;
    match gathered {
        Ok(body) => Ok(body),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => {
            let detail = format!("The body could not be read: {error}.");
            Err(Problem::new(ProblemKind::InvalidRequest, detail))
        }
    }
}

/// Reads a body that says to have `length` bytes into one piece of memory; one that comes in one piece is that
/// piece.
async fn gather<B>(body: B, length: usize) -> Result<Bytes, BoxError>
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if first.is_empty() {
            first = data;
            if body.is_end_stream() {
                break;
            }
            continue;
        }
        if whole.is_empty() {
            whole.reserve(SURE.min(length).max(first.len() + data.len()));
            whole.extend_from_slice(&first);
        }
        // Room for what only the header promises is made when some of it is there.
        if whole.len() + data.len() > whole.capacity() {
            whole.reserve(length.saturating_sub(whole.len()).max(data.len()));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.freeze()
    })
}

/// Answers a request whose every attempt failed.
pub fn failed(api: Api, error: ChatError, arrival: &Arrival) -> Response<Answer> {
    let about = match &error {
        ChatError::Failed {
            provider, attempts, ..
        } => Some((provider.clone(), *attempts)),
        _ => None,
    };
    let mut response = render(api, &error.into_problem(), arrival);
    if let Some((provider, attempts)) = about {
        insert(response.headers_mut(), PROVIDER, provider.as_str());
        insert(response.headers_mut(), ATTEMPTS, &attempts.to_string());
    }
    response
}

/// A problem as a response of the face.
pub fn render(api: Api, problem: &Problem, arrival: &Arrival) -> Response<Answer> {
    let request_id = arrival.request_id.to_string();
    let (status, body) = match api {
        Api::Chat(face) => face.render_error(problem, &request_id),
        Api::Task(task) => task.render_error(problem, &request_id),
    };
    let mut response = Response::new(Answer::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    retry_fields(problem, status, response.headers_mut());
    response
}

/// The fields by which official SDKs decide whether and when to try again by themselves.
pub fn retry_fields(problem: &Problem, status: StatusCode, headers: &mut HeaderMap) {
    if let Some(wait) = problem.retry_after {
        insert(headers, RETRY_AFTER, &seconds_up(wait).to_string());
        insert(
            headers,
            HeaderName::from_static("retry-after-ms"),
            &wait.as_millis().to_string(),
        );
    }
    // A spent budget does not come back within an SDK's patience, and what is not served will not be served then.
    let is_final = match status {
        StatusCode::NOT_IMPLEMENTED => true,
        StatusCode::TOO_MANY_REQUESTS => {
            problem.kind == ProblemKind::BudgetExhausted
                || (problem.kind == ProblemKind::RateLimited && problem.retry_after.is_none())
        }
        _ => false,
    };
    if is_final {
        insert(headers, HeaderName::from_static("x-should-retry"), "false");
    }
}

fn seconds_up(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// What the header says of an answer.
pub(super) fn describe(facts: &ReplyFacts, values: &mut Values, headers: &mut HeaderMap) {
    headers.insert(CACHE, HeaderValue::from_static(cache_word(facts.cache)));
    if let Some(age) = facts.age {
        headers.insert(AGE, HeaderValue::from(age.as_secs()));
    }
    for (name, value) in [
        (PROVIDER, values.text(facts.provider.as_str())),
        (MODEL, values.text(&facts.model)),
        (ATTEMPTS, values.number(facts.attempts)),
        (OVERHEAD, values.milliseconds(facts.overhead.as_micros())),
        (COST, facts.cost.and_then(|cost| values.shown(cost))),
        (
            MEDIA_URL,
            facts.media_url.as_deref().and_then(|url| values.text(url)),
        ),
    ] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    if facts.is_simulated {
        headers.insert(SIMULATED, HeaderValue::from_static("true"));
    }
    if facts.is_safe_reply {
        headers.insert(SAFE_REPLY, HeaderValue::from_static("true"));
    }
}

/// What the cache said, as a field's word.
fn cache_word(outcome: CacheOutcome) -> &'static str {
    match outcome {
        CacheOutcome::Bypass => "bypass",
        CacheOutcome::Miss => "miss",
        CacheOutcome::Hit => "hit",
        CacheOutcome::SemanticHit => "semantic-hit",
    }
}

/// A value that cannot stand in a field is left out: model names may hold any character.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// A field's text, cut at `max` bytes at a character's end.
fn text(headers: &HeaderMap, name: &HeaderName, max: usize) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?.trim();
    let end = (0..=max.min(value.len()))
        .rev()
        .find(|end| value.is_char_boundary(*end))?;
    value
        .get(..end)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn report_wanted(headers: &HeaderMap) -> ReportWanted {
    let Some(value) = headers.get(REPORT).and_then(|value| value.to_str().ok()) else {
        return ReportWanted::default();
    };
    let wants = |word: &str| {
        value
            .split(',')
            .any(|it| it.trim().eq_ignore_ascii_case(word))
    };
    ReportWanted {
        cost: wants("cost"),
        conversion: wants("conversion"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};

    use super::*;

    /// A body that comes in pieces and says beforehand how long it is.
    struct Pieces(VecDeque<Bytes>, u64);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.1)
        }
    }

    fn pieces(count: usize, says: usize) -> Pieces {
        let piece = |number: usize| Bytes::from(vec![u8::try_from(number).unwrap(); 100_000]);
        Pieces((0..count).map(piece).collect(), says as u64)
    }

    #[tokio::test]
    async fn a_large_body_is_read_piece_by_piece_in_order() {
        for (count, says) in [(1, 100_000), (9, 900_000), (9, 300_000), (2, 900_000)] {
            let body = read(pieces(count, says), 1_000_000).await.unwrap();
            assert_eq!(body.len(), count * 100_000);
            let numbers = body.iter().step_by(100_000).copied().map(usize::from);
            assert!(numbers.eq(0..count));
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_whatever_it_says() {
        for says in [900_000, 300_000] {
            let problem = read(pieces(9, says), 500_000).await.unwrap_err();
            assert_eq!(problem.kind, ProblemKind::TooLarge);
        }
    }
}
