//! What journals hold that the store does not have yet. Nothing is changed, and no journal is taken over.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use domain::call::CallStore;
use domain::id::RequestId;
use domain::money::Cost;
use serde::Serialize;

use super::journal::{self, Position};
use super::record::Record;
use super::recovery::RecoveryError;

/// Records that are read together.
const BATCH: usize = 500;

/// What journals hold that the store does not have yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Outstanding {
    /// Calls that have ended.
    pub ended: u64,
    /// What these cost.
    #[serde(rename = "cost_usd")]
    pub cost: Cost,
    /// Calls that have not ended.
    pub open: u64,
}

/// Looks through every journal in `directory`, whether its process lives or not. What is recorded meanwhile
/// counts, or does not.
pub async fn outstanding(
    directory: &Path,
    store: &dyn CallStore,
) -> Result<Outstanding, RecoveryError> {
    let mut found = Outstanding::default();
    let mut open: HashSet<RequestId> = HashSet::new();
    let mut ended: HashSet<RequestId> = HashSet::new();
    for (segment, path) in segments(directory)? {
        let mut from = Position { segment, offset: 0 };
        loop {
            let mut records = Vec::new();
            let to = match journal::read_segment(&path, from, BATCH, &mut records) {
                // Its calls are in the store.
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                read => read?,
            };
            for placed in records {
                match placed.record {
                    Record::Intent(intent) => {
                        open.insert(intent.request_id);
                    }
                    Record::Attempt(_) => {}
                    Record::End(end) => {
                        let id = end.call.request_id;
                        if ended.insert(id) && store.call(id).await?.is_none() {
                            found.ended += 1;
                            let cost = end.call.cost_usd.unwrap_or_default();
                            found.cost = found.cost.saturating_add(cost);
                        }
                    }
                }
            }
            if to == from {
                break;
            }
            from = to;
        }
    }
    found.open = open.difference(&ended).count() as u64;
    Ok(found)
}

/// The segments of every journal, with their numbers.
fn segments(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut segments = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|name| name.rsplit_once('-'))
            .and_then(|(_, number)| number.parse().ok());
        if let Some(number) = number {
            segments.push((number, path));
        }
    }
    Ok(segments)
}
