//! The one reader of Anthropic's usage object.
//! <https://platform.claude.com/docs/en/api/messages#usage>

use domain::usage::{ServiceTier, Usage};
use serde::Deserialize;

use crate::dialect::DecodeError;

/// Usage in Anthropic's words. What it does not say is `None`; an explicit zero is zero.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct NativeUsage {
    /// Input that was neither read from the cache nor written to it.
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerToolUse>,
    service_tier: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct ServerToolUse {
    web_search_requests: Option<u64>,
}

impl NativeUsage {
    /// Reads the usage object.
    pub(super) fn parse(native: &[u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(native)
            .map_err(|error| DecodeError::Malformed(format!("the usage is not readable: {error}")))
    }

    /// Takes over what a later event of the same stream says: its counts are cumulative, and it may
    /// correct the first ones.
    pub(super) fn update(&mut self, later: Self) {
        fn take<T>(earlier: &mut Option<T>, later: Option<T>) {
            if later.is_some() {
                *earlier = later;
            }
        }
        take(&mut self.input_tokens, later.input_tokens);
        take(
            &mut self.cache_creation_input_tokens,
            later.cache_creation_input_tokens,
        );
        take(
            &mut self.cache_read_input_tokens,
            later.cache_read_input_tokens,
        );
        take(&mut self.cache_creation, later.cache_creation);
        take(&mut self.output_tokens, later.output_tokens);
        take(&mut self.output_tokens_details, later.output_tokens_details);
        take(&mut self.server_tool_use, later.server_tool_use);
        take(&mut self.service_tier, later.service_tier);
    }

    /// The usage in the domain's meters; `None` when neither input nor output was counted.
    pub(super) fn meters(&self) -> Result<Option<Usage>, DecodeError> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return Ok(None);
        }
        let cache_read = self.cache_read_input_tokens.unwrap_or(0);
        let (five_minutes, one_hour) = self.cache_writes();
        let output = self.output_tokens.unwrap_or(0);
        let thinking = self
            .output_tokens_details
            .and_then(|details| details.thinking_tokens)
            .unwrap_or(0);
        let usage = Usage {
            input_tokens: [cache_read, five_minutes, one_hour]
                .into_iter()
                .fold(self.input_tokens.unwrap_or(0), u64::saturating_add),
            cached_input_tokens: cache_read,
            cache_write_5m_tokens: five_minutes,
            cache_write_1h_tokens: one_hour,
            output_tokens: output,
            // The vendor's own note: the count may be off by a few tokens; the total is what is billed.
            reasoning_tokens: thinking.min(output),
            web_searches: self
                .server_tool_use
                .and_then(|tools| tools.web_search_requests)
                .unwrap_or(0),
            ..Usage::default()
        };
        let malformed = |problem: domain::usage::UsageProblem| {
            DecodeError::Malformed(format!("the usage contradicts itself: {problem}"))
        };
        usage.checked().map(Some).map_err(malformed)
    }

    /// Cache writes for five minutes and for an hour. The sum is what is billed and comes in every
    /// version of the object; what the split does not explain was written for five minutes.
    fn cache_writes(&self) -> (u64, u64) {
        let split = self.cache_creation.unwrap_or_default();
        let one_hour = split.ephemeral_1h_input_tokens.unwrap_or(0);
        let five_minutes = split.ephemeral_5m_input_tokens.unwrap_or(0);
        let Some(sum) = self.cache_creation_input_tokens else {
            return (five_minutes, one_hour);
        };
        let one_hour = one_hour.min(sum);
        (sum - one_hour, one_hour)
    }

    /// The class of service that was given, where it is one that the domain knows.
    pub(super) fn service_tier(&self) -> Option<ServiceTier> {
        self.service_tier.as_deref()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meters(native: &str) -> Option<Usage> {
        NativeUsage::parse(native.as_bytes())
            .unwrap()
            .meters()
            .unwrap()
    }

    #[test]
    fn cached_input_is_part_of_the_input() {
        let usage = meters(
            r#"{"input_tokens":10,"cache_read_input_tokens":100,"cache_creation_input_tokens":30,
                "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},
                "output_tokens":50,"output_tokens_details":{"thinking_tokens":40},
                "server_tool_use":{"web_search_requests":2},"service_tier":"priority"}"#,
        );
        let expected = Usage {
            input_tokens: 140,
            cached_input_tokens: 100,
            cache_write_5m_tokens: 20,
            cache_write_1h_tokens: 10,
            output_tokens: 50,
            reasoning_tokens: 40,
            web_searches: 2,
            ..Usage::default()
        };
        assert_eq!(usage, Some(expected));
    }

    #[test]
    fn zero_is_zero_and_missing_is_nothing() {
        assert_eq!(
            meters(r#"{"input_tokens":0,"output_tokens":0}"#),
            Some(Usage::text(0, 0))
        );
        assert_eq!(meters("{}"), None);
        assert_eq!(
            meters(r#"{"input_tokens":null,"service_tier":"standard"}"#),
            None
        );
    }

    #[test]
    fn a_later_event_corrects_an_earlier_one_and_keeps_what_it_does_not_say() {
        let mut usage = NativeUsage::parse(
            br#"{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1}"#,
        )
        .unwrap();
        usage.update(NativeUsage::parse(br#"{"input_tokens":12,"output_tokens":9}"#).unwrap());
        let meters = usage.meters().unwrap().unwrap();
        assert_eq!(
            (
                meters.input_tokens,
                meters.cached_input_tokens,
                meters.output_tokens
            ),
            (17, 5, 9)
        );
    }

    #[test]
    fn a_corrected_sum_of_cache_writes_overrules_its_split() {
        let usage = meters(
            r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":7,
                "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":3}}"#,
        )
        .unwrap();
        assert_eq!(
            (
                usage.input_tokens,
                usage.cache_write_5m_tokens,
                usage.cache_write_1h_tokens
            ),
            (8, 4, 3)
        );
    }

    #[test]
    fn thinking_never_exceeds_the_output() {
        let usage = meters(
            r#"{"input_tokens":1,"output_tokens":4,"output_tokens_details":{"thinking_tokens":5}}"#,
        );
        assert_eq!(usage.unwrap().reasoning_tokens, 4);
    }
}
