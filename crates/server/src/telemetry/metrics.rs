//! Prometheus metrics. The recorder is a value, not a global; handles are looked up once per label set.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::call::{Attempt, AttemptReason, CacheOutcome, Call, CallState};
use domain::clock::Moment;
use domain::problem::ProblemKind;
use gateway::health::{BreakerState, Health};
use gateway::ledger::Ledger;
use gateway::limits::{Leases, Limits};
use gateway::routes::Routes;
use gateway::shadow::ShadowCounts;
use metrics::{Counter, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

/// Upper bounds of the duration buckets, in seconds (OpenTelemetry's advice for
/// `gen_ai.server.request.duration`).
const DURATIONS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
/// Upper bounds of the overhead buckets, in seconds.
const OVERHEADS: [f64; 9] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.1,
];

/// Counts attempts.
const ATTEMPTS: &str = "trunkline_attempts_total";

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

pub(super) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    series: RwLock<HashMap<Labels, Arc<Series>>>,
}

/// How much was lost because the store could not keep up.
#[derive(Debug, Clone, Copy)]
pub struct Lost {
    /// Payloads.
    pub payloads: u64,
    /// Answers that callers may refer to.
    pub responses: u64,
    /// Turns with reasoning state.
    pub reasoning_states: u64,
    /// Conditions of routes that could not be evaluated, which lost the request a target.
    pub conditions: u64,
}

/// What calls are told apart by. A failed call's model is left out: callers can make up any number of
/// names that fail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels {
    provider: String,
    model: String,
    state: CallState,
}

