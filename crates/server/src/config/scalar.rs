//! Values that are written as one text, number or `true`/`false`.

use std::num::{NonZeroU32, NonZeroU64};

use serde_json::{Value, json};

use super::node::Kind;
use super::problem::nearest;

/// A value that is written as one scalar: how it is read and how the schema describes it.
pub(super) trait Scalar: Sized {
    /// What is expected, with an example: "a duration such as `10s`".
    const EXPECTED: &'static str;
    /// How it may be written without a reference.
    const ACCEPTS: &'static [Kind] = &[Kind::Text];
    /// Whether it must not be shown, not even when it is wrong.
    const IS_SECRET: bool = false;

    /// The value of a text in which references are resolved.
    fn parse(text: &str) -> Result<Self, Misfit>;

    /// What the schema says of it: JSON Schema, draft 2020-12.
    fn schema() -> Value;
}

/// Why a text is not the value that is expected. It must not repeat the text of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Misfit {
    /// What exactly is wrong, where "is not …" does not say it.
    pub(super) reason: Option<String>,
    /// What to write instead.
    pub(super) suggestion: Option<String>,
}

impl Misfit {
    /// It is not what is expected, because of this.
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            suggestion: None,
        }
    }

    /// It is not what is expected; this may be what was meant.
    pub(super) fn suggest(suggestion: impl Into<String>) -> Self {
        Self {
            reason: None,
            suggestion: Some(suggestion.into()),
        }
    }
}

/// A value that is one of a few words.
pub(super) trait Choice: Sized + Copy + 'static {
    /// What is expected: "a provider's kind".
    const EXPECTED: &'static str;
    /// The words and what they stand for.
    const CHOICES: &'static [(&'static str, Self)];
}

impl<C: Choice> Scalar for C {
    const EXPECTED: &'static str = C::EXPECTED;

    fn parse(text: &str) -> Result<Self, Misfit> {
        let choice = C::CHOICES.iter().find(|(word, _)| *word == text);
        choice.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = words::<C>().collect();
            Misfit::suggest(match nearest(text, &words) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of: {}", words.join(", ")),
            })
        })
    }

    fn schema() -> Value {
        json!({ "enum": words::<C>().collect::<Vec<_>>() })
    }
}

fn words<C: Choice>() -> impl Iterator<Item = &'static str> {
    C::CHOICES.iter().map(|(word, _)| *word)
}

impl Scalar for bool {
    const EXPECTED: &'static str = "`true` or `false`";
    const ACCEPTS: &'static [Kind] = &[Kind::Boolean];

    fn parse(text: &str) -> Result<Self, Misfit> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            "yes" | "on" | "y" | "1" => Err(Misfit::suggest("write `true`")),
            "no" | "off" | "n" | "0" => Err(Misfit::suggest("write `false`")),
            _ => Err(Misfit::default()),
        }
    }

    fn schema() -> Value {
        json!({ "type": "boolean" })
    }
}

impl Scalar for NonZeroU32 {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer];

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX })
    }
}

impl Scalar for NonZeroU64 {
    const EXPECTED: &'static str = "a whole number of at least 1";
    const ACCEPTS: &'static [Kind] = &[Kind::Integer];

    fn parse(text: &str) -> Result<Self, Misfit> {
        text.parse().map_err(|_| Misfit::default())
    }

    fn schema() -> Value {
        json!({ "type": "integer", "minimum": 1, "maximum": u64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fruit {
        Apple,
        Pear,
    }

    impl Choice for Fruit {
        const EXPECTED: &'static str = "a fruit";
        const CHOICES: &'static [(&'static str, Self)] =
            &[("apple", Self::Apple), ("pear", Self::Pear)];
    }

    #[test]
    fn a_choice_is_one_of_its_words() {
        assert_eq!(Fruit::parse("pear"), Ok(Fruit::Pear));
        assert_eq!(
            Fruit::parse("peer"),
            Err(Misfit::suggest("did you mean `pear`?"))
        );
        assert_eq!(
            Fruit::parse("x"),
            Err(Misfit::suggest("write one of: apple, pear"))
        );
        assert_eq!(Fruit::schema(), json!({ "enum": ["apple", "pear"] }));
    }

    #[test]
    fn a_number_has_bounds() {
        assert_eq!(NonZeroU32::parse("600").map(NonZeroU32::get), Ok(600));
        for text in ["0", "-1", "4294967296", "1.5", "x", ""] {
            assert!(NonZeroU32::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn old_spellings_of_booleans_are_corrected() {
        assert_eq!(bool::parse("True"), Ok(true));
        assert_eq!(bool::parse("yes"), Err(Misfit::suggest("write `true`")));
        assert_eq!(bool::parse("off"), Err(Misfit::suggest("write `false`")));
    }
}
