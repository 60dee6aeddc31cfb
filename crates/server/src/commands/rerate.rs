//! `trunkline cost rerate` and `trunkline cost reconcile`

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use domain::call::CallFilter;
use domain::clock::Clock;
use domain::money::Cost;
use domain::name::ProviderName;
use gateway::invoice::{self, Columns, Difference, Figures};
use gateway::rerate::{Rerating, rerate};

use super::{Usage, load, parsed, print, print_json, say, table};
use crate::app::{open_store, routes};
use crate::cli::{Installation, Reconcile, Rerate};
use crate::data_dir::DataDir;
use crate::http::cost::{threshold, view_rerated};
use crate::world::SystemClock;

/// Corrects what calls cost by the prices that are known now.
pub async fn run(at: &Installation, options: &Rerate, json: bool) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let now = SystemClock::new().now();
    let store = open_store(&config, &data_dir).await?;
    let rerating = Rerating {
        filter: CallFilter {
            provider: options.provider.clone(),
            since: options.since,
            until: options.until,
            ..CallFilter::default()
        },
        model: options.model.clone(),
        is_dry: options.dry_run,
        made_by: "command line".to_owned(),
        now,
    };
    let mut told = 0;
    let progress = |rerated: &gateway::rerate::Rerated| {
        if rerated.calls >= told + 10_000 {
            told = rerated.calls;
            say(format_args!(
                "{} calls, {} adjusted",
                rerated.calls, rerated.adjusted
            ));
        }
    };
    let routes = routes(&config, now);
    let rerated = rerate(&store, &routes, &rerating, None, u64::MAX, progress).await;
    store.close().await;
    let rerated = rerated?;
    if json {
        print_json(&view_rerated(&rerated))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !rerated.models.is_empty() {
        let mut table = table(&["MODEL", "ADJUSTED", "AMOUNT"]);
        for (model, rated) in &rerated.models {
            table.add_row([
                model.clone(),
                rated.adjusted.to_string(),
                format!("${}", rated.amount),
            ]);
        }
        print(table);
    }
    print(format_args!(
        "{} calls, {}{} adjusted by ${} together; of {} it cannot be said what they cost",
        rerated.calls,
        if options.dry_run { "dry run: " } else { "" },
        rerated.adjusted,
        rerated.amount,
        rerated.not_computable
    ));
    Ok(ExitCode::SUCCESS)
}

/// Compares a vendor's export with the ledger; it fails when a difference is beyond the threshold.
pub async fn reconcile(
    at: &Installation,
    options: &Reconcile,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let provider: ProviderName = options
        .provider
        .parse()
        .map_err(|error| Usage(format!("--provider {}: {error}", options.provider)))?;
    let columns: Columns = parsed("--columns", Some(&options.columns))?.unwrap_or_default();
    let usd: Option<Cost> = parsed("--threshold-usd", options.threshold_usd.as_deref())?;
    let threshold = threshold(usd, options.threshold_percent)
        .ok_or_else(|| Usage("--threshold-percent: 0 to 100".to_owned()))?;
    let mut export = String::new();
    if options.file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut export)?;
    } else {
        export = std::fs::read_to_string(&options.file)
            .with_context(|| format!("cannot read {}", options.file.display()))?;
    }
    let lines = invoice::read(&export, &columns)
        .map_err(|error| Usage(format!("{}: {error}", options.file.display())))?;
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let store = open_store(&config, &data_dir).await?;
    let found = invoice::reconcile(&store, &provider, &lines, threshold).await;
    store.close().await;
    let found = found?.ok_or_else(|| Usage("the export has no lines".to_owned()))?;
    if json {
        print_json(&found)?;
    } else {
        let mut table = table(&[
            "DAY",
            "MODEL",
            "CALLS",
            "LEDGER",
            "INVOICE",
            "DIFFERENCE",
            "",
        ]);
        for row in &found.rows {
            table.add_row(shown(row, row.day.to_string()));
        }
        table.add_row(shown(&found.total, "all".to_owned()));
        print(table);
    }
    Ok(match found.beyond_threshold {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn shown(row: &Difference, day: String) -> [String; 7] {
    let count = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    let side = |figures: &Figures| {
        if let Some(cost) = figures.cost_usd {
            return format!("${cost}");
        }
        let (input, output) = (figures.input_tokens, figures.output_tokens);
        format!("{} + {} tokens", count(input), count(output))
    };
    let difference = if let Some(cost) = row.difference.cost_usd {
        format!("${cost}")
    } else {
        let more = |count: Option<i64>| count.map_or("?".to_owned(), |count| count.to_string());
        let (input, output) = (row.difference.input_tokens, row.difference.output_tokens);
        format!("{} + {} tokens", more(input), more(output))
    };
    [
        day,
        row.model.clone(),
        row.ledger.calls.to_string(),
        side(&row.ledger),
        side(&row.invoice),
        difference,
        if row.is_beyond_threshold { "!" } else { "" }.to_owned(),
    ]
}
