//! Which targets of a route a request may go to, in which order, and why.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::Moment;
use domain::money::Cost;
use domain::region;

use super::ResolvedTarget;
use super::affinity::{Affinity, Trace};
use super::condition::Verdict;
use super::expectation::{cost_at, expected_usage};
use super::fallback::When;
use super::flag::Flags;
use super::hash::StableHash;
use super::plan::Standing;
use super::question::{Question, SESSION};
use super::reason::{Because, LeftOut, Why};
use super::residency::Residency;
use super::rollout;
use super::roster::{Leads, Member, Roster, Sticky};
use super::strategy::{Contender, Strategy, order};
use super::wishes::Wishes;

/// What is known around a request.
pub(super) struct Surroundings<'a> {
    pub(super) flags: &'a Flags,
    pub(super) affinity: &'a Affinity,
    pub(super) residency: &'a Residency,
    /// What was seen of a target lately; a stream's latency is that of its first byte.
    pub(super) observe: &'a (dyn Fn(&ResolvedTarget, bool, Moment) -> Observation + Sync),
    pub(super) moment: Moment,
    /// How much calls of the caller's for the name usually put out, in tokens.
    pub(super) usual_output: &'a (dyn Fn() -> Option<u64> + Sync),
    /// What the caller wishes.
    pub(super) wishes: &'a Wishes,
    /// Everything is to be found out, also what the order does not depend on.
    pub(super) in_full: bool,
}

/// What was seen of a target lately.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Observation {
    /// How long it took.
    pub latency: Option<Duration>,
    /// How many requests it is answering now.
    pub in_flight: u32,
    /// How much of the provider's rate limits is left, 0 to 1.
    pub headroom: Option<f64>,
    /// It is known not to answer now.
    pub is_out: bool,
}

/// Where a request may go.
pub(super) struct Choice<'r> {
    /// In the order in which they are tried; primaries before fallbacks.
    pub(super) placed: Vec<Placed<'r>>,
    /// Whom it may not go to.
    pub(super) left_out: Vec<LeftOut<'r>>,
    /// By what the request is known again.
    pub(super) trace: Trace,
}

impl Choice<'_> {
    /// What the target is called in a comparison that the request was meant for.
    pub(super) fn variant(&self) -> Option<&Arc<str>> {
        self.placed.first()?.variant
    }
}

/// A target that a request may go to.
#[derive(Clone)]
pub(super) struct Placed<'r> {
    pub(super) target: &'r Arc<ResolvedTarget>,
    pub(super) member: &'r Member,
    pub(super) standing: Standing,
    pub(super) because: Because,
    pub(super) contender: Contender,
    /// What it is called in a comparison: its own name, or that of the route that leads to it.
    pub(super) variant: Option<&'r Arc<str>>,
}

impl Roster {
    /// Where a request may go.
    pub(super) fn choose<'r>(
        &'r self,
        question: &Question<'_>,
        around: &Surroundings<'_>,
    ) -> Choice<'r> {
        let trace = self.trace(question);
        let mut choice = Choice {
            placed: Vec::new(),
            left_out: Vec::new(),
            trace,
        };
        let mut too_small = Vec::new();
        let mut asked = Asked {
            question,
            around,
            trace,
            left_out: &mut choice.left_out,
            too_small: &mut too_small,
        };
        choice.placed = asked.placed(self);
        if choice
            .placed
            .iter()
            .all(|it| it.standing != Standing::Primary)
        {
            choice.placed = without_primary(choice.placed, too_small);
        }
        if let Some(preferred) = around.wishes.provider.as_deref() {
            let is_preferred =
                |placed: &Placed<'_>| placed.target.provider.name.as_str() == preferred;
            for placed in choice
                .placed
                .iter_mut()
                .filter(|placed| is_preferred(placed))
            {
                placed.standing = Standing::Primary;
                placed.because = Because::Preferred;
            }
            choice
                .placed
                .sort_by_key(|placed| placed.because != Because::Preferred);
        }
        choice
    }

    /// By what the request is known again.
    fn trace(&self, question: &Question<'_>) -> Trace {
        let of_route = || {
            let tenant = question.caller.project_id().to_string();
            StableHash::of(self.name.as_bytes()).and(tenant.as_bytes())
        };
        // Who names a session wants it to stay together, whatever the route says.
        let named = question
            .header(SESSION)
            .filter(|session| !session.is_empty());
        let session = match named {
            Some(session) => Some(of_route().and(session.as_bytes())),
            None => self.sticky.iter().find_map(|by| match by {
                Sticky::Session => None,
                Sticky::User => Some(of_route().and(question.user()?.as_bytes())),
                Sticky::Key => {
                    Some(of_route().and(question.caller.key_id().to_string().as_bytes()))
                }
                Sticky::Prefix => Some(of_route().and_number(question.prefix()?.hash.bits())),
            }),
        };
        let wants_prefix = self.strategy.minds_cost() || self.sticky.contains(&Sticky::Prefix);
        Trace {
            session,
            prefix: wants_prefix.then(|| question.prefix()).flatten(),
        }
    }
}

