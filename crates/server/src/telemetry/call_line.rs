//! One log line for each call, with the fields that log readers of this product rely on.

use std::io::Write;

use domain::call::Call;
use domain::id::{ApplicationId, BatchId, KeyId, RequestId, UserId};
use domain::money::Cost;
use domain::usage::Usage;
use jiff::Timestamp;
use serde::Serialize;

use super::LogSink;
use crate::config::LogFormat;

/// Writes call lines.
pub(super) struct CallLines(LogSink);

/// The line as JSON. Prompts and answers are never in it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: Timestamp,
    level: &'static str,
    service: &'static str,
    message: &'static str,
    request_id: RequestId,
    client_request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<BatchId>,
    trace_id: Option<&'a str>,
    operation: &'static str,
    provider: Option<&'a str>,
    model: &'a str,
    response_model: Option<&'a str>,
    state: &'static str,
    status: Option<u16>,
    error_type: Option<&'a str>,
    tokens: u64,
    usage: &'a Usage,
    cost: Option<Cost>,
    cache: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<Cost>,
    latency_ms: u64,
    time_to_first_token_ms: Option<u64>,
    overhead_us: u64,
    attempts: usize,
    streamed: bool,
    key_id: KeyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_id: Option<ApplicationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_of: Option<RequestId>,
}

impl CallLines {
    pub(super) fn new(sink: LogSink) -> Self {
        Self(sink)
    }

    pub(super) fn write(&self, call: &Call, traceparent: Option<&str>) {
        domain::json::in_scratch(|line| {
            let written = match self.0.format() {
                LogFormat::Json => domain::json::record(&json(call, traceparent), line)
                    .map_err(std::io::Error::other),
                LogFormat::Text => text(call, line),
            };
            line.push(b'\n');
            // Writing plain fields into memory does not fail.
            debug_assert!(written.is_ok());
            self.0.write(line);
        });
    }
}

fn json<'a>(call: &'a Call, traceparent: Option<&'a str>) -> Line<'a> {
    Line {
        timestamp: call.ended_at,
        level: if call.error_type.is_some() {
            "WARN"
        } else {
            "INFO"
        },
        service: "trunkline",
        message: "call ended",
        request_id: call.request_id,
        client_request_id: call.client_request_id.as_deref(),
        batch_id: call.batch_id,
        trace_id: traceparent.and_then(|parent| parent.split('-').nth(1)),
        operation: call.operation.as_str(),
        provider: call
            .provider
            .as_ref()
            .map(domain::name::ProviderName::as_str),
        model: call.request_model.as_str(),
        response_model: call.response_model.as_deref(),
        state: call.state.as_str(),
        status: call.status,
        error_type: call.error_type.as_deref(),
        tokens: call.usage.total_tokens(),
        usage: &call.usage,
        cost: call.cost_usd,
        cache: call.cache.as_str(),
        saved: call.saved_usd,
        latency_ms: call.latency_ms,
        time_to_first_token_ms: call.time_to_first_token_ms,
        overhead_us: call.overhead_us,
        attempts: call.attempts.len(),
        streamed: call.streamed,
        key_id: call.key_id,
        application_id: call.application_id,
        user_id: call.user_id,
        route: call.route.as_deref(),
        variant: call.variant.as_deref(),
        shadow_of: call.shadow_of,
    }
}

fn text(call: &Call, line: &mut Vec<u8>) -> std::io::Result<()> {
    write!(
        line,
        "{}  {} {} {} in {} ms, {} + {} tokens",
        call.ended_at,
        call.operation.as_str(),
        call.request_model,
        call.state.as_str(),
        call.latency_ms,
        call.usage.input_tokens,
        call.usage.output_tokens,
    )?;
    if let Some(cost) = call.cost_usd {
        write!(line, ", ${cost}")?;
    }
    if call.cache.is_hit() {
        write!(line, ", from the cache")?;
    }
    if let Some(error) = &call.error_type {
        write!(line, ", {error}")?;
    }
    write!(line, "  {}", call.request_id)
}
