//! Thousands of random schedules of replicas that tell each other which targets fail: calls come to each of them, the
//! target fails and is well again, replicas join and are killed, and are cut off from what they share, which is
//! flushed.
//!
//! Whatever happens, no replica lets more through at a time than may try, a target that is well again is asked by
//! everybody in the end, and one that stays ill is asked rarely. Bugs that were planted, and found: a call that is
//! given up keeps its place as a try (the target stays out for good); an opening that was heard of is tried as soon
//! as one's own; an opening does not double the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::breaker::BreakerTurn;
use domain::clock::Moment;
use domain::provider_error::Cause;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::super::breaker::FINDERS_TURN;
use crate::health::{BreakerRules, BreakerState, Flight, Health, TargetHealth};
use crate::testing::try_schedules;

/// How often replicas tell and hear, and the length of a tick, in milliseconds.
const ROUND: u64 = 1_000;
const TICK: u64 = 100;

#[derive(Debug, Clone)]
enum Step {
    /// A call that takes so long comes to a replica, and is given up or not.
    Call {
        replica: usize,
        takes: u64,
        is_given_up: bool,
    },
    Pass {
        ticks: u64,
    },
    /// Whether the target is well from now on.
    Health {
        is_well: bool,
    },
    Link {
        replica: usize,
        is_whole: bool,
    },
    Kill {
        replica: usize,
    },
    Join,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => (0_usize..4, 1_u64..40, prop::bool::weighted(0.1))
            .prop_map(|(replica, takes, is_given_up)| Step::Call { replica, takes, is_given_up }),
        20 => prop_oneof![9 => 1_u64..20, 1 => 50_u64..150].prop_map(|ticks| Step::Pass { ticks }),
        2 => prop::bool::weighted(0.4).prop_map(|is_well| Step::Health { is_well }),
        1 => (0_usize..4, any::<bool>())
            .prop_map(|(replica, is_whole)| Step::Link { replica, is_whole }),
        1 => prop_oneof![
            (0_usize..4).prop_map(|replica| Step::Kill { replica }),
            Just(Step::Join),
            Just(Step::Flush),
        ],
    ];
    proptest::collection::vec(step, 1..250)
}

/// A call under way.
struct Call {
    ends: u64,
    is_given_up: bool,
    is_try: bool,
    flight: Flight,
}

struct Node {
    health: Health,
    target: Arc<TargetHealth>,
    untold: Vec<BreakerTurn>,
    calls: Vec<Call>,
    is_whole: bool,
    /// When in its second it tells and hears, and by how much it steps back behind others.
    phase: u64,
    stagger: Duration,
    /// Until when it knows the target to rest by another's word alone, in milliseconds.
    heard: Option<u64>,
}

impl Node {
    fn new(number: u64) -> Self {
        let health = Health::default();
        let target = health.of(&"sim".parse().unwrap(), "gpt", 1);
        Self {
            health,
            target,
            untold: Vec::new(),
            calls: Vec::new(),
            is_whole: true,
            phase: number * 300 % ROUND,
            stagger: Duration::from_secs(number % 4 * 2),
            heard: None,
        }
    }

    fn tries(&self) -> usize {
        self.calls.iter().filter(|call| call.is_try).count()
    }
}

struct World {
    rules: BreakerRules,
    now: u64,
    nodes: Vec<Node>,
    made: u64,
    /// Until when each target rests, by what is shared, in milliseconds.
    told: HashMap<String, u64>,
    is_well: bool,
    /// How many calls that could have gone elsewhere were let through to an ill target, since it has been ill and
    /// nothing but calls has happened, when that was, and by how many replicas.
    let_through: usize,
    ill_since: u64,
}

impl World {
    fn of(count: usize) -> Self {
        let mut world = Self {
            rules: BreakerRules::default(),
            now: 0,
            nodes: Vec::new(),
            made: 0,
            told: HashMap::new(),
            is_well: true,
            let_through: 0,
            ill_since: 0,
        };
        for _ in 0..count {
            world.join();
        }
        world
    }

    fn moment(&self) -> Moment {
        Moment::at(Duration::from_millis(self.now))
    }

    fn join(&mut self) {
        self.nodes.push(Node::new(self.made));
        self.made += 1;
    }

    /// A call comes that could go elsewhere; answers whether it came here.
    fn call(
        &mut self,
        number: usize,
        takes: u64,
        is_given_up: bool,
    ) -> Result<bool, TestCaseError> {
        let now = self.moment();
        let node = &mut self.nodes[number];
        if !node.target.is_available(now) {
            return Ok(false);
        }
        let is_try = node.target.breaker(now) == BreakerState::HalfOpen;
        if let Some(heard) = node.heard.filter(|_| is_try) {
            let finders = u64::try_from(FINDERS_TURN.as_millis()).unwrap();
            prop_assert!(
                self.now >= heard + finders,
                "it tries before whoever found it out"
            );
        }
        node.calls.push(Call {
            ends: self.now + takes * TICK,
            is_given_up,
            is_try,
            flight: node.target.board(now),
        });
        let tries = node.tries();
        prop_assert!(
            tries <= self.rules.probes as usize,
            "{tries} try at one replica"
        );
        if !self.is_well {
            self.let_through += 1;
        }
        Ok(true)
    }

