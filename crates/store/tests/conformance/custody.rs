//! The custody port: reasoning state that clients leave out.

use domain::custody::{CustodyStore, FoundTurn, KeptTurn, Place};
use jiff::Timestamp;

use crate::bench::Bench;
use crate::on_both_engines;
use crate::sample::{key_id, other_organization, other_project, place, time, turn};

on_both_engines!(
    a_turn_that_was_not_kept_is_not_found,
    a_turn_is_found_at_each_of_its_places_and_once,
    a_turn_reads_back_byte_for_byte,
    a_later_turn_takes_the_place_of_an_earlier_one,
    keeping_a_turn_again_keeps_it_longer,
    nobody_but_its_owner_finds_a_turn,
    a_turn_is_not_found_after_its_time,
    no_more_is_found_than_was_asked_for,
    many_places_are_looked_up_together,
    turns_go_when_their_time_has_come_the_oldest_end_first,
    a_row_says_whose_it_is_and_who_made_it,
);

const ROOM: u64 = 1 << 30;

async fn keep(bench: &Bench, turns: &[KeptTurn]) {
    bench.store.keep_turns(turns).await.unwrap();
}

async fn find_at(bench: &Bench, places: &[Place], now: Timestamp) -> Vec<FoundTurn> {
    let found = bench.store.turns(places, key_id(1), now, ROOM).await;
    found.unwrap()
}

async fn find(bench: &Bench, numbers: &[u64]) -> Vec<FoundTurn> {
    let places: Vec<Place> = numbers.iter().copied().map(place).collect();
    find_at(bench, &places, time(0)).await
}

fn found(turn: &KeptTurn) -> FoundTurn {
    FoundTurn {
        sealed: turn.sealed.clone(),
        keep_until: turn.keep_until,
    }
}

fn until(number: u64, keep_until: Timestamp) -> KeptTurn {
    KeptTurn {
        keep_until,
        ..turn(number)
    }
}

fn with_calls(number: u64, calls: &[u64]) -> KeptTurn {
    KeptTurn {
        places: calls.iter().copied().map(place).collect(),
        ..turn(number)
    }
}

async fn a_turn_that_was_not_kept_is_not_found(bench: Bench) {
    keep(&bench, &[]).await;
    assert_eq!(find(&bench, &[]).await, []);
    assert_eq!(find(&bench, &[1, 2]).await, []);
}

async fn a_turn_is_found_at_each_of_its_places_and_once(bench: Bench) {
    let both = with_calls(1, &[2, 1]);
    keep(&bench, &[both.clone(), turn(3)]).await;
    for places in [&[1][..], &[2], &[1, 2], &[9, 2, 1]] {
        assert_eq!(find(&bench, places).await, [found(&both)], "{places:?}");
    }
}

async fn a_turn_reads_back_byte_for_byte(bench: Bench) {
    let full = KeptTurn {
        organization_id: other_organization(),
        project_id: other_project(),
        sealed: (0..=255).cycle().take(3_000_000).collect(),
        ..turn(2)
    };
    keep(&bench, &[turn(1), full.clone()]).await;
    assert_eq!(find(&bench, &[2]).await, [found(&full)]);
}

async fn a_later_turn_takes_the_place_of_an_earlier_one(bench: Bench) {
    let earlier = with_calls(1, &[1, 2]);
    let later = with_calls(3, &[3, 2]);
    keep(&bench, &[earlier.clone(), later.clone()]).await;
    assert_eq!(find(&bench, &[2]).await, [found(&later)]);
    assert_eq!(find(&bench, &[1]).await, [found(&earlier)]);
    // Where what was sealed gives way, it is gone at every place.
    let last = with_calls(4, &[4, 3]);
    keep(&bench, std::slice::from_ref(&last)).await;
    assert_eq!(find(&bench, &[3]).await, [found(&last)]);
    assert_eq!(find(&bench, &[2]).await, []);
}

async fn keeping_a_turn_again_keeps_it_longer(bench: Bench) {
    keep(&bench, &[until(1, time(10))]).await;
    keep(&bench, &[until(1, time(20))]).await;
    let found = find_at(&bench, &[place(1)], time(15)).await;
    assert_eq!(found.len(), 1);
}

async fn nobody_but_its_owner_finds_a_turn(bench: Bench) {
    keep(&bench, &[turn(1)]).await;
    let others = bench
        .store
        .turns(&[place(1)], key_id(2), time(0), ROOM)
        .await;
    assert_eq!(others.unwrap(), []);
    assert_eq!(find(&bench, &[1]).await.len(), 1);
}

async fn a_turn_is_not_found_after_its_time(bench: Bench) {
    keep(&bench, &[until(1, time(10))]).await;
    assert_eq!(find_at(&bench, &[place(1)], time(9)).await.len(), 1);
    assert_eq!(find_at(&bench, &[place(1)], time(10)).await, []);
}

async fn no_more_is_found_than_was_asked_for(bench: Bench) {
    let turns = [until(1, time(10)), until(2, time(30)), until(3, time(20))];
    keep(&bench, &turns).await;
    let places = [place(1), place(2), place(3)];
    let length = turns[0].sealed.len() as u64;
    for (max_bytes, expected) in [
        (0, &[][..]),
        (length * 2 - 1, &[1]),
        (length * 2, &[1, 2]),
        (u64::MAX, &[1, 2, 0]),
    ] {
        let bounded = bench
            .store
            .turns(&places, key_id(1), time(0), max_bytes)
            .await;
        let expected: Vec<_> = expected
            .iter()
            .map(|at: &usize| found(&turns[*at]))
            .collect();
        assert_eq!(bounded.unwrap(), expected, "{max_bytes}");
    }
}

async fn many_places_are_looked_up_together(bench: Bench) {
    let turns: Vec<KeptTurn> = (0..300).map(turn).collect();
    keep(&bench, &turns).await;
    let every_second: Vec<u64> = (0..256).map(|number| number * 2).collect();
    let found = find(&bench, &every_second).await;
    assert_eq!(found.len(), 150);
}

async fn turns_go_when_their_time_has_come_the_oldest_end_first(bench: Bench) {
    let all = [
        until(1, time(20)),
        until(2, time(10)),
        until(3, time(15)),
        until(4, time(30)),
    ];
    keep(&bench, &all).await;
    let drop_expired = |limit| bench.store.drop_expired_turns(time(20), limit);
    assert_eq!(drop_expired(0).await.unwrap(), 0);
    assert_eq!(drop_expired(2).await.unwrap(), 2);
    assert_eq!(find(&bench, &[1, 2, 3]).await, [found(&all[0])]);
    assert_eq!(drop_expired(9).await.unwrap(), 1);
    assert_eq!(find(&bench, &[1, 2, 3, 4]).await, [found(&all[3])]);
}

async fn a_row_says_whose_it_is_and_who_made_it(bench: Bench) {
    let whole = KeptTurn {
        organization_id: other_organization(),
        project_id: other_project(),
        ..with_calls(1, &[1, 2])
    };
    keep(&bench, std::slice::from_ref(&whole)).await;
    let rows = bench
        .texts(
            "SELECT organization_id || ' ' || project_id || ' ' || key_id || ' ' || provider
             FROM reasoning_states",
        )
        .await;
    let KeptTurn {
        organization_id,
        project_id,
        key_id,
        provider,
        ..
    } = whole;
    let expected = format!("{organization_id} {project_id} {key_id} {provider}");
    assert_eq!(rows, [expected.clone(), expected]);
}
