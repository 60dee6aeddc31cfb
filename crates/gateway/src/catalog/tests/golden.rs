//! Prices worked out by hand from the vendors' published figures.

use domain::usage::{ServiceTier, Usage};

use super::{NOW, at, cost, priced};
use crate::catalog::meter::Meter;
use crate::catalog::{Catalog, ModelOverride};

fn standard_price_at(provider: &str, model: &str, usage: Usage, moment: &str) -> String {
    Catalog::builtin()
        .price(provider, model, &usage, ServiceTier::Standard, at(moment))
        .unwrap()
        .total
        .to_string()
}

#[test]
fn openai_cached_input_is_charged_once_at_its_own_price() {
    // 600 × $0.75 + 400 × $0.075 + 200 × $4.50, per million.
    let usage = Usage {
        cached_input_tokens: 400,
        reasoning_tokens: 150,
        ..Usage::text(1_000, 200)
    };
    assert_eq!(cost("openai", "gpt-5.4-mini", usage), "0.001380000");
}

#[test]
fn openai_long_input_changes_the_whole_call_above_272_000_tokens() {
    // 272,000 × $2.50 + 1,000 × $15.00.
    assert_eq!(
        cost("openai", "gpt-5.4", Usage::text(272_000, 1_000)),
        "0.695000000"
    );
    // 272,001 × $5.00 + 1,000 × $22.50.
    assert_eq!(
        cost("openai", "gpt-5.4", Usage::text(272_001, 1_000)),
        "1.382505000"
    );
}

#[test]
fn openai_batch_flex_and_priority_have_prices_of_their_own() {
    let usage = Usage::text(10_000, 1_000);
    // 10,000 × $1.25 + 1,000 × $7.50; the same; 10,000 × $5.00 + 1,000 × $30.00.
    for (tier, expected) in [
        (ServiceTier::Batch, "0.020000000"),
        (ServiceTier::Flex, "0.020000000"),
        (ServiceTier::Priority, "0.080000000"),
    ] {
        let bill = priced("openai", "gpt-5.4", usage, tier);
        assert_eq!(bill.total.to_string(), expected, "{tier}");
        assert_eq!((bill.service_tier, bill.unpriced_tier), (tier, None));
    }
}

#[test]
fn a_tier_that_does_not_price_so_long_an_input_falls_back_to_standard() {
    let bill = priced(
        "openai",
        "gpt-5.4",
        Usage::text(300_000, 0),
        ServiceTier::Priority,
    );
    assert_eq!(bill.total.to_string(), "1.500000000");
    assert_eq!(bill.service_tier, ServiceTier::Standard);
    assert_eq!(bill.unpriced_tier, Some(ServiceTier::Priority));
}

#[test]
fn openai_realtime_audio_is_priced_apart_from_text_both_ways() {
    // Text 100 × $4, cached text 200 × $0.40, audio 600 × $32, cached audio 100 × $0.40,
    // text out 50 × $16, audio out 150 × $64.
    let usage = Usage {
        cached_input_tokens: 300,
        cached_input_audio_tokens: 100,
        input_audio_tokens: 700,
        output_audio_tokens: 150,
        ..Usage::text(1_000, 200)
    };
    assert_eq!(cost("openai", "gpt-realtime", usage), "0.030120000");
}

#[test]
fn openai_images_are_charged_by_the_token_and_not_by_the_piece_as_well() {
    // 50 text × $5 + 300 image × $10 + 1,000 image out × $40.
    let usage = Usage {
        input_image_tokens: 300,
        output_image_tokens: 1_000,
        images: 1,
        ..Usage::text(350, 1_000)
    };
    let bill = priced("openai", "gpt-image-1", usage, ServiceTier::Standard);
    assert_eq!(bill.total.to_string(), "0.043250000");
    assert!(bill.unpriced.is_empty());
}

#[test]
fn openai_transcription_is_charged_by_time() {
    // 90 seconds at $0.006 per minute.
    let usage = Usage {
        input_audio_milliseconds: 90_000,
        ..Usage::default()
    };
    assert_eq!(cost("openai", "whisper-1", usage), "0.009000000");
}