/// The metrics of one label set.
struct Series {
    calls: Counter,
    /// First attempts that were answered.
    attempts: Counter,
    input_tokens: Counter,
    output_tokens: Counter,
    cached_input_tokens: Counter,
    cache_write_tokens: Counter,
    cost_nano_usd: Counter,
    duration: Histogram,
    first_token: Histogram,
    overhead: Histogram,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let buckets = |builder: PrometheusBuilder, name: &str, bounds: &[f64]| {
            builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)
        };
        let builder = PrometheusBuilder::new();
        let builder = buckets(builder, "trunkline_call_duration_seconds", &DURATIONS)
            .and_then(|builder| buckets(builder, "trunkline_first_token_seconds", &DURATIONS))
            .and_then(|builder| buckets(builder, "trunkline_overhead_seconds", &OVERHEADS))
            // Only an empty list of bounds is refused.
            .unwrap_or_default();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        describe(&recorder);
        Self {
            recorder,
            handle,
            series: RwLock::default(),
        }
    }

    pub(super) fn ended(&self, call: &Call) {
        let series = self.series(call);
        series.calls.increment(1);
        series.duration.record(milliseconds(call.latency_ms));
        if call.cache != CacheOutcome::Bypass {
            self.asked_cache(call);
        }
        // Nobody was asked, and nothing taken.
        if call.cache.is_hit() {
            return;
        }
        series.input_tokens.increment(call.usage.input_tokens);
        series.output_tokens.increment(call.usage.output_tokens);
        series
            .cached_input_tokens
            .increment(call.usage.cached_input_tokens);
        let written = call.usage.cache_write_5m_tokens + call.usage.cache_write_1h_tokens;
        if written > 0 {
            series.cache_write_tokens.increment(written);
        }
        let cost = call.cost_usd.map_or(0, domain::money::Cost::nano_dollars);
        series
            .cost_nano_usd
            .increment(u64::try_from(cost).unwrap_or(0));
        for attempt in &call.attempts {
            self.attempted(call, &series, attempt);
        }
        if let Some(first) = call.time_to_first_token_ms {
            series.first_token.record(milliseconds(first));
        }
        series
            .overhead
            .record(milliseconds(call.overhead_us) / 1000.0);
    }

    /// Counts one attempt. Most calls have one that answered, whose counter is at hand.
    fn attempted(&self, call: &Call, series: &Series, attempt: &Attempt) {
        let is_plain = attempt.reason == AttemptReason::First
            && attempt.error_type.is_none()
            && !attempt.cancelled;
        if is_plain && call.provider.as_ref() == Some(&attempt.provider) {
            series.attempts.increment(1);
            return;
        }
        let outcome = match attempt.error_type {
            _ if attempt.cancelled => "cancelled",
            Some(cause) => cause.as_str(),
            None => "answered",
        };
        let labels = vec![
            Label::new("provider", attempt.provider.to_string()),
            Label::new("reason", attempt.reason.as_str()),
            Label::new("outcome", outcome),
        ];
        let key = Key::from_parts(ATTEMPTS, labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// Sets the state of every breaker, and how many calls are under way.
    fn observe(&self, health: &Health, now: Moment) {
        for target in health.all() {
            let state = target.breaker(now);
            let has_answered = target.total().or(target.first_byte()).is_some();
            // Callers can make up any number of names that nobody answers.
            if !has_answered && state == BreakerState::Closed {
                continue;
            }
            let (provider, model) = target.name();
            let labels = vec![
                Label::new("provider", provider.to_string()),
                Label::new("model", model.to_owned()),
            ];
            let state = match state {
                BreakerState::Closed => 0.0,
                BreakerState::HalfOpen => 1.0,
                BreakerState::Open => 2.0,
            };
            let gauges = [
                ("trunkline_breaker_state", state),
                ("trunkline_in_flight", f64::from(target.in_flight())),
            ];
            for (name, value) in gauges {
                let key = Key::from_parts(name, labels.clone());
                self.recorder.register_gauge(&key, &METADATA).set(value);
            }
        }
    }

    fn asked_cache(&self, call: &Call) {
        let labels = vec![Label::new("outcome", call.cache.as_str())];
        let key = Key::from_parts("trunkline_cache_calls_total", labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
        if let Some(saved) = call.saved_usd {
            let key = Key::from_static_name("trunkline_cache_saved_nano_usd_total");
            let saved = u64::try_from(saved.nano_dollars()).unwrap_or(0);
            self.recorder
                .register_counter(&key, &METADATA)
                .increment(saved);
        }
    }

    pub(super) fn refused(&self, kind: ProblemKind) {
        let labels = vec![Label::new("reason", kind.slug())];
        let key = Key::from_parts("trunkline_refused_total", labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    pub(super) fn alerted(&self, percent: u8, is_budget: bool) {
        let labels = vec![Label::new("percent", percent.to_string())];
        let name = if is_budget {
            "trunkline_budget_alerts_total"
        } else {
            "trunkline_rate_alerts_total"
        };
        let key = Key::from_parts(name, labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    pub(super) fn unread(&self, tokens: u64) {
        let key = Key::from_static_name("trunkline_prompt_cache_unread_tokens_total");
        self.recorder
            .register_counter(&key, &METADATA)
            .increment(tokens);
    }

    /// How far budgets were overrun, how far they can have been, and how many calls wait for room.
    fn limits(&self, limits: &Limits) {
        let overrun = limits.overrun();
        #[expect(clippy::cast_precision_loss, reason = "a gauge of calls that wait")]
        let waiting = limits.waiting() as f64;
        let gauges = [
            (
                "trunkline_limits_overrun_usd",
                overrun.observed.to_dollars_f64(),
            ),
            (
                "trunkline_limits_overrun_bound_usd",
                overrun.bound.to_dollars_f64(),
            ),
            ("trunkline_limits_waiting", waiting),
        ];
        for (name, value) in gauges {
            let key = Key::from_static_name(name);
            self.recorder.register_gauge(&key, &METADATA).set(value);
        }
        if let Some(leases) = limits.leases() {
            self.leases(leases);
        }
    }

    /// Whether what replicas share is there, and how much of it this one may give out.
    fn leases(&self, leases: Leases) {
        let up = Key::from_static_name("trunkline_shared_state_up");
        let is_up = f64::from(u8::from(leases.is_answered));
        self.recorder.register_gauge(&up, &METADATA).set(is_up);
        #[expect(
            clippy::cast_precision_loss,
            reason = "gauges of amounts, which are exact below 2^53"
        )]
        let amounts = [
            ("requests", leases.requests as f64),
            ("tokens", leases.tokens as f64),
            ("concurrency", leases.calls as f64),
            ("usd", leases.cost.to_dollars_f64()),
        ];
        for (measure, amount) in amounts {
            let labels = vec![Label::new("measure", measure)];
            let key = Key::from_parts("trunkline_limits_lease", labels);
            self.recorder.register_gauge(&key, &METADATA).set(amount);
        }
    }

    /// What the last probes of providers found, where they are probed.
    fn probed(&self, routes: &Routes) {
        for provider in routes.providers() {
            let Some(state) = routes.health().probed(provider) else {
                continue;
            };
            let labels = vec![Label::new("provider", provider.name.to_string())];
            let latency = state.latency_ms.map(milliseconds);
            let gauges = [
                (
                    "trunkline_provider_up",
                    Some(f64::from(u8::from(state.is_reached))),
                ),
                ("trunkline_provider_probe_seconds", latency),
            ];
            for (name, value) in gauges {
                if let Some(value) = value {
                    let key = Key::from_parts(name, labels.clone());
                    self.recorder.register_gauge(&key, &METADATA).set(value);
                }
            }
        }
    }

    /// What became of copies of calls.
    fn copies(&self, copies: ShadowCounts) {
        let outcomes = [
            ("sent", copies.sent),
            ("dropped", copies.dropped),
            ("over_budget", copies.over_budget),
            ("refused", copies.refused),
        ];
        // Most installations have no shadow, and then no series of it.
        if outcomes.iter().all(|(_, count)| *count == 0) {
            return;
        }
        for (outcome, count) in outcomes {
            let labels = vec![Label::new("outcome", outcome)];
            let key = Key::from_parts("trunkline_shadow_copies_total", labels);
            self.recorder
                .register_counter(&key, &METADATA)
                .absolute(count);
        }
    }

    pub(super) fn render(
        &self,
        ledger: &Ledger,
        limits: &Limits,
        lost: Lost,
        copies: ShadowCounts,
        routes: &Routes,
        now: Moment,
    ) -> String {
        self.limits(limits);
        self.copies(copies);
        self.observe(routes.health(), now);
        self.probed(routes);
        let ledger_counts = [
            ("trunkline_ledger_dispatched", ledger.dispatched()),
            ("trunkline_ledger_captured", ledger.captured()),
            ("trunkline_payloads_lost_total", lost.payloads),
            ("trunkline_responses_lost_total", lost.responses),
            (
                "trunkline_reasoning_states_lost_total",
                lost.reasoning_states,
            ),
            ("trunkline_route_condition_failures_total", lost.conditions),
        ];
        for (name, count) in ledger_counts {
            self.recorder
                .register_counter(&Key::from_static_name(name), &METADATA)
                .absolute(count);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge of bytes; exact below 8 PiB"
        )]
        let bytes = ledger.journal_bytes() as f64;
        let key = Key::from_static_name("trunkline_ledger_journal_bytes");
        self.recorder.register_gauge(&key, &METADATA).set(bytes);
        self.handle.render()
    }

    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn series(&self, call: &Call) -> Arc<Series> {
        let labels = Labels {
            provider: call
                .provider
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            model: match call.state {
                CallState::Failed => String::new(),
                _ => call
                    .last_attempt()
                    .map(|it| it.model.clone())
                    .unwrap_or_default(),
            },
            state: call.state,
        };
        if let Some(series) = self
            .series
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&labels)
        {
            return Arc::clone(series);
        }
        let series = Arc::new(Series::register(&self.recorder, &labels));
        let mut all = self.series.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(labels).or_insert(series))
    }
}

impl Series {
    fn register(recorder: &PrometheusRecorder, labels: &Labels) -> Self {
        let target = [
            Label::new("provider", labels.provider.clone()),
            Label::new("model", labels.model.clone()),
        ];
        let with = |label: Label| [target.to_vec(), vec![label]].concat();
        let state = || Label::new("state", labels.state.as_str());
        let counter = |name: &'static str, label: Label| {
            recorder.register_counter(&Key::from_parts(name, with(label)), &METADATA)
        };
        let histogram = |name: &'static str| {
            recorder.register_histogram(&Key::from_parts(name, target.to_vec()), &METADATA)
        };
        let tokens =
            |kind: &'static str| counter("trunkline_tokens_total", Label::new("type", kind));
        Self {
            calls: counter("trunkline_calls_total", state()),
            attempts: recorder.register_counter(
                &Key::from_parts(
                    ATTEMPTS,
                    vec![
                        Label::new("provider", labels.provider.clone()),
                        Label::new("reason", AttemptReason::First.as_str()),
                        Label::new("outcome", "answered"),
                    ],
                ),
                &METADATA,
            ),
            input_tokens: tokens("input"),
            output_tokens: tokens("output"),
            cached_input_tokens: tokens("cached_input"),
            cache_write_tokens: tokens("cache_write"),
            cost_nano_usd: counter("trunkline_cost_nano_usd_total", state()),
            duration: histogram("trunkline_call_duration_seconds"),
            first_token: histogram("trunkline_first_token_seconds"),
            overhead: histogram("trunkline_overhead_seconds"),
        }
    }
}

