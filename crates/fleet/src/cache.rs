//! Answers that replicas share.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::cache::{CacheKey, CacheTenant, Forgotten, ForgottenMark, SharedCache};
use domain::fleet::SharedStateError;

use crate::connection::Shared;

/// How long it is waited for what no caller waits for.
const BOUND: Duration = Duration::from_secs(1);
/// How many keys one step of a purge looks at (<https://valkey.io/commands/scan/>).
const STEP: usize = 1_000;

/// How much is kept of what replicas tell each other to forget, about
/// (<https://valkey.io/commands/xadd/>).
const MAX_TOLD: usize = 1_000;

/// An entry of a stream: its identifier, and its fields with their values.
type Told = (String, Vec<String>);

/// Answers that replicas share: a key for each, with the tenant in its name, that ends by itself.
#[derive(Clone)]
pub struct Answers {
    shared: Shared,
    patience: Duration,
}

impl Answers {
    /// Answers at `shared`; a look-up takes at most `patience`. The connection should be one of its own: who
    /// waits this shortly finds a server away that is only slow, and then all who share the connection rest.
    pub fn new(shared: Shared, patience: Duration) -> Self {
        Self { shared, patience }
    }

    fn name(&self, key: &CacheKey) -> String {
        self.shared.key(format_args!("cache:{key}"))
    }

    /// The stream of what is to be forgotten. No purge takes it for an answer, whose name has more parts.
    fn forgotten(&self) -> String {
        self.shared.key("forgotten")
    }
}

#[async_trait]
impl SharedCache for Answers {
    async fn get(&self, key: &CacheKey) -> Result<Option<Bytes>, SharedStateError> {
        let mut command = redis::cmd("GET");
        command.arg(self.name(key));
        let found: Option<Vec<u8>> = self.shared.ask(&command, self.patience).await?;
        Ok(found.map(Bytes::from))
    }

    async fn put(
        &self,
        key: &CacheKey,
        value: Bytes,
        ttl: Duration,
    ) -> Result<(), SharedStateError> {
        let milliseconds = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("SET");
        command
            .arg(self.name(key))
            .arg(&*value)
            .arg("PX")
            .arg(milliseconds);
        self.shared.ask(&command, BOUND).await
    }

    async fn remove(&self, key: &CacheKey) -> Result<(), SharedStateError> {
        let mut command = redis::cmd("UNLINK");
        command.arg(self.name(key));
        let _removed: u64 = self.shared.ask(&command, BOUND).await?;
        Ok(())
    }

    async fn purge(&self, tenant: CacheTenant) -> Result<u64, SharedStateError> {
        let organization = tenant
            .organization_id
            .map_or_else(|| "*".to_owned(), |id| id.to_string());
        let project = tenant
            .project_id
            .map_or_else(|| "*".to_owned(), |id| id.to_string());
        let pattern = self
            .shared
            .key(format_args!("cache:{organization}:{project}:*"));
        let mut purged = 0;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(STEP);
            let (next, names): (u64, Vec<String>) = self.shared.ask(&scan, BOUND).await?;
            if !names.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(&names);
                let removed: u64 = self.shared.ask(&unlink, BOUND).await?;
                purged += removed;
            }
            if next == 0 {
                return Ok(purged);
            }
            cursor = next;
        }
    }

    async fn tell(&self, what: &Forgotten) -> Result<(), SharedStateError> {
        let mut command = redis::cmd("XADD");
        command
            .arg(self.forgotten())
            .arg("MAXLEN")
            .arg("~")
            .arg(MAX_TOLD)
            .arg("*")
            .arg("what")
            .arg(what.to_string());
        let _identifier: String = self.shared.ask(&command, BOUND).await?;
        Ok(())
    }

    async fn told(
        &self,
        mark: Option<&ForgottenMark>,
    ) -> Result<(Vec<Forgotten>, ForgottenMark), SharedStateError> {
        let Some(mark) = mark else {
            let mut last = redis::cmd("XREVRANGE");
            last.arg(self.forgotten())
                .arg("+")
                .arg("-")
                .arg("COUNT")
                .arg(1);
            let last: Vec<Told> = self.shared.ask(&last, BOUND).await?;
            let beginning = || "0-0".to_owned();
            let identifier = last
                .into_iter()
                .next()
                .map_or_else(beginning, |told| told.0);
            return Ok((Vec::new(), ForgottenMark(identifier)));
        };
        let mut command = redis::cmd("XRANGE");
        command
            .arg(self.forgotten())
            .arg(format!("({}", mark.0))
            .arg("+");
        let told: Vec<Told> = self.shared.ask(&command, BOUND).await?;
        let last = told.last().map(|(identifier, _)| identifier.clone());
        let what = |(_, fields): &Told| fields.get(1)?.parse().ok();
        let forgotten = told.iter().filter_map(what).collect();
        Ok((forgotten, last.map_or_else(|| mark.clone(), ForgottenMark)))
    }
}
