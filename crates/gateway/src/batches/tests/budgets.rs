//! What batches hold of a budget, in whatever order they begin and end and the process does.

use domain::batch::{Handover, HandoverStep};
use proptest::prelude::*;

use super::*;
use crate::batches::reservation::Held;
use crate::limits::{Destination, Outlay};

/// What happens next; a number that is too large stands for the last.
#[derive(Debug, Clone)]
enum Event {
    /// A batch is to be handed over whose parts may cost so much, in nano-dollars.
    Begin(Vec<i64>),
    /// A part of a batch ends.
    End { batch: usize, part: usize },
    /// The process ends, and what it held with it; another finds the batches that are under way.
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => proptest::collection::vec(1_i64..400, 1..4).prop_map(Event::Begin),
        3 => (0_usize..4, 0_usize..3).prop_map(|(batch, part)| Event::End { batch, part }),
        1 => Just(Event::Restart),
    ];
    proptest::collection::vec(event, 1..40)
}

/// A batch that was handed over, what it holds, and what it is to hold, part by part.
struct Open {
    batch: Batch,
    held: Option<Held>,
    wanted: Vec<i64>,
}

fn part(cost: i64) -> Handover {
    Handover {
        provider: "openai".parse().unwrap(),
        model: "gpt-5.4-nano".to_owned(),
        asked_as: vec![MODEL.parse().unwrap()],
        lines: 1,
        reserved: Cost::from_nano_dollars(cost),
        number: 0,
        at: Timestamp::from_second(BEGINNING).unwrap(),
        file: None,
        step: HandoverStep::Planned,
        is_stopped: false,
        not_this: Vec::new(),
    }
}

/// Whether parts of these costs may begin when `taken` of `limit` is held already: even a batch that is alone must fit
/// whole.
fn fits(costs: &[i64], taken: i64, limit: i64) -> bool {
    taken + costs.iter().sum::<i64>() <= limit
}

/// Whether just so much of the budget is left as must be.
fn has_room(bench: &Bench, cost: i64) -> bool {
    let now = bench.stage.clock.now();
    let limits = &bench.stage.limits;
    let mut admission = limits.admit_settled(&bench.caller, None, now);
    let (provider, model) = ("openai".parse().unwrap(), "gpt-5.4-nano");
    let target = Destination {
        provider: &provider,
        model,
    };
    admission
        .reserve(target, Outlay::exactly(Cost::from_nano_dollars(cost)))
        .is_ok()
}

fn play(limit: i64, events: Vec<Event>) -> Result<(), TestCaseError> {
    let budget = Budget {
        limit: Cost::from_nano_dollars(limit),
        per: Period::Day,
    };
    let bench = Bench::new(true, caller(Rate::default(), Some(budget)), []);
    let gateway = &bench.stage.gateway;
    let template = bench.submit(&[line("one")]).unwrap();
    let mut open: Vec<Open> = Vec::new();
    let taken = |open: &[Open]| -> i64 { open.iter().flat_map(|it| &it.wanted).sum() };
    let mut number = 0;
    for event in events {
        match event {
            Event::Begin(costs) => {
                number += 1;
                let mut batch = template.clone();
                let made_at = template.created_at + jiff::SignedDuration::from_secs(number);
                batch.id = BatchId::new(made_at, &Zeros);
                batch.details.handovers = costs.iter().copied().map(part).collect();
                let set_aside = bench.batches.set_aside(gateway, &batch, &bench.caller);
                let set_aside = crate::testing::at_once(set_aside);
                prop_assert_eq!(set_aside.is_ok(), fits(&costs, taken(&open), limit));
                if let Ok(held) = set_aside {
                    for part in &mut batch.details.handovers {
                        part.number = 1;
                    }
                    open.push(Open {
                        batch,
                        held: Some(held),
                        wanted: costs,
                    });
                }
            }
            Event::End { batch, part } => {
                let last = open.len().saturating_sub(1);
                if let Some(it) = open.get_mut(batch.min(last)) {
                    let parts = &mut it.batch.details.handovers;
                    let part = part.min(parts.len() - 1);
                    parts[part].step = HandoverStep::Settled;
                    it.wanted[part] = 0;
                    it.held.as_mut().unwrap().keep_only(parts);
                }
            }
            Event::Restart => {
                for it in &mut open {
                    it.held = None;
                }
                for it in &mut open {
                    bench.batches.hold_open(gateway, &it.batch);
                    let parts = it.batch.details.handovers.iter();
                    // What was handed over is held as it may cost.
                    it.wanted = parts
                        .map(|part| match part.step {
                            HandoverStep::Settled => 0,
                            _ => part.reserved.nano_dollars(),
                        })
                        .collect();
                }
                for it in &mut open {
                    let held = bench.batches.set_aside(gateway, &it.batch, &bench.caller);
                    it.held = crate::testing::at_once(held).ok();
                    prop_assert!(it.held.is_some());
                }
            }
        }
        let taken = taken(&open);
        let rest = limit - taken;
        if rest > 0 {
            prop_assert!(has_room(&bench, rest), "{rest} of {limit} is left");
        }
        if taken > 0 {
            prop_assert!(
                !has_room(&bench, rest.max(0) + 1),
                "no more than {rest} is left"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_hold_what_they_may_cost_until_their_parts_have_ended(
        limit in 1_i64..1_000,
        events in events(),
    ) {
        play(limit, events)?;
    }
}
