//! `trunkline serve`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use domain::key::{ModelPattern, Rate, Role};
use domain::limit::Priority;
use domain::secret::Secret;
use identity::desk::NewKey;
use identity::tenants::Placement;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, Shared};
use crate::cli::{Installation, Serve};
use crate::config::{self, Config};
use crate::data_dir::DataDir;
use crate::http::connection;
use crate::tasks::Tasks;
use crate::telemetry::{Causes, Telemetry, start_logging};
use crate::{commands, greeting, loops, reload};

/// How long background loops may take to finish their work at the end.
const JOIN_BOUND: Duration = Duration::from_secs(10);

/// Serves until the process is told to stop, then finishes what it has begun.
pub async fn until_shutdown(at: Installation, options: Serve) -> anyhow::Result<ExitCode> {
    let path = at.config();
    let watched = path.clone().map(reload::Watched::new);
    let config = match Config::load(path.as_deref(), &config::process_environment) {
        Ok(config) => config,
        Err(problems) => return Ok(commands::refuse_configuration(&problems)),
    };
    let (sink, _log_guard) = start_logging(&config.telemetry)?;
    let telemetry = start_telemetry(&config, sink).await?;
    let data_dir = DataDir::open(&at.data_dir())?;
    let (app, queues) = App::assemble(&config, &data_dir, Arc::clone(&telemetry)).await?;
    let admin_key = admin_key(&app, &data_dir).await?;
    let listen = options.listen.unwrap_or(config.server.listen);
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; --listen names another address"))?;
    let address = listener.local_addr()?;
    refuse_loops(&app, address)?;
    app.replicas.listens_at(address);
    // Whoever came before is known before anybody asks whether this one is ready.
    if let Err(error) = app.replicas.beat(app.clock.now()).await {
        tracing::warn!(error = %Causes(&error), "it cannot be seen which replicas live");
    }

    let tasks = Arc::new(Tasks::new());
    loops::start(&app, queues, &tasks, sync_period(&config));
    let adoption = loops::Adoption {
        own: data_dir.journal(),
        others: config
            .ledger
            .adopt
            .iter()
            .map(|folder| folder.0.clone())
            .collect(),
    };
    tasks.start(loops::adopt_journals(
        Arc::clone(&app),
        adoption,
        tasks.stop_signal(),
    ));
    let drain = config.server.drain;
    greeting::print(address, &app, &data_dir, admin_key.as_ref(), path.is_some());
    if let Some(watched) = watched {
        tasks.start(reload::follow(
            Arc::clone(&app),
            watched,
            config,
            tasks.stop_signal(),
        ));
    }
    answer_until_told_to_stop(&app, listener, drain).await;

    tasks.request_stop();
    tasks.join(JOIN_BOUND).await;
    close(&app, telemetry).await;
    Ok(ExitCode::SUCCESS)
}

/// A provider that is this very process would call itself without end. It happens when an SDK's
/// `OPENAI_BASE_URL`, meant for the applications, stands in the gateway's own environment.
fn refuse_loops(app: &App, address: SocketAddr) -> anyhow::Result<()> {
    for provider in app.gateway.routes().providers() {
        let Ok(url) = provider.base_url.parse::<http::Uri>() else {
            continue;
        };
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = match host.parse::<std::net::IpAddr>() {
            Ok(ip) => ip == address.ip() || (ip.is_loopback() && address.ip().is_unspecified()),
            Err(_) => host == "localhost" && !is_elsewhere(address),
        };
        if is_here && url.port_u16() == Some(address.port()) {
            anyhow::bail!(
                "provider '{}' has the base_url {}, which is this gateway itself",
                provider.name,
                provider.base_url
            );
        }
    }
    Ok(())
}

/// Whether requests to `localhost` do not arrive at `address`.
fn is_elsewhere(address: SocketAddr) -> bool {
    !address.ip().is_loopback() && !address.ip().is_unspecified()
}

/// How often the journal is brought to the disk, unless every call waits for it.
pub fn sync_period(config: &Config) -> Option<Duration> {
    match config.ledger.sync {
        config::Sync::Every(period) => Some(period),
        config::Sync::Always => None,
    }
}

async fn start_telemetry(
    config: &Config,
    sink: crate::telemetry::LogSink,
) -> anyhow::Result<Arc<Telemetry>> {
    let lines = (config.telemetry.log >= tracing::Level::INFO).then_some(sink);
    let telemetry = Arc::new(Telemetry::new(lines));
    if let Some(endpoint) = config.telemetry.otlp.clone() {
        let telemetry = Arc::clone(&telemetry);
        // The exporter's HTTP client is a blocking one and must not be built in the runtime.
        tokio::task::spawn_blocking(move || telemetry.export_traces(&endpoint)).await??;
    }
    Ok(telemetry)
}

async fn answer_until_told_to_stop(app: &Shared, listener: TcpListener, drain: Duration) {
    let stop = async {
        told_to_stop().await;
        app.is_stopping.store(true, Ordering::Relaxed);
        tracing::info!(
            seconds = drain.as_secs(),
            "stopping: open answers may finish"
        );
    };
    connection::serve(Arc::clone(app), listener, stop, drain).await;
}

/// Completes when the process is told to stop: `SIGTERM`, or `SIGINT`.
pub async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tracing::warn!("SIGTERM cannot be received; SIGINT stops the process");
        return drop(tokio::signal::ctrl_c().await);
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

async fn close(app: &Shared, telemetry: Arc<Telemetry>) {
    let ledger = Arc::clone(&app.ledger);
    let closed = tokio::task::spawn_blocking(move || {
        telemetry.flush();
        ledger.close()
    });
    if let Ok(Err(error)) = closed.await {
        tracing::warn!(%error, "the journal stays for the next start");
    }
    app.store.close().await;
    tracing::info!("stopped");
}

/// Makes the first admin key when there is none, and answers its text when it was made now.
async fn admin_key(app: &App, data_dir: &DataDir) -> anyhow::Result<Option<Secret<String>>> {
    app.tenants.follow(0).await?;
    app.desk.follow(0).await?;
    let known = data_dir.read_admin_key().is_some_and(|text| {
        let address = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        app.ring
            .recognise(text.reveal(), address, app.started_at)
            .is_ok()
    });
    if known || app.ring.has_stored_admin(app.started_at) {
        return Ok(None);
    }
    let new = NewKey {
        name: "admin".to_owned(),
        placement: Placement::DEFAULT,
        role: Role::Admin,
        models: vec![ModelPattern::new("*")],
        addresses: Vec::new(),
        rate: Rate::default(),
        priority: Priority::default(),
        budget: None,
        expires_at: None,
    };
    let (_, text) = app.desk.issue(new).await?;
    data_dir.write_admin_key(&text)?;
    Ok(Some(text))
}
