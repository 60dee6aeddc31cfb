//! Sums of what calls cost: the statements of the spend port, and the sums of a batch of calls.

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
use serde::Serialize;

use crate::call::json;
use crate::database::{Store, execute, rows};
use crate::value::{Reader, microseconds, readable};

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
        let dollars = Cost::from_nano_dollars(self.dollars.saturating_mul(NANO_PER_DOLLAR));
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
            cost: dollars.saturating_add(Cost::from_nano_dollars(self.nano_dollars)),
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

/// One sum as it is added to what is there.
#[derive(Serialize)]
struct Sum<'c> {
    span: &'static str,
    starts_at: i64,
    organization_id: OrganizationId,
    project_id: ProjectId,
    application_id: Option<ApplicationId>,
    user_id: Option<UserId>,
    key_id: KeyId,
    provider: &'c str,
    model: &'c str,
    dollars: i64,
    nano_dollars: i64,
    calls: i64,
}

/// The sums of `calls` as one JSON array of objects that are named like the columns, in an order in which two
/// replicas that add to the same sums wait for each other instead of deadlocking; `None` when nothing cost
/// anything.
pub(crate) fn sums<'c>(
    calls: impl Iterator<Item = &'c Call>,
) -> Result<Option<String>, StoreError> {
    let mut sums: BTreeMap<SumKey<'c>, (i64, i64, i64)> = BTreeMap::new();
    for call in calls {
        let Some(cost) = call.cost_usd.filter(|cost| *cost > Cost::ZERO) else {
            continue;
        };
        let (provider, model) = answered(call);
        let hour = SumKey {
            span: "hour",
            starts_at: microseconds(Period::Hour.start(call.started_at)),
            organization_id: call.organization_id,
            project_id: call.project_id,
            application_id: call.application_id,
            user_id: call.user_id,
            key_id: call.key_id,
            provider,
            model,
        };
        let month = SumKey {
            span: "month",
            starts_at: microseconds(Period::Month.start(call.started_at)),
            ..hour
        };
        let nano = cost.nano_dollars();
        for key in [hour, month] {
            let (dollars, nano_dollars, calls) = sums.entry(key).or_default();
            *dollars = dollars.saturating_add(nano / NANO_PER_DOLLAR);
            *nano_dollars += nano % NANO_PER_DOLLAR;
            *calls += 1;
        }
    }
    if sums.is_empty() {
        return Ok(None);
    }
    let sums: Vec<Sum<'_>> = sums
        .into_iter()
        .map(|(key, (dollars, nano_dollars, calls))| Sum {
            span: key.span,
            starts_at: key.starts_at,
            organization_id: key.organization_id,
            project_id: key.project_id,
            application_id: key.application_id,
            user_id: key.user_id,
            key_id: key.key_id,
            provider: key.provider,
            model: key.model,
            dollars,
            nano_dollars,
            calls,
        })
        .collect();
    json(&sums).map(Some)
}

/// Who answered, and the model in the provider's words.
fn answered(call: &Call) -> (&str, &str) {
    let last = call.attempts.last();
    let provider = call.provider.as_ref().map(ProviderName::as_str);
    let model = last
        .map(|attempt| attempt.model.as_str())
        .or(call.response_model.as_deref())
        // PostgreSQL has no NUL in texts.
        .filter(|model| !model.contains('\0'))
        .unwrap_or(call.request_model.as_str());
    (provider.unwrap_or_default(), model)
}
