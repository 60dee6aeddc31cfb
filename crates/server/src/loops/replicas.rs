//! What a replica does because there may be others.

use std::path::PathBuf;
use std::time::Duration;

use domain::fleet::BEAT;
use fleet::Counters;
use gateway::limits::EXCHANGE_PAUSE;

use crate::adoption;
use crate::app::Shared;
use crate::tasks::Stop;
use crate::telemetry::Causes;

/// How often journals are looked for whose replicas are gone.
const ADOPTION_PAUSE: Duration = Duration::from_secs(2);

/// Says again and again that this replica lives, and looks who else does. A replica that stops says so.
pub(super) async fn follow_replicas(app: Shared, mut stop: Stop) {
    let mut has_failed = false;
    let mut known = 1;
    loop {
        let replicas = app.replicas.count();
        if std::mem::replace(&mut known, replicas) != replicas {
            tracing::info!(replicas, "the number of replicas has changed");
        }
        if !stop.pause(BEAT).await {
            break;
        }
        match app.replicas.beat(app.clock.now()).await {
            Ok(()) => has_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(error = %Causes(&error), "it cannot be seen which replicas live");
                }
            }
        }
    }
    if let Err(error) = app.replicas.leave().await {
        let error = Causes(&error);
        tracing::debug!(%error, "the replica is forgotten when it has been silent for long");
    }
}

/// Where journals may lie that replicas left.
pub struct Adoption {
    /// The journal of this replica's own data directory, which it may share with others.
    pub own: PathBuf,
    /// Folders of others.
    pub others: Vec<PathBuf>,
}

/// Takes over the journals of replicas that are gone, wherever this one can see them.
pub async fn adopt_journals(app: Shared, places: Adoption, mut stop: Stop) {
    let mut has_failed = false;
    while stop.pause(ADOPTION_PAUSE).await {
        let now = app.clock.now();
        match adoption::adopt(&places.own, &places.others, &app.store, now).await {
            Ok(found) if found.replicas.is_empty() => has_failed = false,
            Ok(found) => {
                tracing::info!(?found, "took over what a replica left that is gone");
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(error = %Causes(&error), "journals of other replicas cannot be taken over for now");
                }
            }
        }
    }
}

/// Exchanges shares of what limits count with the other replicas: at once when a call waits for more, and every
/// now and then. When it is time to stop, what is not used is given back.
pub(super) async fn exchange_shares(app: Shared, counters: Counters, mut stop: Stop) {
    let replica = app.replicas.id();
    let mut has_failed = false;
    let mut goes_on = true;
    while goes_on {
        tokio::select! {
            () = app.limits.share_wanted() => {}
            again = stop.pause(EXCHANGE_PAUSE) => goes_on = again,
        }
        let replicas = app.replicas.count();
        counters.replicas_seen(replicas);
        app.limits.replicas_seen(replicas.into());
        match app.limits.exchange(&counters, replica).await {
            // Nothing was said, so nothing is known.
            Ok(0) => {}
            Ok(_) => {
                if std::mem::take(&mut has_failed) {
                    tracing::info!("limits are shared with the other replicas again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut has_failed, true) {
                    tracing::warn!(
                        error = %Causes(&error),
                        replicas,
                        "limits cannot be shared for now: this replica gives out its part of what is left"
                    );
                }
            }
        }
    }
    if let Err(error) = app.limits.give_back(&counters, replica).await {
        let error = Causes(&error);
        tracing::debug!(%error, "what this replica holds of limits is the others' when its lease is over");
    }
}
