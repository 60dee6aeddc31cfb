//! The two engines behind one face: where statements that both accept are run.

use domain::store_error::StoreError;
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Sqlite, SqliteConnection};

use crate::error::store_error;
use crate::location::Location;
use crate::{postgres, sqlite};

/// An open store. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) database: Database,
}

/// The engine that keeps a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQLite: one file of this machine's.
    Sqlite,
    /// PostgreSQL: a server that several replicas share.
    Postgres,
}

/// Opens the store at `location` and brings its schema up to date; several processes may do so at once.
/// A schema of a later version is left as it is, so that the version before it can still start.
///
/// A file that is not there is made, readable by its owner only. On PostgreSQL, call
/// [`Store::prepare_partitions`] next and then daily.
pub async fn open(location: &Location) -> Result<Store, StoreError> {
    let database = match location {
        Location::Sqlite(file) => Database::Sqlite(sqlite::open(file).await?),
        Location::Postgres(url) => Database::Postgres(postgres::open(url).await?),
    };
    Ok(Store { database })
}

impl Store {
    /// Which engine keeps this store.
    pub fn kind(&self) -> Kind {
        match &self.database {
            Database::Sqlite(_) => Kind::Sqlite,
            Database::Postgres(_) => Kind::Postgres,
        }
    }

    /// Whether the database answers and has its tables; the error says why not.
    pub async fn is_ready(&self) -> Result<(), StoreError> {
        let mut connection = self.database.read().await?;
        rows!(
            connection.session(),
            (i64,),
            "SELECT revision FROM virtual_keys LIMIT 1"
        )?;
        Ok(())
    }

    /// Makes PostgreSQL's partitions for the month of `now` and the two months after it, and removes those
    /// of payloads that have all expired. Call it after opening and then daily; rows of a month without
    /// a partition are kept aside and moved when it is made. SQLite has no partitions.
    pub async fn prepare_partitions(&self, now: Timestamp) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(pool) => postgres::prepare_partitions(pool, now).await,
        }
    }

    /// Waits until everything that was written before would survive a loss of power. Call it before the
    /// journal of what was recorded is removed: SQLite commits without waiting for the disk. PostgreSQL
    /// waits as its `synchronous_commit` says.
    pub async fn make_durable(&self) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(pools) => sqlite::make_durable(pools).await,
            Database::Postgres(_) => Ok(()),
        }
    }

    /// Waits for running statements and closes every connection. Later calls, on any clone, answer
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(pools) => pools.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

impl Kind {
    /// The engine's name, as in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }
}

/// The pools of one engine.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    Sqlite(sqlite::Pools),
    Postgres(PgPool),
}

impl Database {
    /// A connection for statements that only read.
    pub(crate) async fn read(&self) -> Result<Connection, StoreError> {
        match self {
            Self::Sqlite(pools) => pools.read.acquire().await.map(Connection::Sqlite),
            Self::Postgres(pool) => pool.acquire().await.map(Connection::Postgres),
        }
        .map_err(store_error)
    }

    /// A transaction that may write; it is rolled back when it is dropped before it is committed.
    pub(crate) async fn begin(&self) -> Result<Transaction, StoreError> {
        match self {
            // A transaction that begins by reading and then writes is refused when another writer came
            // between; one that begins as a writer waits for its turn.
            Self::Sqlite(pools) => pools
                .write
                .begin_with("BEGIN IMMEDIATE")
                .await
                .map(Transaction::Sqlite),
            Self::Postgres(pool) => pool.begin().await.map(Transaction::Postgres),
        }
        .map_err(store_error)
    }
}

/// What only one transaction at a time may change, so that revisions are committed in their order: a reader
/// who has followed to one can never miss a lower one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    Keys,
    Tenants,
    Adjustments,
}

impl Database {
    /// A transaction that is the only one to change what `turn` names until it ends.
    pub(crate) async fn begin_in_turn(&self, turn: Turn) -> Result<Transaction, StoreError> {
        // Any numbers that nothing else locks: the ASCII of `trunkeys`, `trunkten` and `trunkadj`.
        let lock: i64 = match turn {
            Turn::Keys => 0x7472_756e_6b65_7973,
            Turn::Tenants => 0x7472_756e_6b74_656e,
            Turn::Adjustments => 0x7472_756e_6b61_646a,
        };
        let mut transaction = self.begin().await?;
        // SQLite lets one transaction write at a time anyway.
        if let Session::Postgres(connection) = transaction.session() {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(lock)
                .execute(connection)
                .await
                .map_err(store_error)?;
        }
        Ok(transaction)
    }
}

/// A connection, borrowed from its pool.
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// A transaction that may write.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// What a statement is run on; see [`rows!`] and [`execute!`].
pub(crate) enum Session<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

impl Connection {
    pub(crate) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::Postgres(connection) => Session::Postgres(connection),
        }
    }
}

impl Transaction {
    pub(crate) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(transaction) => Session::Sqlite(transaction),
            Self::Postgres(transaction) => Session::Postgres(transaction),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
        .map_err(store_error)
    }
}

/// Runs one statement that both engines accept and collects its rows:
///
/// ```ignore
/// let keys = rows!(session, KeyRow, "SELECT … WHERE id = $1", id)?;
/// // sqlx::query_as::<_, KeyRow>("SELECT … WHERE id = $1").bind(id).fetch_all(…), once per engine
/// ```
macro_rules! rows {
    ($session:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {
        match $session {
            $crate::database::Session::Sqlite(connection) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.fetch_all(connection).await
            }
            // A plan made for these very values knows which of the optional filters are open.
            $crate::database::Session::Postgres(connection) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.persistent(false).fetch_all(connection).await
            }
        }
        .map_err($crate::error::store_error)
    };
}

/// Runs one statement that both engines accept and answers how many rows it changed:
///
/// ```ignore
/// let changed = execute!(session, "DELETE FROM … WHERE id = $1", id)?;
/// ```
macro_rules! execute {
    ($session:expr, $sql:literal $(, $value:expr)* $(,)?) => {
        match $session {
            $crate::database::Session::Sqlite(connection) => {
                sqlx::query($sql)$(.bind($value))*.execute(connection).await.map(|done| done.rows_affected())
            }
            $crate::database::Session::Postgres(connection) => {
                sqlx::query($sql)$(.bind($value))*.execute(connection).await.map(|done| done.rows_affected())
            }
        }
        .map_err($crate::error::store_error)
    };
}

pub(crate) use {execute, rows};
