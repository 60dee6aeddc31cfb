//! The built-in data files, and how names find their way in them.

use crate::catalog::Catalog;
use crate::catalog::file::ProviderFile;
use crate::catalog::provider::BUILTIN_PROVIDERS;
use domain::model::ReasoningControl;

#[test]
fn every_builtin_file_is_plausible() {
    for provider in &BUILTIN_PROVIDERS {
        let file = ProviderFile::parse(provider.file).unwrap();
        assert_eq!(file.provider, provider.name);
        assert!(file.models.len() >= 10, "{}", provider.name);
        assert!(!file.pricing_urls.is_empty(), "{}", provider.name);
    }
}

#[test]
fn every_builtin_file_is_written_as_it_reads() {
    for provider in &BUILTIN_PROVIDERS {
        let file = ProviderFile::parse(provider.file).unwrap();
        assert_eq!(file.to_text().unwrap(), provider.file, "{}", provider.name);
    }
}

#[test]
fn every_model_is_found_by_its_id_and_by_its_other_names() {
    let catalog = Catalog::builtin();
    for provider in &BUILTIN_PROVIDERS {
        for model in catalog.models(provider.name) {
            let found = catalog.find(provider.name, &model.id).unwrap();
            assert!(
                found.id.eq_ignore_ascii_case(&model.id),
                "{}/{}",
                provider.name,
                model.id
            );
            for name in model.names.iter().filter_map(|name| name.single_name()) {
                assert!(catalog.find(provider.name, name).is_some(), "{name}");
            }
        }
    }
}

#[test]
fn a_name_finds_its_model() {
    let catalog = Catalog::builtin();
    for (provider, name, id) in [
        ("openai", "gpt-5.4-2026-03-05", "gpt-5.4"),
        ("openai", "GPT-5.4", "gpt-5.4"),
        ("openai", "gpt-5.6-luna-2026-07-30", "gpt-5.6-luna"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-4-5",
        ),
        ("anthropic", "claude-opus-5-5", "claude-opus-5-5"),
        ("gemini", "models/gemini-3.5-flash-001", "gemini-3.5-flash"),
        ("vertex", "gemini-2.5-pro", "gemini-2.5-pro"),
        ("azure", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("bedrock", "anthropic.claude-2.1-v1", "claude-2"),
        ("cohere", "command-a-03-2025", "command-a-03-2025"),
    ] {
        let found = catalog.find(provider, name).map(|facts| &*facts.id);
        assert_eq!(found, Some(id), "{provider}/{name}");
    }
}

#[test]
fn a_bare_name_names_its_maker_before_its_resellers() {
    let catalog = Catalog::builtin();
    assert_eq!(
        catalog.providers_of("gpt-5.4-nano").first(),
        Some(&"openai")
    );
    let claude = catalog.providers_of("claude-haiku-4-5");
    assert_eq!(claude.first(), Some(&"anthropic"));
    assert!(claude.contains(&"vertex"));
    assert!(catalog.providers_of("no-such-model").is_empty());
}

#[test]
fn a_misspelt_name_is_corrected() {
    let near = Catalog::builtin().near("claud-haiku-4.5");
    assert!(near.contains(&"claude-haiku-4-5".to_owned()), "{near:?}");
    assert!(near.len() <= 3);
    assert!(Catalog::builtin().near("zzzz").is_empty());
}

#[test]
fn capabilities_are_known_for_the_models_people_use() {
    let catalog = Catalog::builtin();
    let facts = |provider, model| &catalog.find(provider, model).unwrap().capabilities;
    let opus = facts("anthropic", "claude-opus-4-8");
    assert_eq!(opus.reasoning, Some(ReasoningControl::Adaptive));
    assert_eq!(opus.sampling, Some(false));
    assert_eq!(opus.prefill, Some(false));
    assert_eq!(opus.max_output_tokens, Some(128_000));
    for (model, takes_forced_tools) in [("claude-opus-5-5", false), ("claude-haiku-5-5", true)] {
        let claude = facts("anthropic", model);
        assert_eq!(claude.forced_tool_choice, Some(takes_forced_tools));
    }
    let haiku = facts("anthropic", "claude-haiku-4-5-20251001");
    assert_eq!(haiku.reasoning, Some(ReasoningControl::Budget));
    let gemini = facts("gemini", "gemini-3.1-pro-preview");
    assert_eq!(gemini.reasoning, Some(ReasoningControl::Level));
    let gpt = facts("openai", "gpt-5.4");
    assert_eq!(gpt.reasoning, Some(ReasoningControl::Effort));
    assert_eq!(gpt.context_window, Some(1_050_000));
    assert_eq!(gpt.images, Some(true));
}