    fn pass(&mut self, ticks: u64) -> Result<(), TestCaseError> {
        for _ in 0..ticks {
            self.now += TICK;
            for number in 0..self.nodes.len() {
                self.end_calls(number);
                if self.now % ROUND == self.nodes[number].phase {
                    self.round(number);
                }
            }
            self.is_asked_rarely()?;
        }
        Ok(())
    }

    fn end_calls(&mut self, number: usize) {
        let now = self.moment();
        let node = &mut self.nodes[number];
        let (over, on): (Vec<_>, Vec<_>) =
            node.calls.drain(..).partition(|call| call.ends <= self.now);
        node.calls = on;
        for mut call in over {
            match (call.is_given_up, self.is_well) {
                (true, _) => {}
                (false, true) => call.flight.answered(now, now),
                (false, false) => {
                    call.flight.failed(Cause::Server, now);
                    if node.target.breaker(now) == BreakerState::Open && call.is_try {
                        // It knows by itself now.
                        node.heard = None;
                    }
                }
            }
        }
    }

    /// What the loop of a replica does once a second.
    fn round(&mut self, number: usize) {
        let now = self.moment();
        let node = &mut self.nodes[number];
        node.untold.extend(node.health.turns(now));
        if !node.is_whole {
            return;
        }
        for turn in node.untold.drain(..) {
            match turn.rest {
                None => drop(self.told.remove(&turn.model)),
                Some(rest) => {
                    let until = self.now + u64::try_from(rest.as_millis()).unwrap();
                    let known = self.told.entry(turn.model).or_default();
                    *known = until.max(*known);
                }
            }
        }
        let turns: Vec<BreakerTurn> = self
            .told
            .iter()
            .map(|(model, until)| BreakerTurn {
                provider: "sim".parse().unwrap(),
                model: model.clone(),
                rest: Some(Duration::from_millis(until.saturating_sub(self.now))),
            })
            .collect();
        let before = node.target.breaker(now);
        node.health.hear(&turns, node.stagger, now);
        match (before, node.target.breaker(now)) {
            (BreakerState::Closed, BreakerState::Open) => {
                node.heard = self.told.get("gpt").copied();
            }
            (_, BreakerState::Closed) => node.heard = None,
            _ => {}
        }
    }

    /// An ill target gets the calls by which each replica finds that out, and those that try: at most so many of each
    /// replica after each opening, which doubles.
    fn is_asked_rarely(&self) -> Result<(), TestCaseError> {
        if self.is_well {
            return Ok(());
        }
        let ill = Duration::from_millis(self.now - self.ill_since);
        let (mut openings, mut open, mut left) = (1, self.rules.open, ill);
        while left >= open {
            left -= open;
            open = (open * 2).min(self.rules.max_open);
            openings += 1;
        }
        let replicas = self.nodes.len();
        // Calls of a window count that were let through before, and those that are under way.
        let found_out = 2 * self.rules.calls as usize + 40;
        let most = replicas * (found_out + openings * self.rules.probes as usize);
        prop_assert!(
            self.let_through <= most,
            "{} of {most} calls were let through in {ill:?}",
            self.let_through
        );
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let count = self.nodes.len();
        match *step {
            Step::Call {
                replica,
                takes,
                is_given_up,
            } => {
                self.call(replica % count, takes, is_given_up)?;
            }
            Step::Pass { ticks } => self.pass(ticks)?,
            Step::Health { is_well } => {
                self.is_well = is_well;
                self.begin_counting();
            }
            Step::Link { replica, is_whole } => {
                self.nodes[replica % count].is_whole = is_whole;
                self.begin_counting();
            }
            Step::Kill { replica } if count > 1 => {
                self.nodes.remove(replica % count);
                self.begin_counting();
            }
            Step::Join if count < 4 => {
                self.join();
                self.begin_counting();
            }
            Step::Flush => {
                self.told.clear();
                self.begin_counting();
            }
            Step::Kill { .. } | Step::Join => {}
        }
        Ok(())
    }

    fn begin_counting(&mut self) {
        self.let_through = 0;
        self.ill_since = self.now;
    }

    /// The target stays as it is, everybody hears the others, and calls keep coming for so long.
    fn settle(&mut self, is_well: bool, lasts: Duration) -> Result<(), TestCaseError> {
        self.is_well = is_well;
        for node in &mut self.nodes {
            node.is_whole = true;
        }
        self.begin_counting();
        let ends = self.now + u64::try_from(lasts.as_millis()).unwrap();
        while self.now < ends {
            for number in 0..self.nodes.len() {
                self.call(number, 2, false)?;
            }
            self.pass(3)?;
        }
        Ok(())
    }
}

#[test]
fn a_target_is_tried_by_few_and_asked_by_everybody_when_it_is_well() {
    try_schedules(200, &(1_usize..4, steps()), |(count, steps)| {
        let mut world = World::of(count);
        for step in &steps {
            world.step(step)?;
        }
        // Ill for long, it is asked rarely; well again, by everybody within the longest rest.
        world.settle(false, Duration::from_mins(10))?;
        let longest = world.rules.max_open + FINDERS_TURN + Duration::from_secs(15);
        world.settle(true, longest)?;
        let now = world.moment();
        for node in &world.nodes {
            prop_assert_eq!(node.target.breaker(now), BreakerState::Closed);
        }
        Ok(())
    });
}
