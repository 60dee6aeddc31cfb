use std::collections::HashSet;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use domain::call::{AttemptReason, Call, CallState, CallStore, EndReason, Face, Operation};
use domain::clock::Moment;
use domain::id::RequestId;
use domain::key::Rate;
use domain::money::Cost;
use domain::usage::Usage;

use super::journal::Limits as Bounds;
use super::outstanding::{Outstanding, outstanding};
use super::recovery::{Recovered, recover};
use super::*;
use crate::limits::Limits;
use crate::testing::{Directory, Hand, Heard, Memory, caller, expecting, replica, request_id, run};

const ROOMY: Bounds = Bounds {
    max_bytes: 1 << 30,
    segment_bytes: 64 * 1024,
};

impl Ledger {
    /// From here on, nothing can be written down.
    pub(crate) fn break_journal(&self) {
        self.journal.close_for_good();
    }
}

fn ledger(directory: &Directory, limits: Bounds) -> Arc<Ledger> {
    let clock = Arc::new(Hand::default());
    let heard = Arc::new(Heard::default());
    let path = directory.path();
    Arc::new(Ledger::new(path, replica(), Sync::Periodic, limits, clock, heard).unwrap())
}

fn opening() -> Opening {
    let caller = caller(Rate::default(), None);
    let (limits, _alerts) = Limits::new(Arc::new(Hand::default()), false);
    let admission = limits.admit_now(&caller, expecting(10, Some(5))).unwrap();
    Opening {
        request_id: request_id(),
        client_request_id: None,
        batch_id: None,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        received: Moment::at(Duration::ZERO),
        operation: Operation::Chat,
        face: Face::OpenaiChat,
        streamed: false,
        request_model: "fast".parse().unwrap(),
        route: None,
        variant: None,
        shadow_of: None,
        caller,
        estimate: Usage::text(10, 5),
        priced: None,
        facts: None,
        admission,
        traceparent: None,
    }
}

fn dispatch(call: &mut OpenCall) {
    let sending = call.dispatch("sim".parse().unwrap(), "gpt", AttemptReason::First);
    run(&Hand::default(), sending).unwrap();
}

fn sent(ledger: &Arc<Ledger>) -> Box<OpenCall> {
    let mut call = ledger.open(opening()).unwrap();
    dispatch(&mut call);
    call
}

/// Makes a call, ends it, and says which.
fn a_call(ledger: &Arc<Ledger>) -> RequestId {
    let call = sent(ledger);
    let id = call.request_id();
    call.end(&Ending::Answered);
    id
}

/// Brings everything that waits into the store, as the server's loop does, and lets the journal go.
fn store_everything(ledger: &Ledger, store: &mut Vec<RequestId>) {
    ledger.write_ends();
    loop {
        let batch = ledger.take_batch(100).unwrap();
        if batch.is_empty() {
            return;
        }
        store.extend(batch.calls().iter().map(|call| call.request_id));
        let receipt = ledger.recorded(batch);
        ledger.release(&[receipt]).unwrap();
    }
}

#[test]
fn a_wall_clock_that_is_set_loses_no_call_and_makes_none_longer_or_shorter() {
    for hours in [-1, 1] {
        let directory = Directory::new();
        let clock = Arc::new(Hand::default());
        let heard = Arc::new(Heard::default());
        let path = directory.path();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let ledger = Ledger::new(path, replica(), Sync::Periodic, ROOMY, time, heard).unwrap();
        let ledger = Arc::new(ledger);
        let mut under_way = ledger
            .open(Opening {
                started_at: clock.now(),
                received: clock.moment(),
                ..opening()
            })
            .unwrap();
        dispatch(&mut under_way);
        clock.set_wall(jiff::SignedDuration::from_hours(hours));
        clock.forward(Duration::from_secs(2));
        under_way.end(&Ending::Answered);
        let next = a_call(&ledger);
        ledger.write_ends();
        let batch = ledger.take_batch(10).unwrap();
        let [first, second] = batch.calls() else {
            panic!("two calls were made, {} ended", batch.calls().len());
        };
        assert_eq!(first.latency_ms, 2_000);
        let apart = first.started_at.duration_until(first.ended_at);
        assert_eq!(apart.as_secs(), hours * 3_600 + 2);
        assert_eq!(second.request_id, next);
        let receipt = ledger.recorded(batch);
        ledger.release(&[receipt]).unwrap();
        ledger.close().unwrap();
        assert!(directory.files().is_empty(), "{:?}", directory.files());
    }
}

