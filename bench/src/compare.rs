//! The comparison: the same load through every subject in turn, again and again.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;

use crate::figure::Figure;
use crate::figures::{Figures, count};
use crate::load::burst::Until;
use crate::stand::Stand;
use crate::subject::{Launcher, Subject};
use crate::wire::{Ask, Format, Shape};
use crate::{fresh, mock};

/// How much is measured. Everything is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of load.
    pub rounds: usize,
    /// Rounds of start-up and memory.
    pub starts: usize,
    /// Length of each load.
    pub length: Duration,
    /// Connections at full load.
    pub connections: usize,
    /// The steady rate of whole answers, per second.
    pub requests_per_second: u32,
    /// The steady rate of streams, per second.
    pub streams_per_second: u32,
    /// Milliseconds between the chunks of those streams.
    pub chunk_every_ms: u64,
    /// Streams that are open at once when memory is measured.
    pub open_streams: usize,
    /// Requests with pictures.
    pub pictures: Pictures,
}

/// How many requests with pictures there are.
#[derive(Debug, Clone, Copy)]
pub struct Pictures {
    /// Connections.
    pub connections: usize,
    /// Requests on each.
    pub each: usize,
    /// Requests that wait for their answers at once when memory is measured.
    pub waiting: usize,
}

impl Pictures {
    /// All requests of one load.
    pub fn requests(self) -> usize {
        self.connections * self.each
    }
}

/// The order in which subjects take turns.
const TURNS: [Subject; 3] = [Subject::Direct, Subject::Bare, Subject::Trunkline];
/// The same, where the direct way says nothing.
const PROXIES: [Subject; 2] = [Subject::Bare, Subject::Trunkline];

/// What came out.
pub struct Comparison {
    /// Every value.
    pub figures: Figures,
    /// Why Trunkline's figures do not count, if they do not: its ledger misses calls.
    pub objection: Option<String>,
}

/// Runs the whole comparison.
pub async fn run(launcher: &mut Launcher, plan: Plan) -> anyhow::Result<Comparison> {
    let mut figures = Figures::default();
    let provider = mock::start().await?;
    for round in 0..plan.starts {
        start(launcher, provider, plan, round, &mut figures).await?;
    }
    let mut course = Course {
        stand: Stand::build(launcher, provider).await?,
        plan,
        round: 0,
        figures,
    };
    course.warm_up().await?;
    for round in 0..plan.rounds {
        course.round = round;
        course.requests_at_full_load().await?;
        course.requests_at_steady_rate().await?;
        course.streams_at_full_load().await?;
        course.streams_at_steady_rate().await?;
        course.pictures().await?;
    }
    let objection = course.stand.check_ledger().await.err();
    Ok(Comparison {
        figures: course.figures,
        objection: objection.map(|error| format!("{error:#}")),
    })
}

/// Everything that takes a fresh process.
async fn start(
    launcher: &mut Launcher,
    provider: u16,
    plan: Plan,
    round: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    for subject in PROXIES {
        fresh::with_streams(launcher, subject, provider, plan, round, figures)
            .await
            .with_context(|| format!("start of {}", subject.name()))?;
    }
    let waiting = plan.pictures.waiting;
    for (figure, format) in [
        (Figure::MemoryPerPicture, Format::Openai),
        (Figure::MemoryPerAnthropicPicture, Format::Anthropic),
        (Figure::MemoryPerGeminiPicture, Format::Gemini),
    ] {
        let subject = Subject::Trunkline;
        let taken = fresh::with_pictures(launcher, subject, format, provider, waiting)
            .await
            .with_context(|| format!("pictures as {}", format.kind()))?;
        if let Some(bodies) = taken {
            figures.note(figure, subject, round, bodies);
        }
    }
    Ok(())
}

/// The rounds of load.
struct Course {
    stand: Stand,
    plan: Plan,
    round: usize,
    figures: Figures,
}

impl Course {
    async fn warm_up(&mut self) -> anyhow::Result<()> {
        for shape in [Shape::Whole, Shape::Stream] {
            for (subject, format) in [
                (Subject::Bare, Format::Openai),
                (Subject::Trunkline, Format::Openai),
                (Subject::Trunkline, Format::Anthropic),
                (Subject::Trunkline, Format::Gemini),
            ] {
                let until = Until::Elapsed(self.plan.length / 4);
                let ask = Ask::in_words(format, shape);
                let connections = self.plan.connections;
                self.stand
                    .at_full_load(connections, until, subject, ask)
                    .await?;
            }
        }
        Ok(())
    }

    async fn requests_at_full_load(&mut self) -> anyhow::Result<()> {
        let (connections, until) = self.full_load();
        for subject in TURNS {
            let ask = Ask::in_words(Format::Openai, Shape::Whole);
            let loaded = self
                .stand
                .at_full_load(connections, until, subject, ask)
                .await?;
            let rate = loaded.outcome.rate();
            self.note(Figure::RequestsPerSecond, subject, rate);
            if let Some(during) = loaded.during {
                let share = during.as_secs_f64() / loaded.outcome.took.as_secs_f64();
                self.note(Figure::CoreShare, subject, share * 100.0);
            }
            loaded.note_cpu(
                Figure::CpuPerRequest,
                subject,
                self.round,
                &mut self.figures,
            );
        }
        let ask = |format| Ask::in_words(format, Shape::Whole);
        let translated = [
            (Figure::CpuPerAnthropicRequest, ask(Format::Anthropic)),
            (Figure::CpuPerGeminiRequest, ask(Format::Gemini)),
        ];
        self.translated(connections, until, translated).await
    }

