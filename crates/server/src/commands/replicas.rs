//! `trunkline replicas`

use std::process::ExitCode;

use domain::clock::Clock;
use domain::fleet::ReplicaStore;
use serde_json::Value;

use super::{load, print, print_json, table};
use crate::app::open_store;
use crate::cli::{Installation, Replicas};
use crate::data_dir::DataDir;
use crate::http::replicas::view;
use crate::replicas::alive_since;
use crate::world::SystemClock;

/// Lists the processes that serve this installation.
pub async fn run(at: &Installation, options: &Replicas) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let store = open_store(&config, &data_dir).await?;
    let now = SystemClock::new().now();
    let alive = store.replicas(alive_since(now)).await;
    store.close().await;
    let alive = alive?;
    if options.json {
        let views: Vec<Value> = alive
            .iter()
            .map(|replica| view(replica, None, now))
            .collect();
        print_json(&views)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["REPLICA", "ADDRESS", "VERSION", "STARTED", "SHARED"]);
    for replica in &alive {
        table.add_row([
            replica.id.to_string(),
            replica.address.clone(),
            replica.version.clone(),
            replica.started_at.to_string(),
            if replica.is_sharing { "yes" } else { "no" }.to_owned(),
        ]);
    }
    print(table);
    Ok(ExitCode::SUCCESS)
}
