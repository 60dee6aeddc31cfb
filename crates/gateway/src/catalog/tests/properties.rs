//! What holds of every usage and every model.

use domain::money::Cost;
use domain::usage::{ServiceTier, Usage};
use proptest::prelude::*;

use super::{NOW, at};
use crate::catalog::Catalog;
use crate::catalog::meter::Meter;

/// Models that between them have every kind of price.
const MODELS: [(&str, &str); 8] = [
    ("openai", "gpt-5.4"),
    ("openai", "gpt-realtime"),
    ("openai", "gpt-image-1"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-2.5-flash"),
    ("gemini", "gemini-3.1-flash-live-preview"),
    ("deepseek", "deepseek-chat"),
    ("perplexity", "sonar-deep-research"),
];

fn usages() -> impl Strategy<Value = Usage> {
    let count = || 0_u64..400_000;
    (
        (count(), count(), count(), count(), count(), count()),
        (count(), count(), count(), count(), count(), 0_u64..10),
    )
        .prop_map(|(input, output)| {
            let (text, cached, short, long, audio, image) = input;
            let (answer, reasoning, spoken, drawn, cited, searches) = output;
            Usage {
                input_tokens: text + cached + short + long + audio + image,
                cached_input_tokens: cached,
                cache_write_5m_tokens: short,
                cache_write_1h_tokens: long,
                input_audio_tokens: audio,
                cached_input_audio_tokens: cached.min(audio) / 2,
                input_image_tokens: image,
                output_tokens: answer + reasoning + spoken + drawn + cited,
                reasoning_tokens: reasoning,
                citation_tokens: cited,
                output_audio_tokens: spoken,
                output_image_tokens: drawn,
                web_searches: searches,
                ..Usage::default()
            }
        })
}

/// Any counts at all, also such as no provider could mean.
fn impossible_usages() -> impl Strategy<Value = Usage> {
    proptest::collection::vec(any::<u64>(), 8).prop_map(|counts| {
        let count = |index: usize| counts.get(index).copied().unwrap_or_default();
        Usage {
            input_tokens: count(0),
            cached_input_tokens: count(1),
            cache_write_1h_tokens: count(2),
            input_audio_tokens: count(3),
            cached_input_audio_tokens: count(4),
            output_tokens: count(5),
            reasoning_tokens: count(6),
            images: count(7),
            ..Usage::default()
        }
    })
}

fn is_input(meter: Meter) -> bool {
    matches!(
        meter,
        Meter::Input
            | Meter::CachedInput
            | Meter::CacheWrite5m
            | Meter::CacheWrite1h
            | Meter::InputAudio
            | Meter::CachedInputAudio
            | Meter::InputImage
            | Meter::CachedInputImage
            | Meter::InputVideo
    )
}

fn is_output(meter: Meter) -> bool {
    matches!(
        meter,
        Meter::Output
            | Meter::Reasoning
            | Meter::Citation
            | Meter::OutputAudio
            | Meter::OutputImage
            | Meter::OutputVideo
    )
}

proptest! {
    #[test]
    fn every_token_is_charged_exactly_once(usage in usages(), pick in 0..MODELS.len()) {
        let (provider, model) = MODELS[pick];
        prop_assert!(usage.checked().is_ok());
        let bill = Catalog::builtin()
            .price(provider, model, &usage, ServiceTier::Standard, at(NOW))
            .unwrap();
        let quantity = |is_counted: fn(Meter) -> bool| -> u64 {
            let lines = bill.lines.iter().filter(|line| is_counted(line.meter));
            lines.map(|line| line.quantity).sum()
        };
        prop_assert_eq!(quantity(is_input), usage.input_tokens);
        prop_assert_eq!(quantity(is_output), usage.output_tokens);
    }

    #[test]
    fn the_total_is_the_sum_of_the_lines_rounded(
        usage in impossible_usages(),
        pick in 0..MODELS.len(),
    ) {
        let (provider, model) = MODELS[pick];
        let bill = Catalog::builtin()
            .price(provider, model, &usage, ServiceTier::Standard, at(NOW))
            .unwrap();
        let sum: i128 = bill.lines.iter().map(|line| line.amount_pico).sum();
        prop_assert_eq!(bill.total, Cost::from_pico_dollars(sum));
        prop_assert!(bill.total >= Cost::ZERO);
        for line in &bill.lines {
            prop_assert_eq!(line.amount_pico, line.unit_price_pico.times(line.quantity));
        }
    }

    #[test]
    fn more_tokens_never_cost_less(
        usage in usages(),
        more_in in 0_u64..1_000_000,
        more_out in 0_u64..1_000_000,
        pick in 0..MODELS.len(),
    ) {
        let (provider, model) = MODELS[pick];
        let more = Usage {
            input_tokens: usage.input_tokens + more_in,
            output_tokens: usage.output_tokens + more_out,
            ..usage
        };
        let catalog = Catalog::builtin();
        let total = |usage: &Usage| {
            catalog
                .price(provider, model, usage, ServiceTier::Standard, at(NOW))
                .unwrap()
                .total
        };
        prop_assert!(total(&usage) <= total(&more));
    }

    #[test]
    fn any_name_is_looked_up_without_panic(provider in 0..14_usize, name in "\\PC{0,40}") {
        let catalog = Catalog::builtin();
        let row = &crate::catalog::provider::BUILTIN_PROVIDERS[provider];
        let _found = catalog.find(row.name, &name);
    }
}
