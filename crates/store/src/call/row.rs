//! A row of `calls`, as it is written and as it is read.

use std::borrow::Cow;

use domain::call::{Attempt, CacheOutcome, Call, CallState, EndReason, Face, Operation};
use domain::id::{KeyId, OrganizationId, ProjectId, RequestId};
use domain::money::Cost;
use domain::name::ProviderName;
use domain::store_error::StoreError;
use domain::usage::Usage;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use crate::value::{Reader, kept, microseconds, saturated};

/// The calls as one JSON array of objects that are named like the columns: one parameter, whatever the
/// number of rows.
pub(crate) fn named(calls: &[Call]) -> Result<String, StoreError> {
    let rows: Vec<NewRow> = calls.iter().map(NewRow::of).collect();
    serde_json::to_string(&rows).map_err(|error| StoreError::Failed(Box::new(error)))
}

/// The calls as one JSON array of arrays, each with the values of [`NewRow`]'s fields in their order.
pub(crate) fn numbered(calls: &[Call]) -> Result<String, StoreError> {
    let rows: Vec<Numbered> = calls
        .iter()
        .map(|call| Numbered(NewRow::of(call)))
        .collect();
    serde_json::to_string(&rows).map_err(|error| StoreError::Failed(Box::new(error)))
}

#[derive(Serialize)]
struct NewRow<'c> {
    request_id: RequestId,
    organization_id: OrganizationId,
    project_id: ProjectId,
    key_id: KeyId,
    client_request_id: Option<Cow<'c, str>>,
    started_at: i64,
    ended_at: i64,
    state: &'static str,
    end_reason: Option<&'static str>,
    operation: &'static str,
    face: &'static str,
    streamed: bool,
    provider: Option<&'c str>,
    request_model: &'c str,
    response_model: Option<Cow<'c, str>>,
    route: Option<Cow<'c, str>>,
    status: Option<u16>,
    error_type: Option<Cow<'c, str>>,
    finish_reason: Option<Cow<'c, str>>,
    attempts: Cow<'c, [Attempt]>,
    usage: Usage,
    input_tokens: i64,
    cached_input_tokens: i64,
    output_tokens: i64,
    cost_nano: Option<i64>,
    price_source: Option<Cow<'c, str>>,
    cache: &'static str,
    latency_ms: i64,
    time_to_first_token_ms: Option<i64>,
    overhead_us: i64,
}

impl<'c> NewRow<'c> {
    fn of(call: &'c Call) -> Self {
        Self {
            request_id: call.request_id,
            organization_id: call.organization_id,
            project_id: call.project_id,
            key_id: call.key_id,
            client_request_id: call.client_request_id.as_deref().map(kept),
            started_at: microseconds(call.started_at),
            ended_at: microseconds(call.ended_at),
            state: call.state.as_str(),
            end_reason: call.end_reason.map(EndReason::as_str),
            operation: call.operation.as_str(),
            face: call.face.as_str(),
            streamed: call.streamed,
            provider: call.provider.as_ref().map(ProviderName::as_str),
            request_model: call.request_model.as_str(),
            response_model: call.response_model.as_deref().map(kept),
            route: call.route.as_deref().map(kept),
            status: call.status,
            error_type: call.error_type.as_deref().map(kept),
            finish_reason: call.finish_reason.as_deref().map(kept),
            attempts: kept_attempts(&call.attempts),
            usage: call.usage,
            input_tokens: saturated(call.usage.input_tokens),
            cached_input_tokens: saturated(call.usage.cached_input_tokens),
            output_tokens: saturated(call.usage.output_tokens),
            cost_nano: call.cost_usd.map(Cost::nano_dollars),
            price_source: call.price_source.as_deref().map(kept),
            cache: call.cache.as_str(),
            latency_ms: saturated(call.latency_ms),
            time_to_first_token_ms: call.time_to_first_token_ms.map(saturated),
            overhead_us: saturated(call.overhead_us),
        }
    }
}

/// A row whose columns are told apart by their place.
struct Numbered<'c>(NewRow<'c>);

