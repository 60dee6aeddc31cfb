//! One request, from its path to its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::anthropic::Anthropic;
use crate::body::SimBody;
use crate::cache::PrefixCache;
use crate::control;
use crate::digest::Digest;
use crate::directive::{Directive, Fault, InvalidDirective, UsageReport};
use crate::faults::Faults;
use crate::gemini::Gemini;
use crate::handover::{headed, html, json, marked, refused, shaped_stream, shaped_whole, stream};
use crate::openai::OpenAi;
use crate::prompt::Prompt;
use crate::record::{Entry, Face, Record, SimCall, SimUsage, excerpt};
use crate::route::{Route, Target};
use crate::vendor::{Ask, Failure, Framing, Reply, Vendor, field};

/// How a simulated provider is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Answers of another seed differ in what is chosen by chance: arguments, structured values, ids.
    pub seed: u64,
    /// The time in seconds since 1970, for `created` and for the life of cached prefixes.
    pub now: fn() -> u64,
}

impl Default for Options {
    /// Seed zero, and a clock that stands at the beginning of 21 November 2026.
    fn default() -> Self {
        Self {
            seed: 0,
            now: || 1_795_219_200,
        }
    }
}

/// The simulated provider. Clones share their record, faults and prompt cache.
#[derive(Clone, Debug)]
pub struct Sim(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: Options,
    record: Record,
    faults: Mutex<Faults>,
    cache: Mutex<PrefixCache>,
}

