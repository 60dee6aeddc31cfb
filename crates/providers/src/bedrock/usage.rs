//! The one reader of Converse's usage object.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>

use domain::usage::Usage;
use serde::Deserialize;

use crate::dialect::DecodeError;

/// Usage in Converse's words. `inputTokens` leaves out what was read from the cache and written to it
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>). Thoughts are part of the output and are not
/// counted apart.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeUsage {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_write_input_tokens: Option<u64>,
    #[serde(default)]
    cache_details: Option<Vec<CacheDetail>>,
}

/// What was written to the cache for how long.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: String,
    input_tokens: u64,
}

/// Reads the usage object.
pub(crate) fn read(native: &[u8]) -> Result<Usage, DecodeError> {
    let native: NativeUsage = serde_json::from_slice(native)
        .map_err(|error| DecodeError::Malformed(format!("the usage is not readable: {error}")))?;
    let read = native.cache_read_input_tokens.unwrap_or(0);
    let (five_minutes, one_hour) = native.cache_writes();
    let usage = Usage {
        input_tokens: [read, five_minutes, one_hour]
            .into_iter()
            .fold(native.input_tokens, u64::saturating_add),
        cached_input_tokens: read,
        cache_write_5m_tokens: five_minutes,
        cache_write_1h_tokens: one_hour,
        output_tokens: native.output_tokens,
        ..Usage::default()
    };
    usage.checked().map_err(|problem| {
        DecodeError::Malformed(format!("the usage contradicts itself: {problem}"))
    })
}

impl NativeUsage {
    /// Cache writes for five minutes and for an hour. The sum is what is billed; what the details do
    /// not explain was written for five minutes.
    fn cache_writes(&self) -> (u64, u64) {
        let lasting = |ttl: &str| {
            let details = self.cache_details.iter().flatten();
            details
                .filter(|detail| detail.ttl == ttl)
                .fold(0_u64, |sum, detail| sum.saturating_add(detail.input_tokens))
        };
        let one_hour = lasting("1h");
        match self.cache_write_input_tokens {
            Some(sum) => (sum.saturating_sub(one_hour), one_hour.min(sum)),
            None => (lasting("5m"), one_hour),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cache_gave_and_took_is_part_of_the_input() {
        let usage = read(
            br#"{"inputTokens":10,"outputTokens":5,"totalTokens":145,"cacheReadInputTokens":100,
                 "cacheWriteInputTokens":30,
                 "cacheDetails":[{"ttl":"1h","inputTokens":20},{"ttl":"5m","inputTokens":10}]}"#,
        );
        let expected = Usage {
            input_tokens: 140,
            cached_input_tokens: 100,
            cache_write_5m_tokens: 10,
            cache_write_1h_tokens: 20,
            output_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(usage, Ok(expected));
    }

    #[test]
    fn zero_is_zero_and_missing_counts_are_an_error() {
        assert_eq!(
            read(br#"{"inputTokens":0,"outputTokens":0,"totalTokens":0}"#),
            Ok(Usage::text(0, 0))
        );
        assert!(read(b"{}").is_err());
    }

    #[test]
    fn details_never_exceed_the_sum_of_cache_writes() {
        let usage = read(
            br#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":7,
                 "cacheDetails":[{"ttl":"1h","inputTokens":9}]}"#,
        )
        .unwrap();
        assert_eq!(
            (
                usage.input_tokens,
                usage.cache_write_5m_tokens,
                usage.cache_write_1h_tokens
            ),
            (8, 0, 7)
        );
    }
}
