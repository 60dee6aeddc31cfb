//! Thousands of random schedules of several replicas: they join, are killed, are cut off from what they share, are not
//! heard, or are answered late; what they share is flushed, and clocks are set, while calls come, end and are dropped.
//! What they give out together is held against the bound that `docs/replicas.md` states.
//!
//! A schedule that breaks the bound is printed with the seed of the run, which `TRUNKLINE_SIMULATION_SEED` gives:
//! `random` for another one every time. Of three thousand schedules of other seeds about one ends a unit beyond the bound of
//! a budget that was flushed, which is not understood yet.
//!
//! Bugs that were planted, and found: while an exchange is under way, more is given out than was wished for; what a
//! replica knows of the others' money is forgotten with a flush; what was set aside of money is not given back.

use domain::limit::Bound;
use proptest::prelude::*;

use self::schedule::{calm, faults, schedules};
use self::world::World;
use crate::testing::try_schedules;

mod schedule;
mod world;

/// How many schedules are tried.
const CASES: u32 = 500;
#[test]
fn replicas_that_reach_each_other_overrun_nothing_and_lose_nothing() {
    try_schedules(CASES, &schedules(calm()), |(bound, count, steps)| {
        let mut world = World::of(bound, count);
        for step in &steps {
            world.step(step);
            let (taken, most) = (world.taken(), world.bound_while_all_is_well());
            prop_assert!(taken <= most, "{taken} of {most} after {step:?}");
            prop_assert!(!world.somebody_is_excused(), "nothing excuses an overrun");
        }
        world.come_to_rest();
        let left = world.bound.most().saturating_sub(world.taken());
        let had = world.use_up(0);
        prop_assert_eq!(had, left, "one alone may have all that is left");
        Ok(())
    });
}

#[test]
fn replicas_that_are_cut_off_and_killed_and_flushed_overrun_by_no_more_than_is_stated() {
    try_schedules(
        CASES,
        &schedules(prop_oneof![7 => calm(), 1 => faults()]),
        |(bound, count, steps)| {
            let mut world = World::of(bound, count);
            for step in &steps {
                world.step(step);
                let (taken, most) = (world.taken(), world.stated_bound());
                prop_assert!(taken <= most, "{taken} of {most} after {step:?}");
            }
            world.come_to_rest();
            let left = world.bound.most().saturating_sub(world.taken());
            let first = world.alive()[0];
            let had = world.use_up(first);
            let twice = world.twice;
            // A budget that was lost begins at what is known of it by anybody, of which something may count twice.
            let is_lower = matches!(bound, Bound::Dollars { .. }) && world.lost_at.is_some();
            prop_assert!(
                is_lower || had + twice >= left,
                "{had} of {left}: something is lost"
            );
            let (taken, most) = (world.taken(), world.stated_bound());
            prop_assert!(taken <= most, "{taken} of {most} in the end");
            Ok(())
        },
    );
}
