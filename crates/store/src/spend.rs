//! Sums of what calls cost: the statements of the spend port, and the sums of a batch of calls or corrections.

use std::collections::BTreeMap;
use std::str::FromStr;

use async_trait::async_trait;
use domain::call::Call;
use domain::id::{ApplicationId, KeyId, OrganizationId, ProjectId, UserId};
use domain::key::Period;
use domain::limit::Subject;
use domain::money::{Cost, NANO_PER_DOLLAR};
use domain::name::ProviderName;
use domain::spend::{Spend, SpendStore};
use domain::store_error::StoreError;
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::call::json;
use crate::database::{Session, Store, Transaction, execute, rows};
use crate::value::{Reader, microseconds, readable, whole};
use crate::{postgres, sqlite};

#[async_trait]
impl SpendStore for Store {
    async fn spend_since(&self, since: Timestamp) -> Result<Vec<Spend>, StoreError> {
        // Whole months have sums of their own; a total is the sum of months.
        let span = if since == Period::Month.start(since) {
            "month"
        } else {
            "hour"
        };
        let mut connection = self.database.read().await?;
        let rows = rows!(
            connection.session(),
            SpendRow,
            "SELECT
               organization_id, project_id, application_id, user_id, key_id, provider, model,
               CAST(SUM(dollars) AS BIGINT) AS dollars,
               CAST(SUM(nano_dollars) AS BIGINT) AS nano_dollars
             FROM spend
             WHERE span = $1 AND starts_at >= $2
             GROUP BY organization_id, project_id, application_id, user_id, key_id, provider, model",
            span,
            microseconds(since),
        )?;
        Ok(readable(rows.into_iter().map(SpendRow::into_spend)))
    }

    async fn drop_hours_before(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut transaction = self.database.begin().await?;
        let dropped = execute!(
            transaction.session(),
            "DELETE FROM spend
             WHERE span = 'hour' AND starts_at IN (
               SELECT starts_at
               FROM spend
               WHERE span = 'hour' AND starts_at < $1
               ORDER BY starts_at
               LIMIT $2
             )",
            microseconds(before),
            i64::from(limit),
        )?;
        transaction.commit().await?;
        Ok(dropped)
    }
}

#[derive(sqlx::FromRow)]
struct SpendRow {
    organization_id: String,
    project_id: String,
    application_id: String,
    user_id: String,
    key_id: String,
    provider: String,
    model: String,
    dollars: i64,
    nano_dollars: i64,
}

impl SpendRow {
    fn into_spend(self) -> Result<Spend, StoreError> {
        let row = Reader {
            table: "spend",
            id: &self.key_id,
        };
        Ok(Spend {
            subject: Subject {
                organization_id: Some(row.parse("organization_id", &self.organization_id)?),
                project_id: Some(row.parse("project_id", &self.project_id)?),
                application_id: some("application_id", &self.application_id, &row)?,
                user_id: some("user_id", &self.user_id, &row)?,
                key_id: Some(row.parse("key_id", &self.key_id)?),
                provider: some("provider", &self.provider, &row)?,
                model: Some(self.model.clone()).filter(|model| !model.is_empty()),
            },
            cost: whole(self.dollars, self.nano_dollars),
        })
    }
}

/// What a column holds in which the empty text stands for none.
fn some<T: FromStr>(
    column: &'static str,
    text: &str,
    row: &Reader<'_>,
) -> Result<Option<T>, StoreError> {
    match text {
        "" => Ok(None),
        text => row.parse(column, text).map(Some),
    }
}

/// What tells two sums apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SumKey<'c> {
    span: &'static str,
    starts_at: i64,
    organization_id: OrganizationId,
    project_id: ProjectId,
    application_id: Option<ApplicationId>,
    user_id: Option<UserId>,
    key_id: KeyId,
    provider: &'c str,
    model: &'c str,
}

/// What is added to a sum.
#[derive(Clone, Copy, Default)]
struct Amount {
    dollars: i64,
    nano_dollars: i64,
    calls: i64,
}

