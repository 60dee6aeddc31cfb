//! One request, from its path to its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use serde_json::Value;

use crate::answer::{self, Answer};
use crate::body::SimBody;
use crate::cache::PrefixCache;
use crate::control;
use crate::digest::Digest;
use crate::directive::{Directive, Fault, InvalidDirective, UsageReport};
use crate::faults::Faults;
use crate::handover::{headed, html, json, marked, refused, shaped_stream, shaped_whole, stream};
use crate::issuer::{self, Issuer, ServiceAccount, SimToken, TokenRecord};
use crate::openai::{Stored, StoredCall, Told};
use crate::prompt::Prompt;
use crate::record::{Entry, Record, SimCall, SimUsage, excerpt};
use crate::route::{Route, Target};
use crate::tasks::{self, SimTask, Tasks};
use crate::vendor::{Api, Ask, Failure, Framing, Knock, Reply, field};

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
    stored: Stored,
    account: ServiceAccount,
    tokens: TokenRecord,
    tasks: Tasks,
}

impl Default for Sim {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

/// A request that has been read, with what the caller wished.
struct Understood {
    body: Value,
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
            stored: Stored::default(),
            account: ServiceAccount::default(),
            tokens: TokenRecord::default(),
            tasks: Tasks::default(),
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
        if let Some(issuer) = Issuer::of(&head.method, head.uri.path()) {
            return marked(issuer::respond(self, &issuer, &head, &body).await);
        }
        if let Some(response) = tasks::respond(self, &head, &body).await {
            return marked(response);
        }
        let route = Route::of(&head);
        let api = Api::of(route.face, route.host);
        let (method, path) = (head.method.as_str(), head.uri.path());
        let look_up =
            |answer: &dyn Fn() -> Result<Value, Failure>| self.look_up(api, &head, &body, answer);
        let response = match &route.target {
            Target::Generate { model, framing } => {
                self.generate(api, &head, &body, model.as_deref(), *framing)
                    .await
            }
            Target::Count { model } => look_up(&|| self.count(api, &head, &body, model.as_deref())),
            Target::Stored(call) => self.recall(api, &head, &body, call),
            Target::Models => look_up(&|| api.vendor.models()),
            Target::Model(name) => look_up(&|| api.vendor.model(name)),
            Target::WrongMethod => look_up(&|| Err(api.vendor.wrong_method(method, path))),
            Target::Unknown => look_up(&|| Err(api.vendor.no_such_path(method, path))),
        };
        marked(response)
    }

    /// The generation calls received so far, oldest first; the last 100,000 are kept.
    #[must_use]
    pub fn calls(&self) -> Vec<SimCall> {
        self.record().since(0)
    }

    /// The calls received so far that are no chats, oldest first; the last 20,000 are kept.
    #[must_use]
    pub fn tasks(&self) -> Vec<SimTask> {
        self.0.tasks.record.since(0)
    }

    /// The requests for tokens received so far, oldest first; the last 20,000 are kept.
    #[must_use]
    pub fn tokens(&self) -> Vec<SimToken> {
        self.0.tokens.since(0)
    }

    pub(crate) fn token_record(&self) -> &TokenRecord {
        &self.0.tokens
    }

