//! What operators see: log lines, metrics and traces. The ledger is the truth; these are its echo.

mod call_line;
mod causes;
mod logging;
mod metrics;
mod semconv;
mod traces;

use std::sync::OnceLock;

use domain::call::{Call, CallObserver};
use domain::clock::Moment;
use domain::problem::ProblemKind;
use gateway::ledger::Ledger;
use gateway::limits::Limits;
use gateway::routes::Routes;
use gateway::shadow::ShadowCounts;

pub use causes::Causes;
pub use logging::{LogSink, start_logging};
pub use metrics::Lost;

use call_line::CallLines;
use metrics::Metrics;
use traces::Traces;

/// Everything that hears of calls.
pub struct Telemetry {
    metrics: Metrics,
    lines: Option<CallLines>,
    /// Set once at start, when a collector is configured.
    traces: OnceLock<Traces>,
}

impl Telemetry {
    /// Metrics, and log lines into `sink` if there is one.
    pub fn new(sink: Option<LogSink>) -> Self {
        Self {
            metrics: Metrics::new(),
            lines: sink.map(CallLines::new),
            traces: OnceLock::new(),
        }
    }

    /// Sends traces to the OTLP collector at `endpoint` as well. Blocks while it connects nothing:
    /// the exporter's own thread does.
    pub fn export_traces(&self, endpoint: &str) -> anyhow::Result<()> {
        let traces = Traces::start(endpoint)?;
        // A second collector is never configured: this runs once, at start.
        self.traces.get_or_init(|| traces);
        Ok(())
    }

    /// Counts a request that was turned away before a call was opened.
    pub fn refused(&self, kind: ProblemKind) {
        self.metrics.refused(kind);
    }

    /// The metrics in Prometheus' text format.
    pub fn render(
        &self,
        ledger: &Ledger,
        limits: &Limits,
        lost: Lost,
        copies: ShadowCounts,
        routes: &Routes,
        now: Moment,
    ) -> String {
        self.metrics
            .render(ledger, limits, lost, copies, routes, now)
    }

    /// Counts that a budget, or another limit, was used up to so many per cent.
    pub fn alerted(&self, percent: u8, is_budget: bool) {
        self.metrics.alerted(percent, is_budget);
    }

    /// Counts tokens that were written into vendors' prompt caches and that nobody has read in time.
    pub fn unread(&self, tokens: u64) {
        self.metrics.unread(tokens);
    }

    /// Keeps the memory of histograms bounded between two scrapes; called every few seconds.
    pub fn upkeep(&self) {
        self.metrics.upkeep();
    }

    /// Hands what is left to the collector; blocks for at most a few seconds.
    pub fn flush(&self) {
        if let Some(traces) = self.traces.get() {
            traces.flush();
        }
    }
}

impl CallObserver for Telemetry {
    fn ended(&self, call: &Call, traceparent: Option<&str>) {
        self.metrics.ended(call);
        if let Some(lines) = &self.lines {
            lines.write(call, traceparent);
        }
        if let Some(traces) = self.traces.get() {
            traces.export(call, traceparent);
        }
    }
}