#[test]
fn openai_price_cuts_apply_from_their_day() {
    let usage = Usage::text(1_000_000, 0);
    let price = |moment| standard_price_at("openai", "o3", usage, moment);
    assert_eq!(price("2025-06-09T23:59:59Z"), "10.000000000");
    assert_eq!(price("2025-06-10T00:00:00Z"), "2.000000000");
}

#[test]
fn anthropic_cache_writes_of_both_lifetimes_have_their_own_prices() {
    // 100 × $5 + 200 × $0.50 + 300 × $6.25 + 400 × $10 + 50 × $25, and two searches at $0.01.
    let usage = Usage {
        cached_input_tokens: 200,
        cache_write_5m_tokens: 300,
        cache_write_1h_tokens: 400,
        web_searches: 2,
        ..Usage::text(1_000, 50)
    };
    assert_eq!(
        cost("anthropic", "claude-opus-4-5-20251101", usage),
        "0.027725000"
    );
}

#[test]
fn anthropic_long_input_begins_above_200_000_tokens_and_counts_cached_ones() {
    let usage = |input_tokens| Usage {
        cached_input_tokens: 150_000,
        ..Usage::text(input_tokens, 1_000)
    };
    // 50,000 × $3 + 150,000 × $0.30 + 1,000 × $15.
    assert_eq!(
        cost("anthropic", "claude-sonnet-4-5", usage(200_000)),
        "0.210000000"
    );
    // 50,001 × $6 + 150,000 × $0.60 + 1,000 × $22.50.
    assert_eq!(
        cost("anthropic", "claude-sonnet-4-5", usage(200_001)),
        "0.412506000"
    );
}

#[test]
fn anthropic_introductory_prices_end_on_their_day() {
    let usage = Usage::text(1_000_000, 100_000);
    let price = |moment| standard_price_at("anthropic", "claude-sonnet-5", usage, moment);
    assert_eq!(price("2026-08-31T23:59:59Z"), "3.000000000");
    assert_eq!(price("2026-09-01T00:00:00Z"), "4.500000000");
}

#[test]
fn anthropic_batches_cost_half_one_hour_writes_included() {
    // 100 × $0.50 + 100 × $1.00 + 100 × $2.50.
    let usage = Usage {
        cache_write_1h_tokens: 100,
        ..Usage::text(200, 100)
    };
    let bill = priced("anthropic", "claude-haiku-4-5", usage, ServiceTier::Batch);
    assert_eq!(bill.total.to_string(), "0.000400000");
    assert_eq!(bill.service_tier, ServiceTier::Batch);
}

#[test]
fn gemini_long_input_and_thoughts() {
    let usage = |input_tokens| Usage {
        reasoning_tokens: 900,
        ..Usage::text(input_tokens, 1_000)
    };
    // 200,000 × $2 + 1,000 × $12; 200,001 × $4 + 1,000 × $18.
    assert_eq!(
        cost("gemini", "gemini-3.1-pro-preview", usage(200_000)),
        "0.412000000"
    );
    assert_eq!(
        cost("gemini", "gemini-3.1-pro-preview", usage(200_001)),
        "0.818004000"
    );
}

#[test]
fn gemini_audio_and_its_cached_part() {
    // 500 text × $0.30, 100 cached text × $0.03, 300 audio × $1.00, 100 cached audio × $0.10,
    // 50 × $2.50.
    let usage = Usage {
        cached_input_tokens: 200,
        cached_input_audio_tokens: 100,
        input_audio_tokens: 400,
        ..Usage::text(1_000, 50)
    };
    assert_eq!(
        cost("gemini", "models/gemini-2.5-flash", usage),
        "0.000588000"
    );
}

#[test]
fn gemini_image_output_is_priced_apart_from_its_text() {
    // 100 × $0.30 + 60 × $2.50 + 1,290 × $30.
    let usage = Usage {
        output_image_tokens: 1_290,
        ..Usage::text(100, 1_350)
    };
    assert_eq!(
        cost("gemini", "gemini-2.5-flash-image", usage),
        "0.038880000"
    );
}

