//! The benchmark's command line; see the library for what it does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use bench::compare::{self, Pictures, Plan};
use bench::pinning::Pinning;
use bench::report::{self, Machine};
use bench::situation::{Around, Shared};
use bench::subject::{Launcher, Subject};
use bench::wire::{Ask, Format, Shape};
use bench::{profile, proxy, situation};

/// The longest that anything may take.
const LONGEST: Duration = Duration::from_mins(20);

/// The allocator that Trunkline uses, so that it makes no difference.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Trunkline beside a bare pass-through proxy.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole comparison and prints it.
    Compare(Compare),
    /// Measures other situations: limits, caches, very many keys, very many routes, several replicas.
    Situations(Situations),
    /// Says where the CPU time goes, by sampling with `perf`.
    Profile(ProfileOptions),
    /// Serves as the bare pass-through proxy.
    Proxy {
        /// The port on loopback.
        #[arg(long)]
        port: u16,
        /// The provider's port on loopback.
        #[arg(long)]
        provider: u16,
    },
}

#[derive(Args)]
struct Compare {
    /// The `trunkline` binary.
    #[arg(long)]
    trunkline: PathBuf,
    /// Where Trunkline's data goes; on a real disk, since its writes are part of what is measured.
    /// Removed afterwards.
    #[arg(long)]
    directory: PathBuf,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// About a minute, and correspondingly rough.
    #[arg(long)]
    quick: bool,
    /// Rounds of load.
    #[arg(long)]
    rounds: Option<usize>,
    /// The steady rate, in requests per second.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    rate: u32,
}

#[derive(Args)]
struct Situations {
    #[command(flatten)]
    compare: Compare,
    /// Databases for one, two and three replicas: a URL that wants `1`, `2` or `3` at its end.
    #[arg(long, requires = "redis")]
    postgres: Option<String>,
    /// The Redis that replicas share.
    #[arg(long, requires = "postgres")]
    redis: Option<String>,
    /// The folder of a sentence model, for hits of the semantic cache.
    #[arg(long, value_name = "FOLDER")]
    sentence_model: Option<String>,
}

#[derive(Args)]
struct ProfileOptions {
    /// The `trunkline` binary.
    #[arg(long)]
    trunkline: PathBuf,
    /// Where Trunkline's data and the samples go. Removed afterwards.
    #[arg(long)]
    directory: PathBuf,
    /// What is asked for.
    #[arg(long, value_enum, default_value_t = Load::Requests)]
    load: Load,
    /// The format that the provider speaks; another one than `openai` has to be translated.
    #[arg(long, value_enum, default_value_t = Spoken::Openai)]
    format: Spoken,
    /// Profiles the bare proxy instead.
    #[arg(long)]
    bare: bool,
    /// How long samples are taken, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
}

/// A load to profile under.
#[derive(Clone, Copy, ValueEnum)]
enum Load {
    /// Whole answers at full load.
    Requests,
    /// Streams at full load.
    Streams,
    /// Streams whose chunks come one by one.
    Paced,
    /// Whole answers to requests with a picture of 10 MB.
    Pictures,
}

/// The format that the provider speaks.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spoken {
    /// The load's own: nothing is translated.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

impl From<Spoken> for Format {
    fn from(spoken: Spoken) -> Self {
        match spoken {
            Spoken::Openai => Self::Openai,
            Spoken::Anthropic => Self::Anthropic,
            Spoken::Gemini => Self::Gemini,
        }
    }
}

