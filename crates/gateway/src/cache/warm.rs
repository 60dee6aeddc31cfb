//! Warming the cache: what was asked often is asked again before anybody does.
//!
//! What was asked is known where payloads are kept, and only there. A request is repeated on behalf of a key, which
//! is charged for it: as any other call it is limited, journaled and recorded, with the call that it repeats in its
//! `client_request_id`. It is always asked for as a whole, which answers those who want a stream as well.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use domain::call::{CacheOutcome, Call, CallFilter, CallState, CallStore, Face, Operation};
use domain::caller::Caller;
use domain::id::RequestId;
use domain::money::Cost;
use domain::name::ModelName;
use domain::store_error::StoreError;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use providers::anthropic::AnthropicMessages;
use providers::cohere::CohereChat;
use providers::embeddings::{CohereEmbeddings, OpenaiEmbeddings};
use providers::face::Asked;
use providers::gemini::Gemini;
use providers::lift;
use providers::openai::OpenaiChat;
use providers::openai::completions::OpenaiCompletions;
use providers::openai::responses::OpenaiResponses;
use providers::task::Task;
use serde::Serialize;
use serde_json::Value;

use super::canonical::Node;
use super::question::{ASIDE_OF_TASKS, aside};
use super::{Cache, CacheScope};
use crate::chat::{ChatError, Gateway, Inbound, ReportWanted};
use crate::reply::Reply;

/// The most of the latest calls that are looked at.
const MAX_LOOKED_AT: u64 = 5_000;
/// How many of them are read at a time.
const PAGE: u32 = 500;
/// Begins the `client_request_id` of a call that warms the cache. Such calls do not count as asked: otherwise what
/// was warmed once would be warmed for ever.
const MARK: &str = "cache-warm:";
/// The version that SDKs of Anthropic's API send, and which stands in the key of the answer. What else was sent
/// beside the body is not kept, so that requests with `anthropic-beta` are warmed in vain.
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("anthropic-version"),
    HeaderValue::from_static("2023-06-01"),
);

/// A request that was asked more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Frequent {
    /// The latest call that asked it.
    pub request_id: RequestId,
    /// How often it was asked.
    pub times: u64,
    /// The model's name as it was asked for.
    pub request_model: ModelName,
    /// When it was asked last.
    #[serde(with = "domain::json::time")]
    pub last_at: Timestamp,
    /// What its answer cost, or would have cost where the cache gave it; `None` where no price is known.
    pub expected_cost_usd: Option<Cost>,
}

/// What was asked often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FrequentRequests {
    /// Calls that were looked at, the latest ones.
    pub looked_at: u64,
    /// How many of these may have been asked again, and nobody knows, since their payloads are not kept.
    pub not_kept: u64,
    /// What was asked more than once, the most frequent first.
    pub requests: Vec<Frequent>,
}

/// What came of repeating a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WarmOutcome {
    /// Its answer is kept now.
    Kept,
    /// Its answer was known, and cost nothing.
    Known,
    /// It was answered, and the answer is none that is kept: cut off, refused, too large, calling tools.
    NotKept,
}

/// A request that was repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warmed {
    /// The call that did it.
    pub request_id: RequestId,
    /// What came of it.
    pub outcome: WarmOutcome,
    /// What it cost; `None` where no price is known.
    pub cost_usd: Option<Cost>,
}

