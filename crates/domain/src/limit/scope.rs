//! For whom and for what a limit holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::id::{ApplicationId, KeyId, OrganizationId, ProjectId, UserId};
use crate::key::ModelPattern;
use crate::name::ProviderName;

/// What a limit says of one thing that calls differ in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Part<T> {
    /// Whichever it is; calls share one count.
    #[default]
    Any,
    /// Each has a count of its own. Calls that have none are not limited.
    Each,
    /// This one only; other calls are not limited.
    Only(T),
}

/// Which calls a limit holds for: those that every part allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// The tenant.
    pub organization: Part<OrganizationId>,
    /// The tenant's project.
    pub project: Part<ProjectId>,
    /// Who calls.
    pub user: Part<UserId>,
    /// What calls.
    pub application: Part<ApplicationId>,
    /// The key.
    pub key: Part<KeyId>,
    /// Who answers.
    pub provider: Part<ProviderName>,
    /// The model that answers: `provider/model`, or its name alone at any provider.
    pub model: Part<ModelPattern>,
}

/// One of those that a limit counts apart: what calls have in common that share a count. Empty where all do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// The tenant's project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// What calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_id: Option<ApplicationId>,
    /// The key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<KeyId>,
    /// Who answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderName>,
    /// The model that answers, as `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Subject {
    /// Everything that is known of a caller.
    pub fn of(caller: &Caller) -> Self {
        Self {
            organization_id: Some(caller.organization_id()),
            project_id: Some(caller.project_id()),
            user_id: caller.user_id(),
            application_id: caller.application_id(),
            key_id: Some(caller.key_id()),
            provider: None,
            model: None,
        }
    }
}

/// The parts that are known, each after its name: `project_id=proj_…`; nothing where all calls share a count.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: [(&str, Option<&dyn fmt::Display>); 7] = [
            ("organization_id", shown(self.organization_id.as_ref())),
            ("project_id", shown(self.project_id.as_ref())),
            ("user_id", shown(self.user_id.as_ref())),
            ("application_id", shown(self.application_id.as_ref())),
            ("key_id", shown(self.key_id.as_ref())),
            ("provider", shown(self.provider.as_ref())),
            ("model", shown(self.model.as_ref())),
        ];
        let mut known = ids.into_iter().filter_map(|(name, id)| Some((name, id?)));
        if let Some((name, id)) = known.next() {
            write!(f, "{name}={id}")?;
        }
        known.try_for_each(|(name, id)| write!(f, " {name}={id}"))
    }
}

fn shown<T: fmt::Display>(part: Option<&T>) -> Option<&dyn fmt::Display> {
    part.map(|part| part as &dyn fmt::Display)
}

/// The limit does not hold for whoever was looked at.
struct HoldsForOthers;

impl<T: PartialEq + Clone> Part<T> {
    /// Whose count it is; `None` when the part tells nobody apart.
    fn of(&self, value: Option<&T>) -> Result<Option<T>, HoldsForOthers> {
        match self {
            Self::Any => Ok(None),
            Self::Each => value.cloned().map(Some).ok_or(HoldsForOthers),
            Self::Only(only) if value == Some(only) => Ok(Some(only.clone())),
            Self::Only(_) => Err(HoldsForOthers),
        }
    }
}

impl<T> Part<T> {
    /// Whether it says anything.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

impl Scope {
    /// Whether it depends on who answers.
    pub fn has_target(&self) -> bool {
        !self.provider.is_any() || !self.model.is_any()
    }

    /// Whose count the calls of `who` are part of, as far as who asks decides it; `None` when the limit does not
    /// hold for them.
    pub fn of_caller(&self, who: &Subject) -> Option<Subject> {
        Some(Subject {
            organization_id: self.organization.of(who.organization_id.as_ref()).ok()?,
            project_id: self.project.of(who.project_id.as_ref()).ok()?,
            user_id: self.user.of(who.user_id.as_ref()).ok()?,
            application_id: self.application.of(who.application_id.as_ref()).ok()?,
            key_id: self.key.of(who.key_id.as_ref()).ok()?,
            provider: None,
            model: None,
        })
    }

