//! Adjustments of calls' costs, and what the database adds up of both.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::adjustment::{
    Adjusted, Adjustment, AdjustmentFilter, AdjustmentReason, AdjustmentStore, HourApart,
    SpendTotal,
};
use domain::call::{Call, CallStore};
use domain::id::{ReplicaId, RequestId};
use domain::limit::Subject;
use domain::money::Cost;
use domain::name::ProviderName;
use domain::spend::{Correction, CorrectionStore, Spend};
use domain::store_error::StoreError;
use jiff::Timestamp;

use crate::database::{Session, Store, Turn, execute, rows};
use crate::error::store_error;
use crate::spend::correct;
use crate::value::{Reader, kept, microseconds, saturated, whole};

#[async_trait]
impl AdjustmentStore for Store {
    async fn add_adjustments(&self, adjustments: &[Adjustment]) -> Result<u64, StoreError> {
        let mut calls = Vec::with_capacity(adjustments.len());
        for adjustment in adjustments {
            // What there is no call of is in no sum.
            calls.push(self.call(adjustment.request_id).await?);
        }
        let mut transaction = self.database.begin_in_turn(Turn::Adjustments).await?;
        let mut sequence = last_sequence(transaction.session()).await?;
        let mut added = Vec::new();
        for (adjustment, call) in adjustments.iter().zip(&calls) {
            let (provider, model) = call.as_ref().map(Call::answered_by).unzip();
            let provider = provider.map(|provider| provider.map_or("", ProviderName::as_str));
            let is_new = execute!(
                transaction.session(),
                "INSERT INTO adjustments (
                   request_id, number, organization_id, project_id, application_id, user_id, key_id,
                   started_at, amount_nano, reason, old_price_source, new_price_source, made_at, made_by,
                   sequence, provider, model
                 )
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
                 ON CONFLICT (request_id, number) DO NOTHING",
                adjustment.request_id.to_string(),
                i64::from(adjustment.number),
                adjustment.organization_id.to_string(),
                adjustment.project_id.to_string(),
                adjustment.application_id.map(|id| id.to_string()),
                adjustment.user_id.map(|id| id.to_string()),
                adjustment.key_id.to_string(),
                microseconds(adjustment.started_at),
                adjustment.amount.nano_dollars(),
                adjustment.reason.as_str(),
                adjustment.old_price_source.as_deref().map(kept),
                adjustment.new_price_source.as_deref().map(kept),
                microseconds(adjustment.made_at),
                kept(&adjustment.made_by),
                sequence + 1,
                provider,
                model,
            )? == 1;
            if is_new {
                sequence += 1;
                added.push((call.as_ref(), adjustment.amount));
            }
        }
        let of_calls = added
            .iter()
            .filter_map(|(call, amount)| Some(((*call)?, *amount)));
        correct(&mut transaction, &of_calls.collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(added.len() as u64)
    }

    async fn adjusted(&self, ids: &[RequestId]) -> Result<Vec<Adjusted>, StoreError> {
        let ids =
            serde_json::to_string(ids).map_err(|error| StoreError::Failed(Box::new(error)))?;
        let mut connection = self.database.read().await?;
        // One parameter, whatever the number of calls.
        let found: Vec<AdjustmentRow> = match connection.session() {
            Session::Sqlite(connection) => {
                sqlx::query_as(
                    "SELECT
                       request_id, number, organization_id, project_id, application_id, user_id, key_id,
                       started_at, amount_nano, reason, old_price_source, new_price_source, made_at, made_by
                     FROM adjustments
                     WHERE request_id IN (SELECT value FROM json_each($1))
                     ORDER BY request_id, number",
                )
                .bind(ids)
                .fetch_all(connection)
                .await
            }
            Session::Postgres(connection) => {
                sqlx::query_as(
                    "SELECT
                       request_id, number, organization_id, project_id, application_id, user_id, key_id,
                       started_at, amount_nano, reason, old_price_source, new_price_source, made_at, made_by
                     FROM adjustments
                     WHERE request_id IN (SELECT json_array_elements_text($1::JSON))
                     ORDER BY request_id, number",
                )
                .bind(ids)
                .fetch_all(connection)
                .await
            }
        }
        .map_err(store_error)?;
        let mut sums: Vec<Adjusted> = Vec::new();
        for row in found {
            let adjustment = row.into_adjustment()?;
            let amount = match sums.pop_if(|sum| sum.request_id == adjustment.request_id) {
                Some(before) => before.amount.saturating_add(adjustment.amount),
                None => adjustment.amount,
            };
            sums.push(Adjusted {
                request_id: adjustment.request_id,
                amount,
                last_number: adjustment.number,
                price_source: adjustment.new_price_source,
            });
        }
        Ok(sums)
    }

