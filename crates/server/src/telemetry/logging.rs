//! Where log lines go: standard error, written by a thread of its own so that a slow terminal slows
//! nobody. When it cannot keep up, lines are lost; the ledger loses nothing.

use std::io::{IsTerminal, Write};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Telemetry};

/// Lines that may wait to be written.
const WAITING_LINES: usize = 64 * 1024;

/// Takes whole lines. Cheap to clone.
#[derive(Clone)]
pub struct LogSink {
    writer: NonBlocking,
    format: LogFormat,
}

impl LogSink {
    /// How lines are to look.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// Writes one line, its line feed included.
    pub fn write(&self, line: &[u8]) {
        // The writer queues or drops; it has no other way to fail.
        let written = self.writer.clone().write_all(line);
        debug_assert!(written.is_ok());
    }
}

/// Starts logging. The guard writes what is left when it is dropped, at the very end of the process.
pub fn start_logging(config: &Telemetry) -> anyhow::Result<(LogSink, WorkerGuard)> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("log-writer")
        .finish(std::io::stderr());
    let filter = EnvFilter::try_new(config.log.as_str())?;
    let sink = LogSink {
        writer: writer.clone(),
        format: config.log_format,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match config.log_format {
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
        LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
    }
    Ok((sink, guard))
}
