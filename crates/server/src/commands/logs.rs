//! `trunkline logs`

use std::process::ExitCode;

use domain::call::{Call, CallFilter, CallState, CallStore};

use super::{Usage, load, parsed, print, table};
use crate::app::open_store;
use crate::cli::{Installation, Logs};
use crate::data_dir::DataDir;
use crate::http::logs::adjusted_views;

/// Calls that are read from the store together.
const PAGE: u32 = 1_000;

/// Shows recorded calls, newest first.
pub async fn run(at: &Installation, options: Logs) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let filter = filter(&options)?;
    let store = open_store(&config, &data_dir).await?;
    let mut calls: Vec<Call> = Vec::new();
    let mut after = None;
    loop {
        let left = options.limit.saturating_sub(u32::try_from(calls.len())?);
        let page = store.list_calls(&filter, after, left.min(PAGE)).await?;
        calls.extend(page.calls);
        after = page.next;
        if after.is_none() || calls.len() >= options.limit as usize {
            break;
        }
    }
    if options.json {
        for calls in calls.chunks(PAGE as usize) {
            for view in adjusted_views(&store, calls).await? {
                print(view);
            }
        }
        store.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    store.close().await;
    let mut table = table(&[
        "STARTED (UTC)",
        "STATE",
        "MODEL",
        "PROVIDER",
        "STATUS",
        "IN",
        "OUT",
        "COST",
        "MS",
        "REQUEST",
    ]);
    for call in &calls {
        table.add_row(row(call));
    }
    print(table);
    Ok(ExitCode::SUCCESS)
}

fn row(call: &Call) -> [String; 10] {
    let state = match &call.error_type {
        Some(error) => format!("{} ({error})", call.state.as_str()),
        None => call.state.as_str().to_owned(),
    };
    [
        call.started_at.strftime("%F %T").to_string(),
        state,
        call.request_model.to_string(),
        call.provider
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        call.status
            .map(|status| status.to_string())
            .unwrap_or_default(),
        call.usage.input_tokens.to_string(),
        call.usage.output_tokens.to_string(),
        call.cost_usd
            .map_or_else(|| "no price".to_owned(), |cost| format!("${cost}")),
        call.latency_ms.to_string(),
        call.request_id.to_string(),
    ]
}

fn filter(options: &Logs) -> anyhow::Result<CallFilter> {
    let state = options
        .state
        .as_deref()
        .map(|word| {
            CallState::from_word(word).ok_or_else(|| {
                Usage(format!(
                    "--state {word}: settled, estimated, cancelled or failed"
                ))
            })
        })
        .transpose()?;
    Ok(CallFilter {
        organization_id: None,
        project_id: parsed("--project", options.project.as_deref())?,
        application_id: parsed("--application", options.application.as_deref())?,
        user_id: parsed("--user", options.user.as_deref())?,
        key_id: parsed("--key", options.key.as_deref())?,
        client_request_id: options.client_request_id.clone(),
        batch_id: parsed("--batch", options.batch.as_deref())?,
        state,
        provider: options.provider.clone(),
        request_model: options.model.clone(),
        since: options.since,
        until: options.until,
    })
}
