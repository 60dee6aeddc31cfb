//! Connecting and bringing the schema up to date.

use std::time::Duration;

use domain::secret::Secret;
use domain::store_error::StoreError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool};

use crate::error::{migration_error, store_error};

/// How long to wait for the server, and how long a task waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections of one process; servers take a hundred of all processes together unless told otherwise.
const CONNECTIONS: u32 = 10;

/// Connects to the server.
pub(crate) async fn open(url: &Secret<String>) -> Result<PgPool, StoreError> {
    let options = url
        .reveal()
        .parse::<PgConnectOptions>()
        .map_err(store_error)?
        .application_name("trunkline");
    migrate(&options).await?;
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options))
}

/// One process at a time: the driver takes an advisory lock.
///
/// This first connection is not one of the pool's, which tries again until its time is up and then does
/// not say why.
async fn migrate(options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut migrations: Migrator = sqlx::migrate!("migrations/postgres");
    migrations.set_ignore_missing(true);
    let mut connection = tokio::time::timeout(PATIENCE, PgConnection::connect_with(options))
        .await
        .map_err(|elapsed| StoreError::Unavailable(Box::new(elapsed)))?
        .map_err(store_error)?;
    migrations
        .run(&mut connection)
        .await
        .map_err(migration_error)?;
    connection.close().await.map_err(store_error)
}
