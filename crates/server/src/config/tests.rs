//! The files under `fixtures/` and the defaults.

use std::path::PathBuf;
use std::time::Duration;

use domain::egress::Reach;
use domain::key::Role;
use gateway::routes::condition::Condition;
use gateway::routes::rollout::Percent;
use gateway::routes::strategy::{Balance, Strategy};
use gateway::routes::{HangUp, Lead, Retries, RouteMember, RouteTarget, Sticky, Timeouts, When};
use providers::credential::{Credential, Source};
use providers::kind::ProviderKind;

use super::ledger::Keep;
use super::*;

mod documentation;
mod schema;

/// What the fixtures refer to.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "OPENAI_API_KEY" => "sk-of-the-environment",
        "ANTHROPIC_API_KEY" | "GEMINI_API_KEY" => "other-key-of-the-environment",
        "TRUNKLINE_CI_KEY" => "tl-key-of-the-pipeline",
        "TRUNKLINE_SECRET" => "0123456789abcdef0123456789abcdef",
        "DATABASE_PASSWORD" => "correct-horse",
        "REDIS_PASSWORD" => "battery-staple",
        "CI_RPM" => "600",
        "SIM_URL" => "http://127.0.0.1:9000",
        "USER_AND_PASSWORD" => "ann:do-not-show",
        "HUSH" => "do not show",
        "SHORT" => "do-not-show",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/fixtures")
}

/// The YAML files in `fixtures/<folder>` with their texts, by name.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(fixtures().join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    assert!(!files.is_empty(), "{folder} has files");
    files
        .into_iter()
        .map(|file| (file.clone(), fs::read_to_string(file).unwrap()))
        .collect()
}

fn parse(text: &str) -> Result<Config, Problems> {
    let name = fixtures().join("valid/trunkline.yaml");
    Config::parse(text, name.to_str().unwrap(), &environment)
}

/// Compares what is said about each file with the text beside it.
fn each_file_has_its_problems(folder: &str) {
    for (file, text) in files(folder) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let problems = Config::parse(&text, name, &environment).unwrap_err();
        let expected = fs::read_to_string(file.with_extension("txt")).unwrap_or_default();
        assert_eq!(format!("{problems}\n"), expected, "{folder}/{name}");
        assert!(
            !format!("{problems:?}").contains("not-show"),
            "{name} shows no secret"
        );
        assert!(
            !format!("{problems:?}").contains("not show"),
            "{name} shows no secret"
        );
    }
}

#[test]
fn valid_files_are_read() {
    for (file, text) in files("valid") {
        if let Err(problems) = parse(&text) {
            panic!("{}\n{problems}", file.display());
        }
    }
}

#[test]
fn a_file_that_is_cut_off_or_damaged_is_no_reason_to_panic() {
    let text = fs::read_to_string(fixtures().join("valid/everything.yaml")).unwrap();
    for position in (0..text.len()).step_by(3) {
        let (before, after) = text.split_at(position);
        let damaged = [
            before.to_owned(),
            format!("{before}{}", after.get(1..).unwrap_or_default()),
        ];
        for damaged in damaged {
            if let Err(problems) = parse(&damaged) {
                assert!(!problems.to_string().is_empty(), "{damaged}");
            }
        }
    }
}

#[test]
fn files_of_the_wrong_shape_have_their_problems() {
    each_file_has_its_problems("shape");
}

#[test]
fn files_of_the_wrong_meaning_have_their_problems() {
    each_file_has_its_problems("meaning");
}

#[test]
fn files_that_are_not_yaml_have_their_problem() {
    each_file_has_its_problems("syntax");
}