/// One request on its way through a route and those that it leads through.
struct Asked<'q, 'b, 'r, 'o> {
    question: &'q Question<'b>,
    around: &'q Surroundings<'q>,
    trace: Trace,
    left_out: &'o mut Vec<LeftOut<'r>>,
    too_small: &'o mut Vec<Placed<'r>>,
}

impl<'r> Asked<'_, '_, 'r, '_> {
    /// The targets of a route, primaries first.
    fn placed(&mut self, roster: &'r Roster) -> Vec<Placed<'r>> {
        let arm = self.arm(roster);
        let mut contenders = Vec::with_capacity(roster.members.len());
        let mut groups: Vec<Option<Group<'r>>> = Vec::with_capacity(roster.members.len());
        for (index, member) in roster.members.iter().enumerate() {
            if member.rollout.is_some() && arm != Some(index) {
                self.leave_out(member, Why::Rollout);
                continue;
            }
            let because = Because::Strategy(self.strategy(roster));
            let there = self.there(roster, member, Standing::Primary, because);
            if let Some(first) = there.first() {
                contenders.push(Contender {
                    id: member.id,
                    tier: member.tier,
                    weight: member.weight,
                    ..first.contender
                });
                groups.push(Some((index, there)));
            }
        }
        let places = order(self.strategy(roster), &contenders, self.seed());
        let in_order = places
            .into_iter()
            .filter_map(|place| groups.get_mut(place)?.take());
        let mut groups: Vec<Group<'r>> = in_order.collect();
        self.put_the_session_first(&mut groups);
        if let Some(arm) = arm {
            put_first(&mut groups, Because::Rollout, |index, _| index == arm);
        }
        let mut placed: Vec<Placed<'r>> = groups.into_iter().flat_map(|(_, group)| group).collect();
        for (when, member) in &roster.fallbacks {
            let standing = Standing::Fallback(*when);
            let because = Because::Fallback(*when);
            placed.extend(self.there(roster, member, standing, because));
        }
        // A route that this one leads through brings fallbacks of its own.
        placed.sort_by_key(|placed| placed.standing != Standing::Primary);
        placed
    }

    /// Where one member leads this request; nowhere where it is not for it, which is then noted.
    fn there(
        &mut self,
        roster: &'r Roster,
        member: &'r Member,
        standing: Standing,
        because: Because,
    ) -> Vec<Placed<'r>> {
        let refused = match &member.when {
            None => None,
            Some(condition) => match condition.verdict(self.question, self.around.flags) {
                Verdict::Holds => None,
                Verdict::DoesNotHold => Some(Why::Condition),
                Verdict::Failed(why) => Some(Why::ConditionFailed(why)),
            },
        };
        if let Some(why) = refused {
            self.leave_out(member, why);
            return Vec::new();
        }
        let target = match &member.leads {
            Leads::To(target) => target,
            Leads::Through(other) => {
                return self.through(roster, member, other, standing, because);
            }
        };
        let region = target.region.as_ref();
        let residency = self.around.residency;
        let is_promised = residency.permits(self.question.caller, region);
        if !is_promised || !region::permits(&roster.regions, region) {
            self.leave_out(member, Why::Region);
            return Vec::new();
        }
        let placed = Placed {
            target,
            member,
            standing,
            because,
            contender: self.contender(roster, member, target),
            variant: member.variant.as_ref(),
        };
        if let Some(why) = self.too_long_for(target) {
            self.leave_out(member, why);
            self.too_small.push(Placed {
                because: Because::Nobody,
                ..placed
            });
            return Vec::new();
        }
        vec![placed]
    }

    /// Where another route leads. What this one permits holds there too.
    fn through(
        &mut self,
        roster: &'r Roster,
        member: &'r Member,
        other: &'r Roster,
        standing: Standing,
        because: Because,
    ) -> Vec<Placed<'r>> {
        let mut there = self.placed(other);
        there.retain(|placed| {
            let is_permitted = region::permits(&roster.regions, placed.target.region.as_ref());
            if !is_permitted {
                self.left_out.push(LeftOut {
                    member: placed.member,
                    why: Why::Region,
                });
            }
            is_permitted
        });
        if there.is_empty() {
            self.leave_out(member, Why::NobodyThere);
        }
        for placed in &mut there {
            placed.variant = placed.variant.or(member.variant.as_ref());
            if standing != Standing::Primary {
                (placed.standing, placed.because) = (standing, because);
            }
        }
        there
    }

    fn leave_out(&mut self, member: &'r Member, why: Why) {
        self.left_out.push(LeftOut { member, why });
    }

    /// The member of a rollout that the caller belongs to.
    fn arm(&self, roster: &Roster) -> Option<usize> {
        let shares = roster.members.iter().enumerate();
        let shares = shares.filter_map(|(index, member)| Some((index, member.rollout?)));
        let shares: Vec<_> = shares.collect();
        if shares.is_empty() {
            return None;
        }
        // Each route draws anew: otherwise the same callers would be the first everywhere.
        let person = self.question.person().bits();
        let draw = StableHash::of(roster.name.as_bytes()).and_number(person);
        let arm = rollout::arm(shares.iter().map(|(_, share)| *share), draw)?;
        shares.get(arm).map(|(index, _)| *index)
    }

    fn seed(&self) -> StableHash {
        self.trace.session.unwrap_or(self.question.seed)
    }

    fn strategy(&self, roster: &Roster) -> Strategy {
        self.around.wishes.strategy(roster.strategy)
    }

    fn put_the_session_first(&self, groups: &mut [Group<'r>]) {
        let Some(session) = self.trace.session else {
            return;
        };
        let known = self.around.affinity.target_of(session, self.around.moment);
        let Some(known) = known else { return };
        put_first(groups, Because::Session, |_, placed| {
            id_of(placed.target) == known && !placed.contender.is_out
        });
    }

    fn contender(
        &self,
        roster: &Roster,
        member: &Member,
        target: &Arc<ResolvedTarget>,
    ) -> Contender {
        let around = self.around;
        let Observation {
            latency,
            in_flight,
            headroom,
            is_out,
        } = (around.observe)(target, self.question.streamed, around.moment);
        let minds_cost = around.in_full || self.strategy(roster).minds_cost();
        Contender {
            id: member.id,
            tier: member.tier,
            weight: member.weight,
            expected_cost: minds_cost.then(|| self.expected_cost(target)).flatten(),
            latency,
            in_flight,
            headroom,
            quality: member.quality,
            is_out,
        }
    }

    /// What the request is expected to cost at a target, of whose prompt cache it may have a part.
    fn expected_cost(&self, target: &Arc<ResolvedTarget>) -> Option<Cost> {
        let cached = match self.trace.prefix {
            Some(prefix) => {
                let affinity = self.around.affinity;
                affinity.cached_tokens(prefix, id_of(target), self.around.moment)
            }
            None => 0,
        };
        let usage = expected_usage(self.question, self.around.usual_output, cached);
        cost_at(target, &usage, self.question.now)
    }

    /// Why the request does not fit, if it does not.
    fn too_long_for(&self, target: &ResolvedTarget) -> Option<Why> {
        let window = target.capabilities.context_window?;
        // A token has at least a byte: most requests need not be counted.
        if self.question.body.len() as u64 <= window {
            return None;
        }
        let needed = self.question.input_tokens();
        (needed > window).then_some(Why::ContextWindow { needed, window })
    }
}

