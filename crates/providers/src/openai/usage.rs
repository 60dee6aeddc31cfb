//! The one reader of this format's usage objects, of chat completions, responses and realtime sessions (whose
//! details lack an `s`), with what the hosts that speak the format add; and the way a usage is shown to a
//! caller.

use std::fmt;

use domain::usage::Usage;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::dialect::DecodeError;

/// Reads a usage object. `None` when it counts nothing at all (`{}`, or only fields of other kinds);
/// an explicit zero is zero.
///
/// - OpenAI: cached and written input are inside `prompt_tokens`, reasoning is inside
///   `completion_tokens` (<https://platform.openai.com/docs/api-reference/chat/object>).
/// - DeepSeek names the cached part `prompt_cache_hit_tokens`, Moonshot `cached_tokens`.
/// - xAI counts reasoning beside `completion_tokens`; its total tells so
///   (<https://docs.x.ai/docs/guides/reasoning>).
/// - Perplexity counts reasoning, citations and searches beside its total
///   (<https://docs.perplexity.ai/api-reference/chat-completions-post>).
pub(crate) fn read(native: &[u8]) -> Result<Option<Usage>, DecodeError> {
    let native: Option<Native> = serde_json::from_slice(native)
        .map_err(|error| DecodeError::Malformed(format!("the usage cannot be read: {error}")))?;
    native.map_or(Ok(None), Native::counted)
}

/// The counts as vendors write them; whatever else they write is not a count.
#[derive(Deserialize)]
pub(super) struct Native {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    // Resellers write both names, one of them `null`, so that these are no aliases.
    #[serde(alias = "input_token_details")]
    input_tokens_details: Option<InputDetails>,
    #[serde(alias = "output_token_details")]
    output_tokens_details: Option<OutputDetails>,
    prompt_cache_hit_tokens: Option<Count>,
    cached_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    reasoning_tokens: Option<Count>,
    citation_tokens: Option<Count>,
    num_search_queries: Option<Count>,
    num_sources_used: Option<Count>,
    prompt_audio_seconds: Option<Count>,
    server_tool_use: Option<ServerTools>,
}

#[derive(Deserialize, Default)]
struct InputDetails {
    cached_tokens: Option<Count>,
    #[serde(alias = "cache_creation_tokens")]
    cache_write_tokens: Option<Count>,
    /// The part of the writes that is kept for an hour, as [`Shown`] has it.
    cache_write_1h_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
    video_tokens: Option<Count>,
    cached_tokens_details: Option<CachedDetails>,
}

#[derive(Deserialize, Default)]
struct CachedDetails {
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}

#[derive(Deserialize, Default)]
#[expect(clippy::struct_field_names, reason = "the names are the vendor's")]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
    audio_tokens: Option<Count>,
    image_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct ServerTools {
    web_search_requests: Option<Count>,
}

impl Native {
    /// The meters; `None` when it counts nothing at all.
    pub(super) fn counted(self) -> Result<Option<Usage>, DecodeError> {
        let input = self.prompt_tokens.or(self.input_tokens);
        let output = self.completion_tokens.or(self.output_tokens);
        if input.is_none() && output.is_none() {
            return Ok(None);
        }
        self.meter(count(input), count(output))
            .checked()
            .map(Some)
            .map_err(|problem| {
                DecodeError::Malformed(format!("the usage contradicts itself: {problem}"))
            })
    }

    fn meter(self, input: u64, output: u64) -> Usage {
        let details = self
            .prompt_tokens_details
            .or(self.input_tokens_details)
            .unwrap_or_default();
        let cached = details.cached_tokens_details.unwrap_or_default();
        let made = self
            .completion_tokens_details
            .or(self.output_tokens_details)
            .unwrap_or_default();
        let cached_input_tokens = details
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens)
            .or(self.cache_read_input_tokens);
        let written = count(
            details
                .cache_write_tokens
                .or(self.cache_creation_input_tokens),
        );
        let written_1h = count(details.cache_write_1h_tokens);
        let reasoning = count(made.reasoning_tokens.or(self.reasoning_tokens));
        let citations = count(self.citation_tokens);

        let is_perplexity = self.citation_tokens.is_some() || self.num_search_queries.is_some();
        let sum = input.saturating_add(output);
        let beside = if is_perplexity {
            reasoning.saturating_add(citations)
        } else if reasoning > output
            || (reasoning > 0
                && self.total_tokens.map(|Count(total)| total)
                    == Some(sum.saturating_add(reasoning)))
        {
            reasoning
        } else {
            0
        };
        let searches = self.num_search_queries.or(self.num_sources_used).or(self
            .server_tool_use
            .and_then(|tools| tools.web_search_requests));
        Usage {
            input_tokens: input,
            cached_input_tokens: count(cached_input_tokens),
            cache_write_5m_tokens: written.saturating_sub(written_1h),
            cache_write_1h_tokens: written_1h,
            output_tokens: output.saturating_add(beside),
            reasoning_tokens: reasoning,
            citation_tokens: citations,
            input_audio_tokens: count(details.audio_tokens),
            cached_input_audio_tokens: count(cached.audio_tokens),
            output_audio_tokens: count(made.audio_tokens),
            input_image_tokens: count(details.image_tokens),
            cached_input_image_tokens: count(cached.image_tokens),
            output_image_tokens: count(made.image_tokens),
            input_video_tokens: count(details.video_tokens),
            web_searches: count(searches),
            input_audio_milliseconds: count(self.prompt_audio_seconds).saturating_mul(1_000),
            ..Usage::default()
        }
    }
}

