//! A store in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use domain::adjustment::{
    Adjusted, Adjustment, AdjustmentFilter, AdjustmentStore, HourApart, SpendTotal,
};
use domain::call::{Call, CallCursor, CallFilter, CallPage, CallStore, Payload, ShadowPair, Spend};
use domain::custody::{CustodyStore, FoundTurn, KeptTurn, Place};
use domain::id::{KeyId, RequestId};
use domain::money::Cost;
use domain::response::{KeptResponse, ResponseId, ResponseStore};
use domain::store_error::StoreError;
use jiff::Timestamp;

/// A store in memory.
#[derive(Default)]
pub(crate) struct Memory {
    calls: Mutex<HashMap<RequestId, Call>>,
    payloads: Mutex<HashMap<RequestId, Payload>>,
    adjustments: Mutex<Vec<Adjustment>>,
    miscounts: Mutex<Vec<fn(&mut SpendTotal)>>,
    hours_apart: Mutex<Vec<HourApart>>,
    responses: Mutex<HashMap<ResponseId, KeptResponse>>,
    /// Those of them in whose place another was put.
    replaced: Mutex<HashSet<ResponseId>>,
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

    pub(crate) fn adjustments(&self) -> Vec<Adjustment> {
        self.adjustments.lock().unwrap().clone()
    }

    /// Changes every adjustment behind everybody's back.
    pub(crate) fn change_adjustment(&self, change: fn(&mut Adjustment)) {
        self.adjustments.lock().unwrap().iter_mut().for_each(change);
    }

    /// Has an hour whose sum is wrong.
    pub(crate) fn tell_apart(&self, hour: HourApart) {
        self.hours_apart.lock().unwrap().push(hour);
    }

    /// From here on, it adds up wrongly.
    pub(crate) fn miscount(&self, change: fn(&mut SpendTotal)) {
        self.miscounts.lock().unwrap().push(change);
    }
}

#[async_trait]
impl AdjustmentStore for Memory {
    async fn add_adjustments(&self, adjustments: &[Adjustment]) -> Result<u64, StoreError> {
        let mut known = self.adjustments.lock().unwrap();
        let before = known.len();
        for adjustment in adjustments {
            let place = |it: &Adjustment| (it.request_id, it.number);
            if !known.iter().any(|it| place(it) == place(adjustment)) {
                known.push(adjustment.clone());
            }
        }
        Ok((known.len() - before) as u64)
    }

    async fn adjusted(&self, ids: &[RequestId]) -> Result<Vec<Adjusted>, StoreError> {
        let known = self.adjustments();
        let adjusted = ids.iter().filter_map(|id| {
            let of_call = known.iter().filter(|it| it.request_id == *id);
            let last = of_call.clone().max_by_key(|it| it.number)?;
            Some(Adjusted {
                request_id: *id,
                amount: of_call.map(|it| it.amount).sum(),
                last_number: last.number,
                price_source: last.new_price_source.clone(),
            })
        });
        Ok(adjusted.collect())
    }

    async fn list_adjustments(
        &self,
        _: &AdjustmentFilter,
        _: Option<(RequestId, u32)>,
        _: u32,
    ) -> Result<Vec<Adjustment>, StoreError> {
        Ok(self.adjustments())
    }

    async fn spend_totals(
        &self,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Vec<SpendTotal>, StoreError> {
        const DAY: i64 = 24 * 60 * 60;
        let mut totals: Vec<SpendTotal> = Vec::new();
        for call in self.calls().into_values() {
            let day = call.started_at.as_second().div_euclid(DAY);
            let is_here = |it: &SpendTotal| (it.key_id, it.day) == (call.key_id, day);
            let place = totals.iter().position(is_here).unwrap_or_else(|| {
                totals.push(SpendTotal {
                    key_id: call.key_id,
                    project_id: call.project_id,
                    day,
                    calls: 0,
                    cost: Cost::ZERO,
                    adjusted: Cost::ZERO,
                    input_tokens: 0,
                    output_tokens: 0,
                });
                totals.len() - 1
            });
            let total = &mut totals[place];
            total.calls += 1;
            total.cost = total.cost.saturating_add(call.cost_usd.unwrap_or_default());
            total.input_tokens += call.usage.input_tokens;
            total.output_tokens += call.usage.output_tokens;
        }
        for adjustment in self.adjustments() {
            let day = adjustment.started_at.as_second().div_euclid(DAY);
            for total in &mut totals {
                if (total.key_id, total.day) == (adjustment.key_id, day) {
                    total.adjusted = total.adjusted.saturating_add(adjustment.amount);
                }
            }
        }
        for change in self.miscounts.lock().unwrap().iter() {
            totals.iter_mut().for_each(change);
        }
        Ok(totals)
    }

    async fn hours_apart(
        &self,
        since: Timestamp,
        until: Timestamp,
        _: u32,
    ) -> Result<Vec<HourApart>, StoreError> {
        let hours = self.hours_apart.lock().unwrap();
        let is_meant = |hour: &&HourApart| (since..until).contains(&hour.starts_at);
        Ok(hours.iter().filter(is_meant).copied().collect())
    }

    async fn doubled_calls(&self, _: u32) -> Result<Vec<RequestId>, StoreError> {
        Ok(Vec::new())
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

    /// Of the filter, tenants and the time are looked at; all calls are on one page.
    async fn list_calls(
        &self,
        filter: &CallFilter,
        _: Option<CallCursor>,
        _: u32,
    ) -> Result<CallPage, StoreError> {
        let is_meant = |call: &Call| {
            filter
                .organization_id
                .is_none_or(|id| id == call.organization_id)
                && filter.project_id.is_none_or(|id| id == call.project_id)
                && filter.key_id.is_none_or(|id| id == call.key_id)
                && filter.user_id.is_none_or(|id| Some(id) == call.user_id)
                && filter.since.is_none_or(|since| call.started_at >= since)
        };
        let mut calls: Vec<Call> = self.calls().into_values().filter(is_meant).collect();
        calls.sort_by_key(|call| std::cmp::Reverse((call.started_at, call.request_id)));
        Ok(CallPage { calls, next: None })
    }

    async fn call(&self, id: RequestId) -> Result<Option<Call>, StoreError> {
        Ok(self.calls().remove(&id))
    }

    async fn shadows(
        &self,
        _: KeyId,
        _: Timestamp,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<ShadowPair>, StoreError> {
        Ok(Vec::new())
    }

    async fn spend_by_key(&self, _: Timestamp) -> Result<Vec<Spend>, StoreError> {
        Ok(Vec::new())
    }

    async fn keep_payloads(&self, payloads: &[Payload]) -> Result<(), StoreError> {
        let payloads = payloads.iter().map(|it| (it.request_id, it.clone()));
        self.payloads.lock().unwrap().extend(payloads);
        Ok(())
    }

    async fn payload(&self, id: RequestId) -> Result<Option<Payload>, StoreError> {
        Ok(self.payloads.lock().unwrap().get(&id).cloned())
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
        self.replaced.lock().unwrap().insert(id.clone());
        Ok(true)
    }

    async fn unreplaced(&self, ids: &[ResponseId]) -> Result<Vec<ResponseId>, StoreError> {
        let (kept, replaced) = (
            self.responses.lock().unwrap(),
            self.replaced.lock().unwrap(),
        );
        let ids = ids.iter();
        let is_unreplaced = |id: &&ResponseId| kept.contains_key(*id) && !replaced.contains(*id);
        Ok(ids.filter(is_unreplaced).cloned().collect())
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
