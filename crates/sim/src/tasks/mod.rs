//! What is asked of vendors and is not a chat: pictures, speech, transcripts, vectors, ranks, files and batches.
//!
//! `route` finds the endpoint of a request. An endpoint reads the request as strictly as its vendor and gives back a [`Wish`],
//! which is fulfilled here, with whatever fault was wished for. `house` is who answers: how its callers prove themselves and how it
//! says no. OpenAI's and Google's endpoints stand beside their chats; the other vendors' are here.

pub(crate) mod again;
mod black_forest_labs;
mod cohere;
mod deepgram;
mod elevenlabs;
mod fal;
pub(crate) mod form;
mod house;
pub(crate) mod picture;
mod record;
mod replicate;
mod route;
pub(crate) mod shelf;
pub(crate) mod sound;
mod stability;
pub(crate) mod storage;
pub(crate) mod vectors;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::anthropic;
use crate::bedrock;
use crate::body::SimBody;
use crate::digest::Digest;
use crate::directive::{Directive, Fault, InvalidDirective, Voice};
use crate::frames::Frames;
use crate::gemini;
use crate::handover::{html, shaped_stream, shaped_whole};
use crate::openai;
use crate::record::excerpt;
use crate::sim::Sim;
use crate::vendor::{Failure, Framing, Knock, field};
use crate::vertex;

pub(crate) use house::{House, Other};
pub(crate) use record::TaskRecord;
pub use record::{SimTask, SimTaskUsage};
pub(crate) use shelf::Shelf;

/// The face by which queued faults name these calls.
pub(crate) const FACE: &str = "task";

/// What is kept between requests.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) record: TaskRecord,
    pub(crate) shelf: Shelf,
}

/// What an endpoint does.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// Makes something, and is recorded.
    Make(fn(&Asked<'_>) -> Result<Wish, Failure>),
    /// Looks something up, or puts it away.
    Look(fn(&Asked<'_>) -> Result<Output, Failure>),
    /// Looks at a batch, which may run it.
    Batch,
}

/// An endpoint: who answers, and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) house: House,
    pub(crate) work: Work,
}

/// A request to an endpoint.
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a Parts,
    pub(crate) body: &'a Bytes,
    pub(crate) seed: u64,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) shelf: &'a Shelf,
    house: House,
}

impl<'a> Asked<'a> {
    pub(crate) fn path(&self) -> &'a str {
        self.head.uri.path()
    }

    /// The body as JSON, refused in the vendor's words.
    pub(crate) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(self.body).map_err(|problem| self.house.not_json(&problem))
    }

    /// Where this provider is, as the caller addressed it: what its answers name must lead back here.
    pub(crate) fn origin(&self) -> String {
        let authority = self.head.uri.authority().map(http::uri::Authority::as_str);
        let host = authority.or_else(|| field(self.head, "host"));
        let scheme = self.head.uri.scheme_str().unwrap_or("http");
        format!("{scheme}://{}", host.unwrap_or("sim.invalid"))
    }
}

/// What a request wishes for, once it was found right.
pub(crate) struct Wish {
    pub(crate) model: String,
    /// The caller's words, directives included.
    pub(crate) said: String,
    pub(crate) stream: bool,
    pub(crate) make: Make,
}