#[test]
fn calls_that_memory_does_not_hold_are_read_back_none_lost_and_none_doubled() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    let ids: Vec<RequestId> = (0..MAX_WAITING + 2_000).map(|_| a_call(&ledger)).collect();
    ledger.write_ends();
    assert_eq!(locked(&ledger.waiting).calls.len(), MAX_WAITING);
    let mut stored = Vec::new();
    store_everything(&ledger, &mut stored);
    assert_eq!(stored, ids);
    assert_eq!(locked(&ledger.waiting).overflow, None);
    let last = a_call(&ledger);
    store_everything(&ledger, &mut stored);
    assert_eq!(stored.last(), Some(&last));
    assert_eq!(stored.len(), ids.len() + 1);
    ledger.close().unwrap();
    assert!(
        directory.files().is_empty(),
        "every pin was given back: {:?}",
        directory.files()
    );
}

#[test]
fn calls_that_end_while_the_journal_is_read_back_are_stored_once() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    let mut ids: HashSet<RequestId> = (0..MAX_WAITING).map(|_| a_call(&ledger)).collect();
    let mut stored = Vec::new();
    let writing = AtomicUsize::new(4);
    std::thread::scope(|scope| {
        let write = || {
            let ids: Vec<_> = (0..1_500).map(|_| a_call(&ledger)).collect();
            writing.fetch_sub(1, Ordering::Relaxed);
            ids
        };
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
        while writing.load(Ordering::Relaxed) > 0 {
            store_everything(&ledger, &mut stored);
        }
        ids.extend(
            writers
                .into_iter()
                .flat_map(|writer| writer.join().unwrap()),
        );
    });
    store_everything(&ledger, &mut stored);
    assert_eq!(stored.len(), ids.len());
    assert_eq!(stored.into_iter().collect::<HashSet<_>>(), ids);
    ledger.close().unwrap();
    assert!(directory.files().is_empty());
}

fn stored_at(offset: u64) -> (Stored, Option<Position>) {
    let intent = super::record::tests::intent();
    let call = intent.interrupted(Vec::new(), jiff::Timestamp::UNIX_EPOCH);
    (
        Stored {
            call,
            segments: vec![1],
            counted_in: 0,
        },
        Some(Position { segment: 1, offset }),
    )
}

#[test]
fn a_call_that_was_written_before_the_overflow_began_belongs_into_memory() {
    let mut waiting = Waiting::default();
    let take_in = |waiting: &mut Waiting, offset| {
        let (stored, at) = stored_at(offset);
        waiting.take_in(stored, at);
        waiting.calls.len()
    };
    for offset in 0..MAX_WAITING as u64 {
        take_in(&mut waiting, 10 * offset);
    }
    let overflow = 10 * MAX_WAITING as u64;
    assert_eq!(take_in(&mut waiting, overflow), MAX_WAITING);
    assert_eq!(take_in(&mut waiting, overflow + 10), MAX_WAITING);
    assert_eq!(
        take_in(&mut waiting, overflow - 15),
        MAX_WAITING + 1,
        "its thread came late"
    );
    assert_eq!(
        waiting.overflow,
        Some(Position {
            segment: 1,
            offset: overflow
        })
    );
    // The reader has read up to here and caught up.
    waiting.reread.end = Position {
        segment: 1,
        offset: overflow + 20,
    };
    waiting.overflow = None;
    assert_eq!(
        take_in(&mut waiting, overflow + 15),
        MAX_WAITING + 1,
        "it was read back"
    );
    assert_eq!(
        take_in(&mut waiting, overflow - 5),
        MAX_WAITING + 2,
        "it was not"
    );
    waiting.calls.clear();
    assert_eq!(take_in(&mut waiting, overflow + 20), 1);
}

