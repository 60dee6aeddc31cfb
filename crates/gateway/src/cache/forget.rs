//! Forgetting answers: here, where replicas share them, and at the other replicas.

use domain::cache::{CacheTenant, Forgotten, ForgottenMark};
use domain::fleet::SharedStateError;
use domain::id::RequestId;

use super::Cache;

/// What became of an answer that was found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evicted {
    /// It is forgotten.
    Here,
    /// This process does not know it. The other replicas were told: the one that does forgets it for all.
    Told,
    /// Nobody knows it.
    Unknown,
}

impl Cache {
    /// Forgets what is kept for `tenant`, here and where replicas share it, and tells the other replicas; answers
    /// how much stood in this process.
    pub async fn purge(&self, tenant: CacheTenant) -> Result<u64, SharedStateError> {
        let shared = match &self.shared {
            Some(shared) => shared.purge(tenant).await.map(|_| ()),
            None => Ok(()),
        };
        // Afterwards: what is not shared any more does not come back from there.
        let purged = self.forget(&tenant.into());
        shared?;
        self.tell(&tenant.into()).await?;
        Ok(purged)
    }

    /// Forgets the answer that `request` got or gave, which was found wrong, here and at the other replicas. Where
    /// this process knows of none of `tenant`, the others are told to look.
    pub async fn evict(
        &self,
        request: RequestId,
        tenant: CacheTenant,
    ) -> Result<Evicted, SharedStateError> {
        if self.evict_known(request, tenant).await {
            return Ok(Evicted::Here);
        }
        if self.shared.is_none() {
            return Ok(Evicted::Unknown);
        }
        self.tell(&Forgotten::ToCall(tenant, request)).await?;
        Ok(Evicted::Told)
    }

    async fn evict_known(&self, request: RequestId, tenant: CacheTenant) -> bool {
        let removed = self.answered_by.remove_if(&request, |key| tenant.has(key));
        let Some((_, key)) = removed else {
            return false;
        };
        if let Some(shared) = &self.shared {
            self.heard(shared.remove(&key).await);
        }
        self.forget(&key.into());
        self.heard(self.tell(&key.into()).await);
        true
    }

    /// Forgets what other replicas have told since `mark`, and answers how far that is. Called again and again,
    /// the first time without a mark; `None` where nothing is shared.
    pub async fn follow(
        &self,
        mark: Option<&ForgottenMark>,
    ) -> Result<Option<ForgottenMark>, SharedStateError> {
        let Some(shared) = &self.shared else {
            return Ok(None);
        };
        let (told, mark) = shared.told(mark).await?;
        for what in &told {
            if let Forgotten::ToCall(tenant, request) = *what {
                self.evict_known(request, tenant).await;
            } else {
                self.forget(what);
            }
        }
        Ok(Some(mark))
    }

    /// Forgets what stands in this process; answers how many answers that were.
    fn forget(&self, what: &Forgotten) -> u64 {
        let before = self.memory.len();
        self.memory.retain(|key, _| !what.has(key));
        if let Some(semantic) = &self.semantic {
            semantic.forget(|key| what.has(key));
        }
        before.saturating_sub(self.memory.len()) as u64
    }

    async fn tell(&self, what: &Forgotten) -> Result<(), SharedStateError> {
        match &self.shared {
            Some(shared) => shared.tell(what).await,
            None => Ok(()),
        }
    }
}