impl Default for Sim {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

/// A request that has been read, with what the caller wished.
struct Understood {
    prompt: Prompt,
    directive: Directive,
    said: String,
}

impl Sim {
    /// A provider that has seen nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Shared {
            options,
            record: Record::default(),
            faults: Mutex::default(),
            cache: Mutex::default(),
        }))
    }

    /// Answers one request as the vendor would. What goes wrong is in the response or its body.
    ///
    /// The future may be dropped at any time; so may the body, and its call is then recorded as not completed.
    /// With the directive `hang=head` it never resolves.
    pub async fn respond(&self, request: Request<Bytes>) -> Response<SimBody> {
        let (head, body) = request.into_parts();
        if let Some(response) = control::respond(self, &head, &body) {
            return marked(response);
        }
        let route = Route::of(&head);
        let response = match &route.target {
            Target::Generate { model, framing } => {
                self.generate(&head, &body, route.face, model.as_deref(), *framing)
                    .await
            }
            Target::Models => self.look_up(&head, route.face, |vendor| Ok(vendor.models())),
            Target::Model(name) => self.look_up(&head, route.face, |vendor| vendor.model(name)),
            Target::WrongMethod => self.look_up(&head, route.face, |vendor| {
                Err(vendor.wrong_method(head.method.as_str(), head.uri.path()))
            }),
            Target::Unknown => self.look_up(&head, route.face, |vendor| {
                Err(vendor.no_such_path(head.method.as_str(), head.uri.path()))
            }),
        };
        marked(response)
    }

    /// The generation calls received so far, oldest first; the last 100,000 are kept.
    #[must_use]
    pub fn calls(&self) -> Vec<SimCall> {
        self.record().since(0)
    }

    pub(crate) fn record(&self) -> &Record {
        &self.0.record
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_up(
        &self,
        head: &Parts,
        face: Face,
        answer: impl FnOnce(&dyn Vendor) -> Result<Value, Failure>,
    ) -> Response<SimBody> {
        let vendor = vendor(face);
        let request_id = vendor.request_id(self.0.options.seed, 0);
        match vendor.authenticate(head).and_then(|()| answer(vendor)) {
            Ok(value) => json(vendor, &request_id, StatusCode::OK, &value),
            Err(failure) => refused(vendor, &request_id, &failure, None),
        }
    }

    async fn generate(
        &self,
        head: &Parts,
        body: &Bytes,
        face: Face,
        path_model: Option<&str>,
        path_framing: Option<Framing>,
    ) -> Response<SimBody> {
        let vendor = vendor(face);
        let mut request_id = String::new();
        let entry = self.record().open(|sequence| {
            request_id = vendor.request_id(self.hash(sequence), sequence);
            SimCall {
                sequence,
                request_id: request_id.clone(),
                response_id: None,
                face,
                model: path_model.unwrap_or_default().to_owned(),
                path: head.uri.path().to_owned(),
                streamed: path_framing.is_some(),
                status: None,
                usage: None,
                usage_reported: false,
                completed: false,
                prompt: String::new(),
                client_request_id: field(head, "x-client-request-id").map(str::to_owned),
            }
        });
        let response = match self.understand(vendor, head, body, face, path_model, path_framing) {
            Err(failure) => refused(vendor, &request_id, &failure, path_framing),
            Ok(understood) => {
                entry.note(|call| {
                    call.model.clone_from(&understood.prompt.model);
                    call.streamed = understood.prompt.stream.is_some();
                    call.prompt = excerpt(&understood.said);
                });
                self.answer(vendor, face, &request_id, &entry, &understood)
                    .await
            }
        };
        let (head, body) = response.into_parts();
        entry.note(|call| call.status = Some(head.status.as_u16()));
        Response::from_parts(head, body.recorded(entry))
    }

    fn understand(
        &self,
        vendor: &dyn Vendor,
        head: &Parts,
        body: &Bytes,
        face: Face,
        path_model: Option<&str>,
        path_framing: Option<Framing>,
    ) -> Result<Understood, Failure> {
        vendor.authenticate(head)?;
        let value: Value =
            serde_json::from_slice(body).map_err(|problem| vendor.not_json(&problem))?;
        let ask = Ask {
            head,
            body: &value,
            bytes: body.len(),
            path_model,
            path_framing,
            seed: self.0.options.seed,
        };
        let prompt = vendor.read(&ask)?;
        let refuse = |InvalidDirective(sentence)| Failure {
            message: sentence,
            ..vendor.failure(400, None, &prompt.model)
        };
        let (mut directive, said) = Directive::extract(&prompt.said).map_err(refuse)?;
        self.faults()
            .apply(face, &prompt.model, &mut directive)
            .map_err(refuse)?;
        Ok(Understood {
            prompt,
            directive,
            said,
        })
    }

    async fn answer(
        &self,
        vendor: &dyn Vendor,
        face: Face,
        request_id: &str,
        entry: &Entry,
        understood: &Understood,
    ) -> Response<SimBody> {
        let Understood {
            prompt, directive, ..
        } = understood;
        if !directive.latency.is_zero() {
            tokio::time::sleep(directive.latency).await;
        }
        let overloaded = vendor.failure(
            overloaded_status(face),
            directive.retry_after,
            &prompt.model,
        );
        match directive.fault {
            Some(Fault::HangHead) => std::future::pending().await,
            Some(Fault::Status(status)) => {
                let failure = vendor.failure(status, directive.retry_after, &prompt.model);
                return refused(vendor, request_id, &failure, prompt.stream);
            }
            Some(Fault::Html) => return html(),
            Some(Fault::ErrorMid(_)) if prompt.stream.is_none() => {
                return refused(vendor, request_id, &overloaded, None);
            }
            Some(Fault::ErrorIn200) if prompt.stream.is_none() => {
                return json(
                    vendor,
                    request_id,
                    StatusCode::OK,
                    &vendor.error(&overloaded, request_id),
                );
            }
            Some(Fault::Garbage) if prompt.stream.is_none() => {
                let body = SimBody::whole(Bytes::from_static(
                    b"{\"simulated\": garbage, \xff\xfe this is not JSON",
                ));
                return headed(vendor, request_id, StatusCode::OK, "application/json", body);
            }
            _ => {}
        }
        let answers: Vec<Answer> = (0..prompt.choices)
            .map(|number| answer::compose(prompt, directive, &understood.said, number))
            .collect();
        let usage = self.usage(prompt, directive, &answers);
        let response_id = vendor.response_id(self.hash(entry.sequence), entry.sequence);
        entry.note(|call| {
            call.usage = Some(usage);
            call.usage_reported = directive.usage != UsageReport::None
                && (prompt.stream.is_none() || prompt.reports_usage);
            call.response_id = Some(response_id.clone());
        });
        let created = (self.0.options.now)();
        let reply = Reply {
            prompt,
            answers: &answers,
            usage,
            directive,
            response_id: &response_id,
            created,
            seed: self.0.options.seed,
        };
        let Some(framing) = prompt.stream else {
            let response = json(vendor, request_id, StatusCode::OK, &vendor.whole(&reply));
            return response.map(|body| shaped_whole(body, directive));
        };
        let frames = stream(vendor, &reply, framing, &overloaded, request_id);
        let kind = match framing {
            Framing::Events => "text/event-stream; charset=utf-8",
            Framing::Array => "application/json; charset=UTF-8",
        };
        let mut response = headed(
            vendor,
            request_id,
            StatusCode::OK,
            kind,
            shaped_stream(frames, directive),
        );
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn usage(&self, prompt: &Prompt, directive: &Directive, answers: &[Answer]) -> SimUsage {
        let now = (self.0.options.now)();
        let cached = self
            .0
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pass(&prompt.prefix, now);
        let mut usage = SimUsage {
            input: prompt.input,
            cached_input: cached.read.min(prompt.input),
            cache_write_5m: cached.write_5m,
            cache_write_1h: cached.write_1h,
            output: answers.iter().map(|answer| answer.output).sum(),
            reasoning: answers.iter().map(|answer| answer.reasoning).sum(),
        };
        if let Some(cached) = directive.cached {
            usage.cached_input = cached.min(prompt.input);
            usage.cache_write_5m = 0;
            usage.cache_write_1h = 0;
        }
        usage
    }

    fn hash(&self, sequence: u64) -> u64 {
        Digest::new(self.0.options.seed)
            .with_number(sequence)
            .value()
    }
}

fn vendor(face: Face) -> &'static dyn Vendor {
    match face {
        Face::OpenAi => &OpenAi,
        Face::Anthropic => &Anthropic,
        Face::Gemini => &Gemini,
    }
}

/// The status with which a vendor says, also within a stream, that it cannot go on.
const fn overloaded_status(face: Face) -> u16 {
    match face {
        Face::OpenAi => 500,
        Face::Anthropic => 529,
        Face::Gemini => 503,
    }
}
