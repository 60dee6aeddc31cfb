//! Where a conversation goes whose reasoning state is kept: to a target that understands it.
//!
//! Sessions and prompt prefixes keep most conversations where they are. Whoever names no session, or comes to
//! another replica, or whose target failed for one turn, would come to a target that cannot read what the one
//! before had thought.

use std::sync::LazyLock;

use domain::caller::Caller;
use domain::chat::Message;
use memchr::memmem::Finder;
use providers::lift;

use super::Custody;
use super::issuer::Issuer;
use super::restore::calling;
use crate::chat::{Gateway, Inbound};
use crate::routes::{Candidate, Plan};

/// What stands in every request that brings tool calls, in any format.
static CALLS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["tool_calls", "tool_use", "function_call", "functionCall"].map(Finder::new));

impl Gateway {
    /// Puts the targets first that understand the reasoning state of a conversation, if its last turn with tool
    /// calls left some in custody. What is out, or was not chosen, stays where it is.
    pub(crate) async fn keep_with_issuer(
        &self,
        caller: &Caller,
        inbound: &Inbound,
        plan: &mut Plan,
    ) {
        let Some(custody) = &self.custody else { return };
        let brings_calls = || {
            CALLS
                .iter()
                .any(|calls| calls.find(&inbound.body).is_some())
        };
        if plan.candidates.len() > 1 && brings_calls() {
            // Large and seldom needed: on the heap it does not make every call's story larger.
            Box::pin(self.steer(custody, caller, inbound, plan)).await;
        }
    }

    async fn steer(&self, custody: &Custody, caller: &Caller, inbound: &Inbound, plan: &mut Plan) {
        // What cannot be read is refused where it is prepared.
        let Ok(request) = lift::parse(inbound.face, &inbound.asked, &inbound.body) else {
            return;
        };
        let Some(issuer) = custody.last_issuer(caller, &request.messages).await else {
            return;
        };
        let format = inbound.face.format();
        let now = self.clock.moment();
        let understands = |candidate: &Candidate| {
            let target = &candidate.target;
            let dialect = target.dialect(format);
            let is_meant =
                dialect.is_some_and(|it| issuer.is_understood_by(&Issuer::of(target, it.format())));
            is_meant && target.health.is_available(now)
        };
        if !understands(plan.candidates.at(0)) {
            plan.candidates.put_first(understands);
        }
    }
}

impl Custody {
    /// Who made the latest state of the caller's that these messages refer to.
    async fn last_issuer(&self, caller: &Caller, messages: &[Message]) -> Option<Issuer> {
        let mut calling = calling(messages);
        let keys = self.root.keys_of(caller)?;
        for calling in &mut calling {
            calling.find_places(&keys);
        }
        let brought = self.look_up(caller, &keys, &calling).await;
        let mut turns = calling
            .iter()
            .flat_map(|calling| self.turns(caller, &keys, calling, &brought));
        turns.next().map(|turn| turn.issuer)
    }
}

#[cfg(test)]
mod tests;
