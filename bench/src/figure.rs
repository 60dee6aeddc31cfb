//! The figures that are reported, what each is compared with, and what it must be.

use crate::subject::Subject;

/// Translation must not cost more than this many times the verbatim path.
const TRANSLATION: Target = Target::Ratio(1.5);
/// The most bodies that a request may hold at once.
const PICTURES: Target = Target::Value(3.0);

/// One kind of figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Whole answers per second that 64 connections get.
    RequestsPerSecond,
    /// Share of its core that the subject used meanwhile; below one, the load was the limit.
    CoreShare,
    /// CPU time per request at full load, store writes included.
    CpuPerRequest,
    /// The same, translated to Anthropic's format and back.
    CpuPerAnthropicRequest,
    /// The same, translated to Gemini's format and back.
    CpuPerGeminiRequest,
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
    /// The same, translated to Anthropic's format and back.
    CpuPerAnthropicStream,
    /// The same, translated to Gemini's format and back.
    CpuPerGeminiStream,
    /// CPU time per stream whose chunks come one by one.
    CpuPerPacedStream,
    /// What the subject adds until the first byte of a stream, median.
    FirstByteP50,
    /// What the subject adds until the first byte of a stream, 99th percentile.
    FirstByteP99,
    /// CPU time per request that brings a picture of 10 MB.
    CpuPerPicture,
    /// The same, translated to Anthropic's format and back.
    CpuPerAnthropicPicture,
    /// The same, translated to Gemini's format and back.
    CpuPerGeminiPicture,
    /// From the start of the process until it is ready.
    StartUp,
    /// Resident memory of a process that has just become ready.
    IdleMemory,
    /// Resident memory that each open stream takes.
    MemoryPerStream,
    /// The most memory that was resident, for each request with a picture of 10 MB that waits for its
    /// answer; in sizes of such a body.
    MemoryPerPicture,
    /// The same, translated to Anthropic's format.
    MemoryPerAnthropicPicture,
    /// The same, translated to Gemini's format.
    MemoryPerGeminiPicture,
}

/// What is known of a figure before it is measured.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Its name and unit for a reader.
    pub title: &'static str,
    /// Its name for a program.
    pub key: &'static str,
    /// What Trunkline's value is divided by.
    pub baseline: Baseline,
    /// What it must be.
    pub target: Option<Target>,
}

/// What Trunkline's value of a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// The bare proxy's value of the same figure.
    BareProxy,
    /// Trunkline's own value of a figure in which nothing is translated.
    Verbatim(Figure),
}

/// The bound that a figure must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Trunkline's figure is at most this many times its baseline.
    Ratio(f64),
    /// Trunkline's figure is at most this.
    Value(f64),
}

impl Definition {
    fn of(title: &'static str, key: &'static str) -> Self {
        Self {
            title,
            key,
            baseline: Baseline::BareProxy,
            target: None,
        }
    }

    /// Of a figure that follows `verbatim` in the report.
    fn to_anthropic(key: &'static str, verbatim: Figure) -> Self {
        Self {
            baseline: Baseline::Verbatim(verbatim),
            ..Self::of("  translated to Anthropic", key)
        }
    }

    /// The same.
    fn to_gemini(key: &'static str, verbatim: Figure) -> Self {
        Self {
            baseline: Baseline::Verbatim(verbatim),
            ..Self::of("  translated to Gemini", key)
        }
    }

    fn at_most(self, target: Target) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }
}

impl Baseline {
    /// Its name for a reader.
    pub fn name(self) -> &'static str {
        match self {
            Self::BareProxy => "bare proxy",
            Self::Verbatim(_) => "verbatim",
        }
    }
}

impl Figure {
    /// Every figure, in the order of the report.
    pub const ALL: [Self; 26] = [
        Self::RequestsPerSecond,
        Self::CoreShare,
        Self::CpuPerRequest,
        Self::CpuPerAnthropicRequest,
        Self::CpuPerGeminiRequest,
        Self::CpuPerSteadyRequest,
        Self::LatencyP50,
        Self::LatencyP99,
        Self::AddedP50,
        Self::AddedP99,
        Self::StreamsPerSecond,
        Self::CpuPerStream,
        Self::CpuPerAnthropicStream,
        Self::CpuPerGeminiStream,
        Self::CpuPerPacedStream,
        Self::FirstByteP50,
        Self::FirstByteP99,
        Self::CpuPerPicture,
        Self::CpuPerAnthropicPicture,
        Self::CpuPerGeminiPicture,
        Self::StartUp,
        Self::IdleMemory,
        Self::MemoryPerStream,
        Self::MemoryPerPicture,
        Self::MemoryPerAnthropicPicture,
        Self::MemoryPerGeminiPicture,
    ];

