use proptest::prelude::*;
use proptest::strategy::Strategy as _;

use super::{Balance, Contender, Cost, Duration, StableHash, Strategy, order};

/// A target called by its number, like all others but for what a test says of it.
fn contender(number: u64) -> Contender {
    Contender {
        id: StableHash::of(&number.to_le_bytes()),
        tier: 0,
        weight: 1,
        expected_cost: None,
        latency: None,
        in_flight: 0,
        headroom: None,
        quality: None,
        is_out: false,
    }
}

fn seed(number: u64) -> StableHash {
    StableHash::of(&number.to_le_bytes())
}

/// How often each target comes first in `draws` draws.
fn shares(strategy: Strategy, contenders: &[Contender], draws: u32) -> Vec<f64> {
    let mut firsts = vec![0_u32; contenders.len()];
    for number in 0..draws {
        firsts[order(strategy, contenders, seed(u64::from(number)))[0]] += 1;
    }
    let share = |count: u32| f64::from(count) / f64::from(draws);
    firsts.into_iter().map(share).collect()
}

fn cost(nano_dollars: i64) -> Cost {
    Cost::from_pico_dollars(i128::from(nano_dollars) * 1000)
}

#[test]
fn without_a_strategy_the_order_is_that_of_the_configuration() {
    let contenders: Vec<_> = (0..5).map(contender).collect();
    assert_eq!(
        order(Strategy::default(), &contenders, seed(7)),
        [0, 1, 2, 3, 4]
    );
}

#[test]
fn a_lower_tier_comes_before_a_higher_one_whatever_the_strategy() {
    let late = Contender {
        tier: 2,
        expected_cost: Some(cost(1)),
        ..contender(0)
    };
    let early = Contender {
        tier: 1,
        expected_cost: Some(cost(9)),
        ..contender(1)
    };
    for strategy in [
        Strategy::Priority,
        Strategy::Cheapest,
        Strategy::Weighted,
        Strategy::Fastest,
    ] {
        assert_eq!(
            order(strategy, &[late, early], seed(1)),
            [1, 0],
            "{strategy:?}"
        );
    }
}

#[test]
fn who_is_known_not_to_answer_comes_last_even_of_a_lower_tier() {
    let out = Contender {
        is_out: true,
        ..contender(0)
    };
    let other = Contender {
        tier: 5,
        ..contender(1)
    };
    assert_eq!(order(Strategy::Priority, &[out, other], seed(1)), [1, 0]);
}

#[test]
fn weights_decide_how_often_each_comes_first() {
    let weights = [5, 3, 2, 0];
    let contenders: Vec<_> = (0..)
        .zip(weights)
        .map(|(number, weight)| Contender {
            weight,
            ..contender(number)
        })
        .collect();
    let shares = shares(Strategy::Weighted, &contenders, 100_000);
    for (share, expected) in shares.iter().zip([0.5, 0.3, 0.2, 0.0]) {
        assert!((share - expected).abs() < 0.01, "{shares:?}");
    }
}

#[test]
fn the_cheapest_comes_first_and_who_has_no_price_last() {
    let contenders = [
        contender(0),
        Contender {
            expected_cost: Some(cost(20)),
            ..contender(1)
        },
        Contender {
            expected_cost: Some(cost(10)),
            ..contender(2)
        },
    ];
    assert_eq!(order(Strategy::Cheapest, &contenders, seed(3)), [2, 1, 0]);
}

#[test]
fn the_faster_of_two_drawn_comes_first_and_the_slowest_never() {
    let contenders: Vec<_> = (0..3)
        .map(|number| Contender {
            latency: Some(Duration::from_millis(100 * (number + 1))),
            ..contender(number)
        })
        .collect();
    let shares = shares(Strategy::Fastest, &contenders, 30_000);
    // Of three pairs, the fastest is in two.
    for (share, expected) in shares.iter().zip([2.0 / 3.0, 1.0 / 3.0, 0.0]) {
        assert!((share - expected).abs() < 0.02, "{shares:?}");
    }
    let order = order(Strategy::Fastest, &contenders, seed(5));
    let rest: Vec<_> = order.iter().skip(1).collect();
    assert!(rest.is_sorted(), "{order:?}");
}

#[test]
fn who_was_never_measured_is_tried() {
    let contenders = [
        Contender {
            latency: Some(Duration::from_millis(100)),
            ..contender(0)
        },
        contender(1),
    ];
    let shares = shares(Strategy::Fastest, &contenders, 1_000);
    assert!(shares[1] > 0.3, "{shares:?}");
}

#[test]
fn the_least_busy_for_its_weight_comes_first() {
    let contenders = [
        Contender {
            in_flight: 3,
            ..contender(0)
        },
        Contender {
            in_flight: 5,
            weight: 4,
            ..contender(1)
        },
        Contender {
            in_flight: 1,
            ..contender(2)
        },
    ];
    assert_eq!(order(Strategy::LeastBusy, &contenders, seed(1)), [1, 2, 0]);
}

