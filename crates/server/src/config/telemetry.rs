//! `telemetry`: logs and traces.

use tracing::Level;

use super::base_url::BaseUrl;
use super::fields::{Fields, Section};
use super::scalar::Choice;

/// Logs and traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Where spans are sent by OTLP over HTTP; `None` sends none. Without a slash at its end.
    pub otlp: Option<String>,
    /// The least important lines that are logged.
    pub log: Level,
    /// How a line is written.
    pub log_format: LogFormat,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

impl Section for Telemetry {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let otlp: Option<BaseUrl> = fields.optional(
            "otlp",
            "http://127.0.0.1:4318",
            "Where spans are sent by OTLP over HTTP, without the path `/v1/traces`; left out, \
             none are sent.",
        );
        let log = fields.or("log", "info", "The least important lines that are logged.");
        let log_format = fields.or(
            "log_format",
            "json",
            "How a line is written: `json`, one object per line, or `text`, for people.",
        );
        Some(Self {
            otlp: otlp.map(|url| url.as_str().to_owned()),
            log: log?,
            log_format: log_format?,
        })
    }
}

impl Choice for Level {
    const EXPECTED: &'static str = "a level of logging";
    const CHOICES: &'static [(&'static str, Self)] = &[
        ("error", Self::ERROR),
        ("warn", Self::WARN),
        ("info", Self::INFO),
        ("debug", Self::DEBUG),
        ("trace", Self::TRACE),
    ];
}

impl Choice for LogFormat {
    const EXPECTED: &'static str = "a format of log lines";
    const CHOICES: &'static [(&'static str, Self)] = &[("json", Self::Json), ("text", Self::Text)];
}
