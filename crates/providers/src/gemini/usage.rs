//! The one extractor of Gemini's usage (<https://ai.google.dev/api/generate-content#UsageMetadata>).
//!
//! `promptTokenCount` includes what came from the cache. `candidatesTokenCount` leaves the thoughts out,
//! except in some answers, which their total betrays. What built-in tools read for the model
//! (`toolUsePromptTokenCount`) is billed as input. Counts that are zero are often left out.

use domain::usage::{ServiceTier, Usage};

use super::wire::response::{ModalityCount, UsageMetadata};
use crate::dialect::DecodeError;

/// Reads a usage object; `None` when it does not say what went in.
pub(super) fn extract(native: &[u8]) -> Result<Option<Usage>, DecodeError> {
    let Some(usage) = meters(&parse(native)?) else {
        return Ok(None);
    };
    usage
        .checked()
        .map(Some)
        .map_err(|problem| DecodeError::Malformed(format!("the usage is inconsistent: {problem}")))
}

/// What the usage object of an answer tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) usage: Option<Usage>,
    /// The class of service that was given.
    pub(super) service_tier: Option<ServiceTier>,
}

/// Reads the usage object of an answer. One whose parts do not fit still tells its totals: an answer is
/// not lost, nor its price guessed, for a detail that contradicts them.
pub(super) fn of_answer(native: &str) -> Told {
    let Ok(native) = parse(native.as_bytes()) else {
        return Told::default();
    };
    let usage = meters(&native).map(|usage| {
        let totals = Usage::text(usage.input_tokens, usage.output_tokens);
        usage.checked().unwrap_or(totals)
    });
    let tier = native.service_tier.or(native.traffic_type);
    Told {
        usage,
        service_tier: tier.and_then(|word| tier_of(&word)),
    }
}

/// The Gemini API says `standard`, `flex`, `priority`; Vertex says `ON_DEMAND`, `ON_DEMAND_FLEX`,
/// `ON_DEMAND_PRIORITY`.
pub(super) fn tier_of(word: &str) -> Option<ServiceTier> {
    let word = word.to_ascii_lowercase();
    let word = word.strip_prefix("on_demand_").unwrap_or(&word);
    word.parse().ok()
}

fn parse(native: &[u8]) -> Result<UsageMetadata<'_>, DecodeError> {
    serde_json::from_slice(native)
        .map_err(|error| DecodeError::Malformed(format!("the usage cannot be read: {error}")))
}

fn meters(native: &UsageMetadata<'_>) -> Option<Usage> {
    let candidates = native
        .candidates_token_count
        .or(native.response_token_count);
    let thoughts = native.thoughts_token_count.unwrap_or(0);
    let answered = candidates.unwrap_or(0);
    let tool_use = native.tool_use_prompt_token_count.unwrap_or(0);
    let prompt = native.prompt_token_count.or_else(|| {
        let total = native.total_token_count?;
        total.checked_sub(answered.saturating_add(thoughts).saturating_add(tool_use))
    })?;
    let input = prompt.saturating_add(tool_use);
    let thoughts_are_inside =
        thoughts <= answered && native.total_token_count == input.checked_add(answered);
    let output = if thoughts_are_inside {
        answered
    } else {
        answered.saturating_add(thoughts)
    };

    let prompt_details = Details(native.prompt_tokens_details.as_deref());
    let tool_details = Details(native.tool_use_prompt_tokens_details.as_deref());
    let cache_details = Details(native.cache_tokens_details.as_deref());
    let answer_details = Details(native.candidates_tokens_details.as_deref());
    let of_input = |modality| {
        prompt_details
            .of(modality)
            .saturating_add(tool_details.of(modality))
    };
    Some(Usage {
        cached_input_tokens: native.cached_content_token_count.unwrap_or(0),
        reasoning_tokens: thoughts,
        input_audio_tokens: of_input("AUDIO"),
        input_image_tokens: of_input("IMAGE"),
        input_video_tokens: of_input("VIDEO"),
        cached_input_audio_tokens: cache_details.of("AUDIO"),
        cached_input_image_tokens: cache_details.of("IMAGE"),
        output_audio_tokens: answer_details.of("AUDIO"),
        output_image_tokens: answer_details.of("IMAGE"),
        output_video_tokens: answer_details.of("VIDEO"),
        ..Usage::text(input, output)
    })
}

