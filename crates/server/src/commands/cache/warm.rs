//! `trunkline cache warm`

use std::process::ExitCode;
use std::time::Duration;

use domain::clock::Clock;
use domain::money::Cost;
use http::Method;
use serde_json::{Value, json};

use super::{PATH, Server};
use crate::cli::Warm;
use crate::commands::{parsed, print, print_json, say, table};
use crate::world::SystemClock;

/// After so many failures one after the other it is given up: what is wrong is wrong for all.
const MAX_FAILURES: u32 = 3;
/// How often it is said how far the command is.
const TOLD_EVERY: usize = 10;

/// What was done so far.
#[derive(Default)]
struct Done {
    kept: u64,
    known: u64,
    not_kept: u64,
    failed: u64,
    /// Nobody knows what they would cost.
    unpriced: u64,
    /// There was no money left for them.
    too_dear: u64,
    cost: Cost,
    failures: Vec<Value>,
}

/// Asks again what was asked most often, one request after the other.
pub(super) async fn run(server: &Server, options: &Warm, json: bool) -> anyhow::Result<ExitCode> {
    let money: Option<Cost> = parsed("--usd", Some(&options.usd))?;
    let money = money.unwrap_or_default();
    let since = options.since.map(|since| format!("&since={since}"));
    let path = format!(
        "{PATH}/frequent?key_id={}&limit={}{}",
        options.key,
        options.requests,
        since.unwrap_or_default()
    );
    let found = server.ask(Method::GET, &path, None).await?;
    if options.dry_run {
        return show(&found, json);
    }
    let requests = found["requests"].as_array().map_or(&[][..], Vec::as_slice);
    let done = ask_all(server, options, requests, money).await;
    if json {
        print_json(&done.view(&found))?;
    } else {
        print(format_args!(
            "{} answers are kept now, {} were known, {} are not kept, {} failed; left out: {} without a price, {} \
             too dear; it cost ${}",
            done.kept,
            done.known,
            done.not_kept,
            done.failed,
            done.unpriced,
            done.too_dear,
            done.cost
        ));
        tell_what_is_missing(&found);
    }
    Ok(if done.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn ask_all(server: &Server, options: &Warm, requests: &[Value], money: Cost) -> Done {
    let clock = SystemClock::new();
    let pause = Duration::from_mins(1) / options.per_minute;
    let mut done = Done::default();
    let mut in_a_row = 0;
    let mut begun = None;
    for (at, request) in requests.iter().enumerate() {
        if at > 0 && at % TOLD_EVERY == 0 {
            say(format_args!(
                "{at} of {} requests, ${}",
                requests.len(),
                done.cost
            ));
        }
        let Some(expected) = cost(&request["expected_cost_usd"]) else {
            done.unpriced += 1;
            continue;
        };
        if done.cost.saturating_add(expected) > money {
            done.too_dear += 1;
            continue;
        }
        if let Some(begun) = begun {
            clock
                .sleep(pause.saturating_sub(clock.moment().since(begun)))
                .await;
        }
        begun = Some(clock.moment());
        let body = json!({
            "key_id": options.key,
            "request_id": request["request_id"],
            "ttl_seconds": options.ttl,
        });
        let path = format!("{PATH}/warm");
        match server.ask(Method::POST, &path, Some(&body)).await {
            Ok(warmed) => {
                in_a_row = 0;
                let cost = cost(&warmed["cost_usd"]).unwrap_or(expected);
                done.cost = done.cost.saturating_add(cost);
                match warmed["outcome"].as_str() {
                    Some("kept") => done.kept += 1,
                    Some("known") => done.known += 1,
                    _ => done.not_kept += 1,
                }
            }
            Err(error) => {
                say(format_args!("{}: {error:#}", text(&request["request_id"])));
                done.failed += 1;
                in_a_row += 1;
                done.failures.push(
                    json!({ "request_id": request["request_id"], "error": format!("{error:#}") }),
                );
                if in_a_row >= MAX_FAILURES {
                    say("nothing more is asked");
                    break;
                }
            }
        }
    }
    done
}

impl Done {
    fn view(&self, found: &Value) -> Value {
        json!({
            "looked_at": found["looked_at"],
            "payloads_not_kept": found["not_kept"],
            "kept": self.kept,
            "known": self.known,
            "not_kept": self.not_kept,
            "failed": self.failed,
            "unpriced": self.unpriced,
            "too_dear": self.too_dear,
            "cost_usd": self.cost,
            "failures": self.failures,
        })
    }
}

/// What would be asked.
fn show(found: &Value, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        print_json(found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["CALL", "MODEL", "TIMES", "LAST", "EXPECTED COST"]);
    for request in found["requests"].as_array().into_iter().flatten() {
        let expected = &request["expected_cost_usd"];
        let expected = expected
            .as_str()
            .map_or("?".to_owned(), |cost| format!("${cost}"));
        table.add_row([
            text(&request["request_id"]).to_owned(),
            text(&request["request_model"]).to_owned(),
            request["times"].to_string(),
            text(&request["last_at"]).to_owned(),
            expected,
        ]);
    }
    print(table);
    tell_what_is_missing(found);
    Ok(ExitCode::SUCCESS)
}

/// Says why calls are not among the frequent ones although they may have been.
fn tell_what_is_missing(found: &Value) {
    let missing = found["not_kept"].as_u64().unwrap_or_default();
    if missing > 0 {
        say(format_args!(
            "of {missing} of {} calls it is not known what was asked: their payloads are not kept (`payloads.keep`)",
            found["looked_at"]
        ));
    }
}

fn cost(value: &Value) -> Option<Cost> {
    value.as_str()?.parse().ok()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
