//! What makes two requests the same.
//!
//! In the key is the whole body but for what does not change the answer, in one way of writing; the tenant,
//! and the key or user where each has answers of its own; the API that is spoken; the route with its targets;
//! and the fields that go along to the provider. So a request for another tenant, with another tool, another
//! system prompt or another number has another key.

use aws_lc_rs::digest::{Context, SHA256};
use domain::cache::CacheKey;
use domain::caller::Caller;
use providers::dialect::Format;
use providers::face::Asked;

use super::canonical::Node;
use super::rules::CacheScope;
use super::words;
use crate::routes::{Candidate, Plan};

/// Changes whenever keys are made in another way, so that no process takes another's answer for its own.
const VERSION: &[u8] = b"trunkline cache 1";

/// What is asked, by what is known beside its body.
pub(super) struct Asking<'a> {
    pub(super) caller: &'a Caller,
    pub(super) scope: CacheScope,
    /// The API that is spoken, and what of it is not in the body.
    pub(super) api: &'static str,
    /// The caller's fields that go along.
    pub(super) fields: &'a http::HeaderMap,
    pub(super) plan: &'a Plan,
}

/// A request as the cache sees it.
pub(super) struct Question {
    pub(super) key: CacheKey,
    /// What it is compared by, where something that means the same may answer it.
    pub(super) alike: Option<Alike>,
}

/// What a request is compared by.
pub(super) struct Alike {
    /// Everything but the last words: only requests of one partition are ever compared.
    pub(super) partition: CacheKey,
    /// The last words of the user.
    pub(super) words: String,
}

/// Members at the top of a request that do not change its answer: how it is delivered, who is counted, and
/// the model, in whose place the targets stand.
pub(super) fn aside(format: Format) -> &'static [&'static str] {
    match format {
        Format::OpenaiChat | Format::OpenaiCompletions => &[
            "metadata",
            "model",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "stream",
            "stream_options",
            "user",
        ],
        // The answer repeats the other ones.
        Format::OpenaiResponses => &["model", "stream", "stream_options"],
        Format::AnthropicMessages => &["metadata", "model", "stream"],
        Format::Gemini => &["labels", "model"],
        Format::CohereChat => &["model", "stream"],
        Format::BedrockConverse => &["requestMetadata"],
    }
}

/// The same of requests that are no chats.
pub(super) const ASIDE_OF_TASKS: &[&str] = &["model", "user"];

impl Asking<'_> {
    /// The key of a request. `None` where its body cannot be compared with others.
    pub(super) fn question(
        &self,
        body: &[u8],
        aside: &[&str],
        words_of: Option<Format>,
    ) -> Option<Question> {
        let mut node = Node::read(body)?;
        node.remove(aside);
        let key = self.key(b"exact", &node);
        let words = words_of.and_then(|format| words::take_last(format, &mut node));
        Some(Question {
            key,
            alike: words.map(|words| Alike {
                partition: self.key(b"alike", &node),
                words,
            }),
        })
    }

    fn key(&self, purpose: &[u8], node: &Node<'_>) -> CacheKey {
        let mut parts = Parts(Context::new(&SHA256));
        parts.add(VERSION);
        parts.add(purpose);
        parts.add(self.holder().as_bytes());
        parts.add(self.api.as_bytes());
        let plan = self.plan;
        parts.add(plan.route.as_deref().unwrap_or_default().as_bytes());
        parts.add(&[u8::from(plan.route.is_some()), u8::from(plan.strict)]);
        // In an order of their own: which is tried first may change from call to call.
        let mut targets: Vec<[&str; 4]> = plan.candidates.iter().map(words_of).collect();
        targets.sort_unstable();
        for word in targets.iter().flatten() {
            parts.add(word.as_bytes());
        }
        let mut fields: Vec<(&str, &[u8])> = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        fields.sort_unstable();
        for (name, value) in fields {
            parts.add(name.as_bytes());
            parts.add(value);
        }
        let mut body = Vec::with_capacity(1024);
        node.write(&mut body);
        parts.add(&body);
        CacheKey {
            organization_id: self.caller.organization_id(),
            project_id: self.caller.project_id(),
            digest: parts.digest(),
        }
    }

    /// Who shares the answer within the project.
    fn holder(&self) -> String {
        let caller = self.caller;
        match (self.scope, caller.user_id()) {
            (CacheScope::Project, _) => String::new(),
            (CacheScope::User, Some(user)) => user.to_string(),
            (CacheScope::User, None) | (CacheScope::Key, _) => caller.key_id().to_string(),
        }
    }
}

fn words_of(candidate: &Candidate) -> [&str; 4] {
    let target = &*candidate.target;
    [
        target.provider.name.as_str(),
        target.kind.as_str(),
        &target.base_url,
        &target.model,
    ]
}

/// Parts that are hashed one after the other, each with its length, so that none can be taken for another.
struct Parts(Context);

impl Parts {
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn digest(self) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(self.0.finish().as_ref());
        digest
    }
}

/// The names under which APIs stand in keys: those of one face that write streams in different frames differ.
pub(super) fn api(face: domain::call::Face, asked: &Asked, reframes: bool) -> &'static str {
    match (reframes, asked.stream) {
        (true, Some(true)) => "gemini array",
        _ => face.as_str(),
    }
}
