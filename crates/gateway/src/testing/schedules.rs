//! Random schedules of what happens to several replicas.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

/// The seed unless another is given.
const SEED: u64 = 4;

/// Tries so many random schedules; says the seed of one that fails, and shows it.
pub(crate) fn try_schedules<S>(
    cases: u32,
    schedules: &S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S: Strategy<Value: Debug>,
{
    let seed = seed();
    let config = Config {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::with_cases(cases)
    };
    match TestRunner::new(config).run(schedules, check) {
        Ok(()) => {}
        Err(TestError::Fail(why, schedule)) => {
            panic!("{why}\nTRUNKLINE_SIMULATION_SEED={seed}\n{schedule:#?}")
        }
        Err(error) => panic!("{error}\nTRUNKLINE_SIMULATION_SEED={seed}"),
    }
}

/// The seed of the schedules: the same for everybody unless another is given, so that they find what is changed and do
/// not surprise somebody who changed nothing; `random` is another one every time.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever repeats a run that failed gives its seed in the environment"
)]
fn seed() -> u64 {
    match std::env::var("TRUNKLINE_SIMULATION_SEED") {
        Err(_) => SEED,
        Ok(text) if text == "random" => RandomState::new().hash_one(0),
        Ok(text) => text.parse().expect("the seed is a number or `random`"),
    }
}