fn count(count: Option<Count>) -> u64 {
    count.map_or(0, |Count(count)| count)
}

/// A whole number, which some hosts write as `12.0`.
#[derive(Clone, Copy)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;

        impl Visitor<'_> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count")
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<Count, E> {
                Ok(Count(count))
            }

            fn visit_f64<E: Error>(self, count: f64) -> Result<Count, E> {
                // A float's shortest text without a fraction is the whole number itself.
                count
                    .to_string()
                    .parse()
                    .map(Count)
                    .map_err(|_| E::custom("not a whole number"))
            }
        }

        deserializer.deserialize_any(CountVisitor)
    }
}

/// A usage in the words of chat completions.
#[derive(Serialize)]
pub(super) struct Shown {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: ShownInput,
    completion_tokens_details: ShownOutput,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the vendor's")]
struct ShownInput {
    cached_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    video_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_1h_tokens: u64,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the vendor's")]
struct ShownOutput {
    reasoning_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<&Usage> for Shown {
    fn from(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: ShownInput {
                cached_tokens: usage.cached_input_tokens,
                audio_tokens: usage.input_audio_tokens,
                image_tokens: usage.input_image_tokens,
                video_tokens: usage.input_video_tokens,
                cache_write_tokens: usage
                    .cache_write_5m_tokens
                    .saturating_add(usage.cache_write_1h_tokens),
                cache_write_1h_tokens: usage.cache_write_1h_tokens,
            },
            completion_tokens_details: ShownOutput {
                reasoning_tokens: usage.reasoning_tokens,
                audio_tokens: usage.output_audio_tokens,
                image_tokens: usage.output_image_tokens,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(native: &str) -> Usage {
        read(native.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn parts_are_inside_their_totals_as_openai_has_it() {
        let read = usage(
            r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,
                "prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0,"cache_write_tokens":64},
                "completion_tokens_details":{"reasoning_tokens":128,"audio_tokens":0,"accepted_prediction_tokens":0}}"#,
        );
        let expected = Usage {
            cached_input_tokens: 1920,
            cache_write_5m_tokens: 64,
            reasoning_tokens: 128,
            ..Usage::text(2006, 300)
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn a_usage_of_the_responses_api_is_read_too() {
        let read = usage(
            r#"{"input_tokens":36,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":4},
                "output_tokens":87,"output_tokens_details":{"reasoning_tokens":80},"total_tokens":123}"#,
        );
        let expected = Usage {
            cached_input_tokens: 8,
            cache_write_5m_tokens: 4,
            reasoning_tokens: 80,
            ..Usage::text(36, 87)
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn deepseek_and_moonshot_name_the_cached_part_otherwise() {
        let deepseek = usage(
            r#"{"prompt_tokens":100,"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
        );
        assert_eq!(deepseek.cached_input_tokens, 64);
        let moonshot = usage(r#"{"prompt_tokens":100,"completion_tokens":5,"cached_tokens":10}"#);
        assert_eq!(moonshot.cached_input_tokens, 10);
    }

    #[test]
    fn reasoning_that_the_total_counts_beside_the_output_is_added_to_it() {
        let xai = usage(
            r#"{"prompt_tokens":37,"completion_tokens":530,"total_tokens":800,
                "completion_tokens_details":{"reasoning_tokens":233}}"#,
        );
        assert_eq!((xai.output_tokens, xai.reasoning_tokens), (763, 233));
        let resold = usage(
            r#"{"prompt_tokens":37,"completion_tokens":530,"total_tokens":567,
                "completion_tokens_details":{"reasoning_tokens":233}}"#,
        );
        assert_eq!((resold.output_tokens, resold.reasoning_tokens), (530, 233));
    }

    #[test]
    fn perplexity_bills_reasoning_citations_and_searches_beside_its_total() {
        let read = usage(
            r#"{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,
                "citation_tokens":20016,"num_search_queries":18,"reasoning_tokens":73395,
                "search_context_size":"low","cost":{"total_cost":0.5}}"#,
        );
        assert_eq!(read.output_tokens, 7163 + 20016 + 73395);
        assert_eq!(read.citation_tokens, 20016);
        assert_eq!(read.web_searches, 18);
    }

    #[test]
    fn an_explicit_zero_is_zero_and_a_missing_count_is_none() {
        assert_eq!(
            usage(r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#),
            Usage::default()
        );
        for nothing in ["{}", "null", r#"{"prompt_tokens":null,"cost":1}"#] {
            assert_eq!(read(nothing.as_bytes()), Ok(None), "{nothing}");
        }
        assert_eq!(
            usage(r#"{"prompt_tokens":8.0,"total_tokens":8}"#),
            Usage::text(8, 0)
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for wrong in [
            r#"{"prompt_tokens":5,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6}}"#,
            r#"{"prompt_tokens":-5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":5.5,"completion_tokens":1}"#,
            r#"{"prompt_tokens":"5","completion_tokens":1}"#,
            "[]",
            "",
        ] {
            assert!(read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_usage() {
        let usage_shown = Usage {
            cached_input_tokens: 3,
            cache_write_5m_tokens: 4,
            cache_write_1h_tokens: 5,
            input_audio_tokens: 2,
            reasoning_tokens: 7,
            output_image_tokens: 1,
            ..Usage::text(20, 10)
        };
        let shown = serde_json::to_string(&Shown::from(&usage_shown)).unwrap();
        assert_eq!(usage(&shown), usage_shown);
    }
}
