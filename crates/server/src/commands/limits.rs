//! `trunkline limits`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::event::EventStore;
use domain::id::LimitId;
use domain::limit::{Bound, Limit, Part, QueueRules, Scope};
use domain::money::Cost;
use domain::spend::SpendStore;
use gateway::limits::Limits;
use gateway::limits::desk::{LimitDesk, NewLimit, USUAL_ALERTS};
use identity::ring::KeyRing;
use store::Store;

use super::{Usage, load, print, print_json, table};
use crate::app::{open_ring, open_store};
use crate::cli::{Installation, LimitsCommand, LimitsOptions, NewLimitOptions};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::http::{events, limits};
use crate::scope::nobody;
use crate::world::{SystemClock, SystemEntropy};

/// Limits and events that are read from the store together.
const PAGE: u32 = 500;

/// Makes, lists or removes limits in the store. A server that runs on the same store follows within a second.
pub async fn run(at: &Installation, options: LimitsOptions) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let ring = open_ring(&config, &data_dir, &*entropy, clock.now())?;
    let store = open_store(&config, &data_dir).await?;
    let spend: Arc<dyn SpendStore> = Arc::new(store.clone());
    let (in_force, _alerts) = Limits::new(Arc::clone(&clock), false);
    let configured = config.limits(clock.now());
    let desk = LimitDesk::new(
        Arc::new(store.clone()),
        spend,
        Arc::new(store.clone()),
        Arc::new(in_force),
        clock,
        entropy,
    );
    desk.open(configured).await?;
    let outcome = match options.command {
        LimitsCommand::Create(new) => match checked(new, &config, &ring, &store).await {
            Ok(new) => create(&desk, new, options.json).await,
            Err(error) => Err(error),
        },
        LimitsCommand::List => list(&desk, options.json).await,
        LimitsCommand::Remove { id } => remove(&desk, &id, options.json).await,
        LimitsCommand::Events => list_events(&store, options.json).await,
    };
    store.close().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// The limit that is wanted, where there is whom it names.
async fn checked(
    new: NewLimitOptions,
    config: &Config,
    ring: &KeyRing,
    store: &Store,
) -> anyhow::Result<NewLimit> {
    let new = new_limit(new)?;
    if let Part::Only(provider) = &new.scope.provider {
        let mut providers = config.providers.iter();
        if !providers.any(|known| known.name == *provider) {
            return Err(Usage(format!(
                "--scope provider: no provider is called {provider}"
            ))
            .into());
        }
    }
    match nobody(&new.scope, ring, store).await? {
        Some(nobody) => Err(Usage(format!("--scope {}: {nobody}", nobody.part)).into()),
        None => Ok(new),
    }
}

async fn create(desk: &LimitDesk, new: NewLimit, json: bool) -> anyhow::Result<()> {
    let limit = desk.add(new).await?;
    if json {
        return print_json(&limits::view(&limit));
    }
    print(format_args!(
        "{} ({}): {}",
        limit.id, limit.name, limit.bound
    ));
    Ok(())
}

async fn remove(desk: &LimitDesk, id: &str, json: bool) -> anyhow::Result<()> {
    let id: LimitId = id
        .parse()
        .map_err(|error| Usage(format!("{id}: {error}")))?;
    let limit = desk.remove(id).await?;
    if json {
        return print_json(&limits::view(&limit));
    }
    print(format_args!("removed {} ({})", limit.id, limit.name));
    Ok(())
}

async fn list(desk: &LimitDesk, json: bool) -> anyhow::Result<()> {
    let mut all = desk.configured().await;
    let mut before = None;
    loop {
        let page = desk.list(before, PAGE).await?;
        before = page.last().map(|limit| limit.id);
        let is_last = page.len() < PAGE as usize;
        all.extend(page);
        if is_last {
            break;
        }
    }
    if json {
        return print_json(&all.iter().map(limits::view).collect::<Vec<_>>());
    }
    let mut table = table(&["ID", "NAME", "SCOPE", "LIMIT", "QUEUE", "ALERTS"]);
    for limit in &all {
        table.add_row(row(limit));
    }
    print(table);
    Ok(())
}

fn row(limit: &Limit) -> [String; 6] {
    let scope: Vec<String> = limit
        .scope
        .parts()
        .map(|(part, text)| format!("{part}={text}"))
        .collect();
    let queue = limit.queue.map(|queue| {
        let wait = queue.max_wait.as_secs_f64();
        format!("{} for {wait} s", queue.max_waiting)
    });
    let alerts: Vec<String> = limit.alerts.iter().map(|it| format!("{it} %")).collect();
    [
        limit.id.to_string(),
        limit.name.clone(),
        scope.join(" "),
        limit.bound.to_string(),
        queue.unwrap_or_default(),
        alerts.join(" "),
    ]
}

async fn list_events(store: &dyn EventStore, json: bool) -> anyhow::Result<()> {
    let all = store.list_events(None, PAGE).await?;
    if json {
        return print_json(&all.iter().map(events::view).collect::<Vec<_>>());
    }
    let mut table = table(&["TIME", "KIND", "DETAIL"]);
    for event in &all {
        let detail = event.detail.to_string();
        table.add_row([event.at.to_string(), event.kind.as_str().to_owned(), detail]);
    }
    print(table);
    Ok(())
}

fn new_limit(new: NewLimitOptions) -> anyhow::Result<NewLimit> {
    let parts = new.scope.iter().map(|part| {
        let (part, text) = part
            .split_once('=')
            .ok_or_else(|| Usage(format!("--scope {part}: write PART=WHOM, as in user=each")))?;
        Ok((part, text))
    });
    let parts = parts.collect::<Result<Vec<_>, Usage>>()?;
    let scope = Scope::of_parts(parts).map_err(|error| Usage(format!("--scope: {error}")))?;
    let usd = new.usd.as_deref().map(str::parse::<Cost>).transpose();
    let usd = usd.map_err(|error| Usage(format!("--usd: {error}")))?;
    let usd = usd.map(|cost| u64::try_from(cost.nano_dollars()).unwrap_or(0));
    let given = [
        ("requests", new.requests),
        ("tokens", new.tokens),
        ("concurrency", new.concurrency),
        ("usd", usd),
    ];
    let mut given = given
        .into_iter()
        .filter_map(|(measure, most)| Some((measure, most?)));
    let (Some((measure, most)), None) = (given.next(), given.next()) else {
        let one = "give one of --requests, --tokens, --concurrency and --usd";
        return Err(Usage(one.to_owned()).into());
    };
    let bound = Bound::from_words(measure, most, new.per.as_deref()).ok_or_else(|| {
        Usage(match measure {
            "concurrency" => "--per: not with --concurrency".to_owned(),
            "usd" => "--per: hour, day, week, month or total".to_owned(),
            _ => "--per: minute, hour or day".to_owned(),
        })
    })?;
    let is_budget = matches!(bound, Bound::Dollars { .. });
    Ok(NewLimit {
        name: new.name,
        scope,
        bound,
        queue: new.max_wait_seconds.map(|seconds| QueueRules {
            max_wait: Duration::from_secs(seconds),
            max_waiting: new.max_waiting,
        }),
        alerts: if is_budget && new.alert.is_empty() {
            USUAL_ALERTS.to_vec()
        } else {
            new.alert
        },
    })
}