impl Compare {
    fn plan(&self) -> Plan {
        let (rounds, starts, milliseconds) = if self.quick {
            (2, 1, 800)
        } else {
            (5, 3, 1_800)
        };
        Plan {
            rounds: self.rounds.unwrap_or(rounds).clamp(1, 20),
            starts,
            length: Duration::from_millis(milliseconds),
            connections: 64,
            requests_per_second: self.rate,
            streams_per_second: 400,
            chunk_every_ms: 2,
            open_streams: 1_000,
            pictures: Pictures {
                connections: 4,
                each: 6,
                waiting: 8,
            },
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(options) => compare_and_print(&options),
        Command::Situations(options) => situations_and_print(&options),
        Command::Profile(options) => profile_and_print(&options),
        Command::Proxy { port, provider } => {
            // As many workers as there are cores to run on, as Trunkline has.
            let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(proxy::serve(port, provider))
        }
    }
}

fn compare_and_print(options: &Compare) -> anyhow::Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pinning = Pinning::begin();
    let machine = Machine::here(cores, pinning);
    let mut launcher = launcher(pinning, &options.trunkline, &options.directory)?;
    let plan = options.plan();
    let compared =
        one_thread()?.block_on(async { until_signal(compare::run(&mut launcher, plan)).await })?;
    let figures = &compared.figures;
    let mut output = std::io::stdout().lock();
    if options.json {
        let report = report::json(figures, plan, &machine);
        writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(output, "{}", report::table(figures, plan, &machine))?;
    }
    match compared.objection {
        Some(objection) => bail!("these figures do not count: {objection}"),
        None => Ok(()),
    }
}

fn situations_and_print(options: &Situations) -> anyhow::Result<()> {
    let shared = options.postgres.clone().zip(options.redis.clone());
    let around = Around {
        shared: shared.map(|(postgres, redis)| Shared { postgres, redis }),
        sentence_model: options.sentence_model.clone(),
    };
    let options = &options.compare;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let pinning = Pinning::begin();
    let machine = Machine::here(cores, pinning);
    let mut launcher = launcher(pinning, &options.trunkline, &options.directory)?;
    let Plan {
        rounds,
        length,
        connections,
        ..
    } = options.plan();
    let plan = situation::Plan {
        rounds,
        length,
        connections,
    };
    let found = one_thread()?
        .block_on(async { until_signal(situation::run(&mut launcher, plan, &around)).await })?;
    let mut output = std::io::stdout().lock();
    if options.json {
        let report = report::situations_json(&found, plan, &machine);
        writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(output, "{}", report::situations(&found, plan, &machine))?;
    }
    Ok(())
}

fn profile_and_print(options: &ProfileOptions) -> anyhow::Result<()> {
    let pinning = Pinning::begin();
    let mut launcher = launcher(pinning, &options.trunkline, &options.directory)?;
    let format = options.format.into();
    let ask = match options.load {
        Load::Requests => Ask::in_words(format, Shape::Whole),
        Load::Streams => Ask::in_words(format, Shape::Stream),
        Load::Paced => Ask::in_words(format, Shape::Paced(2)),
        Load::Pictures => Ask::about_a_picture(format, Shape::Whole),
    };
    let subject = if !options.bare {
        Subject::Trunkline
    } else if options.format == Spoken::Openai {
        Subject::Bare
    } else {
        bail!("the bare proxy translates nothing: leave out --format or --bare");
    };
    let plan = profile::Plan {
        subject,
        ask,
        length: Duration::from_secs(options.seconds),
    };
    let profiled =
        one_thread()?.block_on(async { until_signal(profile::run(&mut launcher, plan)).await })?;
    write!(std::io::stdout().lock(), "{}", report::profile(&profiled))?;
    Ok(())
}

fn launcher(pinning: Pinning, trunkline: &Path, directory: &Path) -> anyhow::Result<Launcher> {
    let trunkline = trunkline.canonicalize();
    let trunkline = trunkline.context("the trunkline binary is not there")?;
    let directory = directory.join(std::process::id().to_string());
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    Ok(Launcher::new(pinning, trunkline, directory.canonicalize()?))
}

/// Ending on a signal or after [`LONGEST`] drops, and thereby ends, the processes that were started.
async fn until_signal<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = terminated.recv() => bail!("terminated"),
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        () = tokio::time::sleep(LONGEST) => bail!("not done after {LONGEST:?}"),
    }
}

fn one_thread() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}
