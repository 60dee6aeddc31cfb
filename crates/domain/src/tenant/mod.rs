//! Tenants: organisations, their projects and users, and the applications of projects.
//!
//! The four are records of one shape that differ in what stands above them: organisation → project →
//! application or user → key. A key belongs to a project, and may have been made for an application of it or
//! for a user of the organisation.

mod port;
mod settings;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

pub use port::{TenantFilter, TenantRevision, TenantStore};
pub use settings::{Flag, InvalidSettings, PayloadRule, ProjectSettings};

use crate::id::{ApplicationId, InvalidId, OrganizationId, ProjectId, UserId};

/// A tenant as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Who it is, with what only its kind has.
    pub kind: TenantKind,
    /// The organisation that it belongs to; an organisation belongs to itself.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: TenantName,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it admits nothing; its calls and costs stay. It may be taken back into service.
    pub archived_at: Option<Timestamp>,
}

/// What a tenant is.
#[derive(Debug, Clone, PartialEq)]
pub enum TenantKind {
    /// Owns projects and users.
    Organization(OrganizationId),
    /// Owns keys and applications, and has settings of its own.
    Project(ProjectId, ProjectSettings),
    /// A program of a project that calls models.
    Application(ApplicationId, ProjectId),
    /// A person of an organisation.
    User(UserId, Option<Email>),
}

/// The identifier of a tenant of any kind; its prefix says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TenantId {
    /// An organisation's.
    Organization(OrganizationId),
    /// A project's.
    Project(ProjectId),
    /// An application's.
    Application(ApplicationId),
    /// A user's.
    User(UserId),
}

/// A kind of tenant, by its word in the API and the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantWord {
    /// `organization`
    Organization,
    /// `project`
    Project,
    /// `application`
    Application,
    /// `user`
    User,
}

/// What people call a tenant: 1–128 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantName(String);

/// An address of electronic mail, by which a person is known: 3–254 characters with an `@` inside. Whether
/// mail arrives there is not for us to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

/// The text is not a tenant's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a name has 1 to 128 characters and no control characters")]
pub struct InvalidTenantName;

/// The text is not an address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an email address has 3 to 254 characters, an @ inside, and no spaces")]
pub struct InvalidEmail;

/// What is to be changed of a tenant; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TenantChange {
    /// Another name.
    pub name: Option<TenantName>,
    /// A user's address; `Some(None)` forgets it.
    pub email: Option<Option<Email>>,
    /// A project's settings, all of them.
    pub settings: Option<ProjectSettings>,
    /// Whether it is to be out of service: from this time on, or (`Some(None)`) no longer.
    pub archived_at: Option<Option<Timestamp>>,
}

impl Tenant {
    /// Its identifier.
    pub fn id(&self) -> TenantId {
        match self.kind {
            TenantKind::Organization(id) => TenantId::Organization(id),
            TenantKind::Project(id, _) => TenantId::Project(id),
            TenantKind::Application(id, _) => TenantId::Application(id),
            TenantKind::User(id, _) => TenantId::User(id),
        }
    }

    /// The project that it is, or belongs to.
    pub fn project_id(&self) -> Option<ProjectId> {
        match self.kind {
            TenantKind::Project(id, _) | TenantKind::Application(_, id) => Some(id),
            TenantKind::Organization(_) | TenantKind::User(..) => None,
        }
    }

    /// A project's settings.
    pub fn settings(&self) -> Option<&ProjectSettings> {
        match &self.kind {
            TenantKind::Project(_, settings) => Some(settings),
            _ => None,
        }
    }

    /// Whether it is out of service at `now`.
    pub fn is_archived_at(&self, now: Timestamp) -> bool {
        self.archived_at.is_some_and(|at| at <= now)
    }

    /// The tenant as it is after `change`. What its kind does not have stays away.
    #[must_use]
    pub fn changed(mut self, change: &TenantChange) -> Self {
        if let Some(name) = &change.name {
            self.name = name.clone();
        }
        if let Some(at) = change.archived_at {
            // Archiving again does not move the time.
            self.archived_at = match (self.archived_at, at) {
                (Some(was), Some(_)) => Some(was),
                (_, at) => at,
            };
        }
        match &mut self.kind {
            TenantKind::Project(_, settings) => {
                if let Some(changed) = &change.settings {
                    settings.clone_from(changed);
                }
            }
            TenantKind::User(_, email) => {
                if let Some(changed) = &change.email {
                    email.clone_from(changed);
                }
            }
            TenantKind::Organization(_) | TenantKind::Application(..) => {}
        }
        self
    }
}

