//! Hears an answer on its way back, and keeps it once it is whole and worth it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::cache::CacheKey;
use domain::call::Operation;
use domain::chat::FinishReason;
use domain::name::ProviderName;
use http::HeaderValue;
use memchr::memmem;
use providers::dialect::Format;
use providers::kind::ProviderKind;

use super::entry::{About, Entry, Form};
use super::flight::Lead;
use super::semantic::Compared;
use super::{Cache, after};
use crate::ledger::OpenCall;
use crate::routes::Plan;

/// Hears one answer. Dropping it lets those go themselves who wait for the same answer.
pub(crate) struct Recorder {
    cache: Arc<Cache>,
    key: CacheKey,
    lead: Option<Lead>,
    ttl: Duration,
    form: Form,
    content_type: HeaderValue,
    heard: BytesMut,
    /// The simulated providers that may answer; most often none.
    simulated: Vec<ProviderName>,
    /// What the request is compared by, and the format of its answer.
    compared: Option<(Compared, Format)>,
}

impl Recorder {
    pub(super) fn new(
        cache: &Arc<Cache>,
        key: CacheKey,
        lead: Option<Lead>,
        ttl: Duration,
        form: Form,
        compared: Option<(Compared, Format)>,
        plan: &Plan,
    ) -> Self {
        let candidates = plan.candidates.iter().map(|it| &it.target.provider);
        let simulated = candidates.filter(|provider| provider.kind == ProviderKind::Sim);
        Self {
            cache: Arc::clone(cache),
            key,
            lead,
            ttl,
            form,
            content_type: HeaderValue::from_static("application/json"),
            heard: BytesMut::new(),
            simulated: simulated.map(|provider| provider.name.clone()).collect(),
            compared,
        }
    }

    /// The media type of the answer.
    pub(crate) fn content_type(&mut self, content_type: &HeaderValue) {
        self.content_type = content_type.clone();
    }

    /// Hears a piece of the answer; `None` once it is too large to be kept.
    pub(crate) fn hear(mut self: Box<Self>, piece: &[u8]) -> Option<Box<Self>> {
        if self.heard.len() + piece.len() > self.cache.rules.max_entry {
            self.cache.refuse();
            return None;
        }
        self.heard.extend_from_slice(piece);
        Some(self)
    }

    /// The answer is whole, and `call` knows of it what the ledger is told: it is kept, if it is worth it.
    pub(crate) fn conclude(mut self: Box<Self>, call: &mut OpenCall) {
        let body = std::mem::take(&mut self.heard).freeze();
        match self.entry(body, call) {
            Some(entry) => {
                let compared = self.compared.take();
                self.cache.keep(self.key, entry, compared);
            }
            None => self.cache.refuse(),
        }
        // Those who wait find the answer now.
        drop(self.lead.take());
    }

    fn entry(&self, body: Bytes, call: &mut OpenCall) -> Option<Entry> {
        let (provider, model) = call.asked()?;
        let (provider, model) = (provider.clone(), model.to_owned());
        let observed = call.observed();
        let finish = observed.finish.clone();
        let calls_tools = match finish.as_ref().map(|finish| finish.reason) {
            Some(FinishReason::Stop) => false,
            Some(FinishReason::ToolCalls) if self.cache.rules.tool_calls => true,
            None if call.operation() == Operation::Embeddings => false,
            _ => return None,
        };
        if observed.error.is_some() || refuses(&body) {
            return None;
        }
        let response_model = observed.response_model.clone();
        let (usage, service_tier) = (observed.usage, observed.service_tier);
        let cost = call.cost().map(|priced| priced.total);
        let now = self.cache.clock.now();
        let about = About {
            origin: call.request_id(),
            made_at: now,
            expires_at: after(now, self.ttl),
            form: self.form,
            content_type: self.content_type.to_str().ok()?.to_owned(),
            is_simulated: self.simulated.contains(&provider),
            provider,
            model,
            response_model,
            usage,
            service_tier,
            calls_tools,
            native_finish: finish.map(|finish| finish.native),
            cost,
        };
        Some(Entry { about, body })
    }
}

/// Whether the model refuses in an answer that ends as any other: OpenAI's formats have a field for that,
/// which otherwise is `null` or not there. Within a text its quotes would have backslashes before them.
fn refuses(body: &[u8]) -> bool {
    let field = br#""refusal":"#;
    let mut found = memmem::find_iter(body, field);
    found.any(|at| {
        let value = body.get(at + field.len()..).unwrap_or_default();
        value.trim_ascii_start().first() == Some(&b'"')
    })
}

#[cfg(test)]
mod tests {
    use super::refuses;

    #[test]
    fn a_refusal_is_seen_and_a_word_is_none() {
        assert!(refuses(br#"{"message":{"refusal":"I cannot."}}"#));
        assert!(refuses(br#"{"message":{"refusal": "I cannot."}}"#));
        assert!(!refuses(br#"{"message":{"refusal":null,"content":"x"}}"#));
        assert!(!refuses(br#"{"content":"say {\"refusal\":\"no\"}"}"#));
        assert!(!refuses(b""));
    }
}
