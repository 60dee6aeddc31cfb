//! What a call consumed, in one set of meters for every provider.
//!
//! Vendors disagree on whether cached input is inside or beside the input count, and whether
//! reasoning is inside or beside the output count. Extractors settle that once: here **a total
//! always includes its parts**, so nothing can be charged twice by adding fields up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What one call consumed. Meters that are zero are left out when serialised, except the two totals.
///
/// A field is a plain count; [`Usage::checked`] verifies that parts fit into their totals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All input tokens: text, images, audio, cached reads and cache writes together.
    pub input_tokens: u64,
    /// The part of `input_tokens` that was read from the provider's prompt cache, all modalities.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_input_tokens: u64,
    /// The part of `input_tokens` written to the prompt cache for the short lifetime (or the only one).
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_5m_tokens: u64,
    /// The part of `input_tokens` written to the prompt cache for one hour.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h_tokens: u64,
    /// All output tokens: text, reasoning, audio, images and citations together.
    pub output_tokens: u64,
    /// The part of `output_tokens` spent on reasoning, shown to the caller or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// The part of `output_tokens` that a search model bills as citations.
    #[serde(skip_serializing_if = "is_zero")]
    pub citation_tokens: u64,
    /// The part of `input_tokens` that is audio, cached or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_audio_tokens: u64,
    /// The part of both `input_audio_tokens` and `cached_input_tokens`.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_input_audio_tokens: u64,
    /// The part of `output_tokens` that is audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_audio_tokens: u64,
    /// The part of `input_tokens` that is images, cached or not.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_image_tokens: u64,
    /// The part of both `input_image_tokens` and `cached_input_tokens`.
    #[serde(skip_serializing_if = "is_zero")]
    pub cached_input_image_tokens: u64,
    /// The part of `output_tokens` that is images.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_image_tokens: u64,
    /// The part of `input_tokens` that is video.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_video_tokens: u64,
    /// The part of `output_tokens` that is video.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_video_tokens: u64,
    /// Images made, where the vendor bills by the image.
    #[serde(skip_serializing_if = "is_zero")]
    pub images: u64,
    /// Web searches that the provider ran for the model.
    #[serde(skip_serializing_if = "is_zero")]
    pub web_searches: u64,
    /// Search units of a reranker (Cohere: one query with up to 100 documents).
    #[serde(skip_serializing_if = "is_zero")]
    pub search_units: u64,
    /// Characters of input, where the vendor bills by the character (speech).
    #[serde(skip_serializing_if = "is_zero")]
    pub input_characters: u64,
    /// Length of the input audio in milliseconds, where the vendor bills by time (transcription).
    #[serde(skip_serializing_if = "is_zero")]
    pub input_audio_milliseconds: u64,
    /// Document pages read, where the vendor bills by the page (OCR).
    #[serde(skip_serializing_if = "is_zero")]
    pub document_pages: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A part of a usage that is larger than what contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{part} ({part_count}) exceed {whole} ({whole_count})")]
pub struct UsageProblem {
    /// Name of the meter, or the sum of meters, that is too large.
    pub part: &'static str,
    /// What it counts.
    pub part_count: u64,
    /// Name of the meter that should contain it.
    pub whole: &'static str,
    /// What that one counts.
    pub whole_count: u64,
}