/// Why a request is not repeated.
#[derive(Debug, thiserror::Error)]
pub enum WarmError {
    /// No answers are kept.
    #[error("no answers are kept")]
    NoCache,
    /// There is no such call, or the key does not share its answer.
    #[error("there is no call {0} whose answer the key would share")]
    Unknown(RequestId),
    /// What was said in it is not kept.
    #[error("what was asked in call {0} is not kept")]
    NotKept(RequestId),
    /// What is known of it is not enough to ask it again, or its answer is none that is ever kept.
    #[error("call {0} cannot be repeated")]
    NotRepeatable(RequestId),
    /// Nobody would keep its answer: the route, the key or the configuration says so.
    #[error("the answer to call {0} would not be kept")]
    NotCached(RequestId),
    /// It was not answered.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// What was asked cannot be looked up.
    #[error("the store did not answer")]
    Store(#[from] StoreError),
}

/// How a call can be asked again.
#[derive(Clone, Copy)]
enum Api {
    Chat(&'static dyn providers::face::Face),
    Task(&'static dyn Task),
}

impl Api {
    /// The API of a call; `None` where the record of the call does not tell enough of it.
    fn of(call: &Call) -> Option<Self> {
        let api = match (call.operation, call.face) {
            (Operation::Chat, Face::OpenaiChat) => Self::Chat(&OpenaiChat),
            (Operation::Chat, Face::OpenaiResponses) => Self::Chat(&OpenaiResponses),
            (Operation::Chat, Face::Openai) => Self::Chat(&OpenaiCompletions),
            (Operation::Chat, Face::Anthropic) => Self::Chat(&AnthropicMessages),
            (Operation::Chat, Face::Gemini) => Self::Chat(&Gemini),
            (Operation::Chat, Face::Cohere) => Self::Chat(&CohereChat),
            (Operation::Embeddings, Face::Openai) => Self::Task(&OpenaiEmbeddings),
            (Operation::Embeddings, Face::Cohere) => Self::Task(&CohereEmbeddings),
            _ => return None,
        };
        Some(api)
    }

    fn aside(self) -> &'static [&'static str] {
        match self {
            Self::Chat(face) => aside(face.format()),
            Self::Task(_) => ASIDE_OF_TASKS,
        }
    }
}

impl Cache {
    /// What was asked most often since `since` of those whose answers `holder` shares: at most `limit` requests,
    /// of the latest 5,000 calls.
    pub async fn frequent(
        &self,
        store: &dyn CallStore,
        holder: &Caller,
        since: Timestamp,
        limit: usize,
    ) -> Result<FrequentRequests, StoreError> {
        let filter = self.sharing(holder, since);
        let mut found = FrequentRequests::default();
        let mut asked: HashMap<[u8; 32], Frequent> = HashMap::new();
        let mut after = None;
        loop {
            let page = store.list_calls(&filter, after, PAGE).await?;
            for call in page.calls {
                found.looked_at += 1;
                let Some(api) = Api::of(&call).filter(|_| was_asked(&call)) else {
                    continue;
                };
                let Some(payload) = store.payload(call.request_id).await? else {
                    found.not_kept += 1;
                    continue;
                };
                if let Some(place) = place(&call, api, &payload.request) {
                    asked
                        .entry(place)
                        // The latest comes first.
                        .or_insert_with(|| Frequent::of(call))
                        .times += 1;
                }
            }
            after = page.next;
            if after.is_none() || found.looked_at >= MAX_LOOKED_AT {
                break;
            }
        }
        let again = asked.into_values().filter(|frequent| frequent.times > 1);
        found.requests = again.collect();
        found
            .requests
            .sort_unstable_by_key(|it| std::cmp::Reverse((it.times, it.last_at, it.request_id)));
        found.requests.truncate(limit);
        Ok(found)
    }

    /// The calls whose answers `holder` shares.
    fn sharing(&self, holder: &Caller, since: Timestamp) -> CallFilter {
        let (user_id, key_id) = match (self.rules.scope, holder.user_id()) {
            (CacheScope::Project, _) => (None, None),
            (CacheScope::User, Some(user)) => (Some(user), None),
            (CacheScope::User, None) | (CacheScope::Key, _) => (None, Some(holder.key_id())),
        };
        CallFilter {
            organization_id: Some(holder.organization_id()),
            project_id: Some(holder.project_id()),
            user_id,
            key_id,
            since: Some(since),
            ..CallFilter::default()
        }
    }

