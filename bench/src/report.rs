//! The result, for people and for programs.

use std::fs;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::compare::Plan;
use crate::figure::{Figure, Target};
use crate::figures::{Figures, Summary, count};
use crate::pinning::Pinning;
use crate::profile::Profile;
use crate::situation::{self, Found};
use crate::subject::Subject;

/// Rows of each table of a profile.
const PROFILE_ROWS: usize = 30;

/// System calls that are named.
const PROFILE_CALLS: usize = 12;

/// The machine that was measured on.
#[derive(Debug, Clone)]
pub struct Machine {
    cores: usize,
    memory: String,
    kernel: String,
    load: String,
    pinning: Pinning,
}

impl Machine {
    /// This machine. `cores` as they were counted before anything was pinned.
    pub fn here(cores: usize, pinning: Pinning) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let memory = read("/proc/meminfo");
        let memory = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"));
        Self {
            cores,
            memory: memory.unwrap_or("unknown").trim().to_owned(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg").trim().to_owned(),
            pinning,
        }
    }
}

/// The report as a table.
pub fn table(figures: &Figures, plan: Plan, machine: &Machine) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "figure",
        "direct",
        "bare proxy",
        "Trunkline",
        "ratio",
        "to",
        "target",
        "",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for figure in Figure::ALL {
        let summary = figures.summary(figure);
        let definition = figure.definition();
        table.add_row([
            definition.title.to_owned(),
            number(summary.direct),
            number(summary.bare),
            number(summary.trunkline),
            summary
                .ratio
                .map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            summary
                .ratio
                .map_or("", |_| definition.baseline.name())
                .to_owned(),
            target(definition.target),
            verdict(&summary).to_owned(),
        ]);
    }
    format!(
        "{table}\nMedians of {} rounds ({} for start-up and memory); a ratio is the median of the rounds' ratios.\n\
         Steady rates: {} requests/s; {} streams/s with a chunk every {} ms. {} streams held open.\n\
         Pictures: {} requests over {} connections; {} waiting at once when memory is measured.\n\
         Machine: {} cores, {}, Linux {}, load before the run {}; {}.\n",
        plan.rounds,
        plan.starts,
        plan.requests_per_second,
        plan.streams_per_second,
        plan.chunk_every_ms,
        plan.open_streams,
        plan.pictures.requests(),
        plan.pictures.connections,
        plan.pictures.waiting,
        machine.cores,
        machine.memory,
        machine.kernel,
        machine.load,
        pinning(machine.pinning),
    )
}

/// What was found in other situations, as a table.
pub fn situations(found: &[Found], plan: situation::Plan, machine: &Machine) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "situation",
        "CPU per request, µs",
        "to the bare proxy",
        "to the usual",
        "start to ready, ms",
        "resident, MiB",
    ]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for each in found {
        table.add_row([
            each.situation.title().to_owned(),
            format!("{:.1}", each.cpu_us),
            format!("{:.2}", each.to_bare),
            format!("{:.2}", each.to_usual),
            each.ready_after.as_millis().to_string(),
            format!("{:.0}", count(each.resident) / 1_024.0 / 1_024.0),
        ]);
    }
    format!(
        "{table}\nMedians of {} rounds at full load over {} connections; a ratio is the median of the rounds' ratios.\n\
         Machine: {} cores, {}, Linux {}, load before the run {}; {}.\n",
        plan.rounds,
        plan.connections,
        machine.cores,
        machine.memory,
        machine.kernel,
        machine.load,
        pinning(machine.pinning),
    )
}

/// The same as JSON.
pub fn situations_json(found: &[Found], plan: situation::Plan, machine: &Machine) -> Value {
    let situations: serde_json::Map<String, Value> = found
        .iter()
        .map(|each| {
            let values = json!({
                "cpu_per_request_us": each.cpu_us,
                "ratio_to_bare": each.to_bare,
                "ratio_to_usual": each.to_usual,
                "ready_after_ms": each.ready_after.as_secs_f64() * 1_000.0,
                "resident_bytes": each.resident,
            });
            (each.situation.key().to_owned(), values)
        })
        .collect();
    json!({
        "situations": situations,
        "rounds": plan.rounds,
        "connections": plan.connections,
        "load_before": machine.load,
    })
}

