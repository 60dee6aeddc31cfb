//! The spellings of one and the same provider or model.

use providers::bedrock::without_geography;

/// The catalog's name of a provider: kinds in the configuration and other tools' names included.
/// A name that means none of ours is given back as it is.
#[must_use]
pub(crate) fn canonical_provider(name: &str) -> &str {
    match name {
        "google" | "google_ai_studio" | "google-genai" => "gemini",
        "azure_openai" | "azure-openai" | "azure_ai" | "azure_foundry" => "azure",
        "aws" | "aws_bedrock" | "aws-bedrock" | "amazon_bedrock" => "bedrock",
        "vertex_ai" | "vertexai" | "google_vertex" | "google-vertex" | "vertex_anthropic" => {
            "vertex"
        }
        "x-ai" | "x_ai" | "grok" => "xai",
        "together_ai" | "togetherai" | "together-ai" => "together",
        "fireworks_ai" | "fireworks-ai" => "fireworks",
        "mistralai" | "mistral_ai" => "mistral",
        "claude" => "anthropic",
        _ => name,
    }
}

/// The spellings under which `model` may stand in the catalog of `provider`, the likeliest first,
/// all in lower case: as given, then without resource paths and region, then without a version.
#[must_use]
pub(super) fn spellings(provider: &str, model: &str) -> Vec<String> {
    let given = model.to_lowercase();
    let bare = match provider {
        "gemini" => given.strip_prefix("models/").unwrap_or(&given),
        "vertex" => after_publisher(&given),
        "bedrock" => without_geography(last_segment_of_arn(&given)),
        _ => &given,
    }
    .to_owned();
    let mut found = vec![given];
    let mut rest = bare.as_str();
    loop {
        if !found.iter().any(|spelling| spelling == rest) {
            found.push(rest.to_owned());
        }
        match without_version(rest) {
            Some(shorter) => rest = shorter,
            None => break,
        }
    }
    found
}

/// The spelling under which another provider knows a model that is resold: Bedrock writes
/// `us.anthropic.claude-opus-4-6-v1:0` for what Anthropic calls `claude-opus-4-6`.
#[must_use]
pub(super) fn resold_name<'a>(provider: &str, seller: &str, model: &'a str) -> &'a str {
    if provider != "bedrock" {
        return model;
    }
    let model = without_geography(last_segment_of_arn(model));
    model
        .strip_prefix(seller)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(model)
}

/// `publishers/google/models/gemini-2.5-pro` → `gemini-2.5-pro`, with or without a project before.
fn after_publisher(model: &str) -> &str {
    match model.split_once("publishers/") {
        Some((_, path)) => path.split_once("/models/").map_or(path, |(_, name)| name),
        None => model,
    }
}

fn last_segment_of_arn(model: &str) -> &str {
    if model.starts_with("arn:") {
        model.rsplit_once('/').map_or(model, |(_, name)| name)
    } else {
        model
    }
}

/// Removes one version at the end: `:0`, `-v1`, `@20250514`, `-20250514`, `-2025-05-14`, `-latest`.
#[must_use]
pub(super) fn without_version(model: &str) -> Option<&str> {
    if let Some((name, _)) = model.rsplit_once('@') {
        return Some(name).filter(|name| !name.is_empty());
    }
    let (name, last) = model.rsplit_once([':', '-'])?;
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let separator_is_colon = model.as_bytes().get(name.len()) == Some(&b':');
    let is_version = if separator_is_colon {
        is_digits(last)
    } else {
        last == "latest"
            || last.strip_prefix('v').is_some_and(is_digits)
            || (last.len() == 8 && is_digits(last))
    };
    if is_version {
        return Some(name).filter(|name| !name.is_empty());
    }
    without_dashed_date(model)
}

/// Removes `-YYYY-MM-DD`.
fn without_dashed_date(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub("-2025-05-14".len())?)?;
    let looks_like_date = date.bytes().enumerate().all(|(index, byte)| match index {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (looks_like_date && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_removed_one_at_a_time() {
        for (model, shorter) in [
            (
                "claude-sonnet-4-5-20250929-v1:0",
                Some("claude-sonnet-4-5-20250929-v1"),
            ),
            (
                "claude-sonnet-4-5-20250929-v1",
                Some("claude-sonnet-4-5-20250929"),
            ),
            ("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5")),
            ("claude-sonnet-4-5", None),
            ("gpt-5.4-2026-03-05", Some("gpt-5.4")),
            ("claude-opus-4@20250514", Some("claude-opus-4")),
            ("mistral-large-latest", Some("mistral-large")),
            ("llama-3.1:free", None),
            ("-20250929", None),
            ("é-2025-05-14", Some("é")),
            ("2025-05-14", None),
            ("", None),
        ] {
            assert_eq!(without_version(model), shorter, "{model}");
        }
    }

    #[test]
    fn an_inference_profile_is_known_by_its_arn_and_its_region() {
        let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-v1:0";
        assert_eq!(
            spellings("bedrock", arn).get(1).map(String::as_str),
            Some("anthropic.claude-x-v1:0")
        );
        assert_eq!(resold_name("bedrock", "anthropic", arn), "claude-x-v1:0");
    }

    #[test]
    fn resource_paths_are_removed() {
        let path = "projects/p/locations/l/publishers/google/models/gemini-2.5-pro";
        assert!(spellings("vertex", path).contains(&"gemini-2.5-pro".to_owned()));
        assert!(
            spellings("gemini", "models/Gemini-2.5-pro").contains(&"gemini-2.5-pro".to_owned())
        );
    }

    #[test]
    fn other_names_of_a_provider_mean_ours() {
        assert_eq!(canonical_provider("azure_openai"), "azure");
        assert_eq!(canonical_provider("google"), "gemini");
        assert_eq!(canonical_provider("my-own"), "my-own");
    }
}
