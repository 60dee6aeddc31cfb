//! A row of `calls`, as it is written and as it is read.

use std::borrow::Cow;
use std::sync::Arc;

use domain::call::{
    Attempt, CacheOutcome, Call, CallCursor, CallState, EndReason, Face, Operation,
};
use domain::id::{ApplicationId, BatchId, KeyId, OrganizationId, ProjectId, RequestId, UserId};
use domain::money::Cost;
use domain::name::ProviderName;
use domain::store_error::StoreError;
use domain::usage::Usage;
use serde::Serialize;

use crate::value::{Reader, kept, microseconds, saturated};

/// The calls as one JSON array of objects that are named like the columns: one parameter, whatever the
/// number of rows.
pub(crate) fn named(calls: &[Call]) -> Result<String, StoreError> {
    let rows: Vec<NewRow> = calls.iter().map(NewRow::of).collect();
    json(&rows)
}

/// A call as it is written.
#[derive(Serialize)]
pub(crate) struct NewRow<'c> {
    pub(crate) request_id: RequestId,
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) key_id: KeyId,
    pub(crate) client_request_id: Option<Cow<'c, str>>,
    pub(crate) started_at: i64,
    pub(crate) ended_at: i64,
    pub(crate) state: &'static str,
    pub(crate) end_reason: Option<&'static str>,
    pub(crate) operation: &'static str,
    pub(crate) face: &'static str,
    pub(crate) streamed: bool,
    pub(crate) provider: Option<&'c str>,
    pub(crate) request_model: &'c str,
    pub(crate) response_model: Option<Cow<'c, str>>,
    pub(crate) route: Option<Cow<'c, str>>,
    pub(crate) status: Option<u16>,
    pub(crate) error_type: Option<Cow<'c, str>>,
    pub(crate) finish_reason: Option<Cow<'c, str>>,
    pub(crate) attempts: Cow<'c, [Attempt]>,
    pub(crate) usage: Usage,
    pub(crate) input_tokens: i64,
    pub(crate) cached_input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) cost_nano: Option<i64>,
    pub(crate) price_source: Option<Cow<'c, str>>,
    pub(crate) cache: &'static str,
    pub(crate) latency_ms: i64,
    pub(crate) time_to_first_token_ms: Option<i64>,
    pub(crate) overhead_us: i64,
    pub(crate) batch_id: Option<BatchId>,
    pub(crate) application_id: Option<ApplicationId>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) saved_nano: Option<i64>,
    pub(crate) variant: Option<Cow<'c, str>>,
    pub(crate) shadow_of: Option<RequestId>,
}

impl<'c> NewRow<'c> {
    pub(crate) fn of(call: &'c Call) -> Self {
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
            batch_id: call.batch_id,
            application_id: call.application_id,
            user_id: call.user_id,
            saved_nano: call.saved_usd.map(Cost::nano_dollars),
            variant: call.variant.as_deref().map(kept),
            shadow_of: call.shadow_of,
        }
    }
}

/// A value as JSON, times as microseconds.
pub(crate) fn json(value: &impl Serialize) -> Result<String, StoreError> {
    let mut text = Vec::with_capacity(640);
    domain::json::record(value, &mut text).map_err(unwritable)?;
    String::from_utf8(text).map_err(unwritable)
}

/// The same, as a text that is shared, written in memory that is used again.
pub(crate) fn shared_json(value: &impl Serialize) -> Result<Arc<str>, StoreError> {
    domain::json::in_scratch(|text| {
        domain::json::record(value, text).map_err(unwritable)?;
        str::from_utf8(text).map(Arc::from).map_err(unwritable)
    })
}

fn unwritable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Failed(error.into())
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
    batch_id: Option<String>,
    application_id: Option<String>,
    user_id: Option<String>,
    saved_nano: Option<i64>,
    variant: Option<String>,
    shadow_of: Option<String>,
}

impl CallRow {
    /// Its place in the list; `None` where it cannot be read.
    pub(super) fn cursor(&self) -> Option<CallCursor> {
        let row = Reader {
            table: "calls",
            id: &self.request_id,
        };
        Some(CallCursor {
            started_at: row.time("started_at", self.started_at).ok()?,
            request_id: row.parse("request_id", &self.request_id).ok()?,
        })
    }

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
            batch_id: row.optional("batch_id", self.batch_id.as_deref(), Reader::parse)?,
            application_id: row.optional(
                "application_id",
                self.application_id.as_deref(),
                Reader::parse,
            )?,
            user_id: row.optional("user_id", self.user_id.as_deref(), Reader::parse)?,
            saved_usd: self.saved_nano.map(Cost::from_nano_dollars),
            client_request_id: self.client_request_id,
            response_model: self.response_model,
            route: self.route,
            variant: self.variant,
            shadow_of: row.optional("shadow_of", self.shadow_of.as_deref(), Reader::parse)?,
            error_type: self.error_type,
            finish_reason: self.finish_reason,
            price_source: self.price_source,
        })
    }
}
