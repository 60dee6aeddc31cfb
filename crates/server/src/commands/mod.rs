//! What the command line does beside serving: one file for each subcommand.

pub mod cache;
pub mod chat;
pub mod check;
pub mod cost;
pub mod explain;
pub mod keys;
pub mod ledger;
pub mod limits;
pub mod logs;
pub mod models;
pub mod openapi;
pub mod replicas;
pub mod rerate;
pub mod shadows;
pub mod sim;
pub mod tenants;

use std::io::Write;
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::Installation;
use crate::config::{self, Config, Problems};

/// The exit code of wrong usage and wrong configuration.
const USAGE: u8 = 2;

/// Says on standard error why a command failed, with its causes.
#[expect(clippy::print_stderr, reason = "this is how a command fails")]
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("trunkline: {error:#}");
    if error.is::<Usage>() {
        ExitCode::from(USAGE)
    } else {
        ExitCode::FAILURE
    }
}

/// Says on standard error what is wrong with the configuration.
#[expect(clippy::print_stderr, reason = "this is how a command fails")]
pub fn refuse_configuration(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(USAGE)
}

/// The command was not used as it must be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The configuration of an installation, or the problems with it as the command's error.
pub fn load(at: &Installation) -> anyhow::Result<Config> {
    Config::load(at.config().as_deref(), &config::process_environment)
        .map_err(|problems| Usage(problems.to_string()).into())
}

/// The value of an option that may be left out.
pub fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    option: &str,
    text: Option<&str>,
) -> anyhow::Result<Option<T>> {
    text.map(|text| {
        text.parse()
            .map_err(|error| Usage(format!("{option} {text}: {error}")).into())
    })
    .transpose()
}

/// Prints a line of output. A reader that has seen enough (`| head`) ends the command in order.
pub fn print(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

/// Says on standard error how far a command is.
#[expect(
    clippy::print_stderr,
    reason = "this is how a command tells its progress"
)]
pub fn say(line: impl std::fmt::Display) {
    eprintln!("{line}");
}

/// Prints output as JSON.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A table without borders, as wide as its content.
pub fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header.iter().copied());
    table
}
