//! Refreshing the catalog from facts.

use domain::usage::{ServiceTier, Usage};
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::at;
use crate::catalog::Catalog;
use crate::catalog::file::{CatalogFile, ProviderFile};
use crate::catalog::meter::Meter;
use crate::catalog::provider::BUILTIN_PROVIDERS;
use crate::catalog::refresh::diff::Diff;
use crate::catalog::refresh::{RefreshError, rebuild};

const FIRST: Date = date(2026, 1, 1);
const SECOND: Date = date(2026, 6, 1);

/// Facts in which every vendor is named and only OpenAI has models.
fn facts(openai: &Value) -> String {
    let vendors: Vec<Value> = BUILTIN_PROVIDERS
        .iter()
        .map(|provider| provider.genai_name)
        .map(|id| {
            let models = if id == "openai" {
                openai.clone()
            } else {
                json!([])
            };
            json!({ "id": id, "pricing_urls": ["https://example.com"], "models": models })
        })
        .collect();
    serde_json::to_string(&vendors).unwrap()
}

fn model(id: &str, prices: &Value) -> Value {
    json!({ "id": id, "match": { "equals": id }, "prices": prices })
}

fn rebuilt(
    old: &CatalogFile,
    openai: &Value,
    table: Option<&Value>,
    today: Date,
) -> (CatalogFile, Diff) {
    let table = table.map(Value::to_string);
    rebuild(old, &facts(openai), table.as_deref(), today).unwrap()
}

fn price_on(files: &CatalogFile, model: &str, usage: Usage, moment: &str) -> String {
    Catalog::refreshed(files.clone())
        .price("openai", model, &usage, ServiceTier::Standard, at(moment))
        .unwrap()
        .total
        .to_string()
}

fn million() -> Usage {
    Usage::text(1_000_000, 0)
}

#[test]
fn a_changed_price_is_dated_and_the_old_one_stays() {
    let before = json!([model("m", &json!({ "input_mtok": 2, "output_mtok": 8 }))]);
    let after = json!([model("m", &json!({ "input_mtok": 1.25, "output_mtok": 8 }))]);
    let (old, diff) = rebuilt(&CatalogFile::default(), &before, None, FIRST);
    assert_eq!(diff.to_string(), "added      openai/m\n");

    let (new, diff) = rebuilt(&old, &after, None, SECOND);
    assert_eq!(
        diff.to_string(),
        "price      openai/m standard input: $2/1M -> $1.25/1M from 2026-06-01\n"
    );
    assert_eq!(
        price_on(&new, "m", million(), "2026-05-31T23:59:59Z"),
        "2.000000000"
    );
    assert_eq!(
        price_on(&new, "m", million(), "2026-06-01T00:00:00Z"),
        "1.250000000"
    );
}

#[test]
fn the_same_facts_change_nothing() {
    let facts = json!([model(
        "m",
        &json!({
            "input_mtok": { "base": 2, "tiers": [{ "start": 200_000, "price": 4 }] },
            "output_mtok": 8
        })
    )]);
    let (old, _) = rebuilt(&CatalogFile::default(), &facts, None, FIRST);
    let (new, diff) = rebuilt(&old, &facts, None, SECOND);
    assert!(diff.is_empty(), "{diff}");
    let models = |files: &CatalogFile| files.provider("openai").unwrap().models.clone();
    assert_eq!(models(&new), models(&old));
}

#[test]
fn an_announced_price_waits_for_its_day() {
    let now = json!({ "input_mtok": 2 });
    let then = json!({ "input_mtok": 3 });
    let before = json!([model("m", &now)]);
    let after = json!([model(
        "m",
        &json!([
            { "prices": now },
            { "constraint": { "start_date": "2026-09-01" }, "prices": then }
        ])
    )]);
    let (old, _) = rebuilt(&CatalogFile::default(), &before, None, FIRST);
    let (new, diff) = rebuilt(&old, &after, None, SECOND);
    assert_eq!(
        diff.to_string(),
        "price      openai/m standard input: $2/1M -> $3/1M from 2026-09-01\n"
    );
    assert_eq!(
        price_on(&new, "m", million(), "2026-08-31T12:00:00Z"),
        "2.000000000"
    );
    assert_eq!(
        price_on(&new, "m", million(), "2026-09-01T00:00:00Z"),
        "3.000000000"
    );
    let (_, diff) = rebuilt(&new, &after, None, date(2026, 10, 1));
    assert!(diff.is_empty(), "{diff}");
}

#[test]
fn a_malformed_row_is_refused_by_name_and_the_catalog_keeps_what_it_had() {
    let good = json!({ "input_mtok": 2 });
    let before = json!([model("a", &good), model("b", &good), model("c", &good)]);
    let (old, _) = rebuilt(&CatalogFile::default(), &before, None, FIRST);
    let after = json!([
        model("a", &json!({ "input_mtok": "two" })),
        model("b", &json!({ "input_mtok": 20_000_000 })),
        model("c", &json!({ "input_parsecs": 2 })),
        { "match": { "equals": "d" }, "prices": good },
    ]);
    let table = json!({});
    let (new, diff) = rebuilt(&old, &after, Some(&table), SECOND);
    let refused: Vec<&str> = diff.refused.iter().map(|row| &*row.model).collect();
    assert_eq!(refused, ["a", "c", "#3", "b"]);
    assert!(diff.withdrawn.is_empty() && diff.prices.is_empty());
    for model in ["a", "b", "c"] {
        assert_eq!(
            price_on(&new, model, million(), "2026-07-01T00:00:00Z"),
            "2.000000000"
        );
    }
}