#[test]
fn a_full_journal_takes_no_new_call_and_ends_the_open_ones() {
    let directory = Directory::new();
    let ledger = ledger(
        &directory,
        Bounds {
            max_bytes: 1,
            segment_bytes: 1,
        },
    );
    let open = sent(&ledger);
    assert!(matches!(ledger.open(opening()), Err(JournalError::Full(_))));
    open.end(&Ending::Answered);
    let mut stored = Vec::new();
    store_everything(&ledger, &mut stored);
    assert_eq!(stored.len(), 1);
    ledger.journal.seal().unwrap();
    assert!(ledger.open(opening()).is_ok());
}

#[test]
fn a_call_that_was_never_sent_leaves_no_trace() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    drop(ledger.open(opening()).unwrap());
    assert_eq!(ledger.journal_bytes(), 0);
    assert!(ledger.take_batch(10).unwrap().is_empty());
}

#[test]
fn every_segment_with_a_record_of_an_open_call_stays() {
    let directory = Directory::new();
    let ledger = ledger(
        &directory,
        Bounds {
            segment_bytes: 1,
            ..ROOMY
        },
    );
    let mut call = sent(&ledger);
    a_call(&ledger);
    dispatch(&mut call);
    a_call(&ledger);
    let mut stored = Vec::new();
    store_everything(&ledger, &mut stored);
    drop(ledger);
    std::mem::forget(call);
    let segments = directory
        .files()
        .iter()
        .filter(|name| name.contains(".log"))
        .count();
    assert_eq!(
        segments, 3,
        "the first attempt's, the second's, and the active one"
    );
}

#[test]
fn what_a_process_left_open_is_settled_by_the_next() {
    let directory = Directory::new();
    let crashed = ledger(&directory, ROOMY);
    let ended = a_call(&crashed);
    let mut interrupted = sent(&crashed);
    dispatch(&mut interrupted);
    let interrupted_id = interrupted.request_id();
    let mut unsent = Vec::new();
    let intent = super::record::tests::intent();
    record::write_intent(&intent, &mut unsent);
    crashed.journal.append(&unsent, 1).unwrap();

    let store = Memory::default();
    let clock = Hand::default();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let found = run(&clock, recover(directory.path(), &store, now)).unwrap();
    assert_eq!(found, Recovered::default(), "the process lives");

    let directory = left_behind_by(&directory);
    store.is_down.store(true, Ordering::Relaxed);
    assert!(run(&clock, recover(directory.path(), &store, now)).is_err());
    store.is_down.store(false, Ordering::Relaxed);
    let found = run(&clock, recover(directory.path(), &store, now)).unwrap();
    assert_eq!(
        found,
        Recovered {
            replicas: found.replicas.clone(),
            ended: 1,
            interrupted: 1,
            unsent: 1
        }
    );
    assert_eq!(found.replicas.len(), 1);
    let again = run(&clock, recover(directory.path(), &store, now)).unwrap();
    assert_eq!(again, Recovered::default());

    let calls = store.calls();
    assert_eq!(calls.len(), 3);
    let state = |id: RequestId| calls.get(&id).map(|call| (call.state, call.end_reason));
    assert_eq!(
        state(ended),
        Some((CallState::Estimated, Some(EndReason::NoUsage)))
    );
    let because = Some(EndReason::Interrupted);
    assert_eq!(state(interrupted_id), Some((CallState::Estimated, because)));
    assert_eq!(state(intent.request_id), Some((CallState::Failed, because)));
    let found = calls.get(&interrupted_id).unwrap();
    assert_eq!((found.attempts.len(), found.usage), (2, Usage::text(10, 5)));
    let found = calls.get(&intent.request_id).unwrap();
    assert_eq!(found.cost_usd, Some(domain::money::Cost::ZERO));
}

