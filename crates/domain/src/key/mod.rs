//! Virtual keys: what a caller shows instead of a provider's key, and what it permits.

mod limits;
mod pattern;
mod port;

use jiff::Timestamp;

pub use limits::{Budget, Period, Rate};
pub use pattern::{AddressRange, InvalidAddressRange, ModelPattern};
pub use port::{KeyRevision, KeyStore, Rotation};

use crate::id::{ApplicationId, KeyId, OrganizationId, ProjectId, UserId};
use crate::limit::Priority;

/// HMAC-SHA-256 of a key's text under the installation's secret. The text itself is never kept.
pub type KeyHash = [u8; 32];

/// A virtual key and what it permits.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualKey {
    /// Its identifier.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// The tenant.
    pub organization_id: OrganizationId,
    /// The tenant's project.
    pub project_id: ProjectId,
    /// The project's application that holds it, if it was made for one.
    pub application_id: Option<ApplicationId>,
    /// The organisation's user who holds it, if it was made for one.
    pub user_id: Option<UserId>,
    /// What its holder may do beside calling models.
    pub role: Role,
    /// Recognises the key's text.
    pub hash: KeyHash,
    /// Recognises the text that the key had before its last rotation, until the grace period ends.
    pub previous: Option<PreviousHash>,
    /// The first characters of the text (`tl_` and four more), to tell keys apart in a list.
    pub prefix: String,
    /// The last four characters of the text.
    pub last_four: String,
    /// The models that may be asked for; empty permits none.
    pub models: Vec<ModelPattern>,
    /// The addresses that it may be used from; empty permits all.
    pub addresses: Vec<AddressRange>,
    /// How much it may ask for at a time.
    pub rate: Rate,
    /// How much its calls count where they wait, unless they say less themselves.
    pub priority: Priority,
    /// Money per period.
    pub budget: Option<Budget>,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its text was last changed.
    pub rotated_at: Option<Timestamp>,
    /// From when on it is no longer good.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The text that a key had before it was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousHash {
    /// Recognises the old text.
    pub hash: KeyHash,
    /// From when on the old text is no longer good.
    pub until: Timestamp,
}

/// What a key's holder may do beside calling models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything, and sees everybody's calls.
    Admin,
    /// Calls models and sees the key's own calls.
    Member,
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Made through the API or the command line; lives in the store.
    Store,
    /// Written in the configuration; read-only elsewhere.
    Configuration,
}

impl Role {
    /// The word used in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

impl VirtualKey {
    /// A member's key that nobody can show, since no text has its hash: of whoever calls without one. It permits no
    /// model, belongs to a project and to nobody in it, and is bounded by nothing of its own.
    pub fn without_text(
        id: KeyId,
        organization_id: OrganizationId,
        project_id: ProjectId,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            name: String::new(),
            organization_id,
            project_id,
            application_id: None,
            user_id: None,
            role: Role::Member,
            hash: KeyHash::default(),
            previous: None,
            prefix: String::new(),
            last_four: String::new(),
            models: Vec::new(),
            addresses: Vec::new(),
            rate: Rate::default(),
            priority: Priority::default(),
            budget: None,
            origin: Origin::Configuration,
            created_at,
            rotated_at: None,
            expires_at: None,
            revoked_at: None,
        }
    }

    /// Whether the key is good at `now`: neither revoked nor expired.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none_or(|at| now < at) && self.expires_at.is_none_or(|at| now < at)
    }
}
