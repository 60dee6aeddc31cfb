//! Feature flags: switches that an operator sets in the configuration, for some projects or for a share of
//! the callers, and that conditions ask for. What a project's own record says of one wins over that.

use std::collections::BTreeMap;

use domain::id::ProjectId;
use domain::tenant;

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

    /// Every switch, and how it is set for whoever asks.
    pub fn iter<'a>(
        &'a self,
        question: &'a Question<'_>,
    ) -> impl Iterator<Item = (&'a str, Setting<'a>)> {
        let settings = question.caller.settings();
        self.0.iter().map(move |(name, flag)| {
            let own = settings.and_then(|settings| settings.flags.get(name));
            let setting = match own {
                Some(tenant::Flag::Switch(is_on)) => Setting::Switch(*is_on),
                Some(tenant::Flag::Variant(word)) => Setting::Variant(word),
                None => Setting::Switch(flag.is_on(name, question)),
            };
            (name.as_str(), setting)
        })
    }
}

/// How a switch is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting<'a> {
    /// On or off.
    Switch(bool),
    /// One of several, which a project's record names.
    Variant(&'a str),
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
