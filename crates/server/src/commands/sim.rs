//! `trunkline sim`

use std::process::ExitCode;

use anyhow::Context;
use sim::{Options, Sim};
use tokio::net::TcpListener;

use super::print;
use crate::world::unix_seconds;

/// Serves the simulated provider until the process is told to stop.
pub async fn run(options: crate::cli::Sim) -> anyhow::Result<ExitCode> {
    let listen = options.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    print(format_args!(
        "The simulated provider serves on http://{address}: OpenAI at /v1, Anthropic at /v1/messages, \
         Gemini at /v1beta. Its answers are made up."
    ));
    let sim = Sim::new(Options {
        seed: options.seed,
        now: unix_seconds,
    });
    sim::serve(sim, listener, crate::serve::told_to_stop()).await?;
    Ok(ExitCode::SUCCESS)
}
