//! The figures that are reported, and what they must be.

use crate::subject::Subject;

/// One kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Whole answers per second that 64 connections get.
    RequestsPerSecond,
    /// Share of its core that the subject used meanwhile; below one, the load was the limit.
    CoreShare,
    /// CPU time per request at full load, store writes included.
    CpuPerRequest,
    /// CPU time per request at the steady rate, store writes included.
    CpuPerSteadyRequest,
    /// Latency at the steady rate, median.
    LatencyP50,
    /// Latency at the steady rate, 99th percentile.
    LatencyP99,
    /// What the subject adds to the median.
    AddedP50,
    /// What the subject adds to the 99th percentile.
    AddedP99,
    /// Streamed answers of 50 chunks per second that 64 connections get.
    StreamsPerSecond,
    /// CPU time per stream at full load; chunks that wait together are read together.
    CpuPerStream,
    /// CPU time per stream whose chunks come one by one.
    CpuPerPacedStream,
    /// What the subject adds until the first byte of a stream, median.
    FirstByteP50,
    /// What the subject adds until the first byte of a stream, 99th percentile.
    FirstByteP99,
    /// From the start of the process until it is ready.
    StartUp,
    /// Resident memory of a process that has just become ready.
    IdleMemory,
    /// Resident memory that each open stream takes.
    MemoryPerStream,
}

/// The bound that a figure must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Trunkline's figure is at most this many times the bare proxy's.
    Ratio(f64),
    /// Trunkline's figure is at most this.
    Value(f64),
}

impl Figure {
    /// Every figure, in the order of the report.
    pub const ALL: [Self; 16] = [
        Self::RequestsPerSecond,
        Self::CoreShare,
        Self::CpuPerRequest,
        Self::CpuPerSteadyRequest,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::AddedP50,
        Self::AddedP99,
        Self::StreamsPerSecond,
        Self::CpuPerStream,
        Self::CpuPerPacedStream,
        Self::FirstByteP50,
        Self::FirstByteP99,
        Self::StartUp,
        Self::IdleMemory,
        Self::MemoryPerStream,
    ];

    /// Its name and unit for a reader.
    pub fn title(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests per second, 64 connections",
            Self::CoreShare => "  share of the core used, per cent",
            Self::CpuPerRequest => "CPU per request at full load, µs",
            Self::CpuPerSteadyRequest => "CPU per request at the steady rate, µs",
            Self::LatencyP50 => "latency at the steady rate, p50, µs",
            Self::LatencyP99 => "latency at the steady rate, p99, µs",
            Self::AddedP50 => "added latency, p50, µs",
            Self::AddedP99 => "added latency, p99, µs",
            Self::StreamsPerSecond => "streams of 50 chunks per second, 64 connections",
            Self::CpuPerStream => "CPU per stream at full load, µs",
            Self::CpuPerPacedStream => "CPU per stream, chunks one by one, µs",
            Self::FirstByteP50 => "added until the first streamed byte, p50, µs",
            Self::FirstByteP99 => "added until the first streamed byte, p99, µs",
            Self::StartUp => "start to ready, ms",
            Self::IdleMemory => "resident memory, idle, MiB",
            Self::MemoryPerStream => "resident memory per open stream, KiB",
        }
    }

    /// Its name for a program.
    pub fn key(self) -> &'static str {
        match self {
            Self::RequestsPerSecond => "requests_per_second",
            Self::CoreShare => "core_share_percent",
            Self::CpuPerRequest => "cpu_per_request_us",
            Self::CpuPerSteadyRequest => "cpu_per_steady_request_us",
            Self::LatencyP50 => "latency_p50_us",
            Self::LatencyP99 => "latency_p99_us",
            Self::AddedP50 => "added_p50_us",
            Self::AddedP99 => "added_p99_us",
            Self::StreamsPerSecond => "streams_per_second",
            Self::CpuPerStream => "cpu_per_stream_us",
            Self::CpuPerPacedStream => "cpu_per_paced_stream_us",
            Self::FirstByteP50 => "first_byte_added_p50_us",
            Self::FirstByteP99 => "first_byte_added_p99_us",
            Self::StartUp => "start_up_ms",
            Self::IdleMemory => "idle_memory_mib",
            Self::MemoryPerStream => "memory_per_stream_kib",
        }
    }

    /// What it must be.
    pub fn target(self) -> Option<Target> {
        match self {
            Self::CpuPerRequest | Self::CpuPerSteadyRequest => Some(Target::Ratio(2.0)),
            Self::CpuPerStream | Self::CpuPerPacedStream => Some(Target::Ratio(1.25)),
            Self::AddedP99 => Some(Target::Value(1_000.0)),
            Self::FirstByteP50 => Some(Target::Value(500.0)),
            Self::StartUp => Some(Target::Value(150.0)),
            Self::IdleMemory => Some(Target::Value(40.0)),
            Self::MemoryPerStream => Some(Target::Value(25.0)),
            Self::RequestsPerSecond
            | Self::CoreShare
            | Self::LatencyP50
            | Self::LatencyP99
            | Self::AddedP50
            | Self::StreamsPerSecond
            | Self::FirstByteP99 => None,
        }
    }
}

