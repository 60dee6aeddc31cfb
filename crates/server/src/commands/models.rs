//! `trunkline models`

use std::process::ExitCode;

use domain::clock::Clock;
use serde_json::json;

use super::{load, print, print_json, table};
use crate::app::routes;
use crate::cli::{Installation, Models};
use crate::world::SystemClock;

/// Lists the models that callers may ask for.
pub fn run(at: &Installation, options: &Models) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let models = routes(&config, SystemClock::new().now()).models();
    if options.json {
        let models: Vec<_> = models
            .iter()
            .map(|model| json!({ "id": model.name, "provider": model.provider }))
            .collect();
        print_json(&models)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["MODEL", "PROVIDER"]);
    for model in &models {
        table.add_row([model.name.as_str(), model.provider.as_str()]);
    }
    print(table);
    Ok(ExitCode::SUCCESS)
}