/// What a disk holds whose process ended without a word.
fn left_behind_by(crashed: &Directory) -> Directory {
    let left = Directory::new();
    for name in crashed.files() {
        std::fs::copy(crashed.path().join(&name), left.path().join(&name)).unwrap();
    }
    left
}

#[test]
fn an_end_that_others_may_join_is_written_when_it_is_over() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    let (one, other) = (sent(&ledger), sent(&ledger));
    let ids = [one.request_id(), other.request_id()];
    let before = ledger.journal_bytes();
    let mut one = std::pin::pin!(one.end_with_others(&Ending::Answered));
    let mut other = std::pin::pin!(other.end_with_others(&Ending::Answered));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(one.as_mut().poll(&mut context).is_pending());
    assert!(other.as_mut().poll(&mut context).is_pending());
    assert_eq!(ledger.journal_bytes(), before);
    assert!(one.as_mut().poll(&mut context).is_ready());
    let written = ledger.journal_bytes();
    assert!(written > before + 1_000, "both ends went in one write");
    assert!(other.as_mut().poll(&mut context).is_ready());
    assert_eq!(ledger.journal_bytes(), written);
    let batch = ledger.take_batch(10).unwrap();
    let ended: Vec<RequestId> = batch.calls().iter().map(|call| call.request_id).collect();
    assert_eq!(ended, ids);
}

#[test]
fn an_end_that_nobody_completes_is_written_soon_afterwards() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    let call = sent(&ledger);
    let before = ledger.journal_bytes();
    {
        let mut ending = std::pin::pin!(call.end_with_others(&Ending::Answered));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(ending.as_mut().poll(&mut context).is_pending());
    }
    ledger.write_ends();
    assert!(ledger.journal_bytes() > before);
    assert_eq!(ledger.take_batch(10).unwrap().calls().len(), 1);
}

#[test]
fn a_call_whose_caller_goes_while_it_is_written_down_was_never_sent_and_costs_nothing() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    let mut call = ledger.open(opening()).unwrap();
    let id = call.request_id();
    {
        let sending =
            std::pin::pin!(call.dispatch("sim".parse().unwrap(), "gpt", AttemptReason::First));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(sending.poll(&mut context).is_pending());
    }
    drop(call);
    ledger.write_ends();
    let batch = ledger.take_batch(10).unwrap();
    let [ended] = batch.calls() else {
        panic!("{:?}", batch.calls());
    };
    assert_eq!((ended.request_id, ended.state), (id, CallState::Cancelled));
    assert_eq!(ended.usage, Usage::default());
    assert!(ended.attempts.is_empty());
    assert_eq!((ledger.dispatched(), ledger.captured()), (0, 0));
    let receipt = ledger.recorded(batch);
    ledger.release(&[receipt]).unwrap();
    ledger.close().unwrap();
    assert!(directory.files().is_empty(), "{:?}", directory.files());
}

#[test]
fn what_a_journal_holds_and_the_store_has_not_is_counted_and_left_alone() {
    let directory = Directory::new();
    let ledger = ledger(&directory, ROOMY);
    let store = Memory::default();
    let clock = Hand::default();
    let look = || run(&clock, outstanding(directory.path(), &store)).unwrap();
    assert_eq!(look(), Outstanding::default());
    let stored = Call {
        request_id: a_call(&ledger),
        ..crate::testing::call()
    };
    a_call(&ledger);
    let under_way = sent(&ledger);
    run(&clock, store.record_calls(&[stored])).unwrap();
    let expected = Outstanding {
        ended: 1,
        cost: Cost::ZERO,
        open: 1,
    };
    assert_eq!(look(), expected);
    assert_eq!(look(), expected, "nothing was taken");
    under_way.end(&Ending::Answered);
    let expected = Outstanding {
        ended: 2,
        cost: Cost::ZERO,
        open: 0,
    };
    assert_eq!(look(), expected);
    let nowhere = directory.path().join("nowhere");
    let nothing = run(&clock, outstanding(&nowhere, &store)).unwrap();
    assert_eq!(nothing, Outstanding::default());
}
