//! `trunkline cost`

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use domain::call::CallStore;
use domain::clock::Clock;
use domain::id::KeyId;
use domain::key::{KeyStore, Period};
use domain::money::{PICO_PER_DOLLAR, PicoDollars};
use domain::usage::ServiceTier;
use gateway::catalog::file::{CatalogFile, ProviderFile};
use gateway::catalog::meter::Meter;
use gateway::catalog::provider::BUILTIN_PROVIDERS;
use gateway::catalog::refresh::rebuild;
use identity::text::configured_id;
use jiff::tz::TimeZone;
use providers::native_usage;
use serde_json::json;

use super::chat::TERMINAL;
use super::{Usage, load, print, print_json, table};
use crate::app::{open_ring, open_store, routes};
use crate::cli::{Cost, CostCommand, Installation, PriceUsage, RefreshCatalog};
use crate::data_dir::DataDir;
use crate::world::{SystemClock, SystemEntropy};

/// Shows what was spent, prices a usage, or refreshes the catalog.
pub async fn run(at: &Installation, options: Cost) -> anyhow::Result<ExitCode> {
    match &options.command {
        None => spend(at, &options).await,
        Some(CostCommand::Price(usage)) => price(at, &options, usage),
        Some(CostCommand::Rerate(rerate)) => super::rerate::run(at, rerate, options.json).await,
        Some(CostCommand::Reconcile(reconcile)) => {
            super::rerate::reconcile(at, reconcile, options.json).await
        }
        Some(CostCommand::Refresh(refresh)) => self::refresh(refresh, options.json),
    }
}

async fn spend(at: &Installation, options: &Cost) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let now = SystemClock::new().now();
    let since = options.since.unwrap_or_else(|| Period::Month.start(now));
    let store = open_store(&config, &data_dir).await?;
    let mut spends = store.spend_by_key(since).await?;
    spends.sort_by_key(|spend| std::cmp::Reverse(spend.cost));
    let mut names: HashMap<KeyId, String> =
        open_ring(&config, &data_dir, &SystemEntropy::default(), now)?
            .configured()
            .iter()
            .map(|key| (key.id, key.name.clone()))
            .collect();
    names.insert(configured_id(TERMINAL), TERMINAL.to_owned());
    for spend in &spends {
        if let Some(key) = store.key(spend.key_id).await? {
            names.insert(key.id, key.name);
        }
    }
    store.close().await;
    let name = |id: &KeyId| names.get(id).cloned().unwrap_or_default();
    if options.json {
        let spends: Vec<_> = spends
            .iter()
            .map(|it| json!({ "key_id": it.key_id, "name": name(&it.key_id), "cost_usd": it.cost }))
            .collect();
        print_json(&json!({ "since": since, "keys": spends }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["KEY", "NAME", "SPENT"]);
    for spend in &spends {
        let cost = format!("${}", spend.cost);
        table.add_row([spend.key_id.to_string(), name(&spend.key_id), cost]);
    }
    print(format_args!("since {since}\n{table}"));
    Ok(ExitCode::SUCCESS)
}

fn price(at: &Installation, options: &Cost, asked: &PriceUsage) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let now = SystemClock::new().now();
    let tier: ServiceTier = asked.tier.parse().map_err(|_| {
        Usage(format!(
            "--tier {}: standard, batch, flex or priority",
            asked.tier
        ))
    })?;
    let usage = native_usage::read(asked.usage.as_bytes())
        .map_err(|error| Usage(format!("--usage: {error}")))?;
    let routes = routes(&config, now);
    let at = asked.at.unwrap_or(now);
    let priced = routes
        .catalog()
        .price(&asked.provider, &asked.model, &usage, tier, at)?;
    if options.json {
        print_json(&priced)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["METER", "QUANTITY", "PRICE", "AMOUNT"]);
    for line in &priced.lines {
        table.add_row([
            line.meter.as_str().to_owned(),
            line.quantity.to_string(),
            quoted(line.meter, line.unit_price_pico),
            dollars(line.amount_pico),
        ]);
    }
    print(table);
    print(format_args!(
        "${}  ({} {}, {} tier)",
        priced.total,
        priced.price_source,
        priced.price_version,
        priced.service_tier.as_str()
    ));
    for unpriced in &priced.unpriced {
        let meter = unpriced.meter.as_str();
        print(format_args!(
            "no price is known for {} {meter}",
            unpriced.quantity
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// A price as vendors quote it: dollars for so many.
fn quoted(meter: Meter, price: PicoDollars) -> String {
    let units = meter.quoted_units();
    let price = dollars(price.times(u64::from(units)));
    if units == 1 {
        price
    } else {
        format!("{price} / {units}")
    }
}

/// Pico-dollars as dollars, exactly, without zeros at the end.
fn dollars(pico: i128) -> String {
    let (whole, rest) = (
        pico / i128::from(PICO_PER_DOLLAR),
        pico % i128::from(PICO_PER_DOLLAR),
    );
    let decimals = format!("{rest:012}");
    let decimals = decimals.trim_end_matches('0');
    if decimals.is_empty() {
        format!("${whole}")
    } else {
        format!("${whole}.{decimals}")
    }
}

fn refresh(options: &RefreshCatalog, json: bool) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let old = match &options.catalog {
        Some(folder) => read_catalog(folder)?,
        None => CatalogFile::parse(BUILTIN_PROVIDERS.iter().map(|provider| provider.file))?,
    };
    let prices = read(&options.prices)?;
    let capabilities = options.capabilities.as_deref().map(read).transpose()?;
    let today = SystemClock::new().now().to_zoned(TimeZone::UTC).date();
    let (new, difference) = rebuild(&old, &prices, capabilities.as_deref(), today)?;
    if json {
        print_json(&difference)?;
    } else {
        print(&difference);
    }
    if let (true, Some(folder)) = (options.write, &options.catalog) {
        for file in &new.providers {
            write_provider(folder, file)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read_catalog(folder: &Path) -> anyhow::Result<CatalogFile> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            texts.push(std::fs::read_to_string(&path)?);
        }
    }
    Ok(CatalogFile::parse(texts.iter().map(String::as_str))?)
}

fn write_provider(folder: &Path, file: &ProviderFile) -> anyhow::Result<()> {
    let path = folder.join(file.name());
    std::fs::write(&path, file.to_text()?)
        .with_context(|| format!("cannot write {}", path.display()))
}
