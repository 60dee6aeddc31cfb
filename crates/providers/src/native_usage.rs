//! Usage objects by themselves, in whatever vendor's shape they have: for pricing what a log or an
//! invoice holds. The names of the fields tell the shapes apart.

use domain::usage::Usage;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::anthropic::AnthropicMessages;
use crate::bedrock::BedrockConverse;
use crate::cohere::CohereChat;
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
        BedrockConverse.usage(native)
    } else if has("billed_units") || has("tokens") {
        CohereChat.usage(native)
    } else if has("input_tokens") && !has("input_tokens_details") && !has("total_tokens") {
        AnthropicMessages.usage(native)
    } else {
        OpenaiChat.usage(native)
    }
}

fn parse<'a, T: Deserialize<'a>>(native: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(native)
        .map_err(|error| DecodeError::Malformed(format!("the usage cannot be read: {error}")))
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
