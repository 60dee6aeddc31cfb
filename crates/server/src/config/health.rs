//! `health`: how providers are looked after beside the calls that go to them.

use std::time::Duration;

use domain::money::Cost;
use gateway::health::{CanaryRules, HealthRules, ProbeRules};

use super::fields::{Fields, Section};
use super::problem::Complaint;

/// The shortest time between two probes: more often, vendors count them as traffic.
const SHORTEST: Duration = Duration::from_secs(1);

impl Section for HealthRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let probes = fields.optional_section(
            "probes",
            "Asks every provider for its list of models, which costs nothing: whether it answers, and takes \
             its keys. Left out, only calls tell.",
        );
        let canary = fields.optional_section(
            "canary",
            "Sends the smallest chat to targets of routes that nobody asks, from one replica. Left out, none \
             is sent.",
        );
        Some(Self { probes, canary })
    }
}

impl Section for ProbeRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let interval: Option<Duration> = fields.or(
            "interval",
            "30s",
            "The time between two probes of a provider, a second at least.",
        );
        let timeout: Option<Duration> = fields.or(
            "timeout",
            "5s",
            "How long one may take, no longer than `interval`; left out, the shorter of the two.",
        );
        if interval.is_some_and(|interval| interval < SHORTEST) {
            let complaint = Complaint::new("it is shorter than a second");
            fields.refuse("interval", complaint.suggest("write `1s` or longer"));
            return None;
        }
        if fields.is_given("timeout") && interval.is_some() && timeout > interval {
            let complaint = Complaint::new("`timeout` is longer than `interval`");
            fields.refuse(
                "timeout",
                complaint.suggest("lower `timeout`, or raise `interval`"),
            );
        }
        Some(Self {
            interval: interval?,
            timeout: timeout?.min(interval?),
        })
    }
}

impl Section for CanaryRules {
    fn read(fields: &mut impl Fields) -> Option<Self> {
        let idle: Option<Duration> = fields.or(
            "idle",
            "10m",
            "How long a target must have been left alone.",
        );
        let usd_per_day: Option<Cost> = fields.required(
            "usd_per_day",
            "0.10",
            "What all of them may cost in a day in UTC, in US dollars. Models without a price get none.",
        );
        Some(Self {
            idle: idle?,
            usd_per_day: usd_per_day?,
        })
    }
}
