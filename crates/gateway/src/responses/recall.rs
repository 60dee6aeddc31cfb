//! What a request refers to is put in its place.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::caller::Caller;
use domain::response::{KeptResponse, ResponseId};
use jiff::{SignedDuration, Timestamp};
use providers::dialect::Format;
use providers::face::{Envelope, InvalidRequest};
use providers::kind::ProviderKind;
use providers::openai::responses::state::background::in_foreground;
use providers::openai::responses::state::{
    AnswerTap, Keeping, StoredResponse, continued, response_of_item, with_items,
};
use serde_json::value::RawValue;

use super::{Memory, Responses, length};
use crate::chat::{ChatError, Gateway, Inbound};
use crate::routes::{Plan, ResolvedTarget};

/// The most answers of one conversation.
const MAX_CHAIN: usize = 1_000;
/// How long it is known whose an answer is that its provider keeps: as long as OpenAI keeps one
/// (<https://platform.openai.com/docs/guides/conversation-state>).
const AT_PROVIDER: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most that one conversation brings along, in bytes.
const MAX_CONVERSATION: usize = 64 * 1024 * 1024;

/// What was asked, after what it refers to was put in its place.
pub(crate) struct Recalled {
    /// The body as the caller sent it.
    pub(crate) asked: Bytes,
    /// Keeps the answer, where that is wanted.
    pub(crate) memory: Option<Memory>,
    /// Whether the answer is to be made in the background; then it is kept.
    pub(crate) background: bool,
}

impl Recalled {
    /// Nothing is referred to, and nothing kept.
    fn nothing(asked: Bytes) -> Self {
        Self {
            asked,
            memory: None,
            background: false,
        }
    }
}

impl Gateway {
    /// The request of a task with the conversation before it and the items in it that it refers to. Nothing
    /// but the request's own words is looked at where nothing is kept.
    pub(crate) async fn with_references(
        &self,
        caller: &Caller,
        body: &Bytes,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        let keeping = Keeping::read(body)?;
        let responses = &self.responses;
        let resolved = responses.resolved(caller, body, &keeping.references, false, now);
        let resolved = resolved.await?;
        let Some(previous) = &keeping.previous_response_id else {
            return Ok(resolved);
        };
        let last = responses.expect(caller, previous, now).await?;
        let chain = responses.chain(caller, last, now).await?;
        Ok(continued(&resolved, &chain, &reference)?)
    }

    /// Puts what the request refers to in its place: in `inbound`'s body, of which `envelope` then is.
    pub(crate) async fn recall(
        &self,
        caller: &Caller,
        inbound: &mut Inbound,
        envelope: &mut Envelope,
        plan: &mut Plan,
    ) -> Result<Recalled, ChatError> {
        if inbound.face.format() == Format::OpenaiResponses {
            // Large and seldom needed: on the heap it does not make every call's story larger.
            return Box::pin(self.recall_response(caller, inbound, envelope, plan)).await;
        }
        Ok(Recalled::nothing(inbound.body.clone()))
    }

    async fn recall_response(
        &self,
        caller: &Caller,
        inbound: &mut Inbound,
        envelope: &mut Envelope,
        plan: &mut Plan,
    ) -> Result<Recalled, ChatError> {
        let asked = inbound.body.clone();
        let keeping = Keeping::read(&asked)?;
        let now = inbound.started_at;
        let keep_until = self.responses.keep_until(now);
        if keeping.background && !(keeping.store && keep_until.is_some()) {
            let detail = "An answer that is made in the background must be kept: leave `store: false` out, \
                          and where the operator keeps nothing (`responses.keep: none`), `background`.";
            return Err(InvalidRequest::of("background", detail).into());
        }
        let Some(keep_until) = keep_until else {
            return self
                .left_to_provider(caller, asked, &keeping, envelope, plan, now)
                .await;
        };
        let dialect = plan.target().dialect(Format::OpenaiResponses);
        let dialect = dialect.filter(|dialect| dialect.format() == Format::OpenaiResponses);
        let previous = match &keeping.previous_response_id {
            Some(id) => Some(self.responses.expect(caller, id, now).await?),
            None => None,
        };
        let resolved = self
            .responses
            .resolved(caller, &asked, &keeping.references, dialect.is_some(), now)
            .await?;
        let is_verbatim = dialect.is_some_and(|dialect| dialect.takes_as_written(&resolved));
        let provider = &plan.target().provider.name;
        // Another candidate would not know what only one provider has.
        let is_continued = |last: &KeptResponse| {
            let is_there = last.is_at_provider && last.provider == *provider;
            is_verbatim && is_there && plan.candidates.len() == 1
        };
        let chain = match &previous {
            Some(last) if !is_continued(last) => {
                self.responses.chain(caller, last.clone(), now).await?
            }
            _ => Vec::new(),
        };
        if chain.is_empty() {
            inbound.body = resolved.clone();
        } else {
            // What is left of references is the provider's to know.
            inbound.body = continued(&resolved, &chain, &reference)?;
        }
        if keeping.background {
            inbound.body = in_foreground(&inbound.body);
        }
        if inbound.body != asked {
            *envelope = inbound.face.envelope(&inbound.asked, &inbound.body)?;
            self.check(caller, envelope)?;
        }
        let memory = keeping.store.then(|| Memory {
            responses: Arc::clone(&self.responses),
            caller: caller.clone(),
            provider: provider.clone(),
            asked: resolved,
            previous: previous.map(|previous| previous.id),
            tap: envelope.stream.then(AnswerTap::default),
            created_at: now,
            keep_until,
            is_place_only: false,
            is_at_provider: false,
        });
        Ok(Recalled {
            asked,
            memory,
            background: keeping.background,
        })
    }
}

