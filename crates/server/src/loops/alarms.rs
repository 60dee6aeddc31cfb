//! What operators are told of: limits that are used up, and prompt-cache writes that nobody reads.

use domain::event::{Event, EventStore};
use gateway::limits::Alert;
use gateway::prompt_cache::UnreadWrites;
use tokio::sync::mpsc;

use crate::app::{App, Shared};
use crate::tasks::Stop;
use crate::telemetry::Causes;

/// Tells operators of limits that are used up to a part that they want to hear of.
pub(super) async fn tell_of_alerts(app: Shared, mut alerts: mpsc::Receiver<Alert>, mut stop: Stop) {
    loop {
        let alert = tokio::select! {
            alert = alerts.recv() => alert,
            () = stop.requested() => return,
        };
        let Some(alert) = alert else { return };
        let event = alert.event(app.clock.now(), &*app.entropy);
        if !is_news(&app, &event).await {
            continue;
        }
        let spent = alert.spent();
        app.telemetry.alerted(alert.percent, spent.is_some());
        let what = if spent.is_some() { "budget" } else { "limit" };
        tracing::warn!(
            limit_id = %alert.limit.id,
            limit = alert.limit.name,
            subject = %alert.subject,
            percent = alert.percent,
            spent_usd = spent.map(tracing::field::display),
            "a {what} of {} is used up to {} %",
            alert.limit.bound,
            alert.percent,
        );
    }
}

/// Tells operators of what was written into vendors' prompt caches and nobody reads.
pub(super) async fn tell_of_unread_writes(
    app: Shared,
    mut unread_writes: mpsc::Receiver<UnreadWrites>,
    mut stop: Stop,
) {
    loop {
        let unread = tokio::select! {
            unread = unread_writes.recv() => unread,
            () = stop.requested() => return,
        };
        let Some(unread) = unread else { return };
        let event = unread.event(app.clock.now(), &*app.entropy);
        if is_news(&app, &event).await {
            tracing::warn!(
                key_id = %unread.key_id,
                name = unread.name,
                provider = %unread.provider,
                model = unread.model,
                written_tokens = unread.written_tokens,
                unread_tokens = unread.unread_tokens,
                "of {} tokens that were written into a prompt cache on {}, nobody has read {}",
                unread.written_tokens,
                unread.day,
                unread.unread_tokens,
            );
        }
    }
}

/// Keeps an event; answers whether it was not kept before, by this process or another.
async fn is_news(app: &App, event: &Event) -> bool {
    match app.store.record_event(event).await {
        Ok(is_first) => is_first,
        Err(error) => {
            tracing::warn!(
                error = %Causes(&error),
                "an event cannot be kept; it is told here only"
            );
            true
        }
    }
}
