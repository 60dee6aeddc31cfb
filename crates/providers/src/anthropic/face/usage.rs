//! The usage in the vendor's words (<https://platform.claude.com/docs/en/api/messages#usage>).

use domain::usage::{ServiceTier, Usage};
use serde::Serialize;

/// What a message, or an event of a stream, says of its usage.
#[derive(Serialize, Default)]
pub(super) struct Shown {
    /// Neither read from the cache nor written to it.
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    cache_creation: CacheCreation,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ServerToolUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'static str>,
    /// An extension: the provider said nothing, and these are guesses.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
}

#[derive(Serialize, Default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: u64,
    ephemeral_1h_input_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

#[derive(Serialize)]
struct ServerToolUse {
    web_fetch_requests: u64,
    web_search_requests: u64,
}

impl Shown {
    /// What the provider counted.
    pub(super) fn counted(usage: &Usage, tier: Option<ServiceTier>) -> Self {
        let written = usage
            .cache_write_5m_tokens
            .saturating_add(usage.cache_write_1h_tokens);
        let cached = usage.cached_input_tokens.saturating_add(written);
        Self {
            input_tokens: usage.input_tokens.saturating_sub(cached),
            cache_creation_input_tokens: written,
            cache_read_input_tokens: usage.cached_input_tokens,
            cache_creation: CacheCreation {
                ephemeral_5m_input_tokens: usage.cache_write_5m_tokens,
                ephemeral_1h_input_tokens: usage.cache_write_1h_tokens,
            },
            output_tokens: usage.output_tokens,
            output_tokens_details: (usage.reasoning_tokens > 0).then_some(OutputDetails {
                thinking_tokens: usage.reasoning_tokens,
            }),
            server_tool_use: (usage.web_searches > 0).then_some(ServerToolUse {
                web_fetch_requests: 0,
                web_search_requests: usage.web_searches,
            }),
            service_tier: tier.and_then(tier_word),
            estimated: false,
        }
    }

    /// What is guessed where the provider has not counted.
    pub(super) fn estimated(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
            estimated: true,
            ..Self::default()
        }
    }

    /// The usage with which a stream begins. Clients reckon with it until its end corrects it, and take 0
    /// for broken: what the provider has not counted yet is guessed, without a word about it.
    pub(super) fn beginning(
        usage: Option<&Usage>,
        tier: Option<ServiceTier>,
        estimate: u64,
    ) -> Self {
        match usage.filter(|usage| usage.input_tokens > 0) {
            Some(usage) => Self::counted(usage, tier),
            None => Self {
                input_tokens: estimate.max(1),
                output_tokens: 1,
                service_tier: tier.and_then(tier_word),
                ..Self::default()
            },
        }
    }
}

/// The vendor has no word for `flex`.
fn tier_word(tier: ServiceTier) -> Option<&'static str> {
    match tier {
        ServiceTier::Standard => Some("standard"),
        ServiceTier::Priority => Some("priority"),
        ServiceTier::Batch => Some("batch"),
        ServiceTier::Flex => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anthropic::AnthropicMessages;
    use crate::dialect::Dialect as _;

    #[test]
    fn what_is_shown_reads_back_as_the_same_usage() {
        let usage = Usage {
            cached_input_tokens: 40,
            cache_write_5m_tokens: 20,
            cache_write_1h_tokens: 10,
            reasoning_tokens: 7,
            web_searches: 2,
            ..Usage::text(100, 9)
        };
        let shown = serde_json::to_vec(&Shown::counted(&usage, None)).unwrap();
        assert_eq!(AnthropicMessages.usage(&shown), Ok(usage));
    }

    #[test]
    fn a_stream_never_begins_with_no_input() {
        let shown = Shown::beginning(Some(&Usage::text(0, 0)), None, 0);
        assert_eq!(shown.input_tokens, 1);
        assert_eq!(Shown::beginning(None, None, 12).input_tokens, 12);
    }
}