    async fn requests_at_steady_rate(&mut self) -> anyhow::Result<()> {
        let per_second = self.plan.requests_per_second;
        let mut direct = None;
        for subject in TURNS {
            let ask = Ask::in_words(Format::Openai, Shape::Whole);
            let loaded = self
                .stand
                .at_steady_rate(per_second, self.plan.length, subject, ask)
                .await?;
            let latency = &loaded.outcome.latency;
            let (p50, p99) = (microseconds(latency, 50.0), microseconds(latency, 99.0));
            self.note(Figure::LatencyP50, subject, p50);
            self.note(Figure::LatencyP99, subject, p99);
            let (direct_p50, direct_p99) = *direct.get_or_insert((p50, p99));
            if subject != Subject::Direct {
                self.note(Figure::AddedP50, subject, p50 - direct_p50);
                self.note(Figure::AddedP99, subject, p99 - direct_p99);
            }
            let figure = Figure::CpuPerSteadyRequest;
            loaded.note_cpu(figure, subject, self.round, &mut self.figures);
        }
        Ok(())
    }

    async fn streams_at_full_load(&mut self) -> anyhow::Result<()> {
        let (connections, until) = self.full_load();
        for subject in PROXIES {
            let ask = Ask::in_words(Format::Openai, Shape::Stream);
            let loaded = self
                .stand
                .at_full_load(connections, until, subject, ask)
                .await?;
            let rate = loaded.outcome.rate();
            self.note(Figure::StreamsPerSecond, subject, rate);
            loaded.note_cpu(Figure::CpuPerStream, subject, self.round, &mut self.figures);
        }
        let ask = |format| Ask::in_words(format, Shape::Stream);
        let translated = [
            (Figure::CpuPerAnthropicStream, ask(Format::Anthropic)),
            (Figure::CpuPerGeminiStream, ask(Format::Gemini)),
        ];
        self.translated(connections, until, translated).await
    }

    async fn streams_at_steady_rate(&mut self) -> anyhow::Result<()> {
        let per_second = self.plan.streams_per_second;
        let shape = Shape::Paced(self.plan.chunk_every_ms);
        let mut direct = None;
        for subject in TURNS {
            let ask = Ask::in_words(Format::Openai, shape);
            let loaded = self
                .stand
                .at_steady_rate(per_second, self.plan.length, subject, ask)
                .await?;
            let first_byte = &loaded.outcome.first_byte;
            let p50 = microseconds(first_byte, 50.0);
            let p99 = microseconds(first_byte, 99.0);
            let (direct_p50, direct_p99) = *direct.get_or_insert((p50, p99));
            if subject != Subject::Direct {
                self.note(Figure::FirstByteP50, subject, p50 - direct_p50);
                self.note(Figure::FirstByteP99, subject, p99 - direct_p99);
            }
            let figure = Figure::CpuPerPacedStream;
            loaded.note_cpu(figure, subject, self.round, &mut self.figures);
        }
        Ok(())
    }

    async fn pictures(&mut self) -> anyhow::Result<()> {
        let connections = self.plan.pictures.connections;
        let until = Until::Answered(self.plan.pictures.each);
        let ask = |format| Ask::about_a_picture(format, Shape::Whole);
        for subject in PROXIES {
            let loaded = self
                .stand
                .at_full_load(connections, until, subject, ask(Format::Openai))
                .await?;
            loaded.note_cpu(
                Figure::CpuPerPicture,
                subject,
                self.round,
                &mut self.figures,
            );
        }
        let translated = [
            (Figure::CpuPerAnthropicPicture, ask(Format::Anthropic)),
            (Figure::CpuPerGeminiPicture, ask(Format::Gemini)),
        ];
        self.translated(connections, until, translated).await
    }

    /// Puts the same load on Trunkline again, to be translated.
    async fn translated(
        &mut self,
        connections: usize,
        until: Until,
        asks: [(Figure, Ask); 2],
    ) -> anyhow::Result<()> {
        let subject = Subject::Trunkline;
        for (figure, ask) in asks {
            let loaded = self
                .stand
                .at_full_load(connections, until, subject, ask)
                .await?;
            loaded.note_cpu(figure, subject, self.round, &mut self.figures);
        }
        Ok(())
    }

    fn full_load(&self) -> (usize, Until) {
        (self.plan.connections, Until::Elapsed(self.plan.length))
    }

    fn note(&mut self, figure: Figure, subject: Subject, value: f64) {
        self.figures.note(figure, subject, self.round, value);
    }
}

fn microseconds(nanoseconds: &Histogram<u64>, percentile: f64) -> f64 {
    count(nanoseconds.value_at_percentile(percentile)) / 1_000.0
}