/// Every value that was measured.
#[derive(Debug, Default)]
pub struct Figures(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    figure: Figure,
    subject: Subject,
    round: usize,
    value: f64,
}

/// What the rounds say together about one figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The figure.
    pub figure: Figure,
    /// The median of the direct way's values.
    pub direct: Option<f64>,
    /// The median of the bare proxy's.
    pub bare: Option<f64>,
    /// The median of Trunkline's.
    pub trunkline: Option<f64>,
    /// The median over the rounds of Trunkline's value divided by the bare proxy's in the same round.
    pub ratio: Option<f64>,
    /// Whether the target is met; `None` when there is none.
    pub met: Option<bool>,
}

impl Figures {
    /// Notes what `subject` showed in `round`.
    pub fn note(&mut self, figure: Figure, subject: Subject, round: usize, value: f64) {
        self.0.push(Sample {
            figure,
            subject,
            round,
            value,
        });
    }

    /// What was noted about `figure`, in the order of the rounds.
    pub fn values(&self, figure: Figure, subject: Subject) -> Vec<f64> {
        let mut samples: Vec<&Sample> = self
            .0
            .iter()
            .filter(|sample| sample.figure == figure && sample.subject == subject)
            .collect();
        samples.sort_by_key(|sample| sample.round);
        samples.iter().map(|sample| sample.value).collect()
    }

    /// The summary of one figure. The ratio is taken within each round, where both subjects met the same
    /// machine, and the median over the rounds leaves out those that something disturbed.
    pub fn summary(&self, figure: Figure) -> Summary {
        let bare = self.values(figure, Subject::Bare);
        let trunkline = self.values(figure, Subject::Trunkline);
        let ratios: Vec<f64> = trunkline
            .iter()
            .zip(&bare)
            .filter(|(_, bare)| **bare > 0.0)
            .map(|(trunkline, bare)| trunkline / bare)
            .collect();
        let ratio = median(&ratios);
        let trunkline = median(&trunkline);
        let met = figure.target().and_then(|target| match target {
            Target::Ratio(most) => ratio.map(|ratio| ratio <= most),
            Target::Value(most) => trunkline.map(|value| value <= most),
        });
        Summary {
            figure,
            direct: median(&self.values(figure, Subject::Direct)),
            bare: median(&bare),
            trunkline,
            ratio,
            met,
        }
    }
}

/// The middle value; the mean of the middle two when there are two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(sorted.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut figures = Figures::default();
        // The machine was three times slower in the second round: the ratio does not care.
        for (round, bare, trunkline) in [(0, 10.0, 18.0), (1, 30.0, 54.0), (2, 10.0, 18.0)] {
            figures.note(Figure::CpuPerRequest, Subject::Bare, round, bare);
            figures.note(Figure::CpuPerRequest, Subject::Trunkline, round, trunkline);
        }
        let summary = figures.summary(Figure::CpuPerRequest);
        assert_eq!(summary.ratio, Some(1.8));
        assert_eq!(summary.met, Some(true));
    }

    #[test]
    fn a_missed_target_is_said_to_be_missed() {
        let mut figures = Figures::default();
        figures.note(Figure::IdleMemory, Subject::Bare, 0, 5.0);
        figures.note(Figure::IdleMemory, Subject::Trunkline, 0, 41.0);
        assert_eq!(figures.summary(Figure::IdleMemory).met, Some(false));
    }
}