#[test]
fn bedrock_tells_regional_from_global_profiles() {
    let usage = Usage::text(1_000, 100);
    // $5.50 and $27.50 in a region, $5 and $25 worldwide.
    assert_eq!(
        cost("bedrock", "us.anthropic.claude-opus-4-6-v1:0", usage),
        "0.008250000"
    );
    assert_eq!(
        cost("bedrock", "global.anthropic.claude-opus-4-6-v1:0", usage),
        "0.007500000"
    );
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0";
    // 1,000 × $0.06 + 100 × $0.24.
    assert_eq!(cost("bedrock", arn, usage), "0.000084000");
}

#[test]
fn vertex_sells_gemini_and_claude() {
    let usage = Usage::text(1_000, 100);
    assert_eq!(cost("vertex", "gemini-2.5-pro", usage), "0.002250000");
    assert_eq!(
        cost("vertex", "claude-opus-4-5@20251101", usage),
        "0.007500000"
    );
    assert_eq!(
        cost(
            "vertex",
            "publishers/anthropic/models/claude-opus-4-8",
            usage
        ),
        "0.007500000"
    );
}

#[test]
fn azure_charges_what_openai_charges_for_what_it_does_not_list() {
    let usage = Usage::text(1_000, 100);
    assert_eq!(cost("azure", "o3-mini", usage), "0.001540000");
    assert_eq!(cost("azure_openai", "gpt-5-codex", usage), "0.002250000");
}

#[test]
fn deepseek_charges_by_the_hour_of_the_day() {
    let usage = Usage {
        cached_input_tokens: 500_000,
        ..Usage::text(1_000_000, 1_000_000)
    };
    let price = |moment| standard_price_at("deepseek", "deepseek-chat", usage, moment);
    // 0.5 × $0.135 + 0.5 × $0.035 + $0.55; 0.5 × $0.27 + 0.5 × $0.07 + $1.10.
    assert_eq!(price("2026-11-20T00:29:59Z"), "0.635000000");
    assert_eq!(price("2026-11-20T00:30:00Z"), "1.270000000");
    assert_eq!(price("2026-11-20T16:29:59Z"), "1.270000000");
    assert_eq!(price("2026-11-20T16:30:00Z"), "0.635000000");
}

#[test]
fn smaller_vendors_at_their_list_prices() {
    let usage = Usage::text(1_000, 100);
    for (provider, model, expected) in [
        ("mistral", "mistral-large-2512", "0.000650000"),
        ("cohere", "command-a-03-2025", "0.003500000"),
        ("groq", "openai/gpt-oss-120b", "0.000210000"),
        ("xai", "grok-4.3", "0.001500000"),
        (
            "together",
            "meta-llama/Llama-4-Scout-17B-16E-Instruct",
            "0.000239000",
        ),
        (
            "fireworks",
            "accounts/fireworks/models/kimi-k3",
            "0.004500000",
        ),
    ] {
        assert_eq!(cost(provider, model, usage), expected, "{provider}/{model}");
    }
}

#[test]
fn cohere_reranking_is_charged_by_the_search_unit() {
    let usage = Usage {
        search_units: 3,
        ..Usage::default()
    };
    assert_eq!(cost("cohere", "rerank-v3.5", usage), "0.006000000");
}

#[test]
fn perplexity_charges_for_the_request_or_for_searches_reasoning_and_citations() {
    // 1,000 × $3 + 100 × $15 + one request at $0.014.
    assert_eq!(
        cost("perplexity", "sonar-pro", Usage::text(1_000, 100)),
        "0.018500000"
    );
    // 100 × $2 + 100 × $8 + 1,000 × $3 + 500 × $2 + 4 × $0.005.
    let research = Usage {
        reasoning_tokens: 1_000,
        citation_tokens: 500,
        web_searches: 4,
        ..Usage::text(100, 1_600)
    };
    assert_eq!(
        cost("perplexity", "sonar-deep-research", research),
        "0.025000000"
    );
}