    /// Where the values of its baseline are.
    pub fn baseline(self) -> (Self, Subject) {
        match self.definition().baseline {
            Baseline::BareProxy => (self, Subject::Bare),
            Baseline::Verbatim(figure) => (figure, Subject::Trunkline),
        }
    }

    /// What is known of it.
    pub fn definition(self) -> Definition {
        match self {
            Self::RequestsPerSecond => {
                Definition::of("requests per second, 64 connections", "requests_per_second")
            }
            Self::CoreShare => {
                Definition::of("  share of the core used, per cent", "core_share_percent")
            }
            Self::CpuPerRequest => {
                Definition::of("CPU per request at full load, µs", "cpu_per_request_us")
                    .at_most(Target::Ratio(2.0))
            }
            Self::CpuPerAnthropicRequest => {
                Definition::to_anthropic("cpu_per_anthropic_request_us", Self::CpuPerRequest)
                    .at_most(TRANSLATION)
            }
            Self::CpuPerGeminiRequest => {
                Definition::to_gemini("cpu_per_gemini_request_us", Self::CpuPerRequest)
                    .at_most(TRANSLATION)
            }
            Self::CpuPerSteadyRequest => Definition::of(
                "CPU per request at the steady rate, µs",
                "cpu_per_steady_request_us",
            )
            .at_most(Target::Ratio(2.0)),
            Self::LatencyP50 => {
                Definition::of("latency at the steady rate, p50, µs", "latency_p50_us")
            }
            Self::LatencyP99 => {
                Definition::of("latency at the steady rate, p99, µs", "latency_p99_us")
            }
            Self::AddedP50 => Definition::of("added latency, p50, µs", "added_p50_us"),
            Self::AddedP99 => Definition::of("added latency, p99, µs", "added_p99_us")
                .at_most(Target::Value(1_000.0)),
            Self::StreamsPerSecond => Definition::of(
                "streams of 50 chunks per second, 64 connections",
                "streams_per_second",
            ),
            Self::CpuPerStream => {
                Definition::of("CPU per stream at full load, µs", "cpu_per_stream_us")
                    .at_most(Target::Ratio(1.25))
            }
            Self::CpuPerAnthropicStream => {
                Definition::to_anthropic("cpu_per_anthropic_stream_us", Self::CpuPerStream)
                    .at_most(TRANSLATION)
            }
            Self::CpuPerGeminiStream => {
                Definition::to_gemini("cpu_per_gemini_stream_us", Self::CpuPerStream)
                    .at_most(TRANSLATION)
            }
            Self::CpuPerPacedStream => Definition::of(
                "CPU per stream, chunks one by one, µs",
                "cpu_per_paced_stream_us",
            )
            .at_most(Target::Ratio(1.25)),
            Self::FirstByteP50 => Definition::of(
                "added until the first streamed byte, p50, µs",
                "first_byte_added_p50_us",
            )
            .at_most(Target::Value(500.0)),
            Self::FirstByteP99 => Definition::of(
                "added until the first streamed byte, p99, µs",
                "first_byte_added_p99_us",
            ),
            Self::CpuPerPicture => Definition::of(
                "CPU per request with 10 MB of picture, µs",
                "cpu_per_picture_us",
            ),
            Self::CpuPerAnthropicPicture => {
                Definition::to_anthropic("cpu_per_anthropic_picture_us", Self::CpuPerPicture)
                    .at_most(TRANSLATION)
            }
            Self::CpuPerGeminiPicture => {
                Definition::to_gemini("cpu_per_gemini_picture_us", Self::CpuPerPicture)
                    .at_most(TRANSLATION)
            }
            Self::StartUp => {
                Definition::of("start to ready, ms", "start_up_ms").at_most(Target::Value(150.0))
            }
            Self::IdleMemory => Definition::of("resident memory, idle, MiB", "idle_memory_mib")
                .at_most(Target::Value(40.0)),
            Self::MemoryPerStream => Definition::of(
                "resident memory per open stream, KiB",
                "memory_per_stream_kib",
            )
            .at_most(Target::Value(25.0)),
            Self::MemoryPerPicture => Definition::of(
                "peak memory per waiting request with 10 MB of picture, bodies",
                "memory_per_picture_bodies",
            )
            .at_most(PICTURES),
            Self::MemoryPerAnthropicPicture => Definition::to_anthropic(
                "memory_per_anthropic_picture_bodies",
                Self::MemoryPerPicture,
            )
            .at_most(PICTURES),
            Self::MemoryPerGeminiPicture => {
                Definition::to_gemini("memory_per_gemini_picture_bodies", Self::MemoryPerPicture)
                    .at_most(PICTURES)
            }
        }
    }
}