#[test]
fn without_a_file_the_defaults_hold_and_sim_answers() {
    let config = Config::parse("", "trunkline.yaml", &nothing).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.max_body.bytes(), 64 * 1024 * 1024);
    assert!(config.server.secret.is_none());
    assert_eq!(config.server.drain, Duration::from_secs(30));
    assert!(matches!(&config.store, Location::Sqlite(file) if file == Path::new("trunkline.db")));
    assert_eq!(config.ledger.sync, Sync::Every(Duration::from_millis(50)));
    assert_eq!(config.ledger.max_bytes.bytes(), 4 * 1024 * 1024 * 1024);
    assert_eq!(config.payloads.keep, Keep::None);
    let month = Duration::from_hours(30 * 24);
    assert_eq!(config.responses.keep, KeepFor::Time(month));
    let custody = config.custody.rules().unwrap();
    assert_eq!(custody.ttl, Duration::from_hours(1));
    assert_eq!(custody.max_bytes, 64 * 1024 * 1024);
    assert_eq!(config.telemetry.log, tracing::Level::INFO);
    assert_eq!(config.telemetry.log_format, LogFormat::Json);
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].kind, ProviderKind::Sim);
    assert!(config.keys.is_empty());
}

#[test]
fn providers_are_found_from_the_environment_only_when_the_file_names_none() {
    let names = |text: &str| -> Vec<String> {
        parse(text)
            .unwrap()
            .providers
            .iter()
            .map(|it| it.name.to_string())
            .collect()
    };
    assert_eq!(names(""), ["openai", "anthropic", "google"]);
    assert_eq!(names("providers:\n"), ["openai", "anthropic", "google"]);
    assert_eq!(names("providers: {}"), ["sim"]);
    assert_eq!(names("providers: { a: { kind: sim } }"), ["a"]);
}

#[test]
fn a_route_may_lead_to_a_provider_that_is_found() {
    let text = "models: { fast: { targets: [{ model: openai/gpt }] } }";
    assert!(parse(text).is_ok());
    let problems = Config::parse(text, "a.yaml", &nothing).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "a.yaml:1:38: models.fast.targets[0].model: no provider is called `openai`\n    \
         the providers are: sim"
    );
}

#[test]
fn a_routes_defaults_are_those_of_calls_without_a_route() {
    let text =
        "providers: { sim: { kind: sim } }\nmodels: { a: { targets: [{ model: sim/gpt }] } }";
    let config = parse(text).unwrap();
    let route = config.routes.values().next().unwrap();
    assert_eq!(route.timeouts, Timeouts::default());
    assert_eq!(route.retries, Retries::default());
    assert!(!route.strict);
}

fn named<'a>(targets: impl IntoIterator<Item = &'a RouteTarget>) -> Vec<String> {
    let targets = targets.into_iter();
    targets
        .map(|target| format!("{}/{}", target.provider, target.model))
        .collect()
}

/// The models that members of a route lead to themselves.
fn models(members: &[RouteMember]) -> impl Iterator<Item = &RouteTarget> {
    members.iter().filter_map(|member| match &member.lead {
        Lead::Model(target) => Some(target),
        Lead::Route(_) | Lead::Equivalents { .. } => None,
    })
}

