//! Another configuration, while calls go on: by a change of the file, or by `SIGHUP`.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{Shared, configured_keys, routes};
use crate::config::{self, Config};
use crate::scope::warn_of_nobody;
use crate::tasks::Stop;
use crate::telemetry::Causes;

/// How often the file is looked at. Looking works where events do not: on network file systems, and in
/// containers whose files are links that are replaced.
const LOOK: Duration = Duration::from_millis(500);
/// Editors write a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(200);

/// A configuration file that is watched. To be watched before it is read, so that no change is missed.
pub struct Watched {
    file: File,
    hang_up: io::Result<Signal>,
}

/// The file and how it was when it was last looked at.
struct File {
    path: PathBuf,
    seen: Option<Stamp>,
}

/// What changes when a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl Watched {
    /// Begins to watch the file at `path`, and for `SIGHUP`.
    pub fn new(path: PathBuf) -> Self {
        let hang_up = signal(SignalKind::hangup());
        let seen = stamp(&path);
        Self {
            file: File { path, seen },
            hang_up,
        }
    }
}

impl File {
    /// Waits until the file has changed and was left alone for [`SETTLE`].
    async fn changed(&mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let mut now = stamp(&self.path);
            if now == self.seen {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLE).await;
                let settled = stamp(&self.path);
                if settled == now {
                    break;
                }
                now = settled;
            }
            self.seen = now;
            // A file that is gone is being replaced; what it was stays in force until then.
            if now.is_some() {
                return;
            }
        }
    }
}

/// Reloads the file whenever it changes or the process is told to. A file that is not valid changes
/// nothing and is reported.
pub async fn follow(app: Shared, watched: Watched, mut current: Config, mut stop: Stop) {
    let Watched { mut file, hang_up } = watched;
    let Ok(mut hang_up) = hang_up else {
        tracing::warn!("SIGHUP cannot be received");
        return;
    };
    loop {
        tokio::select! {
            () = file.changed() => {}
            _ = hang_up.recv() => file.seen = stamp(&file.path),
            () = stop.requested() => return,
        }
        if let Some(new) = reload(&app, &file.path, &current).await {
            current = new;
        }
    }
}

async fn reload(app: &Shared, path: &Path, current: &Config) -> Option<Config> {
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
    if let Err(error) = app.limit_desk.reconfigure(new.limits(now)).await {
        tracing::error!(
            error = %Causes(&error),
            "the store does not say what was spent; the configuration stays as it was"
        );
        return None;
    }
    let health = Arc::clone(app.gateway.routes().health());
    let routes = routes(&new, now).knowing(health);
    app.gateway.replace_routes(Arc::new(routes));
    app.ring
        .replace_configured(configured_keys(&new, app.ring.hasher(), now));
    warn_of_nobody(&new.limits(now), &app.ring, &app.store).await;
    tracing::info!(file = %path.display(), "the configuration was reloaded");
    Some(new)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: file.modified().ok()?,
        length: file.len(),
        inode: file.ino(),
    })
}