impl Gateway {
    /// Where the operator keeps nothing, conversations are the provider's to keep, and here is only known
    /// whose they are.
    async fn left_to_provider(
        &self,
        caller: &Caller,
        asked: Bytes,
        keeping: &Keeping,
        envelope: &Envelope,
        plan: &mut Plan,
        now: Timestamp,
    ) -> Result<Recalled, ChatError> {
        let keeps = |target: &ResolvedTarget| {
            let dialect = target.dialect(Format::OpenaiResponses);
            let speaks = dialect.is_some_and(|it| it.format() == Format::OpenaiResponses);
            speaks && target.provider.kind == ProviderKind::Openai
        };
        if let Some(id) = &keeping.previous_response_id {
            let previous = self.responses.expect(caller, id, now).await?;
            // Only who gave it can go on with it.
            let has_it = |target: &ResolvedTarget| {
                keeps(target) && target.provider.name == previous.provider
            };
            if !plan.candidates.keep(|candidate| has_it(&candidate.target)) {
                return Err(not_here(id));
            }
        }
        let keeps = keeps(plan.target());
        let provider = &plan.target().provider;
        let memory = (keeping.store && keeps).then(|| Memory {
            responses: Arc::clone(&self.responses),
            caller: caller.clone(),
            provider: provider.name.clone(),
            asked: asked.clone(),
            previous: None,
            tap: envelope.stream.then(AnswerTap::default),
            created_at: now,
            keep_until: now.saturating_add(AT_PROVIDER).unwrap_or(Timestamp::MAX),
            is_place_only: true,
            is_at_provider: false,
        });
        Ok(Recalled {
            memory,
            ..Recalled::nothing(asked)
        })
    }
}

impl Responses {
    /// The answer that `previous_response_id` names.
    async fn expect(
        &self,
        caller: &Caller,
        id: &str,
        now: Timestamp,
    ) -> Result<KeptResponse, ChatError> {
        let found = match id.parse::<ResponseId>() {
            Ok(id) => self.find(caller, &id, now).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| ChatError::NotKept {
            detail: format!("Previous response with id '{id}' not found."),
            param: "previous_response_id".to_owned(),
        })
    }

    /// The answers that `last` continues, the oldest first, and itself.
    pub(super) async fn chain(
        &self,
        caller: &Caller,
        last: KeptResponse,
        now: Timestamp,
    ) -> Result<Vec<StoredResponse>, ChatError> {
        let mut chain = Vec::new();
        let mut bytes = 0;
        let mut next = Some(last);
        while let Some(response) = next {
            bytes += length(&response);
            if chain.len() == MAX_CHAIN || bytes > MAX_CONVERSATION {
                let detail = format!(
                    "The conversation before `previous_response_id` is longer than {MAX_CHAIN} answers or \
                     {MAX_CONVERSATION} bytes; begin a new one with what matters of it in `input`."
                );
                return Err(InvalidRequest::of("previous_response_id", detail).into());
            }
            if response.answer.is_empty() {
                return Err(not_here(response.id.as_str()));
            }
            next = match &response.previous {
                Some(id) => Some(self.expect(caller, id.as_str(), now).await?),
                None => None,
            };
            chain.extend(stored(&response));
        }
        chain.reverse();
        Ok(chain)
    }

    /// The request with the items in it that it refers to. What the gateway did not give out, a provider
    /// that is asked in its own words may know.
    async fn resolved(
        &self,
        caller: &Caller,
        asked: &Bytes,
        references: &[String],
        is_verbatim: bool,
        now: Timestamp,
    ) -> Result<Bytes, ChatError> {
        let mut answers: HashMap<ResponseId, StoredResponse> = HashMap::new();
        let mut items: HashMap<&str, Box<RawValue>> = HashMap::new();
        for id in references {
            let answer = response_of_item(id).and_then(|id| id.parse::<ResponseId>().ok());
            if let Some(answer) = &answer
                && !answers.contains_key(answer)
                && let Some(kept) = self.find(caller, answer, now).await?
                && let Some(stored) = stored(&kept)
            {
                answers.insert(answer.clone(), stored);
            }
            let found = answer.as_ref().and_then(|answer| answers.get(answer));
            match found.and_then(|stored| stored.item(id)) {
                Some(item) => {
                    items.insert(id, item.to_owned());
                }
                None if is_verbatim && answer.is_none() => {}
                None => {
                    return Err(ChatError::NotKept {
                        detail: format!("Item with id '{id}' not found."),
                        param: "input".to_owned(),
                    });
                }
            }
        }
        if items.is_empty() {
            return Ok(asked.clone());
        }
        let find = |id: &str| items.get(id).cloned().or_else(|| reference(id));
        Ok(with_items(asked, &find)?)
    }
}

/// An answer that only the provider has.
fn not_here(id: &str) -> ChatError {
    ChatError::NotKept {
        detail: format!(
            "Previous response with id '{id}' is kept by the provider that gave it, and can be continued \
             there only."
        ),
        param: "previous_response_id".to_owned(),
    }
}

/// An answer and what was asked, as they were kept.
fn stored(response: &KeptResponse) -> Option<StoredResponse> {
    Some(StoredResponse {
        input: serde_json::from_slice(&response.input).ok()?,
        answer: serde_json::from_slice(&response.answer).ok()?,
    })
}

/// A reference to an item, as it is written in a request.
fn reference(id: &str) -> Option<Box<RawValue>> {
    let reference = serde_json::json!({"type": "item_reference", "id": id});
    serde_json::value::to_raw_value(&reference).ok()
}
