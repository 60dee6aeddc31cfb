//! `trunkline shadows`

use std::process::ExitCode;

use domain::clock::Clock;
use gateway::shadow::comparison::{Comparison, Quantiles, Side};

use super::{Usage, load, print, print_json, table};
use crate::app::{open_store, routes};
use crate::cli::{Installation, Shadows};
use crate::data_dir::DataDir;
use crate::http::shadows::{comparisons, span, view};
use crate::world::SystemClock;

/// Shows calls of routes beside their copies.
pub async fn run(at: &Installation, options: Shadows) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let now = SystemClock::new().now();
    let routes = routes(&config, now);
    let (since, until) = span(options.since, options.until, now);
    let store = open_store(&config, &data_dir).await?;
    let compared = comparisons(&store, &routes, options.route.as_deref(), since, until).await;
    store.close().await;
    let compared = compared?;
    if let (Some(route), true) = (&options.route, compared.is_empty()) {
        return Err(Usage(format!("no route {route} has a `shadow` under `models`")).into());
    }
    if options.json {
        print_json(&view(&compared, since, until))?;
    } else {
        show(&compared);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(compared: &[Comparison]) {
    if compared.is_empty() {
        print("no route has a shadow");
    }
    for comparison in compared {
        print(format_args!(
            "{}: {} calls beside their copies at {}",
            comparison.route, comparison.calls, comparison.model
        ));
        let mut sides = table(&[
            "",
            "FAILED",
            "COST",
            "OUTPUT TOKENS",
            "P50 / P95",
            "FIRST TOKEN P50 / P95",
            "ENDED",
        ]);
        for (name, side) in [
            ("calls", &comparison.original),
            ("copies", &comparison.shadow),
        ] {
            sides.add_row(row(name, side));
        }
        print(sides);
    }
}

fn row(name: &str, side: &Side) -> [String; 7] {
    let milliseconds = |quantiles: Option<Quantiles>| match quantiles {
        Some(Quantiles { p50, p95 }) => format!("{p50} / {p95} ms"),
        None => "-".to_owned(),
    };
    let reasons = side.finish_reasons.iter();
    let reasons: Vec<String> = reasons
        .map(|(why, count)| format!("{why} {count}"))
        .collect();
    [
        name.to_owned(),
        side.failed.to_string(),
        format!("${}", side.cost_usd),
        side.output_tokens.to_string(),
        milliseconds(side.latency_ms),
        milliseconds(side.time_to_first_token_ms),
        reasons.join(", "),
    ]
}
