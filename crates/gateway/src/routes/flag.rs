//! Feature flags: switches that an operator sets in the configuration, for some projects or for a share of
//! the callers, and that conditions ask for.

use std::collections::BTreeMap;

use domain::id::ProjectId;

use super::hash::StableHash;
use super::question::Question;
use super::rollout::Percent;

/// One switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Flag {
    /// The projects that it is on for; empty for all.
    pub projects: Vec<ProjectId>,
    /// For how many of their callers.
    pub percent: Percent,
}

/// Every switch, by its name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flags(BTreeMap<String, Flag>);

impl Flags {
    /// These switches.
    pub fn new(flags: impl IntoIterator<Item = (String, Flag)>) -> Self {
        Self(flags.into_iter().collect())
    }

    /// Whether there is a switch of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every switch, and whether it is on for whoever asks.
    pub fn iter(&self, question: &Question<'_>) -> impl Iterator<Item = (&str, bool)> {
        self.0
            .iter()
            .map(|(name, flag)| (name.as_str(), flag.is_on(name, question)))
    }
}

impl Flag {
    fn is_on(&self, name: &str, question: &Question<'_>) -> bool {
        let project = question.caller.project_id();
        if !self.projects.is_empty() && !self.projects.contains(&project) {
            return false;
        }
        // Each flag draws anew: otherwise the same callers would be the first everywhere.
        let holds_for_all = self.percent == Percent::ALL;
        holds_for_all || {
            let draw = StableHash::of(name.as_bytes()).and_number(question.person().bits());
            self.percent.holds(draw)
        }
    }
}
