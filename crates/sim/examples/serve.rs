//! Serves the simulated provider on the address given as the only argument, for trying out clients by hand.

use std::time::SystemTime;

use sim::{Options, Sim};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:9100".to_owned());
    let listener = TcpListener::bind(address).await?;
    let sim = Sim::new(Options {
        now: unix_seconds,
        ..Options::default()
    });
    sim::serve(sim, listener, std::future::pending()).await
}

/// Clients sign with the time of the day, so this provider has to know it.
#[expect(
    clippy::disallowed_methods,
    reason = "an example has no ports; nothing of it is tested by the clock"
)]
fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