#[test]
fn a_model_that_is_no_longer_named_is_withdrawn_once_and_still_priced() {
    let before = json!([model("m", &json!({ "input_mtok": 2 }))]);
    let table = json!({});
    let (old, _) = rebuilt(&CatalogFile::default(), &before, Some(&table), FIRST);
    let (new, diff) = rebuilt(&old, &json!([]), Some(&table), SECOND);
    assert_eq!(diff.to_string(), "withdrawn  openai/m\n");
    assert_eq!(
        price_on(&new, "m", million(), "2026-07-01T00:00:00Z"),
        "2.000000000"
    );
    let (_, diff) = rebuilt(&new, &json!([]), Some(&table), date(2026, 7, 1));
    assert!(diff.is_empty(), "{diff}");
}

#[test]
fn facts_without_a_whole_vendor_are_refused() {
    let error = rebuild(&CatalogFile::default(), "[]", None, FIRST).unwrap_err();
    assert!(matches!(error, RefreshError::ProviderMissing("openai")));
    let error = rebuild(&CatalogFile::default(), "{", None, FIRST).unwrap_err();
    assert!(matches!(error, RefreshError::Prices(_)));
}

fn table_row(input: f64, more: &Value) -> Value {
    let mut row = json!({
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": input,
        "output_cost_per_token": 8e-6,
        "max_output_tokens": 1_000,
    });
    for (member, value) in more.as_object().unwrap() {
        row[member] = value.clone();
    }
    row
}

#[test]
fn the_table_adds_tiers_only_where_it_agrees_about_the_ordinary_price() {
    let prices = json!([model("m", &json!({ "input_mtok": 2, "output_mtok": 8 }))]);
    let batch = json!({ "input_cost_per_token_batches": 1e-6 });
    let agreeing = json!({ "m": table_row(2e-6, &batch) });
    let (files, diff) = rebuilt(&CatalogFile::default(), &prices, Some(&agreeing), FIRST);
    assert!(diff.conflicts.is_empty());
    let batch_price = |files: &CatalogFile| {
        let model = files.provider("openai").unwrap().models.first().unwrap();
        let list = model.price_list(ServiceTier::Batch, FIRST)?;
        list.prices
            .get(Meter::Input)
            .map(domain::money::PicoDollars::get)
    };
    assert_eq!(batch_price(&files), Some(1_000_000));

    let disagreeing = json!({ "m": table_row(3e-6, &batch) });
    let (files, diff) = rebuilt(&CatalogFile::default(), &prices, Some(&disagreeing), FIRST);
    assert_eq!(batch_price(&files), None);
    assert_eq!(
        diff.conflicts.first().unwrap().to_string(),
        "openai/m input: genai-prices $2/1M taken, litellm $3/1M"
    );
    let model = files
        .provider("openai")
        .unwrap()
        .models
        .first()
        .unwrap()
        .clone();
    assert_eq!(model.capabilities.max_output_tokens, Some(1_000));
}

#[test]
fn a_row_that_names_the_vendors_page_overrules_the_other_source_from_its_day_on() {
    let prices = json!([model("m", &json!({ "input_mtok": 2, "output_mtok": 8 }))]);
    let (old, _) = rebuilt(&CatalogFile::default(), &prices, None, FIRST);
    let row = |source: &str, input: f64| {
        let more = json!({ "source": source, "input_cost_per_token_batches": input / 2.0 });
        json!({ "m": table_row(input, &more) })
    };
    let taken = |table: &Value| {
        let (files, diff) = rebuilt(&old, &prices, Some(table), SECOND);
        let told: Vec<String> = diff.conflicts.iter().map(ToString::to_string).collect();
        (files, told)
    };
    let (new, told) = taken(&row("https://platform.openai.com/docs/pricing", 1e-6));
    assert_eq!(
        told,
        ["openai/m input: litellm $1/1M taken, genai-prices $2/1M"]
    );
    for (moment, expected) in [
        ("2026-05-31T00:00:00Z", "2.000000000"),
        ("2026-06-01T00:00:00Z", "1.000000000"),
    ] {
        assert_eq!(price_on(&new, "m", million(), moment), expected, "{moment}");
    }
    // It stays so until the table is read again.
    let (later, diff) = rebuilt(&new, &prices, None, date(2026, 7, 1));
    assert!(diff.is_empty(), "{diff}");
    let moment = "2026-07-02T00:00:00Z";
    assert_eq!(price_on(&later, "m", million(), moment), "1.000000000");
    for (source, input) in [
        ("https://example.com/openai.com", 1e-6),
        ("https://notopenai.com/pricing", 1e-6),
        ("https://openai.com/pricing", 0.0),
    ] {
        let (files, told) = taken(&row(source, input));
        assert_eq!(
            price_on(&files, "m", million(), moment),
            "2.000000000",
            "{source}"
        );
        assert!(told[0].contains("genai-prices $2/1M taken"), "{told:?}");
    }
}

