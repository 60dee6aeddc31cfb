//! Partitions by month: rows are added to the newest, and a month whose rows have all had their time goes
//! as a whole, which costs nothing however many they are.

use domain::store_error::StoreError;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool};

use crate::error::store_error;
use crate::value::microseconds;

/// Months that have partitions before they begin.
const AHEAD: usize = 2;

/// A table whose rows are partitioned by month.
struct Partitioned {
    name: &'static str,
    /// The column of times that says which month a row belongs to.
    time: &'static str,
}

const CALLS: Partitioned = Partitioned {
    name: "calls",
    time: "started_at",
};
const PAYLOADS: Partitioned = Partitioned {
    name: "call_payloads",
    time: "identified_at",
};

/// Makes the partitions of the month of `now` and of the next ones, and removes those of payloads whose
/// rows have all expired. Several processes may do so at once.
pub(crate) async fn prepare(pool: &PgPool, now: Timestamp) -> Result<(), StoreError> {
    for table in [CALLS, PAYLOADS] {
        let mut month = Month::of(now);
        for _ in 0..=AHEAD {
            if !exists(pool, &month.partition_of(&table)).await? {
                create(pool, &table, month).await.map_err(store_error)?;
            }
            month = month.next();
        }
    }
    for month in past_months(pool, &PAYLOADS, Month::of(now)).await? {
        if is_expired(pool, month, now).await.map_err(store_error)? {
            remove_expired(pool, month, now)
                .await
                .map_err(store_error)?;
        }
    }
    Ok(())
}

async fn exists(pool: &PgPool, partition: &str) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(partition)
        .fetch_one(pool)
        .await
        .map_err(store_error)
}

/// Makes one partition and moves into it what had to be put aside while there was none.
async fn create(pool: &PgPool, table: &Partitioned, month: Month) -> Result<(), sqlx::Error> {
    let partition = month.partition_of(table);
    let Partitioned { name, time } = table;
    let (from, to) = month.bounds();
    let mut transaction = pool.begin().await?;
    take_turn(&mut transaction).await?;
    // Definitions take no parameters; what is written in here are names of our own and numbers.
    // The rows put aside are locked before they are moved, so that none is added behind our back.
    transaction
        .execute(AssertSqlSafe(format!(
            "CREATE TABLE IF NOT EXISTS {partition} (LIKE {name} INCLUDING DEFAULTS);
             LOCK TABLE {name}_other IN ACCESS EXCLUSIVE MODE;
             WITH moved AS (
               DELETE FROM {name}_other WHERE {time} >= {from} AND {time} < {to} RETURNING *
             )
             INSERT INTO {partition} SELECT * FROM moved;"
        )))
        .await?;
    let is_attached: bool =
        sqlx::query_scalar("SELECT relispartition FROM pg_class WHERE oid = to_regclass($1)")
            .bind(&partition)
            .fetch_one(&mut *transaction)
            .await?;
    if !is_attached {
        transaction
            .execute(AssertSqlSafe(format!(
                "ALTER TABLE {name} ATTACH PARTITION {partition} FOR VALUES FROM ({from}) TO ({to})"
            )))
            .await?;
    }
    transaction.commit().await
}

/// The months before `current` that have partitions.
async fn past_months(
    pool: &PgPool,
    table: &Partitioned,
    current: Month,
) -> Result<Vec<Month>, StoreError> {
    let partitions: Vec<String> = sqlx::query_scalar(
        "SELECT relname::TEXT
         FROM pg_inherits
         JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = to_regclass($1)
         ORDER BY relname",
    )
    .bind(table.name)
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    Ok(partitions
        .iter()
        .filter_map(|partition| Month::of_partition(table, partition))
        .filter(|month| month.first < current.first)
        .collect())
}

async fn is_expired(
    executor: impl Executor<'_, Database = sqlx::Postgres>,
    month: Month,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let (from, to) = month.bounds();
    sqlx::query_scalar(
        "SELECT NOT EXISTS (
           SELECT 1
           FROM call_payloads
           WHERE identified_at >= $1 AND identified_at < $2 AND keep_until > $3
         )",
    )
    .bind(from)
    .bind(to)
    .bind(microseconds(now))
    .persistent(false)
    .fetch_one(executor)
    .await
}

/// Removes a month of payloads, unless one that is still to be kept has come in the meantime.
async fn remove_expired(pool: &PgPool, month: Month, now: Timestamp) -> Result<(), sqlx::Error> {
    let partition = month.partition_of(&PAYLOADS);
    let mut transaction = pool.begin().await?;
    take_turn(&mut transaction).await?;
    transaction
        .execute("LOCK TABLE call_payloads IN ACCESS EXCLUSIVE MODE")
        .await?;
    if is_expired(&mut *transaction, month, now).await? {
        transaction
            .execute(AssertSqlSafe(format!("DROP TABLE IF EXISTS {partition}")))
            .await?;
    }
    transaction.commit().await
}

/// Waits until no other process changes partitions, and bounds the waiting for what is locked otherwise:
/// everybody who comes after us would wait with us.
async fn take_turn(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    /// Any number that nothing else locks: the ASCII of `trunkpar`.
    const LOCK: i64 = 0x7472_756e_6b70_6172;
    transaction.execute("SET LOCAL lock_timeout = '3s'").await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(transaction)
        .await?;
    Ok(())
}

/// A calendar month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Month {
    first: Date,
}

impl Month {
    fn of(time: Timestamp) -> Self {
        Self {
            first: time.to_zoned(TimeZone::UTC).date().first_of_month(),
        }
    }

    fn next(self) -> Self {
        Self {
            first: self
                .first
                .saturating_add(Span::new().months(1))
                .first_of_month(),
        }
    }

    /// The month in a partition's name; `None` when it is not one of a month.
    fn of_partition(table: &Partitioned, partition: &str) -> Option<Self> {
        let (year, month) = partition
            .strip_prefix(table.name)?
            .strip_prefix('_')?
            .split_once('_')?;
        let first = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
        Some(Self { first })
    }

    /// The partition's name: `calls_2026_11`.
    fn partition_of(self, table: &Partitioned) -> String {
        format!(
            "{}_{:04}_{:02}",
            table.name,
            self.first.year(),
            self.first.month()
        )
    }

    /// Its first microsecond, and the first after it.
    fn bounds(self) -> (i64, i64) {
        let midnight = |date: Date| {
            date.to_zoned(TimeZone::UTC)
                .map_or(i64::MAX, |zoned| microseconds(zoned.timestamp()))
        };
        (midnight(self.first), midnight(self.next().first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(time: &str) -> Month {
        Month::of(time.parse().unwrap())
    }

    #[test]
    fn a_month_ends_where_the_next_begins() {
        let december = month("2026-12-31T23:59:59.999999Z");
        let january = month("2027-01-01T00:00:00Z");
        assert_eq!(december.next(), january);
        assert_eq!(december.bounds().1, january.bounds().0);
        assert_eq!(january.bounds().0, 1_798_761_600_000_000);
    }

    #[test]
    fn a_partition_says_which_month_it_holds() {
        let november = month("2026-11-21T00:00:00Z");
        let name = november.partition_of(&PAYLOADS);
        assert_eq!(name, "call_payloads_2026_11");
        assert_eq!(Month::of_partition(&PAYLOADS, &name), Some(november));
        assert_eq!(Month::of_partition(&PAYLOADS, "call_payloads_other"), None);
        assert_eq!(Month::of_partition(&CALLS, &name), None);
    }
}
