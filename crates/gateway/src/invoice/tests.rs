use std::fs;
use std::path::Path;

use domain::call::{CallState, CallStore};
use domain::usage::Usage;
use serde::Deserialize;

use super::*;
use crate::testing::{Memory, at_once, call};

/// A line as the fixtures write it.
#[derive(Deserialize)]
struct Written {
    day: Date,
    model: String,
    input: Option<u64>,
    output: Option<u64>,
    cost: Option<Cost>,
}

#[test]
fn every_export_is_read_as_its_fixture_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/invoice/fixtures");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        let name = case.display();
        let text = |file: &str| fs::read_to_string(case.join(file));
        let columns = text("columns").unwrap_or_default().trim().parse().unwrap();
        let expected: Vec<Written> = serde_json::from_str(&text("lines.json").unwrap()).unwrap();
        let expected: Vec<InvoiceLine> = expected
            .into_iter()
            .map(|line| InvoiceLine {
                day: line.day,
                model: line.model,
                input_tokens: line.input,
                output_tokens: line.output,
                cost: line.cost,
            })
            .collect();
        assert_eq!(
            read(&text("export").unwrap(), &columns),
            Ok(expected),
            "{name}"
        );
        seen += 1;
    }
    assert_eq!(seen, 10);
}

#[test]
fn what_cannot_be_read_is_named() {
    let columns = Columns::default();
    for (text, problem) in [
        ("", "it is neither JSON"),
        ("{\"error\":{}}", "it is neither JSON"),
        (
            "a,b\n1,2",
            "no column says the day: the columns are a, b; name it as in day=COLUMN",
        ),
        ("date,model\n2026-11-20,m", "no column says the cost"),
        ("date,cost\nsoon,1", "line 2: 'soon' is no day"),
        ("date,cost\n2026-11-20,much", "line 2: 'much' is no amount"),
        ("date,cost,currency\n2026-11-20,1,EUR", "line 2 is in EUR"),
    ] {
        let error = read(text, &columns).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{text}: {error}");
    }
    assert!("day".parse::<Columns>().is_err());
    assert!("when=Date".parse::<Columns>().is_err());
}

#[test]
fn models_are_compared_without_their_editions() {
    for (name, free) in [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("GPT-4.1", "gpt-4.1"),
        ("o3", "o3"),
    ] {
        assert_eq!(edition_free(name), free);
    }
}

fn line(model: &str, cost: &str) -> InvoiceLine {
    InvoiceLine {
        day: "1970-01-01".parse().unwrap(),
        model: model.to_owned(),
        input_tokens: None,
        output_tokens: None,
        cost: Some(cost.parse().unwrap()),
    }
}

fn paid(model: &str, cost: &str) -> domain::call::Call {
    domain::call::Call {
        response_model: Some(model.to_owned()),
        cost_usd: Some(cost.parse().unwrap()),
        usage: Usage::text(1_000, 100),
        state: CallState::Settled,
        ..call()
    }
}

fn compared(calls: &[domain::call::Call], lines: &[InvoiceLine]) -> Reconciliation {
    at_once(async {
        let store = Memory::default();
        store.record_calls(calls).await.unwrap();
        let provider = "openai".parse().unwrap();
        let found = reconcile(&store, &provider, lines, Threshold::default()).await;
        found.unwrap().unwrap()
    })
}

#[test]
fn a_days_calls_of_a_model_are_held_against_what_the_vendor_charges() {
    let calls = [
        paid("gpt-4o-2024-08-06", "1.00"),
        paid("gpt-4o-2024-08-06", "0.50"),
    ];
    let same = compared(
        &calls,
        &[line("gpt-4o", "1.00"), line("gpt-4o-2024-08-06", "0.50")],
    );
    assert_eq!(same.rows.len(), 1);
    assert_eq!(same.rows[0].ledger.calls, 2);
    assert_eq!(same.rows[0].difference.cost_usd, Some(Cost::ZERO));
    assert_eq!(same.beyond_threshold, 0);
}

#[test]
fn a_difference_counts_when_it_is_beyond_a_cent_and_one_per_cent() {
    for (charged, is_beyond) in [
        ("1.00", false),
        ("1.005", false),
        ("1.02", true),
        ("0.98", true),
    ] {
        let found = compared(&[paid("m", "1.00")], &[line("m", charged)]);
        assert_eq!(found.rows[0].is_beyond_threshold, is_beyond, "{charged}");
    }
    let little = compared(&[paid("m", "0.001")], &[line("m", "0.002")]);
    assert_eq!(little.beyond_threshold, 0);
}

#[test]
fn what_only_one_side_has_differs_by_all_of_it() {
    let found = compared(&[paid("ours", "2.00")], &[line("theirs", "3.00")]);
    let differences: Vec<_> = found
        .rows
        .iter()
        .map(|row| {
            (
                row.model.as_str(),
                row.difference.cost_usd.unwrap().to_string(),
            )
        })
        .collect();
    assert_eq!(
        differences,
        [
            ("ours", "2.000000000".to_owned()),
            ("theirs", "-3.000000000".to_owned())
        ]
    );
    assert_eq!(found.beyond_threshold, 2);
    assert_eq!(found.total.difference.cost_usd, Some("-1".parse().unwrap()));
}

#[test]
fn where_the_vendor_says_tokens_only_these_are_compared() {
    let tokens = |input| InvoiceLine {
        input_tokens: Some(input),
        output_tokens: Some(100),
        cost: None,
        ..line("m", "0")
    };
    let same = compared(&[paid("m", "1.00")], &[tokens(1_000)]);
    assert_eq!(
        (same.beyond_threshold, same.rows[0].difference.cost_usd),
        (0, None)
    );
    let other = compared(&[paid("m", "1.00")], &[tokens(1_100)]);
    assert_eq!(other.rows[0].difference.input_tokens, Some(-100));
    assert_eq!(other.beyond_threshold, 1);
}
