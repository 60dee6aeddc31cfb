//! A row of `virtual_keys`.

use std::time::Duration;

use domain::key::{
    AddressRange, Budget, KeyHash, ModelPattern, Origin, Period, PreviousHash, Rate, Role,
    VirtualKey,
};
use domain::limit::{Priority, QueueRules};
use domain::money::Cost;
use domain::store_error::StoreError;

use crate::value::Reader;

/// Every column but the revision.
#[derive(sqlx::FromRow)]
pub(super) struct KeyRow {
    id: String,
    organization_id: String,
    project_id: String,
    name: String,
    role: String,
    hash: Vec<u8>,
    previous_hash: Option<Vec<u8>>,
    previous_until: Option<i64>,
    prefix: String,
    last_four: String,
    models: String,
    addresses: String,
    rpm: Option<i64>,
    tpm: Option<i64>,
    budget_nano: Option<i64>,
    budget_per: Option<String>,
    created_at: i64,
    rotated_at: Option<i64>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    application_id: Option<String>,
    user_id: Option<String>,
    concurrency: Option<i64>,
    max_wait_ms: Option<i64>,
    max_waiting: Option<i64>,
    priority: String,
}

/// Every column.
#[derive(sqlx::FromRow)]
pub(super) struct RevisedKeyRow {
    #[sqlx(flatten)]
    pub(super) key: KeyRow,
    pub(super) revision: i64,
}

impl KeyRow {
    pub(super) fn into_key(self) -> Result<VirtualKey, StoreError> {
        let row = Reader {
            table: "virtual_keys",
            id: &self.id,
        };
        let models: Vec<String> = row.json("models", &self.models)?;
        let addresses: Vec<String> = row.json("addresses", &self.addresses)?;
        Ok(VirtualKey {
            id: row.parse("id", &self.id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            application_id: row.optional(
                "application_id",
                self.application_id.as_deref(),
                Reader::parse,
            )?,
            user_id: row.optional("user_id", self.user_id.as_deref(), Reader::parse)?,
            role: row.some("role", role(&self.role))?,
            hash: row.some("hash", hash(&self.hash))?,
            previous: match (&self.previous_hash, self.previous_until) {
                (Some(previous), Some(until)) => Some(PreviousHash {
                    hash: row.some("previous_hash", hash(previous))?,
                    until: row.time("previous_until", until)?,
                }),
                (None, None) => None,
                _ => return Err(row.corrupt("previous_until")),
            },
            models: models.into_iter().map(ModelPattern::new).collect(),
            addresses: addresses
                .iter()
                .map(|range| row.parse::<AddressRange>("addresses", range))
                .collect::<Result<_, _>>()?,
            rate: Rate {
                rpm: row.optional("rpm", self.rpm, Reader::number)?,
                tpm: row.optional("tpm", self.tpm, Reader::number)?,
                concurrency: row.optional("concurrency", self.concurrency, Reader::number)?,
                queue: match (self.max_wait_ms, self.max_waiting) {
                    (Some(max_wait), Some(max_waiting)) => Some(QueueRules {
                        max_wait: Duration::from_millis(row.number("max_wait_ms", max_wait)?),
                        max_waiting: row.number("max_waiting", max_waiting)?,
                    }),
                    (None, None) => None,
                    _ => return Err(row.corrupt("max_waiting")),
                },
            },
            priority: row.some("priority", Priority::from_word(&self.priority))?,
            budget: match (self.budget_nano, self.budget_per.as_deref()) {
                (Some(limit), Some(per)) => Some(Budget {
                    limit: Cost::from_nano_dollars(limit),
                    per: row.some("budget_per", period(per))?,
                }),
                (None, None) => None,
                _ => return Err(row.corrupt("budget_per")),
            },
            origin: Origin::Store,
            created_at: row.time("created_at", self.created_at)?,
            rotated_at: row.optional("rotated_at", self.rotated_at, Reader::time)?,
            expires_at: row.optional("expires_at", self.expires_at, Reader::time)?,
            revoked_at: row.optional("revoked_at", self.revoked_at, Reader::time)?,
            name: self.name,
            prefix: self.prefix,
            last_four: self.last_four,
        })
    }
}

/// A list of texts as one column keeps it.
pub(super) fn json(texts: impl Iterator<Item = String>) -> String {
    texts
        .map(serde_json::Value::String)
        .collect::<serde_json::Value>()
        .to_string()
}

fn hash(bytes: &[u8]) -> Option<KeyHash> {
    bytes.try_into().ok()
}

fn role(word: &str) -> Option<Role> {
    [Role::Admin, Role::Member]
        .into_iter()
        .find(|role| role.as_str() == word)
}

fn period(word: &str) -> Option<Period> {
    Period::ALL
        .into_iter()
        .find(|period| period.as_str() == word)
}
