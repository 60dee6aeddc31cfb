//! `trunkline keys`

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::id::{KeyId, ProjectId};
use domain::key::{Budget, KeyStore, ModelPattern, Period, Rate, Role, VirtualKey};
use domain::limit::{Priority, QueueRules};
use domain::secret::Secret;
use identity::desk::{Desk, NewKey};
use identity::ring::KeyRing;
use identity::tenants::{Holder, Placement, Reach, TenantDesk};
use serde_json::json;

use super::{Usage, load, parsed, print, print_json, table};
use crate::app::{open_ring, open_store};
use crate::cli::{CreateKey, Installation, Keys, KeysCommand};
use crate::data_dir::DataDir;
use crate::http::keys::view;
use crate::world::{SystemClock, SystemEntropy};

/// Keys that are read from the store together.
const PAGE: u32 = 500;

/// Creates, lists, rotates or revokes keys in the store. A server that runs on the same store follows
/// within a second.
pub async fn run(at: &Installation, options: Keys) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let ring = Arc::new(open_ring(&config, &data_dir, &*entropy, clock.now())?);
    let store = open_store(&config, &data_dir).await?;
    let keys: Arc<dyn KeyStore> = Arc::new(store.clone());
    let tenants = TenantDesk::new(
        Arc::new(store.clone()),
        Arc::clone(&ring),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let desk = Desk::new(keys, Arc::clone(&ring), clock, entropy);
    let outcome = match options.command {
        KeysCommand::Create(new) => create(&desk, &tenants, *new, options.json).await,
        KeysCommand::List => list(&desk, &ring, options.json).await,
        KeysCommand::Rotate { id, grace } => {
            let grace = grace
                .parse::<jiff::SignedDuration>()
                .ok()
                .and_then(|grace| Duration::try_from(grace).ok())
                .ok_or_else(|| Usage(format!("--grace {grace}: a duration such as 24h or 30m")))?;
            rotate(&desk, key_id(&id)?, grace, options.json).await
        }
        KeysCommand::Revoke { id } => revoke(&desk, key_id(&id)?, options.json).await,
    };
    store.close().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn create(
    desk: &Desk,
    tenants: &TenantDesk,
    new: CreateKey,
    json: bool,
) -> anyhow::Result<()> {
    let holder = Holder {
        project_id: parsed("--project", new.project.as_deref())?,
        application_id: parsed("--application", new.application.as_deref())?,
        user_id: parsed("--user", new.user.as_deref())?,
    };
    let placement = tenants
        .place(Reach::Installation, ProjectId::DEFAULT, holder)
        .await?;
    let (key, text) = desk.issue(new_key(new, placement)?).await?;
    print_made(&key, &text, json)
}

async fn rotate(desk: &Desk, id: KeyId, grace: Duration, json: bool) -> anyhow::Result<()> {
    let (key, text) = desk.rotate(Reach::Installation, id, grace).await?;
    print_made(&key, &text, json)
}

async fn revoke(desk: &Desk, id: KeyId, json: bool) -> anyhow::Result<()> {
    let key = desk.revoke(Reach::Installation, id).await?;
    if json {
        return print_json(&view(&key));
    }
    print(format_args!("revoked {} ({})", key.id, key.name));
    Ok(())
}

async fn list(desk: &Desk, ring: &KeyRing, json: bool) -> anyhow::Result<()> {
    let mut keys: Vec<VirtualKey> = ring
        .configured()
        .iter()
        .map(|key| VirtualKey::clone(key))
        .collect();
    let mut before = None;
    loop {
        let page = desk.list(Reach::Installation, before, PAGE).await?;
        before = page.last().map(|key| key.id);
        let is_last = page.len() < PAGE as usize;
        keys.extend(page);
        if is_last {
            break;
        }
    }
    if json {
        return print_json(&keys.iter().map(view).collect::<Vec<_>>());
    }
    let mut table = table(&[
        "ID", "NAME", "ROLE", "KEY", "MODELS", "RATE", "BUDGET", "STATE",
    ]);
    for key in &keys {
        table.add_row(row(key));
    }
    print(table);
    Ok(())
}

fn row(key: &VirtualKey) -> [String; 8] {
    let count = |number: Option<u64>, unit: &str| {
        number
            .map(|number| format!("{number} {unit}"))
            .unwrap_or_default()
    };
    let rate = [
        count(key.rate.rpm.map(u64::from), "rpm"),
        count(key.rate.tpm, "tpm"),
        count(key.rate.concurrency.map(u64::from), "at once"),
    ];
    let state = match (key.revoked_at, key.expires_at, key.origin) {
        (Some(at), _, _) => format!("revoked {at}"),
        (None, Some(at), _) => format!("until {at}"),
        (None, None, domain::key::Origin::Configuration) => "configured".to_owned(),
        (None, None, domain::key::Origin::Store) => "active".to_owned(),
    };
    [
        key.id.to_string(),
        key.name.clone(),
        key.role.as_str().to_owned(),
        format!("{}…{}", key.prefix, key.last_four),
        key.models
            .iter()
            .map(ModelPattern::as_str)
            .collect::<Vec<_>>()
            .join(" "),
        rate.join(" ").trim().to_owned(),
        key.budget
            .map(|budget| format!("${}/{}", budget.limit, budget.per.as_str()))
            .unwrap_or_default(),
        state,
    ]
}

fn print_made(key: &VirtualKey, text: &Secret<String>, json: bool) -> anyhow::Result<()> {
    if json {
        let mut view = view(key);
        if let Some(fields) = view.as_object_mut() {
            fields.insert("key".to_owned(), json!(text.reveal()));
        }
        return print_json(&view);
    }
    print(format_args!(
        "{} ({}), shown this once:\n{}",
        key.id,
        key.name,
        text.reveal()
    ));
    Ok(())
}

fn new_key(new: CreateKey, placement: Placement) -> anyhow::Result<NewKey> {
    let addresses = new
        .addresses
        .iter()
        .map(|text| text.parse().with_context(|| format!("--address {text}")))
        .collect::<Result<_, _>>()?;
    let per = Period::ALL
        .into_iter()
        .find(|period| period.as_str() == new.per)
        .ok_or_else(|| {
            Usage(format!(
                "--per {}: hour, day, week, month or total",
                new.per
            ))
        })?;
    let budget = new
        .budget
        .map(|text| {
            let limit = text
                .parse()
                .map_err(|error| Usage(format!("--budget {text}: {error}")))?;
            Ok::<_, Usage>(Budget { limit, per })
        })
        .transpose()?;
    let priority = Priority::from_word(&new.priority)
        .ok_or_else(|| Usage(format!("--priority {}: low, normal or high", new.priority)))?;
    Ok(NewKey {
        name: new.name,
        placement,
        role: if new.admin { Role::Admin } else { Role::Member },
        models: new.models.into_iter().map(ModelPattern::new).collect(),
        addresses,
        rate: Rate {
            rpm: new.rpm,
            tpm: new.tpm,
            concurrency: new.concurrency,
            queue: new.max_wait_seconds.map(|seconds| QueueRules {
                max_wait: Duration::from_secs(seconds),
                max_waiting: new.max_waiting,
            }),
        },
        priority,
        budget,
        expires_at: new.expires_at,
    })
}

fn key_id(text: &str) -> anyhow::Result<KeyId> {
    text.parse()
        .map_err(|error| Usage(format!("{text}: {error}")).into())
}
