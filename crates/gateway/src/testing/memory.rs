//! A store in memory.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use domain::call::{Call, CallCursor, CallFilter, CallPage, CallStore, Payload, Spend};
use domain::custody::{CustodyStore, FoundTurn, KeptTurn, Place};
use domain::id::{KeyId, RequestId};
use domain::response::{KeptResponse, ResponseId, ResponseStore};
use domain::store_error::StoreError;
use jiff::Timestamp;

/// A store in memory.
#[derive(Default)]
pub(crate) struct Memory {
    calls: Mutex<HashMap<RequestId, Call>>,
    responses: Mutex<HashMap<ResponseId, KeptResponse>>,
    pub(crate) turns: Mutex<HashMap<Place, KeptTurn>>,
    /// How often turns were looked up.
    pub(crate) look_ups: AtomicU32,
    pub(crate) is_down: AtomicBool,
    /// It neither answers nor fails.
    pub(crate) hangs: AtomicBool,
}

impl Memory {
    pub(crate) fn calls(&self) -> HashMap<RequestId, Call> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl CallStore for Memory {
    async fn record_calls(&self, calls: &[Call]) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        let mut known = self.calls.lock().unwrap();
        for call in calls {
            known.entry(call.request_id).or_insert_with(|| call.clone());
        }
        Ok(())
    }

    async fn list_calls(
        &self,
        _: &CallFilter,
        _: Option<CallCursor>,
        _: u32,
    ) -> Result<CallPage, StoreError> {
        Ok(CallPage {
            calls: self.calls().into_values().collect(),
            next: None,
        })
    }

    async fn call(&self, id: RequestId) -> Result<Option<Call>, StoreError> {
        Ok(self.calls().remove(&id))
    }

    async fn spend_by_key(&self, _: Timestamp) -> Result<Vec<Spend>, StoreError> {
        Ok(Vec::new())
    }

    async fn keep_payloads(&self, _: &[Payload]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn payload(&self, _: RequestId) -> Result<Option<Payload>, StoreError> {
        Ok(None)
    }

    async fn drop_expired_payloads(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl ResponseStore for Memory {
    async fn keep_responses(&self, responses: &[KeptResponse]) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        let mut kept = self.responses.lock().unwrap();
        for response in responses {
            kept.entry(response.id.clone())
                .or_insert_with(|| response.clone());
        }
        Ok(())
    }

    async fn response(
        &self,
        id: &ResponseId,
        owner: KeyId,
        now: Timestamp,
    ) -> Result<Option<KeptResponse>, StoreError> {
        let found = self.responses.lock().unwrap().get(id).cloned();
        Ok(found.filter(|kept| kept.key_id == owner && kept.keep_until > now))
    }

    async fn replace_answer(
        &self,
        id: &ResponseId,
        owner: KeyId,
        place: &[u8],
        answer: &[u8],
    ) -> Result<bool, StoreError> {
        let mut kept = self.responses.lock().unwrap();
        let found = kept.get_mut(id);
        let Some(found) = found.filter(|it| it.key_id == owner && it.answer == place) else {
            return Ok(false);
        };
        found.answer = answer.to_vec().into();
        Ok(true)
    }

    async fn delete_response(&self, id: &ResponseId, owner: KeyId) -> Result<bool, StoreError> {
        let mut kept = self.responses.lock().unwrap();
        let is_own = kept.get(id).is_some_and(|kept| kept.key_id == owner);
        Ok(is_own && kept.remove(id).is_some())
    }

    async fn drop_expired_responses(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl CustodyStore for Memory {
    async fn keep_turns(&self, turns: &[KeptTurn]) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        let mut kept = self.turns.lock().unwrap();
        for turn in turns {
            kept.extend(turn.places.iter().map(|place| (*place, turn.clone())));
        }
        Ok(())
    }

    async fn turns(
        &self,
        places: &[Place],
        owner: KeyId,
        now: Timestamp,
        _: u64,
    ) -> Result<Vec<FoundTurn>, StoreError> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.is_down.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        let kept = self.turns.lock().unwrap();
        let mut found: Vec<&KeptTurn> = places.iter().filter_map(|place| kept.get(place)).collect();
        found.dedup();
        found.retain(|turn| turn.key_id == owner && turn.keep_until > now);
        let found = found.into_iter().map(|turn| FoundTurn {
            sealed: turn.sealed.clone(),
            keep_until: turn.keep_until,
        });
        Ok(found.collect())
    }

    async fn drop_expired_turns(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
