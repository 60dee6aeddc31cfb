//! What a driver's error means: whether the same request may succeed later.

use domain::store_error::StoreError;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// Says whether the database is away or has refused.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    if is_unavailable(&error) {
        StoreError::Unavailable(Box::new(error))
    } else {
        StoreError::Failed(Box::new(error))
    }
}

/// Says whether the database was away or has refused while its schema was brought up to date.
pub(crate) fn migration_error(error: MigrateError) -> StoreError {
    match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if is_unavailable(cause) =>
        {
            StoreError::Unavailable(Box::new(error))
        }
        _ => StoreError::Failed(Box::new(error)),
    }
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed
        // A proxy whose database is away takes the connection and closes it before it has answered.
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(answer) => is_unavailable_answer(answer.as_ref()),
        _ => false,
    }
}

fn is_unavailable_answer(answer: &dyn DatabaseError) -> bool {
    let Some(code) = answer.code() else {
        return false;
    };
    if answer.try_downcast_ref::<PgDatabaseError>().is_some() {
        is_unavailable_in_postgres(&code)
    } else {
        code.parse().is_ok_and(is_unavailable_in_sqlite)
    }
}

/// By SQLite's result codes (<https://www.sqlite.org/rescode.html>); the primary one is the low byte.
fn is_unavailable_in_sqlite(code: u32) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const OUT_OF_MEMORY: u32 = 7;
    const IO_ERROR: u32 = 10;
    const DISK_FULL: u32 = 13;
    const PROTOCOL: u32 = 15;
    matches!(
        code & 0xff,
        BUSY | LOCKED | OUT_OF_MEMORY | IO_ERROR | DISK_FULL | PROTOCOL
    )
}

/// By PostgreSQL's error codes (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
fn is_unavailable_in_postgres(code: &str) -> bool {
    const READ_ONLY: &str = "25006"; // The server became a standby; its successor takes writes.
    const NOT_IN_TIME: &str = "55P03";
    const CHECK: &str = "23514"; // The only checks are the bounds of a partition that is being made.
    const CLASSES: [&str; 5] = [
        "08", // connection
        "40", // rolled back: deadlock, serialization
        "53", // resources: disk, memory, connections
        "57", // the operator: shutting down, starting up, cancelled
        "58", // the system: input and output
    ];
    [READ_ONLY, NOT_IN_TIME, CHECK].contains(&code)
        || CLASSES.iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_or_full_sqlite_may_succeed_later() {
        const BUSY_SNAPSHOT: u32 = 517;
        const CONSTRAINT_PRIMARY_KEY: u32 = 1555;
        const CORRUPT: u32 = 11;
        assert!(is_unavailable_in_sqlite(BUSY_SNAPSHOT));
        assert!(is_unavailable_in_sqlite(13));
        assert!(!is_unavailable_in_sqlite(CONSTRAINT_PRIMARY_KEY));
        assert!(!is_unavailable_in_sqlite(CORRUPT));
    }

    #[test]
    fn a_postgresql_that_is_starting_or_full_may_succeed_later() {
        for code in ["57P03", "53300", "40P01", "08006", "55P03", "25006"] {
            assert!(is_unavailable_in_postgres(code), "{code}");
        }
        for code in ["23505", "42P01", "28P01", "3D000", "22021"] {
            assert!(!is_unavailable_in_postgres(code), "{code}");
        }
    }

    #[test]
    fn a_pool_without_a_free_connection_may_have_one_later() {
        assert!(matches!(
            store_error(sqlx::Error::PoolTimedOut),
            StoreError::Unavailable(_)
        ));
        let hung_up = "unexpected response from SSLRequest: 0x00".to_owned();
        assert!(matches!(
            store_error(sqlx::Error::Protocol(hung_up)),
            StoreError::Unavailable(_)
        ));
        assert!(matches!(
            store_error(sqlx::Error::RowNotFound),
            StoreError::Failed(_)
        ));
    }
}