#[test]
fn a_model_covered_only_by_a_prefix_keeps_its_own_price() {
    let prefix = json!([{
        "id": "m-1", "match": { "starts_with": "m-1" }, "prices": { "input_mtok": 2 }
    }]);
    let table = json!({ "m-1-5": table_row(4e-6, &json!({})) });
    let (files, _) = rebuilt(&CatalogFile::default(), &prefix, Some(&table), FIRST);
    let moment = "2026-02-01T00:00:00Z";
    assert_eq!(price_on(&files, "m-1-5", million(), moment), "4.000000000");
    assert_eq!(
        price_on(&files, "m-1-20260101", million(), moment),
        "2.000000000"
    );
}

#[test]
fn a_refresh_of_prices_alone_ends_the_tiers_of_a_price_that_changed() {
    let before = json!([model("m", &json!({ "input_mtok": 2, "output_mtok": 8 }))]);
    let batch = json!({ "input_cost_per_token_batches": 1e-6 });
    let table = json!({ "m": table_row(2e-6, &batch) });
    let (old, _) = rebuilt(&CatalogFile::default(), &before, Some(&table), FIRST);
    let after = json!([model("m", &json!({ "input_mtok": 1, "output_mtok": 8 }))]);
    let (new, _) = rebuilt(&old, &after, None, SECOND);
    let catalog = Catalog::refreshed(new);
    let tier_used = |moment: &str| {
        catalog
            .price("openai", "m", &million(), ServiceTier::Batch, at(moment))
            .unwrap()
            .service_tier
    };
    assert_eq!(tier_used("2026-05-31T00:00:00Z"), ServiceTier::Batch);
    assert_eq!(tier_used("2026-06-01T00:00:00Z"), ServiceTier::Standard);
}

#[test]
fn prices_in_the_table_that_cannot_be_read_are_named() {
    let table = json!({
        "m": table_row(2e-6, &json!({ "input_cost_per_fathom": 1 })),
        "n": table_row(2e-6, &json!({ "output_cost_per_token": "cheap" })),
        "o": table_row(1.0 / 3.0e12, &json!({})),
    });
    let (files, diff) = rebuilt(&CatalogFile::default(), &json!([]), Some(&table), FIRST);
    assert_eq!(diff.unread.get("input_cost_per_fathom"), Some(&1));
    let refused: Vec<&str> = diff.refused.iter().map(|row| &*row.model).collect();
    assert_eq!(refused, ["n", "o"]);
    assert_eq!(files.provider("openai").unwrap().models.len(), 1);
}

#[test]
fn a_zero_beside_a_price_that_is_not_read_is_no_price() {
    let by_second = json!({
        "clip": {
            "litellm_provider": "openai", "mode": "audio_speech",
            "input_cost_per_token": 0, "output_cost_per_second": 0.1
        },
        "gift": table_row(0.0, &json!({ "output_cost_per_token": 0 })),
    });
    let (files, _) = rebuilt(&CatalogFile::default(), &json!([]), Some(&by_second), FIRST);
    let prices = |id: &str| {
        let models = &files.provider("openai").unwrap().models;
        models
            .iter()
            .find(|model| model.id == id)
            .unwrap()
            .prices
            .len()
    };
    assert_eq!((prices("clip"), prices("gift")), (0, 1));
}

#[test]
fn off_peak_windows_of_the_table_are_kept_with_their_days() {
    let table = json!({ "m": table_row(4e-6, &json!({
        "off_peak_pricing": {
            "input_cost_per_token": 1e-6,
            "windows": [
                { "hours_utc": ["22:00-02:00"], "weekdays": [5] },
                { "hours_utc": "00:00-00:00", "weekdays": [7] }
            ]
        }
    })) });
    let (files, _) = rebuilt(&CatalogFile::default(), &json!([]), Some(&table), FIRST);
    for (moment, expected) in [
        ("2026-02-06T21:59:59Z", "4.000000000"), // Friday
        ("2026-02-06T22:00:00Z", "1.000000000"),
        ("2026-02-07T01:59:59Z", "1.000000000"), // Saturday
        ("2026-02-07T02:00:00Z", "4.000000000"),
        ("2026-02-07T22:30:00Z", "4.000000000"),
        ("2026-02-08T12:00:00Z", "1.000000000"), // Sunday
    ] {
        assert_eq!(
            price_on(&files, "m", million(), moment),
            expected,
            "{moment}"
        );
    }
}

#[test]
fn a_file_with_an_unknown_member_is_refused() {
    let text = r#"{"provider":"openai","refreshed":"2026-01-01","pricing_urls":[],"models":[{"id":"m","price":[]}]}"#;
    assert!(ProviderFile::parse(text).is_err());
}