impl Serialize for Numbered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(row) = self;
        let mut columns = serializer.serialize_seq(None)?;
        columns.serialize_element(&row.request_id)?;
        columns.serialize_element(&row.organization_id)?;
        columns.serialize_element(&row.project_id)?;
        columns.serialize_element(&row.key_id)?;
        columns.serialize_element(&row.client_request_id)?;
        columns.serialize_element(&row.started_at)?;
        columns.serialize_element(&row.ended_at)?;
        columns.serialize_element(&row.state)?;
        columns.serialize_element(&row.end_reason)?;
        columns.serialize_element(&row.operation)?;
        columns.serialize_element(&row.face)?;
        columns.serialize_element(&row.streamed)?;
        columns.serialize_element(&row.provider)?;
        columns.serialize_element(&row.request_model)?;
        columns.serialize_element(&row.response_model)?;
        columns.serialize_element(&row.route)?;
        columns.serialize_element(&row.status)?;
        columns.serialize_element(&row.error_type)?;
        columns.serialize_element(&row.finish_reason)?;
        columns.serialize_element(&row.attempts)?;
        columns.serialize_element(&row.usage)?;
        columns.serialize_element(&row.input_tokens)?;
        columns.serialize_element(&row.cached_input_tokens)?;
        columns.serialize_element(&row.output_tokens)?;
        columns.serialize_element(&row.cost_nano)?;
        columns.serialize_element(&row.price_source)?;
        columns.serialize_element(&row.cache)?;
        columns.serialize_element(&row.latency_ms)?;
        columns.serialize_element(&row.time_to_first_token_ms)?;
        columns.serialize_element(&row.overhead_us)?;
        columns.end()
    }
}

fn kept_attempts(attempts: &[Attempt]) -> Cow<'_, [Attempt]> {
    let mut attempts = Cow::Borrowed(attempts);
    if attempts.iter().any(|attempt| attempt.model.contains('\0')) {
        for attempt in attempts.to_mut() {
            attempt.model = kept(&attempt.model).into_owned();
        }
    }
    attempts
}

/// What is read back; the columns of tokens are in `usage`.
#[derive(sqlx::FromRow)]
pub(super) struct CallRow {
    request_id: String,
    organization_id: String,
    project_id: String,
    key_id: String,
    client_request_id: Option<String>,
    started_at: i64,
    ended_at: i64,
    state: String,
    end_reason: Option<String>,
    operation: String,
    face: String,
    streamed: bool,
    provider: Option<String>,
    request_model: String,
    response_model: Option<String>,
    route: Option<String>,
    status: Option<i64>,
    error_type: Option<String>,
    finish_reason: Option<String>,
    attempts: String,
    usage: String,
    cost_nano: Option<i64>,
    price_source: Option<String>,
    cache: String,
    latency_ms: i64,
    time_to_first_token_ms: Option<i64>,
    overhead_us: i64,
}

impl CallRow {
    pub(super) fn into_call(self) -> Result<Call, StoreError> {
        let row = Reader {
            table: "calls",
            id: &self.request_id,
        };
        let end_reason =
            |row: &Reader, column, word: &str| row.some(column, EndReason::from_word(word));
        Ok(Call {
            request_id: row.parse("request_id", &self.request_id)?,
            organization_id: row.parse("organization_id", &self.organization_id)?,
            project_id: row.parse("project_id", &self.project_id)?,
            key_id: row.parse("key_id", &self.key_id)?,
            started_at: row.time("started_at", self.started_at)?,
            ended_at: row.time("ended_at", self.ended_at)?,
            state: row.some("state", CallState::from_word(&self.state))?,
            end_reason: row.optional("end_reason", self.end_reason.as_deref(), end_reason)?,
            operation: row.some("operation", Operation::from_word(&self.operation))?,
            face: row.some("face", Face::from_word(&self.face))?,
            streamed: self.streamed,
            provider: row.optional("provider", self.provider.as_deref(), Reader::parse)?,
            request_model: row.parse("request_model", &self.request_model)?,
            status: row.optional("status", self.status, Reader::number)?,
            attempts: row.json("attempts", &self.attempts)?,
            usage: row.json("usage", &self.usage)?,
            cost_usd: self.cost_nano.map(Cost::from_nano_dollars),
            cache: row.some("cache", CacheOutcome::from_word(&self.cache))?,
            latency_ms: row.number("latency_ms", self.latency_ms)?,
            time_to_first_token_ms: row.optional(
                "time_to_first_token_ms",
                self.time_to_first_token_ms,
                Reader::number,
            )?,
            overhead_us: row.number("overhead_us", self.overhead_us)?,
            client_request_id: self.client_request_id,
            response_model: self.response_model,
            route: self.route,
            error_type: self.error_type,
            finish_reason: self.finish_reason,
            price_source: self.price_source,
        })
    }
}