impl Usage {
    /// A usage of plain text: so many tokens in, so many out.
    #[must_use]
    pub fn text(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            ..Self::default()
        }
    }

    /// Input and output together.
    #[must_use]
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Verifies that every part fits into its total; every extractor ends with this.
    ///
    /// Modalities and the cache are checked each against the total, not added to one another:
    /// a vendor may report cached tokens without saying which of them were audio.
    pub fn checked(self) -> Result<Self, UsageProblem> {
        let input = ("input_tokens", self.input_tokens);
        let output = ("output_tokens", self.output_tokens);
        let cached = ("cached_input_tokens", self.cached_input_tokens);
        let audio = ("input_audio_tokens", self.input_audio_tokens);
        let image = ("input_image_tokens", self.input_image_tokens);

        fits(
            "cached_input_tokens and cache writes",
            &[
                self.cached_input_tokens,
                self.cache_write_5m_tokens,
                self.cache_write_1h_tokens,
            ],
            input,
        )?;
        fits(
            "input audio, image and video tokens",
            &[
                self.input_audio_tokens,
                self.input_image_tokens,
                self.input_video_tokens,
            ],
            input,
        )?;
        fits(
            "cached_input_audio_tokens",
            &[self.cached_input_audio_tokens],
            audio,
        )?;
        fits(
            "cached_input_image_tokens",
            &[self.cached_input_image_tokens],
            image,
        )?;
        fits(
            "cached audio and image tokens",
            &[
                self.cached_input_audio_tokens,
                self.cached_input_image_tokens,
            ],
            cached,
        )?;
        fits(
            "reasoning_tokens and citation_tokens",
            &[self.reasoning_tokens, self.citation_tokens],
            output,
        )?;
        fits(
            "output audio, image and video tokens",
            &[
                self.output_audio_tokens,
                self.output_image_tokens,
                self.output_video_tokens,
            ],
            output,
        )?;
        Ok(self)
    }

    /// The sum of two usages, meter by meter, each stopping at `u64::MAX`: one answer made of
    /// several provider calls.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cached_input_tokens: self
                .cached_input_tokens
                .saturating_add(other.cached_input_tokens),
            cache_write_5m_tokens: self
                .cache_write_5m_tokens
                .saturating_add(other.cache_write_5m_tokens),
            cache_write_1h_tokens: self
                .cache_write_1h_tokens
                .saturating_add(other.cache_write_1h_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            reasoning_tokens: self.reasoning_tokens.saturating_add(other.reasoning_tokens),
            citation_tokens: self.citation_tokens.saturating_add(other.citation_tokens),
            input_audio_tokens: self
                .input_audio_tokens
                .saturating_add(other.input_audio_tokens),
            cached_input_audio_tokens: self
                .cached_input_audio_tokens
                .saturating_add(other.cached_input_audio_tokens),
            output_audio_tokens: self
                .output_audio_tokens
                .saturating_add(other.output_audio_tokens),
            input_image_tokens: self
                .input_image_tokens
                .saturating_add(other.input_image_tokens),
            cached_input_image_tokens: self
                .cached_input_image_tokens
                .saturating_add(other.cached_input_image_tokens),
            output_image_tokens: self
                .output_image_tokens
                .saturating_add(other.output_image_tokens),
            input_video_tokens: self
                .input_video_tokens
                .saturating_add(other.input_video_tokens),
            output_video_tokens: self
                .output_video_tokens
                .saturating_add(other.output_video_tokens),
            images: self.images.saturating_add(other.images),
            web_searches: self.web_searches.saturating_add(other.web_searches),
            search_units: self.search_units.saturating_add(other.search_units),
            input_characters: self.input_characters.saturating_add(other.input_characters),
            input_audio_milliseconds: self
                .input_audio_milliseconds
                .saturating_add(other.input_audio_milliseconds),
            document_pages: self.document_pages.saturating_add(other.document_pages),
        }
    }
}

fn fits(
    part: &'static str,
    counts: &[u64],
    (whole, whole_count): (&'static str, u64),
) -> Result<(), UsageProblem> {
    let part_count = counts.iter().copied().fold(0, u64::saturating_add);
    if part_count > whole_count {
        return Err(UsageProblem {
            part,
            part_count,
            whole,
            whole_count,
        });
    }
    Ok(())
}

/// The speed and price class in which a provider served a call.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// Served at once at the list price.
    #[default]
    Standard,
    /// Served within a day through the vendor's batch interface.
    Batch,
    /// Served more slowly, as capacity allows.
    Flex,
    /// Served ahead of others at a higher price.
    Priority,
}

impl ServiceTier {
    /// Every tier, the standard one first.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority];

    /// The tier's name as it is written in configuration and in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

impl fmt::Display for ServiceTier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A text that names no service tier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown service tier {0:?}; known are standard, batch, flex, priority")]
pub struct UnknownServiceTier(String);

impl FromStr for ServiceTier {
    type Err = UnknownServiceTier;

