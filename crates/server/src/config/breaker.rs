//! `breaker`: when calls are steered around a target that fails.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::health::BreakerRules;

use super::fields::{Fields, Section};
use super::problem::Complaint;
use super::ratio::Ratio;

impl Section for BreakerRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let window = fields.or("window", "30s", "How far back calls count.");
        let calls: Option<NonZeroU32> = fields.or(
            "calls",
            "10",
            "The fewest calls in the window that say anything.",
        );
        let failures: Option<Ratio> = fields.or(
            "failures",
            "0.5",
            "The part of them that has to fail. Rate limits, refused keys and wrong requests are no \
             failures of the target.",
        );
        let open: Option<Duration> = fields.or(
            "open",
            "10s",
            "How long calls go elsewhere the first time; each time that the target fails again, twice as \
             long.",
        );
        let max_open = fields.or("max_open", "5m", "How long they go elsewhere at most.");
        let probes: Option<NonZeroU32> = fields.or(
            "probes",
            "2",
            "How many calls may then try at the same time whether it is well again, and how many must \
             succeed one after another.",
        );
        if open > max_open && max_open.is_some() {
            let key = if fields.is_given("open") {
                "open"
            } else {
                "max_open"
            };
            let complaint = Complaint::new("`open` is longer than `max_open`");
            fields.refuse(key, complaint.suggest("lower `open`, or raise `max_open`"));
        }
        Some(Self {
            window: window?,
            calls: calls?.get(),
            failures: failures?.0,
            open: open?,
            max_open: max_open?,
            probes: probes?.get(),
        })
    }
}
