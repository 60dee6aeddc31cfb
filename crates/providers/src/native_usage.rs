//! Usage objects by themselves, in whatever vendor's shape they have: for pricing what a log or an
//! invoice holds. The names of the fields tell the shapes apart.

use domain::usage::Usage;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::anthropic::AnthropicMessages;
use crate::dialect::{DecodeError, Dialect};
use crate::gemini::Gemini;
use crate::openai::OpenaiChat;

/// Reads a usage object of OpenAI's chat completions or Responses and of the hosts that follow them, of
/// Anthropic's messages, Gemini's `usageMetadata`, Amazon Bedrock's Converse, or Cohere's chat.
pub fn read(native: &[u8]) -> Result<Usage, DecodeError> {
    let fields: Map<String, Value> = parse(native)?;
    let has = |name: &str| fields.contains_key(name);
    if has("promptTokenCount") || has("candidatesTokenCount") || has("totalTokenCount") {
        Gemini.usage(native)
    } else if has("inputTokens") {
        parse::<Converse>(native)?.usage()
    } else if has("billed_units") || has("tokens") {
        parse::<Cohere>(native)?.usage()
    } else if has("input_tokens") && !has("input_tokens_details") && !has("total_tokens") {
        AnthropicMessages.usage(native)
    } else {
        OpenaiChat.usage(native)
    }
}

/// `TokenUsage` of Converse
/// (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>):
/// `inputTokens` leaves out what was read from and written to the cache.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Converse {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    cache_read_input_tokens: u64,
    #[serde(default)]
    cache_write_input_tokens: u64,
    #[serde(default)]
    cache_details: Vec<CacheDetail>,
}

/// What was written to the cache for how long.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: String,
    input_tokens: u64,
}

impl Converse {
    fn usage(self) -> Result<Usage, DecodeError> {
        let for_an_hour: u64 = self
            .cache_details
            .iter()
            .filter(|it| it.ttl == "1h")
            .map(|it| it.input_tokens)
            .sum();
        let cached = self
            .cache_read_input_tokens
            .saturating_add(self.cache_write_input_tokens);
        checked(Usage {
            cached_input_tokens: self.cache_read_input_tokens,
            cache_write_5m_tokens: self.cache_write_input_tokens.saturating_sub(for_an_hour),
            cache_write_1h_tokens: for_an_hour,
            ..Usage::text(self.input_tokens.saturating_add(cached), self.output_tokens)
        })
    }
}

/// `usage` of Cohere's chat (<https://docs.cohere.com/reference/chat>). What is billed counts; `tokens`
/// also counts what Cohere adds itself.
#[derive(Deserialize)]
struct Cohere {
    billed_units: Option<CohereUnits>,
    tokens: Option<CohereUnits>,
    #[serde(default)]
    cached_tokens: u64,
}

#[derive(Deserialize)]
struct CohereUnits {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    search_units: u64,
}

impl Cohere {
    fn usage(self) -> Result<Usage, DecodeError> {
        let Some(units) = self.billed_units.or(self.tokens) else {
            return Err(DecodeError::Malformed(
                "the usage counts nothing".to_owned(),
            ));
        };
        checked(Usage {
            cached_input_tokens: self.cached_tokens.min(units.input_tokens),
            search_units: units.search_units,
            ..Usage::text(units.input_tokens, units.output_tokens)
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(native: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(native)
        .map_err(|error| DecodeError::Malformed(format!("the usage cannot be read: {error}")))
}

fn checked(usage: Usage) -> Result<Usage, DecodeError> {
    usage
        .checked()
        .map_err(|problem| DecodeError::Malformed(format!("the usage is inconsistent: {problem}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(native: &str) -> (u64, u64, u64) {
        let usage = read(native.as_bytes()).unwrap();
        (
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.output_tokens,
        )
    }

    #[test]
    fn every_vendor_is_told_by_its_fields() {
        for (native, expected) in [
            (
                r#"{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}"#,
                (9, 4, 3),
            ),
            (
                r#"{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":3,"total_tokens":12}"#,
                (9, 4, 3),
            ),
            (
                r#"{"input_tokens":5,"cache_read_input_tokens":4,"output_tokens":3}"#,
                (9, 4, 3),
            ),
            (
                r#"{"promptTokenCount":9,"cachedContentTokenCount":4,"candidatesTokenCount":3}"#,
                (9, 4, 3),
            ),
            (
                r#"{"inputTokens":5,"outputTokens":3,"totalTokens":12,"cacheReadInputTokens":4}"#,
                (9, 4, 3),
            ),
            (
                r#"{"billed_units":{"input_tokens":9,"output_tokens":3},"tokens":{"input_tokens":70,"output_tokens":3}}"#,
                (9, 0, 3),
            ),
        ] {
            assert_eq!(totals(native), expected, "{native}");
        }
    }

    #[test]
    fn bedrock_tells_how_long_a_cache_entry_lives() {
        let native = br#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":30,
            "cacheDetails":[{"ttl":"1h","inputTokens":10},{"ttl":"5m","inputTokens":20}]}"#;
        let usage = read(native).unwrap();
        assert_eq!(
            (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens),
            (20, 10)
        );
        assert_eq!(usage.input_tokens, 31);
    }

    #[test]
    fn what_is_no_usage_is_refused() {
        for native in [
            "",
            "[]",
            "3",
            "{}",
            r#"{"tokens":null}"#,
            r#"{"inputTokens":"x"}"#,
        ] {
            assert!(read(native.as_bytes()).is_err(), "{native}");
        }
    }
}