/// Counts by modality. Documents are not counted apart: they are billed as text.
#[derive(Clone, Copy)]
struct Details<'a>(Option<&'a [ModalityCount]>);

impl Details<'_> {
    fn of(self, modality: &str) -> u64 {
        let counts = self.0.unwrap_or_default().iter();
        counts
            .filter(|count| count.modality.as_deref() == Some(modality))
            .filter_map(|count| count.token_count)
            .fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Usage> {
        extract(json.as_bytes()).unwrap()
    }

    #[test]
    fn thoughts_are_added_to_the_candidates() {
        let usage = read(r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":7,"totalTokenCount":22}"#).unwrap();
        assert_eq!((usage.input_tokens, usage.cached_input_tokens), (10, 4));
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (12, 7));
    }

    #[test]
    fn thoughts_are_not_added_twice_when_the_total_says_so() {
        let usage = read(r#"{"promptTokenCount":10,"candidatesTokenCount":12,"thoughtsTokenCount":7,"totalTokenCount":22}"#).unwrap();
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (12, 7));
    }

    #[test]
    fn what_built_in_tools_read_is_input() {
        let usage = read(r#"{"promptTokenCount":10,"toolUsePromptTokenCount":90,"candidatesTokenCount":1,"totalTokenCount":101}"#).unwrap();
        assert_eq!(usage, Usage::text(100, 1));
    }

    #[test]
    fn modalities_have_their_own_meters() {
        let usage = read(r#"{"promptTokenCount":100,"candidatesTokenCount":20,"promptTokensDetails":[{"modality":"TEXT","tokenCount":10},{"modality":"AUDIO","tokenCount":60},{"modality":"IMAGE","tokenCount":30}],"cachedContentTokenCount":40,"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":40}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":20}]}"#).unwrap();
        assert_eq!(
            (usage.input_audio_tokens, usage.input_image_tokens),
            (60, 30)
        );
        assert_eq!(usage.cached_input_audio_tokens, 40);
        assert_eq!(usage.output_image_tokens, 20);
    }

    #[test]
    fn zero_is_zero_and_missing_is_missing() {
        assert_eq!(
            read(r#"{"promptTokenCount":0,"candidatesTokenCount":0}"#),
            Some(Usage::default())
        );
        assert_eq!(
            read(r#"{"promptTokenCount":8,"totalTokenCount":8}"#),
            Some(Usage::text(8, 0))
        );
        assert_eq!(
            read(r#"{"candidatesTokenCount":3,"totalTokenCount":8}"#),
            Some(Usage::text(5, 3))
        );
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn parts_larger_than_their_total_are_refused_alone_and_left_out_of_an_answer() {
        let json = r#"{"promptTokenCount":3,"cachedContentTokenCount":9,"candidatesTokenCount":1}"#;
        assert!(matches!(
            extract(json.as_bytes()),
            Err(DecodeError::Malformed(_))
        ));
        assert_eq!(of_answer(json).usage, Some(Usage::text(3, 1)));
    }

    #[test]
    fn both_clouds_words_for_a_tier_are_known() {
        assert_eq!(tier_of("ON_DEMAND"), Some(ServiceTier::Standard));
        assert_eq!(tier_of("ON_DEMAND_PRIORITY"), Some(ServiceTier::Priority));
        assert_eq!(tier_of("FLEX"), Some(ServiceTier::Flex));
        assert_eq!(tier_of("PROVISIONED_THROUGHPUT"), None);
    }
}