fn describe(recorder: &PrometheusRecorder) {
    let counters = [
        ("trunkline_calls_total", "Ended calls by how they ended."),
        (
            ATTEMPTS,
            "Attempts of ended calls, by why they were made and what came of them.",
        ),
        (
            "trunkline_tokens_total",
            "Tokens; cached input and cache writes are part of input.",
        ),
        (
            "trunkline_cost_nano_usd_total",
            "Cost in billionths of a US dollar.",
        ),
        (
            "trunkline_cache_calls_total",
            "Calls that the cache was asked for, by what it said.",
        ),
        (
            "trunkline_cache_saved_nano_usd_total",
            "What calls would have cost that the cache answered, in billionths of a US dollar.",
        ),
        (
            "trunkline_shadow_copies_total",
            "Copies of calls for shadows of routes, by what became of them.",
        ),
        (
            "trunkline_refused_total",
            "Requests turned away before a call was opened.",
        ),
        (
            "trunkline_ledger_dispatched",
            "Attempts that were journaled before they were sent.",
        ),
        (
            "trunkline_ledger_captured",
            "Attempts of calls that have ended.",
        ),
        (
            "trunkline_budget_alerts_total",
            "Budgets that were used up to a part that operators want to hear of.",
        ),
        (
            "trunkline_rate_alerts_total",
            "Limits of requests, tokens or calls at the same time that were, at most once an hour each.",
        ),
        (
            "trunkline_prompt_cache_unread_tokens_total",
            "Tokens written into vendors' prompt caches that nobody has read in time.",
        ),
        (
            "trunkline_payloads_lost_total",
            "Payloads that the store could not take.",
        ),
        (
            "trunkline_responses_lost_total",
            "Answers that callers may refer to that the store could not take.",
        ),
        (
            "trunkline_reasoning_states_lost_total",
            "Turns with reasoning state that the store could not take.",
        ),
    ];
    for (name, help) in counters {
        recorder.describe_counter(name.into(), None, help.into());
    }
    let histograms = [
        (
            "trunkline_call_duration_seconds",
            "From arrival to the end of the answer.",
        ),
        (
            "trunkline_first_token_seconds",
            "From arrival to the first content of a stream.",
        ),
        (
            "trunkline_overhead_seconds",
            "What Trunkline itself adds to a call.",
        ),
    ];
    for (name, help) in histograms {
        recorder.describe_histogram(name.into(), Some(Unit::Seconds), help.into());
    }
    describe_gauges(recorder);
    let help = "Bytes that the journal holds.";
    recorder.describe_gauge(
        "trunkline_ledger_journal_bytes".into(),
        Some(Unit::Bytes),
        help.into(),
    );
}

fn describe_gauges(recorder: &PrometheusRecorder) {
    let gauges = [
        (
            "trunkline_breaker_state",
            "Circuit breakers: 0 closed, 1 half-open, 2 open.",
        ),
        ("trunkline_in_flight", "Attempts under way."),
        (
            "trunkline_provider_up",
            "Whether the last probe of a provider was answered: 1 or 0.",
        ),
        (
            "trunkline_provider_probe_seconds",
            "How long the last probe took that was answered.",
        ),
        (
            "trunkline_limits_overrun_usd",
            "The most that any budget was overrun in its period.",
        ),
        (
            "trunkline_limits_overrun_bound_usd",
            "The most that any budget can have been overrun in its period.",
        ),
        ("trunkline_limits_waiting", "Calls that wait for room."),
        (
            "trunkline_limits_lease",
            "The most of any shared limit that this replica may give out without asking.",
        ),
        (
            "trunkline_shared_state_up",
            "Whether what replicas share answered when it was asked last.",
        ),
    ];
    for (name, help) in gauges {
        recorder.describe_gauge(name.into(), None, help.into());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration for a histogram")]
fn milliseconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