/// One sum as it is added to what is there: an object that is named like the columns.
struct Sum<'s, 'c>(&'s SumKey<'c>, &'s Amount);

impl Serialize for Sum<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(key, amount) = self;
        let mut row = serializer.serialize_struct("Sum", 12)?;
        row.serialize_field("span", key.span)?;
        row.serialize_field("starts_at", &key.starts_at)?;
        row.serialize_field("organization_id", &key.organization_id)?;
        row.serialize_field("project_id", &key.project_id)?;
        row.serialize_field("application_id", &key.application_id)?;
        row.serialize_field("user_id", &key.user_id)?;
        row.serialize_field("key_id", &key.key_id)?;
        row.serialize_field("provider", key.provider)?;
        row.serialize_field("model", key.model)?;
        row.serialize_field("dollars", &amount.dollars)?;
        row.serialize_field("nano_dollars", &amount.nano_dollars)?;
        row.serialize_field("calls", &amount.calls)?;
        row.end()
    }
}

/// Sums of what calls cost and are corrected by, in an order in which two replicas that add to the same sums
/// wait for each other instead of deadlocking.
#[derive(Default)]
struct Sums<'c> {
    amounts: BTreeMap<SumKey<'c>, Amount>,
    hour: Span,
    month: Span,
}

/// The hour or the month that was added to last: most of what is added together is of one.
#[derive(Clone, Copy, Default)]
struct Span {
    starts: i64,
    ends: i64,
}

impl Span {
    /// When the period of this kind begins that `time` is in.
    fn start(&mut self, period: Period, time: Timestamp) -> i64 {
        let at = microseconds(time);
        if !(self.starts..self.ends).contains(&at) {
            *self = Self {
                starts: microseconds(period.start(time)),
                ends: period.end(time).map_or(i64::MAX, microseconds),
            };
        }
        self.starts
    }
}

impl<'c> Sums<'c> {
    /// Adds what `call` cost, or is corrected by, to its hour and its month.
    fn add(&mut self, call: &'c Call, cost: Cost, calls: i64) {
        let (provider, model) = call.answered_by();
        let hour = SumKey {
            span: "hour",
            starts_at: self.hour.start(Period::Hour, call.started_at),
            organization_id: call.organization_id,
            project_id: call.project_id,
            application_id: call.application_id,
            user_id: call.user_id,
            key_id: call.key_id,
            provider: provider.map_or("", ProviderName::as_str),
            model,
        };
        let month = SumKey {
            span: "month",
            starts_at: self.month.start(Period::Month, call.started_at),
            ..hour
        };
        let nano = cost.nano_dollars();
        for key in [hour, month] {
            let amount = self.amounts.entry(key).or_default();
            amount.dollars = amount.dollars.saturating_add(nano / NANO_PER_DOLLAR);
            amount.nano_dollars += nano % NANO_PER_DOLLAR;
            amount.calls += calls;
        }
    }

    /// The sums as one JSON array; `None` when there are none.
    fn into_json(self) -> Result<Option<String>, StoreError> {
        if self.amounts.is_empty() {
            return Ok(None);
        }
        let sums = self.amounts.iter().map(|(key, amount)| Sum(key, amount));
        json(&sums.collect::<Vec<_>>()).map(Some)
    }
}

/// The sums of `calls`; `None` when nothing cost anything.
pub(crate) fn sums<'c>(
    calls: impl Iterator<Item = &'c Call>,
) -> Result<Option<String>, StoreError> {
    let mut sums = Sums::default();
    for call in calls {
        if let Some(cost) = call.cost_usd.filter(|cost| *cost > Cost::ZERO) {
            sums.add(call, cost, 1);
        }
    }
    sums.into_json()
}

/// Adds what calls are corrected by to the sums that they are part of.
pub(crate) async fn correct(
    transaction: &mut Transaction,
    corrections: &[(&Call, Cost)],
) -> Result<(), StoreError> {
    let mut sums = Sums::default();
    for (call, amount) in corrections {
        if *amount != Cost::ZERO {
            sums.add(call, *amount, 0);
        }
    }
    let Some(sums) = sums.into_json()? else {
        return Ok(());
    };
    match transaction.session() {
        Session::Sqlite(connection) => sqlite::add_to_sums(connection, sums).await,
        Session::Postgres(connection) => postgres::add_to_sums(connection, sums).await,
    }
}