#[test]
fn everything_arrives_where_it_belongs() {
    let text = fs::read_to_string(fixtures().join("valid/everything.yaml")).unwrap();
    let config = parse(&text).unwrap();
    let provider = |name: &str| {
        config
            .providers
            .iter()
            .find(|provider| provider.name.as_str() == name)
            .unwrap()
    };
    let key_of = |name: &str| {
        provider(name)
            .credential
            .as_ref()
            .map(|source| match source.ready() {
                Some(Credential::ApiKey(key)) => key.reveal().clone(),
                other => panic!("{other:?}"),
            })
    };
    assert_eq!(key_of("openai").as_deref(), Some("sk-of-the-environment"));
    assert_eq!(key_of("google").as_deref(), Some("AIza-of-the-file"));
    assert_eq!(key_of("local"), None);
    assert_eq!(provider("openai").base_url, "https://api.openai.com/v1");
    assert_eq!(
        provider("anthropic").base_url,
        "https://llm.example.com/anthropic"
    );
    assert_eq!(provider("anthropic").hang_up, HangUp::Drain);
    assert_eq!(provider("local").reach, Reach::Any);
    assert_eq!(provider("openai").reach, Reach::Public);

    let fast = &config.routes["fast"];
    assert!(fast.strict);
    assert_eq!(
        named(models(&fast.targets)),
        ["openai/gpt-5.4-nano", "sim/gpt"]
    );
    let fallback = fast.fallback.iter().map(|it| (it.when, &it.target));
    let (whens, targets): (Vec<_>, Vec<_>) = fallback.unzip();
    assert_eq!(whens, [When::Always]);
    assert_eq!(named(targets), ["local/meta-llama/Llama-3"]);
    assert_eq!(fast.timeouts.attempt, Duration::from_secs(30));
    assert_eq!(fast.timeouts.idle, Duration::from_mins(1));
    assert_eq!(fast.retries.attempts, 5);
    assert_eq!(fast.retries.max_backoff, Duration::from_secs(2));
    let targets = &config.routes["gpt-5.4"].targets;
    assert_eq!(named(models(targets)), ["local/meta-llama/Llama-3"]);
    assert_eq!(
        config.routes["slow"].timeouts.total,
        Duration::from_mins(30)
    );

    assert_eq!(config.prices[0].provider, "local");
    let nano = &config.prices[1];
    assert_eq!(nano.kind, "openai");
    let price = |meter| nano.prices.get(meter).map(domain::money::PicoDollars::get);
    assert_eq!(price(gateway::catalog::meter::Meter::Input), Some(150_000));
    assert_eq!(
        price(gateway::catalog::meter::Meter::CachedInput),
        Some(15_000)
    );
    assert_eq!(
        price(gateway::catalog::meter::Meter::WebSearch),
        Some(10_000_000_000)
    );

    let ci = &config.keys[0];
    assert_eq!(ci.text.reveal(), "tl-key-of-the-pipeline");
    assert_eq!(ci.role, Role::Member);
    assert_eq!(ci.budget.unwrap().limit.nano_dollars(), 100_000_000);
    assert_eq!((ci.rate.rpm, ci.rate.tpm), (Some(600), Some(200_000)));
    assert_eq!(ci.addresses.len(), 3);
    assert_eq!(ci.expires_at.unwrap().to_string(), "2027-01-01T00:00:00Z");
    assert_eq!(config.keys[1].role, Role::Admin);
    assert!(config.keys[1].models.is_empty());
}

#[test]
fn a_platform_and_a_host_bring_what_is_particular_about_them() {
    let text = fs::read_to_string(fixtures().join("valid/platforms.yaml")).unwrap();
    let config = parse(&text).unwrap();
    let provider = |name: &str| {
        let mut providers = config.providers.iter();
        providers.find(|it| it.name.as_str() == name).unwrap()
    };
    let azure = provider("azure");
    assert_eq!(azure.kind, ProviderKind::AzureOpenai);
    assert_eq!(azure.base_url, "https://contoso.openai.azure.com");
    assert_eq!(
        azure.host.api_version.as_deref(),
        Some("2025-04-01-preview")
    );
    for (name, entra) in [
        ("azure-entra", true),
        ("azure-machine", true),
        ("azure", false),
    ] {
        let source = provider(name).credential.as_ref().unwrap();
        assert_eq!(matches!(source, Source::Entra(_)), entra, "{name}");
    }
    let vertex = provider("vertex");
    assert_eq!(
        vertex.base_url,
        "https://europe-west4-aiplatform.googleapis.com"
    );
    assert!(matches!(vertex.credential, Some(Source::Google(_))));
    assert_eq!(
        provider("vertex-login").host.project.as_deref(),
        Some("project-of-the-file")
    );
    let express = provider("vertex-express");
    assert_eq!(express.base_url, "https://aiplatform.googleapis.com");
    assert_eq!(express.host.project, None);
    let bedrock = provider("bedrock").credential.as_ref().unwrap();
    assert!(matches!(bedrock.ready(), Some(Credential::Aws(_))));
    for (name, roles) in [
        ("bedrock-roles", 2),
        ("bedrock-eks", 0),
        ("bedrock-ecs", 0),
        ("bedrock-ec2", 0),
    ] {
        let Some(Source::Aws(account)) = &provider(name).credential else {
            panic!("{name} has an account of AWS");
        };
        assert_eq!(account.roles.len(), roles, "{name}");
        assert_eq!(account.sts.region, "us-east-1");
    }
    for (name, host) in [
        ("groq", Some("groq")),
        ("mistral", Some("mistral")),
        ("deepseek", Some("deepseek")),
        ("lake", Some("databricks")),
        ("gpus", Some("vllm")),
        ("openai", None),
        ("openai-behind-a-proxy", Some("openai")),
    ] {
        assert_eq!(provider(name).host.name, host, "{name}");
        assert_eq!(provider(name).kind, ProviderKind::Openai, "{name}");
    }
    assert_eq!(provider("ollama").base_url, "http://127.0.0.1:11434/v1");
    assert_eq!(provider("ollama").reach, Reach::Any);
    assert_eq!(provider("groq").base_url, "https://api.groq.com/openai/v1");
    assert_eq!(provider("groq").reach, Reach::Public);
    let printed = format!("{config:?}");
    assert!(!printed.contains("not-show") && !printed.contains("azure-key"));
}

