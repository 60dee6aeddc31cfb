//! Another configuration, while calls go on: by a change of the file, or by `SIGHUP`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::{Shared, configured_keys, routes};
use crate::config::{self, Config};
use crate::tasks::Stop;

/// Editors write a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(200);

/// A configuration file that is watched. To be watched before it is read, so that no change is missed.
pub struct Watched {
    path: PathBuf,
    changes: mpsc::Receiver<()>,
    watcher: notify::Result<notify::RecommendedWatcher>,
    hang_up: io::Result<Signal>,
}

impl Watched {
    /// Begins to watch the file at `path`, and for `SIGHUP`.
    pub fn new(path: PathBuf) -> Self {
        let (changed, changes) = mpsc::channel(1);
        let watcher = watch_file(&path, changed);
        let hang_up = signal(SignalKind::hangup());
        Self {
            path,
            changes,
            watcher,
            hang_up,
        }
    }
}

/// Reloads the file whenever it changes or the process is told to. A file that is not valid changes
/// nothing and is reported.
pub async fn follow(app: Shared, watched: Watched, mut current: Config, mut stop: Stop) {
    let Watched {
        path,
        mut changes,
        watcher,
        hang_up,
    } = watched;
    // Dropping it ends the watch.
    let _watcher = watcher.map_err(|error| {
        tracing::warn!(%error, "the configuration file is not watched; SIGHUP reloads it");
    });
    let Ok(mut hang_up) = hang_up else {
        tracing::warn!("SIGHUP cannot be received");
        return;
    };
    loop {
        tokio::select! {
            Some(()) = changes.recv() => {
                if !stop.pause(SETTLE).await {
                    return;
                }
                while changes.try_recv().is_ok() {}
            }
            _ = hang_up.recv() => {}
            () = stop.requested() => return,
        }
        if let Some(new) = reload(&app, &path, &current) {
            current = new;
        }
    }
}

fn reload(app: &Shared, path: &Path, current: &Config) -> Option<Config> {
    let new = match Config::load(Some(path), &config::process_environment) {
        Ok(new) => new,
        Err(problems) => {
            tracing::error!(
                file = %path.display(),
                "the configuration is not valid and stays as it was:\n{problems}"
            );
            return None;
        }
    };
    for difference in new.differences(current) {
        tracing::warn!("{difference} takes effect at the next start");
    }
    let now = app.clock.now();
    app.gateway.replace_routes(Arc::new(routes(&new, now)));
    app.ring
        .replace_configured(configured_keys(&new, app.ring.hasher(), now));
    tracing::info!(file = %path.display(), "the configuration was reloaded");
    Some(new)
}

/// Watches the file's folder: editors and orchestrators replace the file itself.
fn watch_file(
    path: &Path,
    changed: mpsc::Sender<()>,
) -> notify::Result<notify::RecommendedWatcher> {
    let name = path.file_name().map(ToOwned::to_owned);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        // Kubernetes replaces a mounted file by a link named `..data`.
        let concerns = |path: &PathBuf| {
            path.file_name() == name.as_deref() || path.file_name().is_some_and(|it| it == "..data")
        };
        if !event.kind.is_access() && event.paths.iter().any(concerns) {
            // A full channel means that a reload is due already, a closed one that none is.
            changed.try_send(()).unwrap_or_default();
        }
    })?;
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}
