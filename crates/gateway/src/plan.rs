//! Where a request goes: the choice among a route's targets, made for each request, and what is remembered
//! of it.

use std::sync::atomic::{AtomicU64, Ordering};

use domain::call::Operation;
use domain::caller::Caller;
use domain::name::ModelName;
use providers::face::Envelope;
use providers::task::{Task, TaskEnvelope};

use crate::chat::{ChatError, Gateway, Inbound};
use crate::routes::affinity::Affinity;
use crate::routes::choice::id_of;
use crate::routes::explain::{Explanation, Supposed};
use crate::routes::hash::StableHash;
use crate::routes::question::{Question, Read};
use crate::routes::{Circumstances, Plan, ResolvedTarget, Routes, UnknownModel, Wishes};

/// What routing remembers from call to call, whatever routes are in force.
#[derive(Default)]
pub(crate) struct Routing {
    affinity: Affinity,
    /// How many conditions could not be evaluated.
    failed_conditions: AtomicU64,
}

impl Gateway {
    /// Where a chat goes.
    pub(crate) fn plan_chat(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        envelope: &Envelope,
    ) -> Result<Plan, ChatError> {
        self.plan(caller, inbound, &envelope.model, |question| Question {
            streamed: envelope.stream,
            messages: envelope.messages,
            max_output_tokens: envelope.max_output_tokens,
            ..question
        })
    }

    /// Where a task goes.
    pub(crate) fn plan_task(
        &self,
        caller: &Caller,
        inbound: &Inbound<dyn Task>,
        envelope: &TaskEnvelope,
    ) -> Result<Plan, ChatError> {
        self.plan(caller, inbound, &envelope.model, |question| Question {
            operation: inbound.face.operation(),
            streamed: envelope.stream,
            max_output_tokens: Some(envelope.estimate.output_tokens),
            ..question
        })
    }

    /// Where a request goes that has no body of its own yet.
    pub(crate) fn plan_session<Api: ?Sized>(
        &self,
        caller: &Caller,
        inbound: &Inbound<Api>,
        model: &ModelName,
    ) -> Result<Plan, ChatError> {
        self.plan(caller, inbound, model, |question| Question {
            operation: Operation::Realtime,
            streamed: true,
            ..question
        })
    }

    fn plan<Api: ?Sized>(
        &self,
        caller: &Caller,
        inbound: &Inbound<Api>,
        model: &ModelName,
        ask: impl for<'a> FnOnce(Question<'a>) -> Question<'a>,
    ) -> Result<Plan, ChatError> {
        let routes = self.routes.load();
        let known = routes.known(model)?;
        let wishes = inbound.wishes.as_deref();
        if !routes.has_choice(&known, caller) && wishes.is_none() {
            return Ok(known.plan);
        }
        let question = ask(Question {
            caller,
            model,
            operation: Operation::Chat,
            headers: &inbound.asked.headers,
            body: &inbound.body,
            streamed: false,
            messages: 0,
            max_output_tokens: None,
            now: inbound.started_at,
            seed: StableHash::of(&inbound.request_id.to_bytes()),
            read: Read::default(),
        });
        let nothing = Wishes::NONE;
        let usual_output = || self.limits.usual_output(caller, model);
        let circumstances = self.circumstances(wishes.unwrap_or(&nothing), &usual_output);
        let choice = routes.choose(known, &question, &circumstances);
        if choice.failed_conditions > 0 {
            let failed = &self.routing.failed_conditions;
            failed.fetch_add(choice.failed_conditions, Ordering::Relaxed);
        }
        let mut plan = choice.plan?;
        if let Some(wishes) = wishes {
            wishes.arrange(&mut plan);
        }
        Ok(plan)
    }

    fn circumstances<'a>(
        &'a self,
        wishes: &'a Wishes,
        usual_output: &'a (dyn Fn() -> Option<u64> + Sync),
    ) -> Circumstances<'a> {
        Circumstances {
            affinity: &self.routing.affinity,
            observe: &|target, is_streamed, now| target.health.observation(is_streamed, now),
            moment: self.clock.moment(),
            usual_output,
            wishes,
        }
    }

    /// Where a request would go that is supposed to be made by `caller` now.
    pub fn explain(
        &self,
        caller: &Caller,
        supposed: &Supposed,
    ) -> Result<Explanation, UnknownModel> {
        let wishes = supposed.wishes();
        let usual_output = || self.limits.usual_output(caller, supposed.model());
        let circumstances = self.circumstances(&wishes, &usual_output);
        let routes = self.routes.load();
        routes.explain(caller, supposed, &circumstances, self.clock.now())
    }

    /// Remembers that a target has answered.
    pub(crate) fn remember_answer(&self, plan: &Plan, target: &ResolvedTarget) {
        if let Some(routed) = plan.routed.as_deref().filter(|it| !it.trace.is_empty()) {
            let now = self.clock.moment();
            let affinity = &self.routing.affinity;
            affinity.remember(&routed.trace, id_of(target), now);
        }
    }

    /// How many conditions could not be evaluated, since the start; each counted as not fulfilled.
    pub fn failed_conditions(&self) -> u64 {
        self.routing.failed_conditions.load(Ordering::Relaxed)
    }
}

/// Refuses a target that the caller's promises of residency do not permit.
pub(crate) fn permitted(
    routes: &Routes,
    caller: &Caller,
    model: &ModelName,
    target: &ResolvedTarget,
) -> Result<(), ChatError> {
    let residency = &routes.policy().residency;
    if residency.permits(caller, target.region.as_ref()) {
        return Ok(());
    }
    Err(routes.outside(caller, model, target).into())
}
