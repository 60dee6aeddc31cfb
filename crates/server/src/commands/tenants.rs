//! `trunkline organizations`, `projects`, `applications` and `users`

use std::process::ExitCode;
use std::sync::Arc;

use domain::clock::Clock;
use domain::entropy::Entropy;
use domain::id::ProjectId;
use domain::tenant::{
    Flag, PayloadRule, ProjectSettings, Tenant, TenantChange, TenantFilter, TenantKind,
    TenantStore, TenantWord,
};
use identity::tenants::{NewTenant, NewTenantKind, Reach, TenantDesk};

use super::{Usage, load, parsed, print, print_json, table};
use crate::app::{open_ring, open_store};
use crate::cli::{Installation, TenantFields, Tenants, TenantsCommand};
use crate::data_dir::DataDir;
use crate::http::tenants::view;
use crate::world::{SystemClock, SystemEntropy};

/// Tenants that are read from the store together.
const PAGE: u32 = 500;

/// Creates, lists, shows, changes or archives tenants of a kind in the store. A server that runs on the
/// same store follows within a second.
pub async fn run(
    at: &Installation,
    word: TenantWord,
    options: Tenants,
) -> anyhow::Result<ExitCode> {
    let config = load(at)?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
    let ring = Arc::new(open_ring(&config, &data_dir, &*entropy, clock.now())?);
    let store = open_store(&config, &data_dir).await?;
    let tenants: Arc<dyn TenantStore> = Arc::new(store.clone());
    let desk = TenantDesk::new(tenants, ring, Arc::clone(&clock), entropy);
    let outcome = act(&desk, word, &options, &*clock).await;
    store.close().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn act(
    desk: &TenantDesk,
    word: TenantWord,
    options: &Tenants,
    clock: &dyn Clock,
) -> anyhow::Result<()> {
    let everything = Reach::Installation;
    let id = |text: &str| {
        word.parse_id(text)
            .map_err(|error| Usage(format!("{text}: {error}")))
    };
    let tenant = match &options.command {
        TenantsCommand::List {
            organization,
            project,
            archived,
        } => {
            let filter = TenantFilter {
                word,
                organization_id: parsed("--organization", organization.as_deref())?,
                project_id: parsed("--project", project.as_deref())?,
                archived: *archived,
            };
            return list(desk, filter, options.json).await;
        }
        TenantsCommand::Create { name, fields } => {
            let new = new_tenant(word, name, fields)?;
            desk.create(everything, ProjectId::DEFAULT, new).await?
        }
        TenantsCommand::Get { id: text } => desk.find(everything, id(text)?).await?,
        TenantsCommand::Change {
            id: text,
            name,
            restore,
            fields,
        } => {
            let found = desk.find(everything, id(text)?).await?;
            let change = TenantChange {
                name: parsed("--name", name.as_deref())?,
                email: parsed("--email", fields.email.as_deref())?.map(Some),
                settings: found
                    .settings()
                    .map(|settings| with_fields(settings.clone(), fields))
                    .transpose()?,
                archived_at: restore.then_some(None),
            };
            refuse_foreign(word, fields)?;
            desk.change(everything, found.id(), &change).await?
        }
        TenantsCommand::Archive { id: text } => {
            let change = TenantChange {
                archived_at: Some(Some(clock.now())),
                ..TenantChange::default()
            };
            desk.change(everything, id(text)?, &change).await?
        }
    };
    if options.json {
        return print_json(&view(&tenant));
    }
    print_table(&[tenant]);
    Ok(())
}

async fn list(desk: &TenantDesk, filter: TenantFilter, json: bool) -> anyhow::Result<()> {
    let mut tenants: Vec<Tenant> = Vec::new();
    loop {
        let before = tenants.last().map(Tenant::id);
        let page = desk.list(Reach::Installation, filter, before, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        tenants.extend(page);
        if is_last {
            break;
        }
    }
    if json {
        return print_json(&tenants.iter().map(view).collect::<Vec<_>>());
    }
    print_table(&tenants);
    Ok(())
}

fn print_table(tenants: &[Tenant]) {
    let mut table = table(&["ID", "NAME", "BELONGS TO", "MORE", "STATE"]);
    for tenant in tenants {
        let (above, more) = match &tenant.kind {
            TenantKind::Organization(_) => (String::new(), String::new()),
            TenantKind::Project(_, settings) => (
                tenant.organization_id.to_string(),
                serde_json::to_string(settings).unwrap_or_default(),
            ),
            TenantKind::Application(_, project) => (project.to_string(), String::new()),
            TenantKind::User(_, email) => (
                tenant.organization_id.to_string(),
                email
                    .as_ref()
                    .map(|email| email.as_str().to_owned())
                    .unwrap_or_default(),
            ),
        };
        let state = match tenant.archived_at {
            Some(at) => format!("archived {at}"),
            None => "in service".to_owned(),
        };
        table.add_row([
            tenant.id().to_string(),
            tenant.name.as_str().to_owned(),
            above,
            more,
            state,
        ]);
    }
    print(table);
}

fn new_tenant(word: TenantWord, name: &str, fields: &TenantFields) -> anyhow::Result<NewTenant> {
    refuse_foreign(word, fields)?;
    let organization = parsed("--organization", fields.organization.as_deref())?;
    let kind = match word {
        TenantWord::Organization => NewTenantKind::Organization,
        TenantWord::Project => NewTenantKind::Project(
            organization,
            with_fields(ProjectSettings::default(), fields)?,
        ),
        TenantWord::Application => {
            NewTenantKind::Application(parsed("--project", fields.project.as_deref())?)
        }
        TenantWord::User => {
            NewTenantKind::User(organization, parsed("--email", fields.email.as_deref())?)
        }
    };
    let name = name
        .parse()
        .map_err(|error| Usage(format!("{name}: {error}")))?;
    Ok(NewTenant { name, kind })
}

/// Options that a kind has no field for.
fn refuse_foreign(word: TenantWord, fields: &TenantFields) -> Result<(), Usage> {
    let is_project = word == TenantWord::Project;
    let has_settings =
        !fields.regions.is_empty() || !fields.flags.is_empty() || fields.payloads.is_some();
    let is_below_organization = is_project || word == TenantWord::User;
    for (option, is_given, is_taken) in [
        (
            "--organization",
            fields.organization.is_some(),
            is_below_organization,
        ),
        (
            "--project",
            fields.project.is_some(),
            word == TenantWord::Application,
        ),
        ("--email", fields.email.is_some(), word == TenantWord::User),
        ("--region, --flag and --payloads", has_settings, is_project),
    ] {
        if is_given && !is_taken {
            return Err(Usage(format!(
                "{option}: not of a record of kind {}",
                word.as_str()
            )));
        }
    }
    Ok(())
}

/// The settings with what the options say in the place of what was there.
fn with_fields(
    mut settings: ProjectSettings,
    fields: &TenantFields,
) -> anyhow::Result<ProjectSettings> {
    if !fields.regions.is_empty() {
        settings.regions.clone_from(&fields.regions);
        settings.regions.retain(|region| region != "*");
    }
    for flag in &fields.flags {
        let (name, value) = flag
            .split_once('=')
            .ok_or_else(|| Usage(format!("--flag {flag}: NAME=VALUE, such as beta=true")))?;
        let value = match value {
            "true" => Flag::Switch(true),
            "false" => Flag::Switch(false),
            text => Flag::Variant(text.to_owned()),
        };
        settings.flags.insert(name.to_owned(), value);
    }
    if let Some(rule) = &fields.payloads {
        settings.payloads = payload_rule(rule)?;
    }
    let settings = settings.checked();
    settings.map_err(|error| Usage(format!("{}: {error}", error.field())).into())
}

fn payload_rule(text: &str) -> anyhow::Result<Option<PayloadRule>> {
    if text == "default" {
        return Ok(None);
    }
    if text == "none" {
        return Ok(Some(PayloadRule::None));
    }
    let retention_seconds = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| u32::try_from(duration.as_secs()).ok())
        .ok_or_else(|| {
            Usage(format!(
                "--payloads {text}: none, default, or how long, such as 24h"
            ))
        })?;
    Ok(Some(PayloadRule::Full { retention_seconds }))
}