#[test]
fn a_total_is_rounded_once_half_to_even() {
    // 125 cached tokens at 3,625 pico-dollars are 453,125 pico-dollars, which is 453.125 nano.
    let cached = |count| Usage {
        cached_input_tokens: count,
        ..Usage::text(count, 0)
    };
    assert_eq!(
        cost("deepseek", "deepseek-v4-pro", cached(125)),
        "0.000000453"
    );
    // 4 × 3,625 = 14,500: half, to the even 14. 12 × 3,625 = 43,500: half, to the even 44.
    assert_eq!(
        cost("deepseek", "deepseek-v4-pro", cached(4)),
        "0.000000014"
    );
    assert_eq!(
        cost("deepseek", "deepseek-v4-pro", cached(12)),
        "0.000000044"
    );
}

#[test]
fn a_meter_without_a_price_is_charged_as_its_parent_and_says_so() {
    let usage = Usage {
        reasoning_tokens: 40,
        ..Usage::text(10, 100)
    };
    let bill = priced("openai", "o3", usage, ServiceTier::Standard);
    let reasoning = bill
        .lines
        .iter()
        .find(|line| line.meter == Meter::Reasoning)
        .unwrap();
    assert_eq!(reasoning.quantity, 40);
    assert_eq!(reasoning.priced_as, Some(Meter::Output));
    let output = bill
        .lines
        .iter()
        .find(|line| line.meter == Meter::Output)
        .unwrap();
    assert_eq!((output.quantity, output.priced_as), (60, None));
}

#[test]
fn a_search_without_a_price_is_named_on_the_bill() {
    let usage = Usage {
        web_searches: 1,
        ..Usage::text(10, 10)
    };
    let bill = priced("deepseek", "deepseek-v4-pro", usage, ServiceTier::Standard);
    assert_eq!(bill.unpriced.first().unwrap().meter, Meter::WebSearch);
}

#[test]
fn an_unknown_model_is_unpriced_and_never_free() {
    let catalog = Catalog::builtin();
    let usage = Usage::text(1, 1);
    for (provider, model) in [("openai", "no-such-model"), ("no-such-provider", "gpt-5.4")] {
        let result = catalog.price(provider, model, &usage, ServiceTier::Standard, at(NOW));
        assert_eq!(result.unwrap_err().model, model);
    }
}

#[test]
fn a_configured_price_wins_also_when_it_is_zero() {
    let free = [(Meter::Input, domain::money::PicoDollars::ZERO)]
        .into_iter()
        .collect();
    let catalog = Catalog::builtin().with_overrides(
        [ModelOverride {
            provider: "local".into(),
            kind: "openai".into(),
            model: "gpt-5.4".into(),
            prices: free,
            capabilities: domain::model::Capabilities::default(),
        }],
        jiff::civil::date(2026, 11, 21),
    );
    let usage = Usage::text(1_000_000, 0);
    let bill = catalog
        .price("local", "gpt-5.4", &usage, ServiceTier::Priority, at(NOW))
        .unwrap();
    assert_eq!(bill.total.to_string(), "0.000000000");
    assert_eq!(bill.price_source, "configuration");
    assert_eq!(bill.lines.len(), 1);
    // What the configuration does not say stays as the catalog knows it.
    let facts = catalog.find("local", "gpt-5.4").unwrap();
    assert_eq!(facts.capabilities.max_output_tokens, Some(128_000));
    assert_eq!(
        catalog
            .price(
                "openai",
                "gpt-5.4",
                &Usage::text(100, 0),
                ServiceTier::Standard,
                at(NOW)
            )
            .unwrap()
            .price_source,
        "genai-prices"
    );
}

#[test]
fn a_bill_serialises_as_the_command_line_prints_it() {
    let bill = priced(
        "anthropic",
        "claude-haiku-4-5",
        Usage::text(1_000, 0),
        ServiceTier::Flex,
    );
    assert_eq!(
        serde_json::to_value(&bill).unwrap(),
        serde_json::json!({
            "cost_usd": "0.001000000",
            "lines": [{
                "meter": "input",
                "quantity": 1_000,
                "unit_price_pico": 1_000_000,
                "amount_pico": 1_000_000_000,
            }],
            "price_source": "genai-prices",
            "price_version": "2026-11-21",
            "service_tier": "standard",
            "unpriced_tier": "flex",
        })
    );
}
