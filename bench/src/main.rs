//! The benchmark's command line; see the library for what it does.

use std::io::Write;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use bench::compare::{self, Plan};
use bench::pinning::Pinning;
use bench::report::{self, Machine};
use bench::subject::Launcher;
use bench::{mock, proxy};

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
    /// Serves as the mock provider.
    Mock {
        /// The port on loopback.
        #[arg(long)]
        port: u16,
    },
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
    /// Less than a minute, and correspondingly rough.
    #[arg(long)]
    quick: bool,
    /// Rounds of load.
    #[arg(long)]
    rounds: Option<usize>,
    /// The steady rate, in requests per second.
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    rate: u32,
}

impl Compare {
    fn plan(&self) -> Plan {
        let (rounds, starts, seconds) = if self.quick { (2, 1, 1) } else { (5, 3, 2) };
        Plan {
            rounds: self.rounds.unwrap_or(rounds).clamp(1, 20),
            starts,
            length: Duration::from_secs(seconds),
            connections: 64,
            requests_per_second: self.rate,
            streams_per_second: 400,
            chunk_every_ms: 2,
            open_streams: 1_000,
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Compare(options) => compare_and_print(&options),
        Command::Mock { port } => one_thread()?.block_on(mock::serve(port)),
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
    let trunkline = options.trunkline.canonicalize();
    let trunkline = trunkline.with_context(|| options.trunkline.display().to_string())?;
    std::fs::create_dir_all(&options.directory)?;
    let directory = options.directory.canonicalize()?;
    let directory = directory.join(std::process::id().to_string());
    let plan = options.plan();
    let compared = one_thread()?.block_on(async {
        let mut launcher = Launcher::new(pinning, trunkline, directory);
        // Ending on a signal in order drops, and thereby ends, the processes that were started.
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            compared = compare::run(&mut launcher, plan) => compared,
            _ = terminated.recv() => Err(anyhow::anyhow!("terminated")),
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    })?;
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

fn one_thread() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}
