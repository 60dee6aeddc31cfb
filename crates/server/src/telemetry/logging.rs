//! Where log lines go: standard error, written by a thread of its own so that a slow terminal slows
//! nobody. Lines are gathered and written together: a write for each would cost more than the line.
//! When the reader cannot keep up, lines are lost, and counted; the ledger loses nothing.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, Telemetry};

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(50);
/// The most that may wait to be written, in bytes.
const MAX_WAITING: usize = 16 * 1024 * 1024;

/// Takes whole lines. Cheap to clone.
#[derive(Clone)]
pub struct LogSink {
    lines: Arc<Lines>,
    format: LogFormat,
}

/// Writes what is left when it is dropped, at the very end of the process.
pub struct LogGuard {
    lines: Arc<Lines>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    /// Wakes the writer when there is something to write after there was nothing, or to stop.
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lost: u64,
    is_stopping: bool,
}

impl LogSink {
    /// How lines are to look.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// Takes one line, its line feed included.
    pub fn write(&self, line: &[u8]) {
        let was_empty = {
            let mut waiting = self.lines.locked();
            if waiting.text.len() + line.len() > MAX_WAITING {
                waiting.lost += 1;
                return;
            }
            let was_empty = waiting.text.is_empty();
            waiting.text.extend_from_slice(line);
            was_empty
        };
        if was_empty {
            self.lines.wake.notify_one();
        }
    }
}

/// Lets the subscriber write its events, each of which comes in one piece.
impl Write for &LogSink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LogSink::write(self, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogSink {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Lines {
    /// Writes what comes until it is time to stop and nothing is left.
    fn write_all(&self) {
        let mut error_output = io::stderr();
        let mut text = Vec::new();
        loop {
            let mut waiting = self.locked();
            while waiting.text.is_empty() && !waiting.is_stopping {
                waiting = self
                    .wake
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let is_stopping = waiting.is_stopping;
            std::mem::swap(&mut waiting.text, &mut text);
            let lost = std::mem::take(&mut waiting.lost);
            drop(waiting);
            if lost > 0 {
                let line = format!("{lost} log lines were lost: their reader was too slow\n");
                text.extend_from_slice(line.as_bytes());
            }
            // Where nobody listens, there is nobody to tell.
            error_output.write_all(&text).unwrap_or_default();
            text.clear();
            if is_stopping {
                return;
            }
            thread::sleep(GATHER);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.lines.locked().is_stopping = true;
        self.lines.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so itself.
            writer.join().unwrap_or_default();
        }
    }
}

/// Starts logging.
pub fn start_logging(config: &Telemetry) -> anyhow::Result<(LogSink, LogGuard)> {
    let lines = Arc::new(Lines::default());
    let writer = {
        let lines = Arc::clone(&lines);
        thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || lines.write_all())?
    };
    let filter = EnvFilter::try_new(config.log.as_str())?;
    let sink = LogSink {
        lines: Arc::clone(&lines),
        format: config.log_format,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink.clone());
    match config.log_format {
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
        LogFormat::Text => subscriber.with_ansi(io::stderr().is_terminal()).init(),
    }
    let guard = LogGuard {
        lines,
        writer: Some(writer),
    };
    Ok((sink, guard))
}
