//! Trunkline: one line between your applications and every AI.

#![expect(
    unreachable_pub,
    reason = "a binary has no outside; `pub` here marks what other modules use"
)]

mod adoption;
mod app;
mod cli;
mod commands;
mod config;
mod data_dir;
mod egress;
mod greeting;
mod http;
mod loops;
mod media;
mod reload;
mod replicas;
mod scope;
mod serve;
mod socket;
mod tasks;
mod telemetry;
mod world;

use std::process::ExitCode;

use clap::Parser;
use domain::tenant::TenantWord;

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    outcome.unwrap_or_else(|error| commands::report(&error))
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let at = cli.at;
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => serve::until_shutdown(at, options).await,
        Command::Check(options) => commands::check::run(&at, &options),
        Command::Chat(options) => commands::chat::run(&at, options).await,
        Command::Models(options) => commands::models::run(&at, &options),
        Command::Shadows(options) => commands::shadows::run(&at, options).await,
        Command::Explain(options) => commands::explain::run(&at, &options),
        Command::Organizations(options) => {
            commands::tenants::run(&at, TenantWord::Organization, options).await
        }
        Command::Projects(options) => {
            commands::tenants::run(&at, TenantWord::Project, options).await
        }
        Command::Applications(options) => {
            commands::tenants::run(&at, TenantWord::Application, options).await
        }
        Command::Users(options) => commands::tenants::run(&at, TenantWord::User, options).await,
        Command::Keys(options) => commands::keys::run(&at, options).await,
        Command::Limits(options) => commands::limits::run(&at, options).await,
        Command::Logs(options) => commands::logs::run(&at, options).await,
        Command::Cost(options) => commands::cost::run(&at, options).await,
        Command::Replicas(options) => commands::replicas::run(&at, &options).await,
        Command::Cache(options) => commands::cache::run(&at, options).await,
        Command::Ledger(options) => commands::ledger::run(&at, options).await,
        Command::Sim(options) => commands::sim::run(options).await,
        Command::Openapi => commands::openapi::run(),
    }
}