#[test]
fn who_has_most_of_its_rate_limit_left_comes_first() {
    let contenders = [
        Contender {
            headroom: Some(0.1),
            ..contender(0)
        },
        Contender {
            headroom: Some(0.9),
            ..contender(1)
        },
        Contender {
            headroom: Some(0.5),
            ..contender(2)
        },
    ];
    assert_eq!(order(Strategy::UsageAware, &contenders, seed(1)), [1, 2, 0]);
}

#[test]
fn balance_moves_from_the_cheap_to_the_fast_with_the_performance_weighting() {
    let cheap = Contender {
        expected_cost: Some(cost(10)),
        latency: Some(Duration::from_millis(900)),
        ..contender(0)
    };
    let fast = Contender {
        expected_cost: Some(cost(100)),
        latency: Some(Duration::from_millis(100)),
        ..contender(1)
    };
    let first = |weighting| {
        let balance = Balance::default().with_performance(weighting);
        order(Strategy::Balanced(balance), &[cheap, fast], seed(1))[0]
    };
    assert_eq!(first(0.0), 0);
    assert_eq!(first(0.3), 0);
    assert_eq!(first(0.7), 1);
    assert_eq!(first(1.0), 1);
}

#[test]
fn quality_outweighs_cost_where_it_counts_more() {
    let cheap = Contender {
        expected_cost: Some(cost(10)),
        quality: Some(0.4),
        ..contender(0)
    };
    let good = Contender {
        expected_cost: Some(cost(20)),
        quality: Some(0.95),
        ..contender(1)
    };
    let first = |quality| {
        let balance = Balance {
            quality,
            ..Balance::default()
        };
        order(Strategy::Balanced(balance), &[cheap, good], seed(1))[0]
    };
    assert_eq!(first(0.1), 0);
    assert_eq!(first(3.0), 1);
}

#[test]
fn a_target_that_goes_moves_only_those_that_were_with_it() {
    let all: Vec<_> = (0..5).map(contender).collect();
    for number in 0..2_000 {
        let before = order(Strategy::Weighted, &all, seed(number))[0];
        let after = order(Strategy::Weighted, &all[..4], seed(number))[0];
        assert!(before == after || before == 4);
    }
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![
        Just(Strategy::Priority),
        Just(Strategy::Weighted),
        Just(Strategy::Cheapest),
        Just(Strategy::Fastest),
        (0.0..10.0, 0.0..10.0, 0.0..10.0).prop_map(|(cost, latency, quality)| {
            Strategy::Balanced(Balance {
                cost,
                latency,
                quality,
            })
        }),
        Just(Strategy::LeastBusy),
        Just(Strategy::UsageAware),
    ]
}

prop_compose! {
    fn contenders()(
        some in prop::collection::vec(
            (0..3_u32, 0..5_u32, prop::option::of(0..1_000_i64), prop::option::of(0..5_000_u64),
             0..50_u32, prop::option::of(0.0..1.0_f64), any::<bool>()),
            0..12,
        )
    ) -> Vec<Contender> {
        let numbered = (0..).zip(some);
        numbered.map(|(number, (tier, weight, nano_dollars, latency, in_flight, share, is_out))| Contender {
            tier,
            weight,
            expected_cost: nano_dollars.map(cost),
            latency: latency.map(Duration::from_millis),
            in_flight,
            headroom: share,
            quality: share,
            is_out,
            ..contender(number)
        }).collect()
    }
}

proptest! {
    #[test]
    fn every_order_names_everybody_once_and_is_the_same_for_the_same_seed(
        strategy in strategies(), contenders in contenders(), number in any::<u64>()
    ) {
        let first = order(strategy, &contenders, seed(number));
        let mut everybody = first.clone();
        everybody.sort_unstable();
        prop_assert_eq!(everybody, (0..contenders.len()).collect::<Vec<_>>());
        prop_assert_eq!(first, order(strategy, &contenders, seed(number)));
    }

    #[test]
    fn nobody_of_a_higher_tier_comes_before_one_of_a_lower(
        strategy in strategies(), contenders in contenders(), number in any::<u64>()
    ) {
        let order = order(strategy, &contenders, seed(number));
        let tiers = order.iter().map(|index| (contenders[*index].is_out, contenders[*index].tier));
        prop_assert!(tiers.is_sorted());
    }

    #[test]
    fn shares_come_to_the_weights(weights in prop::collection::vec(1..20_u32, 1..6)) {
        let contenders: Vec<_> = (0..).zip(&weights)
            .map(|(number, weight)| Contender { weight: *weight, ..contender(number) })
            .collect();
        let sum = f64::from(weights.iter().sum::<u32>());
        let shares = shares(Strategy::Weighted, &contenders, 4_000);
        for (share, weight) in shares.iter().zip(&weights) {
            prop_assert!((share - f64::from(*weight) / sum).abs() < 0.05, "{shares:?} of {weights:?}");
        }
    }
}
