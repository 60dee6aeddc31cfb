//! Journals that other replicas left: where they are looked for, and what is done with them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use domain::fleet::ReplicaStore;
use gateway::ledger::recovery::{self, Recovered, RecoveryError};
use jiff::Timestamp;
use store::Store;

/// Folders of data directories that are looked into, of each that `ledger.adopt` names.
const MAX_FOLDERS: usize = 1_000;

/// Settles what replicas left that are gone, in `own` and below every folder of `adopt`, and forgets them.
/// A journal whose process lives is locked, and is left alone.
pub async fn adopt(
    own: &Path,
    adopt: &[PathBuf],
    store: &Store,
    now: Timestamp,
) -> Result<Recovered, RecoveryError> {
    let mut found = recovery::recover(own, store, now).await?;
    for folder in adopt {
        for journal in journals(folder)? {
            let more = recovery::recover(&journal, store, now).await?;
            found.replicas.extend(more.replicas);
            found.ended += more.ended;
            found.interrupted += more.interrupted;
            found.unsent += more.unsent;
        }
    }
    for replica in &found.replicas {
        store.forget_replica(*replica).await?;
    }
    Ok(found)
}

/// The journals of the data directory `folder`, or of the data directories in it.
fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = vec![folder.join("journal")];
    let entries = match fs::read_dir(folder) {
        // The volume may be mounted later.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    for entry in entries.take(MAX_FOLDERS) {
        journals.push(entry?.path().join("journal"));
    }
    journals.retain(|journal| journal.is_dir());
    Ok(journals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_and_a_folder_of_them_are_both_looked_into() {
        let folder =
            std::env::temp_dir().join(format!("trunkline-adoption-{}", std::process::id()));
        for path in ["journal", "replica-0/journal", "replica-1/journal", "media"] {
            fs::create_dir_all(folder.join(path)).unwrap();
        }
        let mut found = journals(&folder).unwrap();
        found.sort();
        let expected = ["journal", "replica-0/journal", "replica-1/journal"];
        assert_eq!(found, expected.map(|path| folder.join(path)));
        assert!(journals(&folder.join("none")).unwrap().is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
