//! `trunkline ledger`

use std::process::ExitCode;

use domain::clock::Clock;
use gateway::audit::{Audit, Span, audit};
use gateway::ledger::outstanding::{Outstanding, outstanding};
use jiff::Timestamp;
use serde_json::json;

use super::{load, print, print_json, say};
use crate::app::{open_store, routes};
use crate::cli::{CheckLedger, Installation, Ledger, LedgerCommand};
use crate::data_dir::DataDir;
use crate::http::cost::view_audit;
use crate::loops::hours_since;
use crate::world::SystemClock;

/// Goes through the ledger's books.
pub async fn run(at: &Installation, options: Ledger) -> anyhow::Result<ExitCode> {
    let LedgerCommand::Check(check) = &options.command;
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let now = SystemClock::new().now();
    let store = open_store(&config, &data_dir).await?;
    let (since, until) = bounds(check, now);
    let mut told = 0;
    let span = Span {
        since,
        until,
        hours_since: hours_since(now),
    };
    let audit = audit(&store, &routes(&config, now), span, |audit| {
        if audit.calls >= told + 100_000 {
            told = audit.calls;
            say(format_args!("{} calls read", audit.calls));
        }
    })
    .await;
    let outstanding = outstanding(&data_dir.journal(), &store).await;
    store.close().await;
    let (audit, outstanding) = (audit?, outstanding?);
    if options.json {
        let mut view = view_audit(&audit, since, until);
        view["outstanding"] = json!(outstanding);
        print_json(&view)?;
    } else {
        tell(&audit, since, until);
        if outstanding != Outstanding::default() {
            print(format_args!(
                "the journal holds more: {} calls that have ended, ${}, and {} that have not",
                outstanding.ended, outstanding.cost, outstanding.open
            ));
        }
    }
    Ok(match audit.found {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Without an end, everything that has begun: a server that runs meanwhile may record calls between the rows
/// and the sums.
fn bounds(check: &CheckLedger, now: Timestamp) -> (Timestamp, Timestamp) {
    let since = check.since.unwrap_or(Timestamp::UNIX_EPOCH);
    (since, check.until.unwrap_or(now))
}

fn tell(audit: &Audit, since: Timestamp, until: Timestamp) {
    for finding in &audit.findings {
        print(finding);
    }
    let hidden = audit.found - audit.findings.len() as u64;
    if hidden > 0 {
        print(format_args!("and {hidden} more"));
    }
    print(format_args!(
        "{since} to {until}: {} calls, ${}; {} adjustments, ${}; {} costs computed again: {}",
        audit.calls,
        audit.cost,
        audit.adjustments,
        audit.adjusted,
        audit.recomputed,
        match audit.found {
            0 => "everything agrees".to_owned(),
            found => format!("{found} findings"),
        }
    ));
}
