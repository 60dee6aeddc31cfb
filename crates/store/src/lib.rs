//! Everything that is kept in a database, and the only SQL of the workspace.
//!
//! [`open`] makes a [`Store`] of a [`Location`]; the store implements the domain's ports
//! ([`domain::key::KeyStore`], [`domain::call::CallStore`], [`domain::response::ResponseStore`],
//! [`domain::custody::CustodyStore`], [`domain::client_secret::ClientSecretStore`], [`domain::file::FileStore`],
//! [`domain::batch::BatchStore`], [`domain::fleet::ReplicaStore`],
//! [`domain::tenant::TenantStore`], [`domain::adjustment::AdjustmentStore`], [`domain::spend::SpendStore`],
//! [`domain::limit::LimitStore`], [`domain::event::EventStore`]) for SQLite and for PostgreSQL.
//!
//! Suggested reading order: `location` (where), `database` (the two engines behind one face), `error`
//! (what a driver's error means), then a port and its rows: `key`, `call`, `response`, `custody`,
//! `client_secret`, `file`, `batch`, `replica`, `tenant`, `adjustment`, `spend`, `limit`, `event`. Statements
//! that both engines accept stand there; `sqlite` and `postgres` mirror each other and
//! hold what differs:
//! opening, the batch of calls, and PostgreSQL's partitions. The schema is in `migrations/`.

mod adjustment;
mod batch;
mod call;
mod client_secret;
mod custody;
mod database;
mod error;
mod event;
mod file;
mod key;
mod limit;
mod location;
mod postgres;
mod replica;
mod response;
mod spend;
mod sqlite;
mod tenant;
mod value;

pub use database::{Kind, Store, open};
pub use location::{InvalidLocation, Location};
