//! Faults that last: those counted by a directive's `times` and `id`, and those queued over HTTP for requests yet to come.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::directive::{Directive, InvalidDirective};
use crate::issuer;
use crate::record::Face;
use crate::tasks;

/// How many ids are counted before the oldest is forgotten.
const COUNTED: usize = 10_000;
/// How many queued faults may wait.
const QUEUED: usize = 1_000;

/// Both kinds of lasting faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    struck: HashMap<String, u32>,
    order: VecDeque<String>,
    queue: VecDeque<QueuedFault>,
}

/// A fault for requests yet to come, as `POST /sim/faults` takes it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueuedFault {
    /// Which requests it strikes; all of them by default.
    #[serde(default, rename = "match")]
    matches: Match,
    /// The items of a directive, without the brackets.
    directive: String,
    /// How many requests it strikes; one by default.
    #[serde(default = "once")]
    times: u32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Match {
    face: Option<String>,
    model: Option<String>,
}

const fn once() -> u32 {
    1
}

impl Match {
    fn fits(&self, face: &str, model: &str) -> bool {
        self.face.as_deref().is_none_or(|wanted| wanted == face)
            && self.model.as_deref().is_none_or(|wanted| wanted == model)
    }
}

impl Faults {
    /// Adds a fault to the queue, unless its directive makes no sense or the queue is full.
    pub(crate) fn queue(&mut self, fault: QueuedFault) -> Result<(), InvalidDirective> {
        Directive::default().add(&fault.directive)?;
        if let Some(face) = fault.matches.face.as_deref()
            && ![tasks::FACE, issuer::FACE].contains(&face)
            && !Face::ALL.iter().any(|known| known.name() == face)
        {
            return Err(InvalidDirective(format!(
                "unknown face '{face}'; known are {}, {}, {}",
                Face::ALL.map(Face::name).join(", "),
                tasks::FACE,
                issuer::FACE
            )));
        }
        if fault.times == 0 {
            return Err(InvalidDirective(
                "a fault strikes at least one request: 'times' is 1 or more".to_owned(),
            ));
        }
        if self.queue.len() >= QUEUED {
            return Err(InvalidDirective(format!(
                "{QUEUED} faults are already waiting"
            )));
        }
        self.queue.push_back(fault);
        Ok(())
    }

    /// Forgets what is queued and counted.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The faults still waiting, next first.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &QueuedFault> {
        self.queue.iter()
    }

    /// Settles which fault this request has: a queued one goes before its own, and one that has struck often enough is lifted.
    pub(crate) fn apply(
        &mut self,
        face: Face,
        model: &str,
        directive: &mut Directive,
    ) -> Result<(), InvalidDirective> {
        self.apply_to(face.name(), model, directive)
    }

    /// The same for a face that is known by its name.
    pub(crate) fn apply_to(
        &mut self,
        face: &str,
        model: &str,
        directive: &mut Directive,
    ) -> Result<(), InvalidDirective> {
        if let Some(place) = self
            .queue
            .iter()
            .position(|queued| queued.matches.fits(face, model))
        {
            self.take(place, directive)?;
        } else if let Some(times) = directive.times
            && self.strike(directive) >= times
        {
            directive.fault = None;
            directive.latency = std::time::Duration::ZERO;
        }
        Ok(())
    }

    /// The fault that is queued for a face by its name, and not for whatever comes.
    pub(crate) fn named(&mut self, face: &str, model: &str) -> Result<Directive, InvalidDirective> {
        let mut directive = Directive::default();
        let place = self
            .queue
            .iter()
            .position(|queued| queued.matches.face.is_some() && queued.matches.fits(face, model));
        if let Some(place) = place {
            self.take(place, &mut directive)?;
        }
        Ok(directive)
    }

    /// Adds what the fault at this place in the queue wishes, and takes it out when it has struck often enough.
    fn take(&mut self, place: usize, directive: &mut Directive) -> Result<(), InvalidDirective> {
        let Some(queued) = self.queue.get_mut(place) else {
            return Ok(());
        };
        directive.add(&queued.directive)?;
        queued.times = queued.times.saturating_sub(1);
        if queued.times == 0 {
            self.queue.remove(place);
        }
        Ok(())
    }

    /// How often the fault had struck before this request.
    fn strike(&mut self, directive: &Directive) -> u32 {
        let id = directive
            .id
            .clone()
            .unwrap_or_else(|| format!("{:?}", directive.fault));
        if let Some(struck) = self.struck.get_mut(&id) {
            *struck = struck.saturating_add(1);
            return *struck - 1;
        }
        if self.order.len() >= COUNTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.struck.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.struck.insert(id, 1);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directive::Fault;

    fn fault_of(faults: &mut Faults, face: Face, model: &str, directive: &str) -> Option<Fault> {
        let mut wish = Directive::default();
        wish.add(directive).unwrap();
        faults.apply(face, model, &mut wish).unwrap();
        wish.fault
    }

    #[test]
    fn a_counted_fault_strikes_so_often_and_then_lifts() {
        let mut faults = Faults::default();
        let mut next = |id| {
            fault_of(
                &mut faults,
                Face::OpenAi,
                "gpt",
                &format!("status=500 times=2 id={id}"),
            )
        };
        assert_eq!(
            [next("a"), next("a"), next("b")],
            [
                Some(Fault::Status(500)),
                Some(Fault::Status(500)),
                Some(Fault::Status(500))
            ]
        );
        assert_eq!(next("a"), None);
    }

    #[test]
    fn a_queued_fault_waits_for_the_request_it_matches() {
        let mut faults = Faults::default();
        let queued = serde_json::json!({"match": {"face": "anthropic", "model": "claude"}, "directive": "status=529", "times": 2});
        faults
            .queue(serde_json::from_value(queued).unwrap())
            .unwrap();
        assert_eq!(fault_of(&mut faults, Face::OpenAi, "claude", ""), None);
        assert_eq!(
            fault_of(&mut faults, Face::Anthropic, "claude", ""),
            Some(Fault::Status(529))
        );
        assert_eq!(
            fault_of(&mut faults, Face::Anthropic, "claude", ""),
            Some(Fault::Status(529))
        );
        assert_eq!(fault_of(&mut faults, Face::Anthropic, "claude", ""), None);
    }

    #[test]
    fn a_fault_that_makes_no_sense_is_not_queued() {
        let mut faults = Faults::default();
        for fault in [
            serde_json::json!({"directive": "status=1"}),
            serde_json::json!({"directive": "html", "match": {"face": "bing"}}),
        ] {
            assert!(
                faults
                    .queue(serde_json::from_value(fault).unwrap())
                    .is_err()
            );
        }
        assert_eq!(faults.waiting().count(), 0);
    }
}
