//! What Cohere counts, in chats (`usage`) and elsewhere (`meta`), and how a usage is shown in its words.
//! <https://docs.cohere.com/reference/chat#response.body.usage>,
//! <https://docs.cohere.com/docs/how-does-cohere-pricing-work>

use domain::usage::Usage;
use serde::{Deserialize, Deserializer, Serialize};

use crate::dialect::DecodeError;

/// `usage` of a chat, and `meta` of an embedding or a ranking. `billed_units` is what is paid for;
/// `tokens` also counts what Cohere itself adds to a prompt.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Meta {
    #[serde(default)]
    billed_units: Option<Counts>,
    #[serde(default)]
    tokens: Option<Counts>,
    #[serde(default, deserialize_with = "count")]
    cached_tokens: Option<u64>,
}

/// The vendor writes its counts as numbers with or without a fraction.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Counts {
    #[serde(deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    image_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    text_tokens: Option<u64>,
    #[serde(deserialize_with = "count")]
    search_units: Option<u64>,
}

impl Counts {
    fn is_empty(&self) -> bool {
        [
            self.input_tokens,
            self.output_tokens,
            self.image_tokens,
            self.text_tokens,
            self.search_units,
        ]
        .iter()
        .all(Option::is_none)
    }
}

impl Meta {
    /// The usage in the domain's meters; `None` where nothing is counted. An explicit zero is zero.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let counts = |units: &Counts| !units.is_empty();
        let units = self
            .billed_units
            .filter(counts)
            .or_else(|| self.tokens.filter(counts))?;
        let images = units.image_tokens.unwrap_or(0);
        let pieces = units.text_tokens.unwrap_or(0).saturating_add(images);
        let input = match units.input_tokens {
            Some(input) if input >= pieces => input,
            // A count that is smaller than that of the pictures is that of the text.
            Some(input) => input.saturating_add(images),
            None => pieces,
        };
        // The cache holds the beginning of a prompt, where Cohere's own additions stand, which are not
        // billed; only what it holds beyond them is part of what is.
        let whole = self.tokens.and_then(|tokens| tokens.input_tokens);
        let unbilled = whole.unwrap_or(input).saturating_sub(input);
        let cached = self.cached_tokens.unwrap_or(0).saturating_sub(unbilled);
        Some(Usage {
            cached_input_tokens: cached.min(input),
            input_image_tokens: images,
            search_units: units.search_units.unwrap_or(0),
            ..Usage::text(input, units.output_tokens.unwrap_or(0))
        })
    }
}

/// Reads a usage object by itself.
pub(super) fn read(native: &[u8]) -> Result<Option<Usage>, DecodeError> {
    let native: Option<Meta> = serde_json::from_slice(native)
        .map_err(|error| DecodeError::Malformed(format!("the usage cannot be read: {error}")))?;
    Ok(native.and_then(|meta| meta.usage()))
}

/// A whole number, perhaps written as `12.0`; anything else counts nothing.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number: Option<serde_json::Number> = Option::deserialize(deserializer)?;
    // A float's shortest text without a fraction is the whole number itself.
    Ok(number.and_then(|number| {
        number
            .as_u64()
            .or_else(|| number.as_f64()?.to_string().parse().ok())
    }))
}

/// A usage in the words of a chat.
#[derive(Serialize)]
pub(super) struct Shown {
    billed_units: ShownUnits,
    tokens: ShownUnits,
    #[serde(skip_serializing_if = "is_zero")]
    cached_tokens: u64,
}

/// What is billed in an answer that is not a chat.
#[derive(Serialize)]
pub(crate) struct ShownMeta {
    api_version: ApiVersion,
    billed_units: ShownUnits,
}

#[derive(Serialize)]
struct ApiVersion {
    version: &'static str,
}

#[derive(Serialize, Clone, Copy, Default)]
struct ShownUnits {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search_units: Option<u64>,
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
        let tokens = ShownUnits {
            input_tokens: Some(usage.input_tokens),
            output_tokens: Some(usage.output_tokens),
            search_units: None,
        };
        Self {
            billed_units: ShownUnits {
                search_units: Some(usage.search_units).filter(|units| *units > 0),
                ..tokens
            },
            tokens,
            cached_tokens: usage.cached_input_tokens,
        }
    }
}

impl ShownMeta {
    /// So many tokens of input.
    pub(crate) fn of_tokens(tokens: u64) -> Self {
        Self::of(ShownUnits {
            input_tokens: Some(tokens),
            ..ShownUnits::default()
        })
    }

    /// So many searches.
    pub(crate) fn of_search_units(units: u64) -> Self {
        Self::of(ShownUnits {
            search_units: Some(units),
            ..ShownUnits::default()
        })
    }

    fn of(billed_units: ShownUnits) -> Self {
        Self {
            api_version: ApiVersion { version: "2" },
            billed_units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(native: &str) -> Option<Usage> {
        read(native.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_billed_counts_and_the_cache_first_holds_what_is_not() {
        let cached = |cached: u64| {
            let native = format!(
                r#"{{"billed_units":{{"input_tokens":119,"output_tokens":44}},
                    "tokens":{{"input_tokens":1549,"output_tokens":95}},"cached_tokens":{cached}}}"#
            );
            let read = usage(&native).unwrap();
            assert_eq!((read.input_tokens, read.output_tokens), (119, 44));
            read.cached_input_tokens
        };
        assert_eq!([cached(448), cached(1504), cached(9999)], [0, 74, 119]);
    }

    #[test]
    fn tokens_count_where_nothing_is_billed() {
        let read = usage(r#"{"tokens":{"input_tokens":7.0,"output_tokens":3.0}}"#);
        assert_eq!(read, Some(Usage::text(7, 3)));
    }

    #[test]
    fn zero_is_zero_and_missing_is_nothing() {
        let zero = r#"{"billed_units":{"input_tokens":0,"output_tokens":0}}"#;
        assert_eq!(usage(zero), Some(Usage::text(0, 0)));
        for native in ["{}", "null", r#"{"billed_units":{}}"#, r#"{"tokens":null}"#] {
            assert_eq!(usage(native), None, "{native}");
        }
    }

    #[test]
    fn pictures_are_part_of_the_input() {
        let read = usage(r#"{"billed_units":{"image_tokens":258,"text_tokens":2}}"#).unwrap();
        assert_eq!((read.input_tokens, read.input_image_tokens), (260, 258));
        assert!(read.checked().is_ok());
        let read = usage(r#"{"billed_units":{"image_tokens":258,"input_tokens":2}}"#).unwrap();
        assert_eq!((read.input_tokens, read.input_image_tokens), (260, 258));
    }

    #[test]
    fn searches_are_counted() {
        let read = usage(r#"{"billed_units":{"search_units":2}}"#).unwrap();
        assert_eq!(read.search_units, 2);
    }
}