/// Makes the answer.
pub(crate) type Make = Box<dyn FnOnce(&Understood<'_>) -> (Output, SimTaskUsage) + Send>;

/// What the answer depends on beside the request.
pub(crate) struct Understood<'a> {
    /// The caller's words without directives.
    pub(crate) said: &'a str,
    /// Whether the vendor's policy is to strike.
    pub(crate) refused: bool,
    /// What makes this request's answer its own.
    pub(crate) digest: Digest,
    /// The order of arrival.
    pub(crate) sequence: u64,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) shelf: &'a Shelf,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    Json(Value),
    /// JSON under another status than 200.
    Status(u16, Value),
    /// Bytes of a media type.
    Bytes(&'static str, Bytes),
    /// Server-sent events with their names.
    Events(Vec<(Option<&'static str>, Value)>),
    /// A refusal that only shows when the answer is made.
    Refused(Failure),
}

/// Answers a request that is for one of these endpoints.
pub(crate) async fn respond(sim: &Sim, head: &Parts, body: &Bytes) -> Option<Response<SimBody>> {
    let endpoint = route::of(head)?;
    let house = endpoint.house;
    let asked = Asked {
        head,
        body,
        seed: sim.options().seed,
        now: (sim.options().now)(),
        shelf: &sim.tasks_kept().shelf,
        house,
    };
    let knock = Knock {
        head,
        body,
        seed: asked.seed,
        now: asked.now,
    };
    let known = house.authenticate(&knock);
    Some(match endpoint.work {
        Work::Make(read) => make(sim, &asked, known.and_then(|()| read(&asked))).await,
        Work::Look(look) => {
            let output = known.and_then(|()| look(&asked));
            let request_id = house.request_id(asked.seed, 0);
            hand_over(
                house,
                &request_id,
                output.unwrap_or_else(Output::Refused),
                &Directive::default(),
            )
        }
        Work::Batch => {
            let output = match known {
                Ok(()) if house == house::ANTHROPIC => anthropic::batches::look(sim, &asked).await,
                Ok(()) if house == house::GEMINI => gemini::tasks::batches::look(sim, &asked).await,
                Ok(()) if house == house::VERTEX => vertex::jobs::look(sim, &asked).await,
                Ok(()) if house == house::BEDROCK => bedrock::jobs::look(sim, &asked).await,
                Ok(()) if asked.path().starts_with(openai::tasks::jobs::PREFIX) => {
                    openai::tasks::jobs::look(sim, &asked).await
                }
                Ok(()) => openai::tasks::batches::look(sim, &asked).await,
                Err(failure) => Err(failure),
            };
            let request_id = house.request_id(asked.seed, 0);
            hand_over(
                house,
                &request_id,
                output.unwrap_or_else(Output::Refused),
                &Directive::default(),
            )
        }
    })
}

async fn make(sim: &Sim, asked: &Asked<'_>, wish: Result<Wish, Failure>) -> Response<SimBody> {
    let house = asked.house;
    let mut request_id = String::new();
    let record = &sim.tasks_kept().record;
    let sequence = record.open(|sequence| {
        request_id = house.request_id(
            Digest::new(asked.seed).with_number(sequence).value(),
            sequence,
        );
        SimTask {
            sequence,
            request_id: request_id.clone(),
            vendor: house.name(),
            model: String::new(),
            path: asked.path().to_owned(),
            streamed: false,
            status: None,
            usage: None,
            completed: false,
            prompt: String::new(),
            client_request_id: field(asked.head, "x-client-request-id").map(str::to_owned),
        }
    });
    let response = match wish.and_then(|wish| {
        let understood = understand(sim, house, &wish)?;
        Ok((wish, understood))
    }) {
        Err(failure) => refused(house, &request_id, &failure),
        Ok((wish, (directive, said))) => {
            record.note(sequence, |task| {
                task.model.clone_from(&wish.model);
                task.streamed = wish.stream;
                task.prompt = excerpt(&said);
            });
            fulfil(sim, asked, sequence, &request_id, (wish, directive, said)).await
        }
    };
    let (head, body) = response.into_parts();
    let done = Arc::new(AtomicBool::new(false));
    record.note(sequence, |task| task.status = Some(head.status.as_u16()));
    record.watch(sequence, done.clone());
    Response::from_parts(head, body.marking(done))
}

/// What the caller wishes to go wrong, and its words without that.
fn understand(sim: &Sim, house: House, wish: &Wish) -> Result<(Directive, String), Failure> {
    let refuse = |InvalidDirective(sentence)| Failure {
        message: sentence,
        ..house.failure(400, None, &wish.model)
    };
    let (mut directive, said) = Directive::extract(&wish.said).map_err(refuse)?;
    sim.faults()
        .apply_to(FACE, &wish.model, &mut directive)
        .map_err(refuse)?;
    Ok((directive, said))
}

async fn fulfil(
    sim: &Sim,
    asked: &Asked<'_>,
    sequence: u64,
    request_id: &str,
    (wish, directive, said): (Wish, Directive, String),
) -> Response<SimBody> {
    let house = asked.house;
    if !directive.latency.is_zero() {
        tokio::time::sleep(directive.latency).await;
    }
    let overloaded = house.failure(
        house.overloaded_status(),
        directive.retry_after,
        &wish.model,
    );
    match directive.fault {
        Some(Fault::HangHead) => std::future::pending().await,
        Some(Fault::Status(status)) => {
            let failure = house.failure(status, directive.retry_after, &wish.model);
            return refused(house, request_id, &failure);
        }
        Some(Fault::Html) => return html(),
        Some(Fault::ErrorMid(_)) if !wish.stream => return refused(house, request_id, &overloaded),
        Some(Fault::ErrorIn200) => {
            let error = house.error(&overloaded, request_id);
            return hand_over(house, request_id, Output::Json(error), &directive);
        }
        Some(Fault::Garbage) => {
            let garbage = Bytes::from_static(b"{\"simulated\": garbage, \xff\xfe this is not JSON");
            return hand_over(
                house,
                request_id,
                Output::Bytes("application/json", garbage),
                &directive,
            );
        }
        _ => {}
    }
    let understood = Understood {
        said: &said,
        refused: directive.voice == Voice::Refusal,
        digest: Digest::new(asked.seed).with(asked.body),
        sequence,
        now: asked.now,
        shelf: asked.shelf,
    };
    let (output, usage) = (wish.make)(&understood);
    if !matches!(output, Output::Refused(_)) {
        let record = &sim.tasks_kept().record;
        record.note(sequence, |task| task.usage = Some(usage));
    }
    let output = match (output, &directive.fault) {
        (Output::Events(mut events), Some(Fault::ErrorMid(count))) => {
            events.truncate(*count);
            events.push((None, house.error(&overloaded, request_id)));
            Output::Events(events)
        }
        (output, _) => output,
    };
    hand_over(house, request_id, output, &directive)
}

fn hand_over(
    house: House,
    request_id: &str,
    output: Output,
    directive: &Directive,
) -> Response<SimBody> {
    match output {
        Output::Refused(failure) => refused(house, request_id, &failure),
        Output::Json(value) => whole(house, request_id, 200, &value, directive),
        Output::Status(status, value) => whole(house, request_id, status, &value, directive),
        Output::Bytes(kind, bytes) => {
            let body = shaped_whole(SimBody::whole(bytes), directive);
            headed(house, request_id, 200, kind, body)
        }
        Output::Events(events) => {
            let mut frames = Frames::new(Framing::Events, directive.crlf);
            for (name, event) in &events {
                frames.event(*name, event);
            }
            frames.close();
            let body = shaped_stream(frames, directive);
            headed(house, request_id, 200, Framing::Events.media_type(), body)
        }
    }
}

fn whole(
    house: House,
    request_id: &str,
    status: u16,
    value: &Value,
    directive: &Directive,
) -> Response<SimBody> {
    let body = shaped_whole(SimBody::whole(value.to_string().into()), directive);
    headed(house, request_id, status, "application/json", body)
}

fn refused(house: House, request_id: &str, failure: &Failure) -> Response<SimBody> {
    if house == House::Other(Other::S3) {
        // It answers in XML (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message><RequestId>{request_id}</RequestId></Error>",
            failure.kind, failure.message
        );
        let body = SimBody::whole(text.into());
        return headed(house, request_id, failure.status, "application/xml", body);
    }
    let error = house.error(failure, request_id);
    let mut response = whole(
        house,
        request_id,
        failure.status,
        &error,
        &Directive::default(),
    );
    if let Some(seconds) = failure.retry_after {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn headed(
    house: House,
    request_id: &str,
    status: u16,
    kind: &'static str,
    body: SimBody,
) -> Response<SimBody> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    house.fields(request_id, response.headers_mut());
    response
}

/// Sound comes in pieces, as it is made.
pub(crate) fn pieces(bytes: &Bytes) -> VecDeque<Bytes> {
    let size = bytes.len().div_ceil(4).max(1);
    (0..bytes.len())
        .step_by(size)
        .map(|start| bytes.slice(start..bytes.len().min(start + size)))
        .collect()
}