/// Where a request goes of which no primary takes it: to the fallbacks for one that is too long, where that is
/// why, then to those for any failure. Where there are none, those are asked that are too small by what is
/// estimated, which may be wrong: the provider decides.
fn without_primary<'r>(placed: Vec<Placed<'r>>, too_small: Vec<Placed<'r>>) -> Vec<Placed<'r>> {
    let is_too_long = !too_small.is_empty();
    let mut first = Vec::new();
    let mut then = Vec::new();
    let mut later = Vec::new();
    for mut it in placed {
        match it.standing {
            Standing::Fallback(When::ContextWindow) if is_too_long => {
                // What they are there for has come to pass.
                it.standing = Standing::Primary;
                first.push(it);
            }
            Standing::Primary | Standing::Fallback(When::Always) => then.push(it),
            Standing::Fallback(_) => later.push(it),
        }
    }
    first.append(&mut then);
    if first.is_empty() {
        first = too_small;
    }
    if !first.is_empty() {
        first.append(&mut later);
    }
    first
}

/// By which memory knows a target, whatever route leads to it.
pub(crate) fn id_of(target: &ResolvedTarget) -> StableHash {
    StableHash::of(target.provider.name.as_str().as_bytes()).and(target.model.as_bytes())
}

/// Where one member of a route leads, with the member's place in the configuration.
type Group<'r> = (usize, Vec<Placed<'r>>);

/// Puts the first target that is meant before all others, with those that its member leads to.
fn put_first<'r>(
    groups: &mut [Group<'r>],
    because: Because,
    is_meant: impl Fn(usize, &Placed<'r>) -> bool,
) {
    let position = |(index, group): &Group<'r>| {
        let index = *index;
        group.iter().position(|placed| is_meant(index, placed))
    };
    let Some(found) = groups.iter().position(|group| position(group).is_some()) else {
        return;
    };
    if let Some(ahead) = groups.get_mut(..=found) {
        ahead.rotate_right(1);
    }
    let Some(first) = groups.first_mut() else {
        return;
    };
    let at = position(first).unwrap_or_default();
    if let Some(ahead) = first.1.get_mut(..=at) {
        ahead.rotate_right(1);
    }
    if let Some(placed) = first.1.first_mut() {
        placed.because = because;
    }
}

#[cfg(test)]
mod tests;
