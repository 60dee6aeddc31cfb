//! Several replicas of one installation: processes with a data directory each, on one PostgreSQL.

use super::client::Client;
use super::postgres::Database;
use super::process::{Installation, Trunkline};

/// The text of a configured key that may administer, on every replica.
pub(crate) const OPERATOR_KEY: &str = "the-key-of-an-operator";

pub(crate) struct Fleet {
    pub(crate) database: Database,
    pub(crate) homes: Vec<Installation>,
}

impl Fleet {
    /// So many replicas of the configuration, none of which runs. What it says ends with its keys.
    pub(crate) async fn of(count: usize, configuration: &str) -> Self {
        let database = Database::create().await;
        let configuration = Self::shared(configuration, &database.url());
        let homes = (0..count).map(|_| Installation::new(&configuration));
        Self {
            homes: homes.collect(),
            database,
        }
    }

    /// What replicas have in common: their keys, their secret, and their store at `store`.
    pub(crate) fn shared(configuration: &str, store: &str) -> String {
        format!(
            "{configuration}  - {{ name: operator, key: {OPERATOR_KEY}, role: admin }}
server: {{ secret: a-secret-that-all-of-the-replicas-know, drain: 5s }}
store: '{store}'
"
        )
    }

    /// Starts all of them, one after the other.
    pub(crate) async fn start(&self) -> Vec<Trunkline> {
        let mut replicas = Vec::new();
        for home in &self.homes {
            replicas.push(home.start().await);
        }
        replicas
    }

    /// The same, and waits until each knows how many there are.
    pub(crate) async fn start_acquainted(&self) -> Vec<Trunkline> {
        let replicas = self.start().await;
        acquaint(&replicas).await;
        replicas
    }

    /// Stops all of them in order, and removes their database.
    pub(crate) async fn stop(self, replicas: Vec<Trunkline>) {
        for replica in replicas {
            replica.stop().await;
        }
        for home in &self.homes {
            assert!(home.journal().is_empty(), "a replica left something");
        }
        self.database.remove().await;
    }
}

/// Waits until each of `replicas`, of which none was there before, knows how many there are.
pub(crate) async fn acquaint(replicas: &[Trunkline]) {
    if replicas.len() == 1 {
        return;
    }
    let known = format!(
        "the number of replicas has changed\",\"replicas\":{}",
        replicas.len()
    );
    for replica in replicas {
        replica.logged(&known).await;
    }
}

/// A caller who may administer `replica`.
pub(crate) fn operator(replica: &Trunkline) -> Client {
    Client::new(replica.address(), OPERATOR_KEY)
}