    fn shares(&self, holder: &Caller, call: &Call) -> bool {
        let filter = self.sharing(holder, call.started_at);
        filter.organization_id == Some(call.organization_id)
            && filter.project_id == Some(call.project_id)
            && filter.user_id.is_none_or(|id| call.user_id == Some(id))
            && filter.key_id.is_none_or(|id| call.key_id == id)
    }
}

impl Frequent {
    fn of(call: Call) -> Self {
        let expected = if call.cache.is_hit() {
            call.saved_usd
        } else {
            call.cost_usd
        };
        Self {
            request_id: call.request_id,
            times: 0,
            request_model: call.request_model,
            last_at: call.started_at,
            expected_cost_usd: expected,
        }
    }
}

/// Whether somebody asked this and got an answer.
fn was_asked(call: &Call) -> bool {
    let is_warming = |id: &String| id.starts_with(MARK);
    call.status == Some(200)
        && matches!(call.state, CallState::Settled | CallState::Estimated)
        && call.shadow_of.is_none()
        && !call.client_request_id.as_ref().is_some_and(is_warming)
}

/// What is the same for requests that are the same; `None` where the request is none that is repeated.
fn place(call: &Call, api: Api, body: &[u8]) -> Option<[u8; 32]> {
    let mut node = Node::read(body)?;
    let is_set = |name| {
        !matches!(
            node.member(name),
            None | Some(Node::Null | Node::Bool(false))
        )
    };
    // What goes on with something, or is made in the background, is not answered by the cache.
    if ["previous_response_id", "conversation", "background"]
        .into_iter()
        .any(is_set)
    {
        return None;
    }
    node.remove(api.aside());
    let mut text = Vec::with_capacity(body.len());
    for word in [
        call.operation.as_str(),
        call.face.as_str(),
        call.request_model.as_str(),
    ] {
        text.extend_from_slice(word.as_bytes());
        // No word has one of these in it.
        text.push(0);
    }
    node.write(&mut text);
    digest(&SHA256, &text).as_ref().try_into().ok()
}

/// The body that asks for the answer as a whole: the same but for that.
fn whole(body: Vec<u8>) -> Option<Bytes> {
    let mut value: Value = serde_json::from_slice(&body).ok()?;
    let object = value.as_object_mut()?;
    if object.get("stream").is_none_or(|stream| stream == false) {
        return Some(body.into());
    }
    object.shift_remove("stream");
    object.shift_remove("stream_options");
    Some(Bytes::from(value.to_string()))
}

impl Gateway {
    /// Asks again what was asked in a call, on behalf of `holder`, who pays for it and must share the answer. The
    /// answer is kept for `ttl` where that is said.
    pub async fn warm(
        &self,
        store: &dyn CallStore,
        holder: &Caller,
        asked: RequestId,
        ttl: Option<Duration>,
    ) -> Result<Warmed, WarmError> {
        let cache = self.cache.as_ref().ok_or(WarmError::NoCache)?;
        let call = store.call(asked).await?;
        let call = call.filter(|call| cache.shares(holder, call));
        let call = call.ok_or(WarmError::Unknown(asked))?;
        let api = Api::of(&call).ok_or(WarmError::NotRepeatable(asked))?;
        let payload = store.payload(asked).await?;
        let body = payload.ok_or(WarmError::NotKept(asked))?.request;
        let is_repeated = place(&call, api, &body).is_some();
        let body = whole(body).filter(|_| is_repeated);
        let body = body.ok_or(WarmError::NotRepeatable(asked))?;
        let (request_id, reply) = match api {
            Api::Chat(face) => {
                let inbound = self.repeated(face, &call, body, ttl);
                let envelope = lift::envelope(inbound.face, &inbound.asked, &inbound.body);
                let envelope = envelope.map_err(ChatError::from)?;
                let plan = self.plan_chat(holder, &inbound, &envelope)?;
                if !cache.takes_chat(holder, &plan, &inbound, &envelope) {
                    return Err(WarmError::NotCached(asked));
                }
                let request_id = inbound.request_id;
                (request_id, Box::pin(self.chat(holder, inbound)).await?)
            }
            Api::Task(task) => {
                let inbound = self.repeated(task, &call, body, ttl);
                let envelope = task.envelope(&inbound.asked, &inbound.body);
                let envelope = envelope.map_err(ChatError::from)?;
                let plan = self.plan_task(holder, &inbound, &envelope)?;
                if !cache.serves(holder, &plan) {
                    return Err(WarmError::NotCached(asked));
                }
                let request_id = inbound.request_id;
                (request_id, Box::pin(self.perform(holder, inbound)).await?)
            }
        };
        // It was asked for as a whole; were it a stream, dropping it ends the call.
        let (Reply::Whole { facts, .. } | Reply::Stream { facts, .. }) = reply;
        let outcome = match facts.cache {
            CacheOutcome::Hit | CacheOutcome::SemanticHit => WarmOutcome::Known,
            _ if cache.answered_by.get(&request_id).is_some() => WarmOutcome::Kept,
            _ => WarmOutcome::NotKept,
        };
        Ok(Warmed {
            request_id,
            outcome,
            cost_usd: facts.cost,
        })
    }

    fn repeated<A: ?Sized>(
        &self,
        face: &'static A,
        call: &Call,
        body: Bytes,
        ttl: Option<Duration>,
    ) -> Inbound<A> {
        let now = self.clock.now();
        let request_id = RequestId::new(now, &*self.entropy);
        let mut headers = HeaderMap::new();
        if call.face == Face::Anthropic {
            headers.extend([ANTHROPIC_VERSION]);
        }
        let ttl = ttl.and_then(|ttl| format!("ttl={}", ttl.as_secs()).parse().ok());
        headers.extend(ttl.map(|ttl: HeaderValue| (super::control::FIELD, ttl)));
        let names_model = call.face == Face::Gemini;
        Inbound {
            request_id,
            started_at: now,
            received: self.clock.moment(),
            face,
            face_name: call.face,
            asked: Asked {
                model: names_model.then(|| call.request_model.clone()),
                stream: names_model.then_some(false),
                headers,
                request_id: request_id.to_string(),
            },
            body,
            client_request_id: Some(format!("{MARK}{}", call.request_id)),
            batch_id: None,
            traceparent: None,
            report: ReportWanted::default(),
            wishes: None,
        }
    }
}