impl TenantId {
    /// Which kind of tenant it identifies.
    pub fn word(self) -> TenantWord {
        match self {
            Self::Organization(_) => TenantWord::Organization,
            Self::Project(_) => TenantWord::Project,
            Self::Application(_) => TenantWord::Application,
            Self::User(_) => TenantWord::User,
        }
    }

    /// Whether it exists from the first start and always stays in service: what nobody was made for
    /// belongs to it, the first admin key among it.
    pub fn is_default(self) -> bool {
        self == Self::Organization(OrganizationId::DEFAULT)
            || self == Self::Project(ProjectId::DEFAULT)
    }
}

impl TenantWord {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Organization,
        Self::Project,
        Self::Application,
        Self::User,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Application => "application",
            Self::User => "user",
        }
    }

    /// The identifier of this kind that `text` is.
    pub fn parse_id(self, text: &str) -> Result<TenantId, InvalidId> {
        Ok(match self {
            Self::Organization => TenantId::Organization(text.parse()?),
            Self::Project => TenantId::Project(text.parse()?),
            Self::Application => TenantId::Application(text.parse()?),
            Self::User => TenantId::User(text.parse()?),
        })
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organization(id) => id.fmt(f),
            Self::Project(id) => id.fmt(f),
            Self::Application(id) => id.fmt(f),
            Self::User(id) => id.fmt(f),
        }
    }
}

impl TenantName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantName {
    type Err = InvalidTenantName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if length == 0 || length > 128 || text.chars().any(char::is_control) {
            return Err(InvalidTenantName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let has_at_inside = text
            .split_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
        let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if text.len() > 254 || !has_at_inside || !is_plain {
            return Err(InvalidEmail);
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Tenant {
        Tenant {
            kind: TenantKind::Project(ProjectId::DEFAULT, ProjectSettings::default()),
            organization_id: OrganizationId::DEFAULT,
            name: "first".parse().unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            archived_at: None,
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let renamed = project().changed(&TenantChange {
            name: Some("second".parse().unwrap()),
            email: Some(Some("a@b".parse().unwrap())),
            ..TenantChange::default()
        });
        let expected = Tenant {
            name: "second".parse().unwrap(),
            ..project()
        };
        assert_eq!(renamed, expected);
    }

    #[test]
    fn the_first_archiving_counts_until_the_tenant_is_back() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let archive = |second| TenantChange {
            archived_at: Some(Some(at(second))),
            ..TenantChange::default()
        };
        let back = TenantChange {
            archived_at: Some(None),
            ..TenantChange::default()
        };
        let twice = project().changed(&archive(5)).changed(&archive(9));
        assert_eq!(twice.archived_at, Some(at(5)));
        assert!(twice.is_archived_at(at(5)) && !twice.is_archived_at(at(4)));
        assert_eq!(twice.changed(&back), project());
    }

    #[test]
    fn an_identifier_is_one_of_its_own_kind_only() {
        let id = TenantId::Project(ProjectId::DEFAULT);
        for word in TenantWord::ALL {
            let parsed = word.parse_id(&id.to_string());
            assert_eq!(parsed.is_ok(), word == id.word(), "{}", word.as_str());
        }
    }

    #[test]
    fn names_and_addresses_are_checked() {
        assert!("".parse::<TenantName>().is_err());
        assert!("a\nb".parse::<TenantName>().is_err());
        assert!("é".repeat(128).parse::<TenantName>().is_ok());
        assert!("é".repeat(129).parse::<TenantName>().is_err());
        for (text, is_one) in [
            ("a@b", true),
            ("@b", false),
            ("a@", false),
            ("a b@c", false),
        ] {
            assert_eq!(text.parse::<Email>().is_ok(), is_one, "{text}");
        }
    }
}
