//! Settles what a process that is gone left open.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use domain::call::{Attempt, Call, CallState, CallStore};
use domain::id::{ReplicaId, RequestId};
use domain::store_error::StoreError;
use jiff::Timestamp;

use super::journal::{self, Orphan, Position};
use super::record::{Intent, Record};

/// Calls that are recorded together.
const BATCH: usize = 500;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The replicas that are gone, one for each journal.
    pub replicas: Vec<ReplicaId>,
    /// Calls that had ended; the store may have had them already.
    pub ended: u64,
    /// Calls that were sent and had not ended: recorded as estimated.
    pub interrupted: u64,
    /// Calls that were never sent: recorded as failed, at no cost.
    pub unsent: u64,
}

/// Why a journal could not be settled. It stays as it is, for the next start.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] io::Error),
    /// The store did not take what is in it.
    #[error("the journal cannot be written to the store")]
    Store(#[from] StoreError),
}

/// Adopts every journal in `directory` that no living process holds, brings its calls into the store,
/// and deletes it. Doing it twice does no harm.
pub async fn recover(
    directory: &Path,
    store: &dyn CallStore,
    now: Timestamp,
) -> Result<Recovered, RecoveryError> {
    let mut found = Recovered::default();
    for orphan in Orphan::find_all(directory)? {
        settle(&orphan, store, now, &mut found).await?;
        found.replicas.push(orphan.replica());
        orphan.delete()?;
    }
    Ok(found)
}

async fn settle(
    orphan: &Orphan,
    store: &dyn CallStore,
    now: Timestamp,
    found: &mut Recovered,
) -> Result<(), RecoveryError> {
    let mut open: HashMap<RequestId, (Intent, Vec<Attempt>)> = HashMap::new();
    for (segment, path) in orphan.segments()? {
        let mut from = Position { segment, offset: 0 };
        loop {
            let mut records = Vec::new();
            let to = journal::read_segment(&path, from, BATCH, &mut records)?;
            let mut ended = Vec::new();
            for placed in records {
                match placed.record {
                    Record::Intent(intent) => {
                        open.insert(intent.request_id, (*intent, Vec::new()));
                    }
                    Record::Attempt(dispatch) => {
                        if let Some((_, attempts)) = open.get_mut(&dispatch.request_id) {
                            attempts.push(dispatch.attempt);
                        }
                    }
                    Record::End(end) => {
                        open.remove(&end.call.request_id);
                        ended.push(end.call);
                    }
                }
            }
            found.ended += ended.len() as u64;
            record(store, &ended).await?;
            if to == from {
                break;
            }
            from = to;
        }
    }
    let interrupted: Vec<Call> = open
        .into_values()
        .map(|(intent, attempts)| intent.interrupted(attempts, now))
        .collect();
    let unsent = interrupted
        .iter()
        .filter(|call| call.state == CallState::Failed)
        .count() as u64;
    found.unsent += unsent;
    found.interrupted += interrupted.len() as u64 - unsent;
    for calls in interrupted.chunks(BATCH) {
        record(store, calls).await?;
    }
    Ok(())
}

async fn record(store: &dyn CallStore, calls: &[Call]) -> Result<(), StoreError> {
    if calls.is_empty() {
        Ok(())
    } else {
        store.record_calls(calls).await
    }
}
