//! The simulated provider, and where each request goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use serde_json::Value;

use crate::body::SimBody;
use crate::cache::{CacheUse, Prefix, PrefixCache};
use crate::control;
use crate::digest::Digest;
use crate::faults::Faults;
use crate::handover::{headed, json, marked, refused};
use crate::issuer::{self, Issuer, ServiceAccount, SimToken, TokenRecord};
use crate::openai::{Stored, StoredCall, Told};
use crate::record::{Record, SimCall};
use crate::route::{Route, Target};
use crate::tasks::{self, SimTask, Tasks};
use crate::vendor::{Api, Ask, Failure, Framing, Knock};

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

    /// What the prompt cache does for one request.
    pub(crate) fn cached(&self, prefix: &Prefix, now: u64) -> CacheUse {
        let mut cache = self.0.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.pass(prefix, now)
    }

    pub(crate) fn stored(&self) -> &Stored {
        &self.0.stored
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

    pub(crate) fn authenticate(&self, api: Api, head: &Parts, body: &[u8]) -> Result<(), Failure> {
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

    pub(crate) fn ask<'a>(
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

    pub(crate) fn hash(&self, sequence: u64) -> u64 {
        Digest::new(self.0.options.seed)
            .with_number(sequence)
            .value()
    }
}

/// A body as JSON, refused in the vendor's words.
pub(crate) fn parsed(api: Api, body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|problem| api.vendor.not_json(api.face, &problem))
}
