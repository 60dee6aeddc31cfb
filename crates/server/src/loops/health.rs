//! Providers are probed, and canaries sent, where the configuration wants it.

use std::sync::Arc;
use std::time::Duration;

use domain::fleet::{Alone, Election};
use fleet::SharedElection;
use futures_util::{StreamExt, stream};
use gateway::health::{CanaryRules, ProbeRules};
use gateway::routes::ResolvedTarget;

use crate::app::{App, Shared};
use crate::tasks::Stop;

/// How often it is looked whether the configuration wants probes by now.
const LOOK: Duration = Duration::from_secs(5);
/// How often targets are looked for that nobody asks.
const CANARY_PAUSE: Duration = Duration::from_secs(2);
/// Providers that are probed at the same time.
const PROBES: usize = 8;
/// What the replica is called that sends canaries.
const OFFICE: &str = "canaries";
/// For how long it is elected: longer than a canary may take.
const TERM: Duration = Duration::from_mins(1);

/// Probes every provider, as often as the configuration says. Every replica does so for itself: it costs
/// nothing, and each has a way to the provider of its own.
pub async fn probe_providers(app: Shared, mut stop: Stop) {
    loop {
        let pause = match app.gateway.routes().policy().health.probes {
            None => LOOK,
            Some(rules) => {
                tokio::select! {
                    () = probe_all(&app, rules) => {}
                    () = stop.requested() => return,
                }
                rules.interval
            }
        };
        if !stop.pause(pause).await {
            return;
        }
    }
}

async fn probe_all(app: &App, rules: ProbeRules) {
    let routes = app.gateway.routes();
    let providers = stream::iter(routes.providers().map(Arc::clone).collect::<Vec<_>>());
    providers
        .for_each_concurrent(PROBES, |provider| async move {
            app.gateway.probe(&provider, rules).await;
        })
        .await;
}

/// Sends canaries to targets that nobody asks, on one replica of the fleet.
pub async fn send_canaries(app: Shared, mut stop: Stop) {
    let began = app.clock.moment();
    let election: Box<dyn Election> = match &app.shared {
        Some(shared) => Box::new(SharedElection::new(shared, app.replicas.id())),
        None => Box::new(Alone),
    };
    while stop.pause(CANARY_PAUSE).await {
        let Some(rules) = app.gateway.routes().policy().health.canary else {
            continue;
        };
        let caller = rules.caller();
        for target in app.gateway.idle_targets(rules, began) {
            let sent = async {
                if !is_elected(&app, &*election).await {
                    return false;
                }
                is_asked_elsewhere(&app, rules, &target).await
                    || app.gateway.send_canary(&caller, &target).await
            };
            tokio::select! {
                goes_on = sent => if !goes_on { break },
                () = stop.requested() => return resign(&*election).await,
            }
        }
    }
    resign(&*election).await;
}

/// Whether other replicas ask the target. When the ledger cannot be asked, it is taken for asked: a canary costs money.
async fn is_asked_elsewhere(app: &App, rules: CanaryRules, target: &ResolvedTarget) -> bool {
    if app.shared.is_none() {
        return false;
    }
    let asked = app
        .gateway
        .is_asked_elsewhere(rules, target, &app.store)
        .await;
    asked.unwrap_or_else(|error| {
        tracing::debug!(%error, "it is not known whether other replicas ask a target");
        true
    })
}

/// Whether this replica sends canaries. Those that share nothing leave it to the oldest; when what they share
/// cannot be asked, nobody sends any.
async fn is_elected(app: &App, election: &dyn Election) -> bool {
    let is_elected = election.stand(OFFICE, TERM).await.unwrap_or_else(|error| {
        tracing::debug!(%error, "no replica can be elected to send canaries");
        false
    });
    is_elected && app.replicas.unshared().is_none()
}

async fn resign(election: &dyn Election) {
    if let Err(error) = election.resign(OFFICE).await {
        tracing::debug!(%error, "another replica sends canaries when this one's term is over");
    }
}
