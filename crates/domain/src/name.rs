//! Names that callers and operators write.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A model name as the caller wrote it: 1–256 bytes, no control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName(Arc<str>);

/// The name of a configured provider: 1–64 of lower-case letters, digits, `-`, `_` and `.`. It is the
/// part before the first `/` of `provider/model`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName(Arc<str>);

/// The text is not a model name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a model name has 1 to 256 bytes and no control characters")]
pub struct InvalidModelName;

/// The text is not a provider name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a provider name has 1 to 64 of the characters a-z, 0-9, '-', '_' and '.'")]
pub struct InvalidProviderName;

impl ModelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The provider and the rest, when the name is written `provider/rest` (split at the first `/`).
    pub fn provider_and_rest(&self) -> Option<(&str, &str)> {
        self.0.split_once('/')
    }
}

impl ProviderName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every provider's name can stand where a model's is expected.
impl From<&ProviderName> for ModelName {
    fn from(provider: &ProviderName) -> Self {
        Self(Arc::clone(&provider.0))
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
            return Err(InvalidModelName);
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for ProviderName {
    type Err = InvalidProviderName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(InvalidProviderName);
        }
        Ok(Self(text.into()))
    }
}

/// Writes what every text name shares: printing, borrowing as text, and serde as a checked string.
macro_rules! text_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}

text_name!(ModelName);
text_name!(ProviderName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_name_is_split_at_the_first_slash() {
        let name: ModelName = "together/meta-llama/Llama-3".parse().unwrap();
        assert_eq!(
            name.provider_and_rest(),
            Some(("together", "meta-llama/Llama-3"))
        );
    }

    #[test]
    fn names_out_of_bounds_are_refused() {
        assert!("".parse::<ModelName>().is_err());
        assert!("a\nb".parse::<ModelName>().is_err());
        assert!("x".repeat(257).parse::<ModelName>().is_err());
        assert!("OpenAI".parse::<ProviderName>().is_err());
        assert!("a/b".parse::<ProviderName>().is_err());
    }
}