    pub(crate) fn tasks_kept(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(crate) fn options(&self) -> Options {
        self.0.options
    }

    pub(crate) fn record(&self) -> &Record {
        &self.0.record
    }

    pub(crate) fn account(&self) -> &ServiceAccount {
        &self.0.account
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_up(
        &self,
        api: Api,
        head: &Parts,
        body: &[u8],
        answer: &dyn Fn() -> Result<Value, Failure>,
    ) -> Response<SimBody> {
        let request_id = api.vendor.request_id(self.0.options.seed, 0);
        match self.authenticate(api, head, body).and_then(|()| answer()) {
            Ok(value) => json(api, &request_id, StatusCode::OK, &value),
            Err(failure) => refused(api, &request_id, &failure, None),
        }
    }

    /// Answers a call about an answer that was kept.
    fn recall(&self, api: Api, head: &Parts, body: &[u8], call: &StoredCall) -> Response<SimBody> {
        let request_id = api.vendor.request_id(self.0.options.seed, 0);
        let told = self
            .authenticate(api, head, body)
            .and_then(|()| self.0.stored.answer(head, call));
        match told {
            Ok(Told::Once(value)) => json(api, &request_id, StatusCode::OK, &value),
            Ok(Told::Again(events)) => headed(
                api,
                &request_id,
                StatusCode::OK,
                Framing::Events.media_type(),
                SimBody::pieces(events),
            ),
            Err(failure) => refused(api, &request_id, &failure, None),
        }
    }

    fn authenticate(&self, api: Api, head: &Parts, body: &[u8]) -> Result<(), Failure> {
        api.vendor.authenticate(&Knock {
            head,
            body,
            seed: self.0.options.seed,
            now: (self.0.options.now)(),
        })
    }

    fn count(
        &self,
        api: Api,
        head: &Parts,
        body: &Bytes,
        path_model: Option<&str>,
    ) -> Result<Value, Failure> {
        let value = parsed(api, body)?;
        let ask = self.ask(api, head, body, &value, (path_model, None));
        api.format.count(&ask).unwrap_or_else(|| {
            Err(api
                .vendor
                .no_such_path(head.method.as_str(), head.uri.path()))
        })
    }

    fn ask<'a>(
        &'a self,
        api: Api,
        head: &'a Parts,
        body: &Bytes,
        value: &'a Value,
        (path_model, path_framing): (Option<&'a str>, Option<Framing>),
    ) -> Ask<'a> {
        Ask {
            host: api.host,
            head,
            body: value,
            bytes: body.len(),
            path_model,
            path_framing,
            seed: self.0.options.seed,
            stored: &self.0.stored,
        }
    }

    async fn generate(
        &self,
        api: Api,
        head: &Parts,
        body: &Bytes,
        path_model: Option<&str>,
        path_framing: Option<Framing>,
    ) -> Response<SimBody> {
        let mut request_id = String::new();
        let entry = self.record().open(|sequence| {
            request_id = api.vendor.request_id(self.hash(sequence), sequence);
            SimCall {
                sequence,
                request_id: request_id.clone(),
                response_id: None,
                face: api.face,
                host: api.host,
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
        let response = match self.understand(api, head, body, (path_model, path_framing)) {
            Err(failure) => refused(api, &request_id, &failure, path_framing),
            Ok(understood) => {
                entry.note(|call| {
                    call.model.clone_from(&understood.prompt.model);
                    call.streamed = understood.prompt.stream.is_some();
                    call.prompt = excerpt(&understood.said);
                });
                self.answer(api, &request_id, &entry, &understood).await
            }
        };
        let (head, body) = response.into_parts();
        entry.note(|call| call.status = Some(head.status.as_u16()));
        Response::from_parts(head, body.recorded(entry))
    }

    fn understand(
        &self,
        api: Api,
        head: &Parts,
        body: &Bytes,
        path: (Option<&str>, Option<Framing>),
    ) -> Result<Understood, Failure> {
        self.authenticate(api, head, body)?;
        let value = parsed(api, body)?;
        let prompt = api.format.read(&self.ask(api, head, body, &value, path))?;
        let refuse = |InvalidDirective(sentence)| Failure {
            message: sentence,
            ..api.failure(400, None, &prompt.model)
        };
        let (mut directive, said) = Directive::extract(&prompt.said).map_err(refuse)?;
        self.faults()
            .apply(api.face, &prompt.model, &mut directive)
            .map_err(refuse)?;
        Ok(Understood {
            body: value,
            prompt,
            directive,
            said,
        })
    }

    async fn answer(
        &self,
        api: Api,
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
        let overloaded = api.failure(
            api.vendor.overloaded_status(api.face),
            directive.retry_after,
            &prompt.model,
        );
        match directive.fault {
            Some(Fault::HangHead) => std::future::pending().await,
            Some(Fault::Status(status)) => {
                let failure = api.failure(status, directive.retry_after, &prompt.model);
                return refused(api, request_id, &failure, prompt.stream);
            }
            Some(Fault::Html) => return html(),
            Some(Fault::ErrorMid(_)) if prompt.stream.is_none() => {
                return refused(api, request_id, &overloaded, None);
            }
            Some(Fault::ErrorIn200) if prompt.stream.is_none() => {
                return json(
                    api,
                    request_id,
                    StatusCode::OK,
                    &api.error(&overloaded, request_id),
                );
            }
            Some(Fault::Garbage) if prompt.stream.is_none() => {
                let body = SimBody::whole(Bytes::from_static(
                    b"{\"simulated\": garbage, \xff\xfe this is not JSON",
                ));
                return headed(api, request_id, StatusCode::OK, "application/json", body);
            }
            _ => {}
        }
        let answers: Vec<Answer> = (0..prompt.choices)
            .map(|number| answer::compose(prompt, directive, &understood.said, number))
            .collect();
        let usage = self.usage(prompt, directive, &answers);
        let response_id = api
            .format
            .response_id(self.hash(entry.sequence), entry.sequence);
        entry.note(|call| {
            call.usage = Some(usage);
            call.usage_reported = directive.usage != UsageReport::None
                && (prompt.stream.is_none() || prompt.reports_usage);
            call.response_id = Some(response_id.clone());
        });
        let created = (self.0.options.now)();
        let reply = Reply {
            host: api.host,
            asked: &understood.body,
            prompt,
            answers: &answers,
            usage,
            directive,
            response_id: &response_id,
            created,
            seed: self.0.options.seed,
        };
        api.format.keep(&reply, &self.0.stored);
        let Some(framing) = prompt.stream else {
            let response = json(api, request_id, StatusCode::OK, &api.format.whole(&reply));
            return response.map(|body| shaped_whole(body, directive));
        };
        let frames = stream(api, &reply, framing, &overloaded, request_id);
        let mut response = headed(
            api,
            request_id,
            StatusCode::OK,
            framing.media_type(),
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

fn parsed(api: Api, body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|problem| api.vendor.not_json(api.face, &problem))
}
