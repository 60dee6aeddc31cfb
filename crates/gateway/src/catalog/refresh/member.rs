//! The names of the price members in `LiteLLM`'s table.

use domain::usage::ServiceTier;

use crate::catalog::meter::Meter;

/// What a member such as `input_cost_per_token_above_272k_tokens_priority` prices.
pub(super) struct PricedMember {
    pub(super) meter: Meter,
    /// How many units the price is for.
    pub(super) units: u32,
    /// The threshold of a price for long input.
    pub(super) above: Option<u64>,
    pub(super) tier: ServiceTier,
}

impl PricedMember {
    /// Understands a member's name, or not.
    pub(super) fn parse(member: &str) -> Option<Self> {
        MEMBERS.iter().find_map(|(start, meter, units)| {
            let rest = member.strip_prefix(start)?;
            let (above, rest) = match rest.strip_prefix("_above_") {
                Some(threshold) => {
                    let (thousands, rest) = threshold.split_once("k_tokens")?;
                    (
                        Some(thousands.parse::<u64>().ok()?.checked_mul(1_000)?),
                        rest,
                    )
                }
                None => (None, rest),
            };
            let tier = match rest {
                "" => ServiceTier::Standard,
                "_batches" => ServiceTier::Batch,
                "_flex" => ServiceTier::Flex,
                "_priority" => ServiceTier::Priority,
                _ => return None,
            };
            Some(Self {
                meter: *meter,
                units: *units,
                above,
                tier,
            })
        })
    }

    /// Some members mean what is billed only in some operations; elsewhere they tell the same price
    /// in other words.
    pub(super) fn is_meant_in(&self, mode: &str) -> bool {
        match self.meter {
            Meter::Image => matches!(mode, "image_generation" | "image_edit"),
            Meter::InputAudioMillisecond => mode == "audio_transcription",
            Meter::InputCharacter => mode == "audio_speech",
            Meter::SearchUnit => mode == "rerank",
            _ => true,
        }
    }
}

/// The members that are read, what they price, and for how many units. A member that begins with
/// another's name stands before it.
const MEMBERS: [(&str, Meter, u32); 21] = [
    ("input_cost_per_token", Meter::Input, 1),
    ("output_cost_per_token", Meter::Output, 1),
    ("cache_read_input_token_cost", Meter::CachedInput, 1),
    (
        "cache_creation_input_token_cost_above_1hr",
        Meter::CacheWrite1h,
        1,
    ),
    ("cache_creation_input_token_cost", Meter::CacheWrite5m, 1),
    ("output_cost_per_reasoning_token", Meter::Reasoning, 1),
    ("citation_cost_per_token", Meter::Citation, 1),
    ("input_cost_per_audio_token", Meter::InputAudio, 1),
    (
        "cache_read_input_audio_token_cost",
        Meter::CachedInputAudio,
        1,
    ),
    ("output_cost_per_audio_token", Meter::OutputAudio, 1),
    ("input_cost_per_image_token", Meter::InputImage, 1),
    (
        "cache_read_input_image_token_cost",
        Meter::CachedInputImage,
        1,
    ),
    ("output_cost_per_image_token", Meter::OutputImage, 1),
    ("input_cost_per_video_token", Meter::InputVideo, 1),
    ("output_cost_per_video_token", Meter::OutputVideo, 1),
    ("output_cost_per_image", Meter::Image, 1),
    ("input_cost_per_query", Meter::SearchUnit, 1),
    ("input_cost_per_character", Meter::InputCharacter, 1),
    ("input_cost_per_second", Meter::InputAudioMillisecond, 1_000),
    ("ocr_cost_per_page", Meter::DocumentPage, 1),
    ("input_cost_per_request", Meter::Request, 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_says_meter_threshold_and_tier() {
        let parsed = |member: &str| {
            PricedMember::parse(member).map(|found| (found.meter, found.above, found.tier))
        };
        assert_eq!(
            parsed("input_cost_per_token_above_272k_tokens_priority"),
            Some((Meter::Input, Some(272_000), ServiceTier::Priority))
        );
        assert_eq!(
            parsed("cache_creation_input_token_cost_above_1hr_above_200k_tokens"),
            Some((Meter::CacheWrite1h, Some(200_000), ServiceTier::Standard))
        );
        assert_eq!(
            parsed("cache_creation_input_token_cost_batches"),
            Some((Meter::CacheWrite5m, None, ServiceTier::Batch))
        );
        for member in [
            "input_cost_per_token_ultrafast",
            "cache_creation_input_token_cost_above_12hr",
            "output_cost_per_second",
        ] {
            assert_eq!(parsed(member), None, "{member}");
        }
    }
}