    async fn list_adjustments(
        &self,
        filter: &AdjustmentFilter,
        after: Option<(RequestId, u32)>,
        limit: u32,
    ) -> Result<Vec<Adjustment>, StoreError> {
        let mut connection = self.database.read().await?;
        let (after_id, after_number) =
            after.map_or((String::new(), 0), |(id, number)| (id.to_string(), number));
        let found = rows!(
            connection.session(),
            AdjustmentRow,
            "SELECT
               request_id, number, organization_id, project_id, application_id, user_id, key_id,
               started_at, amount_nano, reason, old_price_source, new_price_source, made_at, made_by
             FROM adjustments
             WHERE (request_id > $1 OR (request_id = $1 AND number > $2))
               AND ($3 IS NULL OR request_id = $3)
               AND started_at >= $4
               AND started_at < $5
             ORDER BY request_id, number
             LIMIT $6",
            after_id,
            i64::from(after_number),
            filter.request_id.map(|id| id.to_string()),
            filter.since.map_or(i64::MIN, microseconds),
            filter.until.map_or(i64::MAX, microseconds),
            i64::from(limit),
        )?;
        found
            .into_iter()
            .map(AdjustmentRow::into_adjustment)
            .collect()
    }

    async fn spend_totals(
        &self,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<SpendTotal>, StoreError> {
        let mut connection = self.database.read().await?;
        let (since, until) = (microseconds(since), microseconds(until));
        let calls = rows!(
            connection.session(),
            TotalRow,
            "SELECT
               key_id, project_id, started_at / 86400000000 AS day, COUNT(*) AS calls,
               CAST(COALESCE(SUM(cost_nano / 1000000000), 0) AS BIGINT) AS dollars,
               CAST(COALESCE(SUM(cost_nano % 1000000000), 0) AS BIGINT) AS nano_dollars,
               CAST(COALESCE(SUM(input_tokens), 0) AS BIGINT) AS input_tokens,
               CAST(COALESCE(SUM(output_tokens), 0) AS BIGINT) AS output_tokens
             FROM calls
             WHERE started_at >= $1 AND started_at < $2
             GROUP BY key_id, project_id, started_at / 86400000000",
            since,
            until,
        )?;
        let adjustments = rows!(
            connection.session(),
            TotalRow,
            "SELECT
               key_id, project_id, started_at / 86400000000 AS day, CAST(0 AS BIGINT) AS calls,
               CAST(COALESCE(SUM(amount_nano / 1000000000), 0) AS BIGINT) AS dollars,
               CAST(COALESCE(SUM(amount_nano % 1000000000), 0) AS BIGINT) AS nano_dollars,
               CAST(0 AS BIGINT) AS input_tokens,
               CAST(0 AS BIGINT) AS output_tokens
             FROM adjustments
             WHERE started_at >= $1 AND started_at < $2
             GROUP BY key_id, project_id, started_at / 86400000000",
            since,
            until,
        )?;
        let mut totals: HashMap<_, SpendTotal> = HashMap::new();
        for (row, is_adjustment) in calls
            .into_iter()
            .map(|row| (row, false))
            .chain(adjustments.into_iter().map(|row| (row, true)))
        {
            let amount = whole(row.dollars, row.nano_dollars);
            let read = row.into_total()?;
            let place = (read.key_id, read.project_id, read.day);
            let total = totals.entry(place).or_insert(read);
            if is_adjustment {
                total.adjusted = amount;
            } else {
                total.cost = amount;
            }
        }
        Ok(totals.into_values().collect())
    }

    async fn hours_apart(
        &self,
        since: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<HourApart>, StoreError> {
        let mut connection = self.database.read().await?;
        let hours = rows!(
            connection.session(),
            HourRow,
            "SELECT
               key_id, project_id, starts_at,
               CAST(SUM(row_dollars) AS BIGINT) AS row_dollars,
               CAST(SUM(row_nano) AS BIGINT) AS row_nano,
               CAST(SUM(sum_dollars) AS BIGINT) AS sum_dollars,
               CAST(SUM(sum_nano) AS BIGINT) AS sum_nano
             FROM (
               SELECT
                 key_id, project_id, started_at - started_at % 3600000000 AS starts_at,
                 cost_nano / 1000000000 AS row_dollars, cost_nano % 1000000000 AS row_nano,
                 0 AS sum_dollars, 0 AS sum_nano
               FROM calls
               WHERE started_at >= $1 AND started_at < $2 AND cost_nano > 0
               UNION ALL
               SELECT
                 key_id, project_id, started_at - started_at % 3600000000,
                 amount_nano / 1000000000, amount_nano % 1000000000, 0, 0
               FROM adjustments
               WHERE started_at >= $1 AND started_at < $2 AND model IS NOT NULL
               UNION ALL
               SELECT key_id, project_id, starts_at, 0, 0, dollars, nano_dollars
               FROM spend
               WHERE span = 'hour' AND starts_at >= $1 AND starts_at < $2
             ) AS parts
             GROUP BY key_id, project_id, starts_at
             HAVING SUM(row_dollars - sum_dollars) * 1000000000 + SUM(row_nano - sum_nano) <> 0
             ORDER BY starts_at, key_id, project_id
             LIMIT $3",
            microseconds(since),
            microseconds(until),
            i64::from(limit),
        )?;
        hours.into_iter().map(HourRow::into_hour).collect()
    }

    async fn doubled_calls(&self, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        let mut connection = self.database.read().await?;
        let ids = rows!(
            connection.session(),
            (String,),
            "SELECT request_id
             FROM calls
             GROUP BY request_id
             HAVING COUNT(*) > 1
             LIMIT $1",
            i64::from(limit),
        )?;
        ids.into_iter()
            .map(|(id,)| {
                let reader = Reader {
                    table: "calls",
                    id: &id,
                };
                reader.parse("request_id", &id)
            })
            .collect()
    }
}

#[async_trait]
impl CorrectionStore for Store {
    async fn last_correction(&self) -> Result<u64, StoreError> {
        let mut connection = self.database.read().await?;
        let last = last_sequence(connection.session()).await?;
        Ok(u64::try_from(last).unwrap_or(0))
    }

    async fn corrections_after(
        &self,
        sequence: u64,
        limit: u32,
    ) -> Result<Vec<Correction>, StoreError> {
        let mut connection = self.database.read().await?;
        let found = rows!(
            connection.session(),
            CorrectionRow,
            "SELECT
               sequence, started_at, amount_nano, organization_id, project_id, application_id, user_id, key_id,
               provider, model
             FROM adjustments
             WHERE sequence > $1
             ORDER BY sequence
             LIMIT $2",
            saturated(sequence),
            i64::from(limit),
        )?;
        found
            .into_iter()
            .map(CorrectionRow::into_correction)
            .collect()
    }

    async fn claim_correction(
        &self,
        sequence: u64,
        replica: ReplicaId,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        let claimed = execute!(
            transaction.session(),
            "UPDATE adjustments
             SET claimed_by = $2
             WHERE sequence = $1 AND claimed_by IS NULL",
            saturated(sequence),
            replica.to_string(),
        )?;
        transaction.commit().await?;
        Ok(claimed > 0)
    }
}

/// The sequence of the adjustment that was made last; 0 when there is none.
async fn last_sequence(session: Session<'_>) -> Result<i64, StoreError> {
    let last = rows!(
        session,
        (i64,),
        "SELECT COALESCE(MAX(sequence), 0) FROM adjustments"
    )?;
    Ok(last.first().map_or(0, |(sequence,)| *sequence))
}

#[derive(sqlx::FromRow)]
struct HourRow {
    key_id: String,
    project_id: String,
    starts_at: i64,
    row_dollars: i64,
    row_nano: i64,
    sum_dollars: i64,
    sum_nano: i64,
}

impl HourRow {
    fn into_hour(self) -> Result<HourApart, StoreError> {
        let row = Reader {
            table: "spend",
            id: &self.key_id,
        };
        Ok(HourApart {
            key_id: row.parse("key_id", &self.key_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            starts_at: row.time("starts_at", self.starts_at)?,
            rows: whole(self.row_dollars, self.row_nano),
            sum: whole(self.sum_dollars, self.sum_nano),
        })
    }
}

#[derive(sqlx::FromRow)]
struct CorrectionRow {
    sequence: i64,
    started_at: i64,
    amount_nano: i64,
    organization_id: String,
    project_id: String,
    application_id: Option<String>,
    user_id: Option<String>,
    key_id: String,
    provider: Option<String>,
    model: Option<String>,
}

impl CorrectionRow {
    fn into_correction(self) -> Result<Correction, StoreError> {
        let row = Reader {
            table: "adjustments",
            id: &self.sequence.to_string(),
        };
        let subject = Subject {
            organization_id: Some(row.parse("organization_id", &self.organization_id)?),
            project_id: Some(row.parse("project_id", &self.project_id)?),
            application_id: row.optional(
                "application_id",
                self.application_id.as_deref(),
                Reader::parse,
            )?,
            user_id: row.optional("user_id", self.user_id.as_deref(), Reader::parse)?,
            key_id: Some(row.parse("key_id", &self.key_id)?),
            provider: row.optional(
                "provider",
                self.provider.as_deref().filter(|name| !name.is_empty()),
                Reader::parse,
            )?,
            model: self.model,
        };
        Ok(Correction {
            sequence: row.number("sequence", self.sequence)?,
            started_at: row.time("started_at", self.started_at)?,
            spend: Spend {
                subject,
                cost: Cost::from_nano_dollars(self.amount_nano),
            },
        })
    }
}

#[derive(sqlx::FromRow)]
struct TotalRow {
    key_id: String,
    project_id: String,
    day: i64,
    calls: i64,
    dollars: i64,
    nano_dollars: i64,
    input_tokens: i64,
    output_tokens: i64,
}

impl TotalRow {
    /// The total without any money in it.
    fn into_total(self) -> Result<SpendTotal, StoreError> {
        let row = Reader {
            table: "calls",
            id: &self.key_id,
        };
        Ok(SpendTotal {
            key_id: row.parse("key_id", &self.key_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            day: self.day,
            calls: row.number("calls", self.calls)?,
            cost: Cost::ZERO,
            adjusted: Cost::ZERO,
            input_tokens: row.number("input_tokens", self.input_tokens)?,
            output_tokens: row.number("output_tokens", self.output_tokens)?,
        })
    }
}

#[derive(sqlx::FromRow)]
struct AdjustmentRow {
    request_id: String,
    number: i64,
    organization_id: String,
    project_id: String,
    application_id: Option<String>,
    user_id: Option<String>,
    key_id: String,
    started_at: i64,
    amount_nano: i64,
    reason: String,
    old_price_source: Option<String>,
    new_price_source: Option<String>,
    made_at: i64,
    made_by: String,
}

impl AdjustmentRow {
    fn into_adjustment(self) -> Result<Adjustment, StoreError> {
        let row = Reader {
            table: "adjustments",
            id: &self.request_id,
        };
        Ok(Adjustment {
            request_id: row.parse("request_id", &self.request_id)?,
            number: row.number("number", self.number)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            application_id: row.optional(
                "application_id",
                self.application_id.as_deref(),
                Reader::parse,
            )?,
            user_id: row.optional("user_id", self.user_id.as_deref(), Reader::parse)?,
            key_id: row.parse("key_id", &self.key_id)?,
            started_at: row.time("started_at", self.started_at)?,
            amount: Cost::from_nano_dollars(self.amount_nano),
            reason: row.some("reason", AdjustmentReason::from_word(&self.reason))?,
            made_at: row.time("made_at", self.made_at)?,
            old_price_source: self.old_price_source,
            new_price_source: self.new_price_source,
            made_by: self.made_by,
        })
    }
}