#[test]
fn a_configuration_prints_no_secret() {
    let text = fs::read_to_string(fixtures().join("valid/everything.yaml")).unwrap();
    let printed = format!("{:?}", parse(&text).unwrap());
    for secret in [
        "sk-of-the-environment",
        "AIza-of-the-file",
        "other-key-of-the-environment",
        "tl-key-of-the-pipeline",
        "a-text-of-the-operator",
        "0123456789abcdef",
        "correct-horse",
    ] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[test]
fn what_needs_a_restart_is_named() {
    let old = Config::parse("", "a.yaml", &nothing).unwrap();
    let new = "server: { listen: 127.0.0.1:9000, max_body: 1MiB }\nstore: sqlite:other.db\n\
               ledger: { sync: always }\ntelemetry: { log: debug, log_format: text }";
    let new = Config::parse(new, "a.yaml", &nothing).unwrap();
    let differences = [
        "server.listen",
        "server.max_body",
        "store",
        "ledger",
        "telemetry",
    ];
    assert_eq!(new.differences(&old), differences);
    assert_eq!(old.differences(&old), Vec::<String>::new());
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let absent = fixtures().join("absent.yaml");
    let problems = Config::load(Some(&absent), &environment).unwrap_err();
    assert!(
        problems
            .to_string()
            .contains("absent.yaml: the file cannot be read"),
        "{problems}"
    );
    let present = fixtures().join("valid/sdk.yaml");
    let config = Config::load(Some(&present), &environment).unwrap();
    assert_eq!(config.providers.len(), 3);
}

#[test]
fn routes_share_their_requests_out_as_they_are_told() {
    let text = fs::read_to_string(fixtures().join("valid/routing.yaml")).unwrap();
    let config = parse(&text).unwrap();
    let smart = &config.routes["smart"];
    let balance = Balance {
        cost: 0.5,
        latency: 2.0,
        ..Balance::EVEN
    };
    assert_eq!(smart.sharing.strategy, Strategy::Balanced(balance));
    assert_eq!(smart.sharing.sticky, [Sticky::User, Sticky::Prefix]);
    assert_eq!(smart.sharing.regions, ["eu".parse().unwrap()]);
    let [class, route, gold, new] = smart.targets.as_slice() else {
        panic!("{:?}", smart.targets);
    };
    assert!(
        matches!(&class.lead, Lead::Equivalents { class, floor } if &**class == "small" && (0.69..0.71).contains(floor))
    );
    assert!(matches!(&route.lead, Lead::Route(name) if name.as_str() == "cheap"));
    assert_eq!((route.weight, route.priority), (3, Some(2)));
    assert_eq!(
        gold.when.as_ref().map(Condition::as_str),
        Some("metadata.tier == 'gold' && flags.beta")
    );
    assert_eq!(new.rollout.map(Percent::hundredths), Some(250));
    assert_eq!(
        (new.variant.as_deref(), new.quality),
        (Some("new"), Some(0.9))
    );
    assert_eq!(new.region, Some("eu-west-1".parse().unwrap()));
    let cheap = &config.routes["cheap"];
    assert_eq!(cheap.sharing.strategy, Strategy::Cheapest);
    let azure = config
        .providers
        .iter()
        .find(|it| it.name.as_str() == "azure")
        .unwrap();
    assert_eq!(azure.region, Some("eu".parse().unwrap()));
    assert_eq!(config.policy.equivalents["small"].len(), 2);
    assert!(config.policy.flags.has("beta"));
    assert_ne!(
        config.policy.residency,
        gateway::routes::residency::Residency::default()
    );
}
