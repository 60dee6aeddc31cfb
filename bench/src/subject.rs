//! What is measured: the mock provider alone, the bare proxy before it, Trunkline before it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use crate::keys;
use crate::pinning::Pinning;
use crate::probe;
use crate::process::Process;
use crate::situation::{Around, Shared, Situation};
use crate::wire::Format;

/// The bootstrap key by which the load generator proves itself to Trunkline; the others ignore it.
pub const CALLER_KEY: &str = "bench-caller-key-7f3a91c2d4e8";

/// One way from the load to the mock provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// No proxy between them.
    Direct,
    /// The bare pass-through proxy.
    Bare,
    /// Trunkline with everything on.
    Trunkline,
}

impl Subject {
    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Trunkline => "trunkline",
        }
    }
}

/// A subject that answers.
pub struct Running {
    /// The process.
    pub process: Process,
    /// Its port on loopback.
    pub port: u16,
    /// From the start of the process until `GET /readyz` answered 200.
    pub ready_after: Duration,
}

/// How subjects are started.
pub struct Launcher {
    pinning: Pinning,
    trunkline: PathBuf,
    directory: PathBuf,
    started: u32,
}

impl Launcher {
    /// A launcher of the `trunkline` binary; everything it writes goes under `directory`.
    pub fn new(pinning: Pinning, trunkline: PathBuf, directory: PathBuf) -> Self {
        Self {
            pinning,
            trunkline,
            directory,
            started: 0,
        }
    }

    /// Who runs where.
    pub fn pinning(&self) -> Pinning {
        self.pinning
    }

    /// Where everything is written.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts a subject before the mock provider at `provider`; `None` for the direct way.
    pub async fn start(
        &mut self,
        subject: Subject,
        provider: u16,
    ) -> anyhow::Result<Option<Running>> {
        match subject {
            Subject::Direct => Ok(None),
            Subject::Bare => self.bare(provider).await.map(Some),
            Subject::Trunkline => {
                let mut running = self
                    .start_in(Situation::Usual, provider, &Around::default())
                    .await?;
                Ok(running.pop())
            }
        }
    }

    async fn bare(&mut self, provider: u16) -> anyhow::Result<Running> {
        let port = probe::free_port()?;
        let mut command = self.pinning.subject(std::env::current_exe()?);
        command.args(["proxy", "--port", &port.to_string()]);
        command.args(["--provider", &provider.to_string()]);
        start("the bare proxy", &mut command, port).await
    }

    /// Starts Trunkline in a situation, before the mock provider at `provider`: every replica of it.
    pub async fn start_in(
        &mut self,
        situation: Situation,
        provider: u16,
        around: &Around,
    ) -> anyhow::Result<Vec<Running>> {
        let mut replicas = Vec::new();
        for _ in 0..situation.replicas() {
            replicas.push(self.start_one(situation, provider, around).await?);
        }
        Ok(replicas)
    }

    async fn start_one(
        &mut self,
        situation: Situation,
        provider: u16,
        around: &Around,
    ) -> anyhow::Result<Running> {
        self.started += 1;
        let directory = self.directory.join(format!("trunkline-{}", self.started));
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let port = probe::free_port()?;
        let file = directory.join("trunkline.yaml");
        fs::write(&file, configuration(port, provider, situation, around))?;
        // Not beside the configuration: its directory is watched.
        fs::create_dir_all(directory.join("log"))?;
        let log = File::create(directory.join("log").join("trunkline.log"))?;
        let mut command = self.pinning.subject(&self.trunkline);
        command
            .arg("serve")
            .arg("--config")
            .arg(&file)
            .arg("--data-dir")
            .arg(directory.join("data"))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let running = start("trunkline", &mut command, port)
            .await
            .with_context(|| format!("see {}", directory.join("log/trunkline.log").display()))?;
        keys::make(port, &directory.join("data"), situation.keys()).await?;
        Ok(running)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Left-overs harm nobody.
        drop(fs::remove_dir_all(&self.directory));
    }
}

async fn start(name: &'static str, command: &mut Command, port: u16) -> anyhow::Result<Running> {
    let start = crate::clock::now();
    let mut process = Process::start(name, command)?;
    let ready = probe::until_ready(&mut process, port)
        .await
        .with_context(|| format!("{name} does not become ready"))?;
    Ok(Running {
        process,
        port,
        ready_after: ready - start,
    })
}

/// Keys, a rate, a budget and a route to a provider of every format: everything that a request passes is
/// really there, and generous.
fn configuration(port: u16, provider: u16, situation: Situation, around: &Around) -> String {
    let shared = match (situation, &around.shared) {
        (Situation::Replicas(count), Some(Shared { postgres, redis })) => format!(
            "server: {{ listen: \"127.0.0.1:{port}\", secret: the-secret-of-a-fleet-of-{count}-replicas }}\n\
             store: '{postgres}{count}'\nshared: '{redis}'\n"
        ),
        _ => format!("server: {{ listen: \"127.0.0.1:{port}\" }}\n"),
    };
    let each = |entry: fn(Format, u16) -> String| -> String {
        let entries = Format::ALL
            .into_iter()
            .map(|format| entry(format, provider));
        entries.collect()
    };
    let openai = format!("mock-{}", Format::Openai.kind());
    format!(
        r#"{shared}ledger: {{ sync: 50ms }}
telemetry: {{ log: info }}
{sections}providers:
{providers}prices:
{prices}{more_prices}models:
{routes}{more_routes}keys:
  - name: bench
    key: "{CALLER_KEY}"
    models: ["*"]
    budget: {{ usd: 1000000, per: month }}
    rate: {{ rpm: 1000000000, tpm: 1000000000000 }}
"#,
        sections = situation.sections(&openai, around),
        more_prices = situation.prices(&openai),
        more_routes = situation.routes(&openai),
        providers = each(provider_entry),
        prices = each(|format, _| price_entry(format)),
        routes = each(|format, _| route_entry(format)),
    )
}

fn provider_entry(format: Format, port: u16) -> String {
    let (kind, path) = (format.kind(), format.base_path());
    format!(
        r#"  mock-{kind}:
    kind: {kind}
    base_url: "http://127.0.0.1:{port}{path}"
    api_key: "bench-provider-key"
    allow_private_address: true
"#
    )
}

/// Every call is priced: a key with a budget is refused what has no price.
fn price_entry(format: Format) -> String {
    let (kind, model) = (format.kind(), format.model());
    format!(
        "  - {{ provider: mock-{kind}, model: {model}, input: 0.15, cached_input: 0.075, output: 0.6 }}\n"
    )
}

fn route_entry(format: Format) -> String {
    let (kind, model) = (format.kind(), format.model());
    format!(
        r"  {model}:
    targets:
      - {{ model: mock-{kind}/{model} }}
"
    )
}
