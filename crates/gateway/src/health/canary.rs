//! Canaries: the smallest chat that there is, sent to targets of which nothing is known because nobody asks them.
//!
//! They cost money, so there is a budget for each day, only one replica sends them, and a target that answers
//! calls, of whichever replica, gets none. A canary is a call: it is limited, journaled, priced and recorded, and what comes of it the
//! target's breaker hears as of any call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::{CallFilter, CallStore};
use domain::caller::Caller;
use domain::clock::Moment;
use domain::id::RequestId;
use domain::key::{Budget, Period};
use domain::money::Cost;
use domain::store_error::StoreError;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use providers::dialect::Format;
use providers::face::{Asked, Face};
use providers::openai::OpenaiChat;
use serde_json::json;

use crate::chat::{ChatError, Gateway, Inbound, ReportWanted};
use crate::house;
use crate::routes::{ResolvedTarget, Routes};
use crate::within::within;

/// How long a canary may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many of a provider's latest calls are looked at for one that another replica has sent to a target.
const LOOKED_AT: u32 = 500;

/// When canaries are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryRules {
    /// How long a target must have been left alone.
    pub idle: Duration,
    /// What all of them may cost in a day, by the calendar in UTC.
    pub usd_per_day: Cost,
}

impl CanaryRules {
    /// In whose name canaries are sent.
    pub fn caller(self) -> Caller {
        let budget = Budget {
            limit: self.usd_per_day,
            per: Period::Day,
        };
        house::caller("canaries", budget)
    }
}

impl Gateway {
    /// The targets of configured routes that chat and that nobody has asked for as long as the rules say, of a
    /// process that began at `began`: those first that were left alone for longest.
    pub fn idle_targets(&self, rules: CanaryRules, began: Moment) -> Vec<Arc<ResolvedTarget>> {
        let routes = self.routes.load();
        let now = self.clock.moment();
        let mut idle: Vec<(Moment, Arc<ResolvedTarget>)> = routed(&routes)
            .into_values()
            .filter(|target| target.dialect(Format::OpenaiChat).is_some())
            .map(|target| (target.health.last_asked().unwrap_or(began), target))
            .filter(|(asked, _)| now.since(*asked) >= rules.idle)
            .collect();
        idle.sort_by_key(|(asked, _)| *asked);
        idle.into_iter().map(|(_, target)| target).collect()
    }

    /// Whether a replica has asked a target for which `rules` want a canary, as far as the ledger of all knows it. Then
    /// the target is left alone here for as long as after a call of our own.
    pub async fn is_asked_elsewhere(
        &self,
        rules: CanaryRules,
        target: &ResolvedTarget,
        ledger: &dyn CallStore,
    ) -> Result<bool, StoreError> {
        let (now, moment) = (self.clock.now(), self.clock.moment());
        let idle = SignedDuration::try_from(rules.idle).unwrap_or(SignedDuration::MAX);
        let filter = CallFilter {
            provider: Some(target.provider.name.to_string()),
            since: Some(now.saturating_sub(idle).unwrap_or(Timestamp::MIN)),
            ..CallFilter::default()
        };
        let page = ledger.list_calls(&filter, None, LOOKED_AT).await?;
        let asked = page.calls.iter().flat_map(|call| &call.attempts);
        let asked = asked.filter(|attempt| {
            attempt.provider == target.provider.name && attempt.model == target.model
        });
        let Some(last) = asked.map(|attempt| attempt.started_at).max() else {
            return Ok(false);
        };
        let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
        let began = Moment::at(Duration::ZERO);
        let at = Moment::at(moment.since(began).saturating_sub(age));
        target.health.hear_of_call(at);
        Ok(true)
    }

    /// Sends one canary; answers whether there may be money for another. What becomes of it is in the ledger, and
    /// in the target's health.
    pub async fn send_canary(&self, caller: &Caller, target: &ResolvedTarget) -> bool {
        let name = format!("{}/{}", target.provider.name, target.model);
        let body = json!({
            "model": name, "max_tokens": 1, "messages": [{ "role": "user", "content": "Hi" }],
        });
        let mut headers = HeaderMap::new();
        let fresh = http::HeaderValue::from_static("no-cache, no-store");
        headers.insert("x-trunkline-cache", fresh);
        let now = self.clock.now();
        let request_id = RequestId::new(now, &*self.entropy);
        let face: &'static dyn Face = &OpenaiChat;
        let inbound = Inbound {
            request_id,
            started_at: now,
            received: self.clock.moment(),
            face,
            face_name: domain::call::Face::OpenaiChat,
            asked: Asked {
                headers,
                request_id: request_id.to_string(),
                ..Asked::default()
            },
            body: Bytes::from(body.to_string()),
            client_request_id: None,
            batch_id: None,
            traceparent: None,
            report: ReportWanted::default(),
            wishes: None,
        };
        let asked = Box::pin(self.chat(caller, inbound));
        match within(&*self.clock, PATIENCE, asked).await {
            Some(Err(ChatError::LimitReached(_))) => false,
            Some(Err(error)) => {
                tracing::debug!(model = name, %error, "a canary did not come back");
                true
            }
            Some(Ok(_)) | None => true,
        }
    }
}

/// Every target of a configured route, once.
fn routed(routes: &Routes) -> BTreeMap<(String, String), Arc<ResolvedTarget>> {
    let mut targets = BTreeMap::new();
    for (name, _) in routes.configured() {
        let Ok(plan) = routes.plan(name) else {
            continue;
        };
        for candidate in plan.candidates.iter() {
            let target = &candidate.target;
            let place = (target.provider.name.to_string(), target.model.clone());
            targets.entry(place).or_insert_with(|| Arc::clone(target));
        }
    }
    targets
}

#[cfg(test)]
mod tests;