/// The report as JSON.
pub fn json(figures: &Figures, plan: Plan, machine: &Machine) -> Value {
    let figures: serde_json::Map<String, Value> = Figure::ALL
        .into_iter()
        .map(|figure| {
            let summary = figures.summary(figure);
            let definition = figure.definition();
            let (baseline, subject) = figure.baseline();
            let rounds = |subject: Subject| json!(figures.values(figure, subject));
            let value = json!({
                "title": definition.title.trim(),
                "direct": summary.direct,
                "bare": summary.bare,
                "trunkline": summary.trunkline,
                "ratio": summary.ratio,
                "baseline": {
                    "figure": baseline.definition().key,
                    "subject": subject.name(),
                },
                "target": target(definition.target),
                "met": summary.met,
                "rounds": {
                    "direct": rounds(Subject::Direct),
                    "bare": rounds(Subject::Bare),
                    "trunkline": rounds(Subject::Trunkline),
                },
            });
            (definition.key.to_owned(), value)
        })
        .collect();
    json!({
        "figures": figures,
        "plan": {
            "rounds": plan.rounds,
            "starts": plan.starts,
            "seconds_per_load": plan.length.as_secs_f64(),
            "connections": plan.connections,
            "requests_per_second": plan.requests_per_second,
            "streams_per_second": plan.streams_per_second,
            "chunk_every_ms": plan.chunk_every_ms,
            "open_streams": plan.open_streams,
            "pictures": plan.pictures.requests(),
            "picture_connections": plan.pictures.connections,
            "pictures_waiting": plan.pictures.waiting,
        },
        "machine": {
            "cores": machine.cores,
            "memory": machine.memory,
            "kernel": machine.kernel,
            "load": machine.load,
            "pinning": pinning(machine.pinning),
        },
    })
}

/// A profile as tables, in microseconds per answer.
pub fn profile(profile: &Profile) -> String {
    let tally = &profile.tally;
    let titles = [
        ("whose work", &tally.by_owner),
        ("innermost function of the product", &tally.by_function),
        ("what the processor did", &tally.by_kind),
    ];
    let each = profile.each.as_secs_f64() * 1e6;
    let mut text = format!(
        "{each:.1} µs of CPU per answer while the load lasted; {} samples.\n",
        tally.samples
    );
    for (title, counts) in titles {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header([title, "µs", "per cent"]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for (name, count) in counts.largest(PROFILE_ROWS) {
            #[expect(
                clippy::cast_precision_loss,
                reason = "sample counts are far below 2^52"
            )]
            let share = count as f64 / tally.samples as f64;
            let percent = format!("{:.1}", share * 100.0);
            table.add_row([name, &format!("{:.2}", share * each), &percent]);
        }
        text.push('\n');
        text.push_str(&table.to_string());
        text.push('\n');
    }
    let calls = profile.calls.iter().take(PROFILE_CALLS);
    let calls: Vec<String> = calls
        .map(|(name, count)| format!("{name} {count:.2}"))
        .collect();
    if !calls.is_empty() {
        text.push_str("\nSystem calls per answer: ");
        text.push_str(&calls.join(", "));
        text.push_str(".\n");
    }
    text
}

fn number(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.1}"),
    }
}

fn target(target: Option<Target>) -> String {
    match target {
        None => String::new(),
        Some(Target::Ratio(most)) => format!("≤ {most} ×"),
        Some(Target::Value(most)) => format!("≤ {most}"),
    }
}

fn verdict(summary: &Summary) -> &'static str {
    match summary.met {
        None => "",
        Some(true) => "met",
        Some(false) => "MISSED",
    }
}

fn pinning(pinning: Pinning) -> &'static str {
    match pinning {
        Pinning::Apart => "subject on core 0, load and mock on core 1",
        Pinning::Free => "nothing pinned: treat the figures with care",
    }
}
