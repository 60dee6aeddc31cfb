//! OpenTelemetry spans, made from the record of each ended call: one for the call, one for each attempt.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use domain::call::{Attempt, Call};
use jiff::Timestamp;
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue, trace::Span};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::semconv;

/// Sends spans to a collector.
pub(super) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Spans for the collector at `endpoint` (OTLP over HTTP with protobuf; the base URL, to which
    /// `/v1/traces` is added unless it is there).
    pub(super) fn start(endpoint: &str) -> anyhow::Result<Self> {
        let endpoint = endpoint.trim_end_matches('/');
        let url = if endpoint.ends_with("/v1/traces") {
            endpoint.to_owned()
        } else {
            format!("{endpoint}/v1/traces")
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(url)
            .build()
            .context("the OTLP exporter cannot be built")?;
        let resource = Resource::builder().with_service_name("trunkline").build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("trunkline");
        Ok(Self { provider, tracer })
    }

    pub(super) fn export(&self, call: &Call, traceparent: Option<&str>) {
        let parent = traceparent.and_then(remote_parent).unwrap_or_default();
        let name = format!("{} {}", call.operation.as_str(), call.request_model);
        let mut span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(SystemTime::from(call.started_at))
            .with_attributes(call_attributes(call))
            .start_with_context(&self.tracer, &parent);
        if let Some(error) = &call.error_type {
            span.set_status(Status::error(error.clone()));
        }
        let context = parent.with_remote_span_context(span.span_context().clone());
        for attempt in &call.attempts {
            self.export_attempt(call, attempt, &context);
        }
        span.end_with_timestamp(SystemTime::from(call.ended_at));
    }

    fn export_attempt(&self, call: &Call, attempt: &Attempt, context: &Context) {
        let name = format!("{} {}", call.operation.as_str(), attempt.model);
        let mut attributes = vec![
            KeyValue::new(semconv::OPERATION_NAME, call.operation.as_str()),
            KeyValue::new(semconv::PROVIDER_NAME, attempt.provider.to_string()),
            KeyValue::new(semconv::REQUEST_MODEL, attempt.model.clone()),
            KeyValue::new(semconv::ATTEMPT, i64::from(attempt.number)),
        ];
        attributes.extend(
            attempt
                .status
                .map(|it| KeyValue::new(semconv::HTTP_STATUS, i64::from(it))),
        );
        attributes.extend(
            attempt
                .error_type
                .map(|it| KeyValue::new(semconv::ERROR_TYPE, it.as_str())),
        );
        let mut span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Client)
            .with_start_time(SystemTime::from(attempt.started_at))
            .with_attributes(attributes)
            .start_with_context(&self.tracer, context);
        if let Some(cause) = attempt.error_type {
            span.set_status(Status::error(cause.as_str()));
        }
        span.end_with_timestamp(end_of(attempt, call.ended_at));
    }

    pub(super) fn flush(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(Duration::from_secs(3)) {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

fn call_attributes(call: &Call) -> Vec<KeyValue> {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new(semconv::OPERATION_NAME, call.operation.as_str()),
        KeyValue::new(semconv::REQUEST_MODEL, call.request_model.to_string()),
        KeyValue::new(semconv::INPUT_TOKENS, count(call.usage.input_tokens)),
        KeyValue::new(semconv::OUTPUT_TOKENS, count(call.usage.output_tokens)),
        KeyValue::new(semconv::REQUEST_ID, call.request_id.to_string()),
        KeyValue::new(semconv::KEY_ID, call.key_id.to_string()),
        KeyValue::new(semconv::STATE, call.state.as_str()),
    ];
    let optional = [
        (
            semconv::PROVIDER_NAME,
            call.provider.as_ref().map(ToString::to_string),
        ),
        (semconv::RESPONSE_MODEL, call.response_model.clone()),
        (semconv::RESPONSE_FINISH_REASONS, call.finish_reason.clone()),
        (semconv::ERROR_TYPE, call.error_type.clone()),
        (
            semconv::COST_USD,
            call.cost_usd.map(|cost| cost.to_string()),
        ),
    ];
    attributes.extend(
        optional
            .into_iter()
            .filter_map(|(name, value)| Some(KeyValue::new(name, value?))),
    );
    attributes
}

fn end_of(attempt: &Attempt, call_ended: Timestamp) -> SystemTime {
    match attempt.latency_ms {
        Some(latency) => SystemTime::from(attempt.started_at) + Duration::from_millis(latency),
        None => call_ended.into(),
    }
}

/// The caller's span (W3C Trace Context: `00-{trace}-{span}-{flags}`).
fn remote_parent(traceparent: &str) -> Option<Context> {
    let mut fields = traceparent.split('-');
    let (version, trace, span, flags) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    if version.len() != 2 || version == "ff" {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context
        .is_valid()
        .then(|| Context::new().with_remote_span_context(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_taken_over() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = remote_parent(parent).unwrap();
        let span = context.span().span_context().clone();
        assert_eq!(
            span.trace_id().to_string(),
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );
        assert!(span.is_sampled());
    }

    #[test]
    fn what_is_not_a_traceparent_is_ignored() {
        for text in [
            "",
            "00",
            "ff-1-2-3",
            "00-xyz-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-0000000000000000-01",
        ] {
            assert!(remote_parent(text).is_none(), "{text}");
        }
    }
}