    /// The same with who answers: `subject` is what [`Scope::of_caller`] said, `model` the name that the
    /// provider knows.
    pub fn at_target(
        &self,
        subject: &Subject,
        provider: &ProviderName,
        model: &str,
    ) -> Option<Subject> {
        let full = || format!("{}/{model}", provider.as_str());
        let model = match &self.model {
            Part::Any => None,
            Part::Each => Some(full()),
            Part::Only(pattern) => {
                let holds = pattern.matches(model) || pattern.matches(&full());
                Some(holds.then(|| pattern.as_str().to_owned())?)
            }
        };
        Some(Subject {
            provider: self.provider.of(Some(provider)).ok()?,
            model,
            ..subject.clone()
        })
    }
}

/// The word for "each has a count of its own".
const EACH: &str = "each";

/// A part of a scope that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` takes an identifier, a name, or `each`; leave it out where all share one count")]
pub struct InvalidPart {
    /// Which part.
    pub part: String,
}

impl Scope {
    /// The words for the parts, as in the API, the configuration and the store.
    pub const PARTS: [&str; 7] = [
        "organization",
        "project",
        "user",
        "application",
        "key",
        "provider",
        "model",
    ];

    /// The parts that say something, each as its word and as it is written.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let written = [
            written(&self.organization),
            written(&self.project),
            written(&self.user),
            written(&self.application),
            written(&self.key),
            written(&self.provider),
            match &self.model {
                Part::Any => None,
                Part::Each => Some(EACH.to_owned()),
                Part::Only(pattern) => Some(pattern.as_str().to_owned()),
            },
        ];
        let parts = Self::PARTS.into_iter().zip(written);
        parts.filter_map(|(part, written)| Some((part, written?)))
    }

    /// The scope of these parts.
    pub fn of_parts<'t>(
        parts: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Self, InvalidPart> {
        let mut scope = Self::default();
        for (part, text) in parts {
            let invalid = || InvalidPart {
                part: part.to_owned(),
            };
            match part {
                "organization" => scope.organization = read(text).ok_or_else(invalid)?,
                "project" => scope.project = read(text).ok_or_else(invalid)?,
                "user" => scope.user = read(text).ok_or_else(invalid)?,
                "application" => scope.application = read(text).ok_or_else(invalid)?,
                "key" => scope.key = read(text).ok_or_else(invalid)?,
                "provider" => scope.provider = read(text).ok_or_else(invalid)?,
                "model" if text == EACH => scope.model = Part::Each,
                "model" if !text.is_empty() => scope.model = Part::Only(ModelPattern::new(text)),
                _ => return Err(invalid()),
            }
        }
        Ok(scope)
    }
}

fn written<T: fmt::Display>(part: &Part<T>) -> Option<String> {
    match part {
        Part::Any => None,
        Part::Each => Some(EACH.to_owned()),
        Part::Only(only) => Some(only.to_string()),
    }
}

fn read<T: FromStr>(text: &str) -> Option<Part<T>> {
    match text {
        EACH => Some(Part::Each),
        text => text.parse().ok().map(Part::Only),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_back_as_it_is_written() {
        let text = [
            ("organization", "each"),
            ("project", "proj_00000000000000000000000000000001"),
            ("provider", "azure-eu"),
            ("model", "openai/gpt-5*"),
        ];
        let scope = Scope::of_parts(text).unwrap();
        let parts: Vec<(&str, String)> = scope.parts().collect();
        let expected = text.map(|(part, text)| (part, text.to_owned()));
        assert_eq!(parts, expected);
        assert!(Scope::of_parts([("user", "somebody")]).is_err());
        assert!(Scope::of_parts([("planet", "earth")]).is_err());
    }
}