    /// Reads a tier's name, and the words that vendors answer with for the standard one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "standard" | "default" | "on_demand" => Ok(Self::Standard),
            "batch" => Ok(Self::Batch),
            "flex" => Ok(Self::Flex),
            "priority" => Ok(Self::Priority),
            _ => Err(UnknownServiceTier(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_meters_are_left_out_except_the_totals() {
        let usage = Usage {
            cached_input_tokens: 3,
            ..Usage::text(10, 0)
        };
        assert_eq!(
            serde_json::to_string(&usage).unwrap(),
            r#"{"input_tokens":10,"cached_input_tokens":3,"output_tokens":0}"#
        );
    }

    #[test]
    fn a_missing_meter_reads_as_zero() {
        let usage: Usage = serde_json::from_str(r#"{"output_tokens":7}"#).unwrap();
        assert_eq!(usage, Usage::text(0, 7));
    }

    #[test]
    fn cached_reads_and_writes_together_must_fit_into_the_input() {
        let usage = Usage {
            cached_input_tokens: 60,
            cache_write_5m_tokens: 30,
            cache_write_1h_tokens: 10,
            ..Usage::text(100, 0)
        };
        assert_eq!(usage.checked(), Ok(usage));
        let too_much = Usage {
            cache_write_1h_tokens: 11,
            ..usage
        };
        let problem = too_much.checked().unwrap_err();
        assert_eq!((problem.part_count, problem.whole_count), (101, 100));
    }

    #[test]
    fn reasoning_must_fit_into_the_output() {
        let usage = Usage {
            reasoning_tokens: 6,
            ..Usage::text(1, 5)
        };
        assert_eq!(
            usage.checked().unwrap_err().to_string(),
            "reasoning_tokens and citation_tokens (6) exceed output_tokens (5)"
        );
    }

    #[test]
    fn cached_audio_must_be_audio_and_must_be_cached() {
        let usage = Usage {
            cached_input_tokens: 5,
            input_audio_tokens: 5,
            cached_input_audio_tokens: 5,
            ..Usage::text(10, 0)
        };
        assert!(usage.checked().is_ok());
        let not_audio = Usage {
            input_audio_tokens: 4,
            ..usage
        };
        assert_eq!(not_audio.checked().unwrap_err().whole, "input_audio_tokens");
        let not_cached = Usage {
            cached_input_tokens: 4,
            ..usage
        };
        assert_eq!(
            not_cached.checked().unwrap_err().whole,
            "cached_input_tokens"
        );
    }

    #[test]
    fn sums_add_every_meter() {
        let json = serde_json::to_value(every_meter_is_one()).unwrap();
        let doubled = every_meter_is_one().saturating_add(every_meter_is_one());
        for (meter, count) in serde_json::to_value(doubled).unwrap().as_object().unwrap() {
            assert_eq!(count, 2, "{meter}");
            assert_eq!(json[meter], 1, "{meter}");
        }
        assert_eq!(json.as_object().unwrap().len(), 21);
    }

    fn every_meter_is_one() -> Usage {
        Usage {
            input_tokens: 1,
            cached_input_tokens: 1,
            cache_write_5m_tokens: 1,
            cache_write_1h_tokens: 1,
            output_tokens: 1,
            reasoning_tokens: 1,
            citation_tokens: 1,
            input_audio_tokens: 1,
            cached_input_audio_tokens: 1,
            output_audio_tokens: 1,
            input_image_tokens: 1,
            cached_input_image_tokens: 1,
            output_image_tokens: 1,
            input_video_tokens: 1,
            output_video_tokens: 1,
            images: 1,
            web_searches: 1,
            search_units: 1,
            input_characters: 1,
            input_audio_milliseconds: 1,
            document_pages: 1,
        }
    }

    #[test]
    fn counts_at_the_edge_do_not_wrap_around() {
        let usage = Usage {
            cached_input_tokens: u64::MAX,
            cache_write_5m_tokens: u64::MAX,
            ..Usage::text(u64::MAX, u64::MAX)
        };
        assert_eq!(usage.total_tokens(), u64::MAX);
        assert!(usage.checked().is_ok());
    }

    #[test]
    fn a_tier_reads_back_from_its_name() {
        for tier in ServiceTier::ALL {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
        assert_eq!("default".parse(), Ok(ServiceTier::Standard));
        assert!("turbo".parse::<ServiceTier>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn two_sound_usages_make_a_sound_sum(
            one in proptest::array::uniform4(0_u64..1 << 40),
            other in proptest::array::uniform4(0_u64..1 << 40),
        ) {
            let sound = |[text, cached, written, audio]: [u64; 4]| Usage {
                cached_input_tokens: cached,
                cache_write_1h_tokens: written,
                input_audio_tokens: audio,
                cached_input_audio_tokens: cached.min(audio),
                reasoning_tokens: text,
                ..Usage::text(text + cached + written + audio, text)
            };
            let sum = sound(one).checked().unwrap().saturating_add(sound(other).checked().unwrap());
            proptest::prop_assert!(sum.checked().is_ok());
        }
    }
}
