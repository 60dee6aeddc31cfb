//! How a model's names are recognised.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern for model names, compared without regard to case.
///
/// `#` stands for one digit; a `*` at the beginning or the end for any text, also none. So
/// `gpt-5.6-####-##-##` is a dated snapshot and `*us.anthropic.claude-opus-5*` covers every spelling
/// that contains the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    body: Box<str>,
    open_start: bool,
    open_end: bool,
}

/// A text that is no pattern for model names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name pattern: a * may stand only at the beginning and the end of a name")]
pub struct InvalidPattern(String);

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let (open_start, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (open_end, body) = match rest.strip_suffix('*') {
            Some(body) => (true, body),
            None => (false, rest),
        };
        if body.is_empty() || body.contains('*') {
            return Err(InvalidPattern(text.to_owned()));
        }
        Ok(Self {
            body: body.to_lowercase().into_boxed_str(),
            open_start,
            open_end,
        })
    }

    /// The one name that this pattern stands for, in lower case, if there is only one.
    #[must_use]
    pub fn single_name(&self) -> Option<&str> {
        let is_closed = !self.open_start && !self.open_end && !self.body.contains('#');
        is_closed.then_some(&*self.body)
    }

    /// Whether this pattern covers `name`, which must be in lower case already.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.rest(name).is_some()
    }

    /// What of `name` stands before and after the pattern's fixed part, if it matches.
    #[must_use]
    pub fn rest<'a>(&self, name: &'a str) -> Option<(&'a str, &'a str)> {
        let at = |start: usize| {
            let (before, tail) = name.split_at_checked(start)?;
            let after = strip_body(tail, &self.body)?;
            (self.open_end || after.is_empty()).then_some((before, after))
        };
        match (self.open_start, self.open_end) {
            (false, _) => at(0),
            (true, false) => at(name.len().checked_sub(self.body.len())?),
            // The usual case, and a search through fixed text is many times faster.
            (true, true) if !self.body.contains('#') => at(name.find(&*self.body)?),
            (true, true) => name.char_indices().find_map(|(start, _)| at(start)),
        }
    }

    /// Orders patterns that cover the same name: the more a pattern says, the greater.
    #[must_use]
    pub fn precision(&self) -> (bool, usize, bool) {
        (
            !self.open_start && !self.open_end,
            self.body.len(),
            !self.open_start,
        )
    }
}

/// Removes `body` from the beginning of `text`, `#` standing for a digit.
fn strip_body<'a>(text: &'a str, body: &str) -> Option<&'a str> {
    let mut rest = text.chars();
    for expected in body.chars() {
        let found = rest.next()?;
        let agrees = match expected {
            '#' => found.is_ascii_digit(),
            _ => found == expected,
        };
        if !agrees {
            return None;
        }
    }
    Some(rest.as_str())
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = |open: bool| if open { "*" } else { "" };
        write!(
            formatter,
            "{}{}{}",
            star(self.open_start),
            self.body,
            star(self.open_end)
        )
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text).unwrap()
    }

    #[test]
    fn a_star_stands_for_any_text_at_either_end() {
        assert!(pattern("gpt-4o").matches("gpt-4o"));
        assert!(!pattern("gpt-4o").matches("gpt-4o-mini"));
        assert!(pattern("gpt-4o*").matches("gpt-4o-mini"));
        assert!(pattern("*flash").matches("models/gemini-2.0-flash"));
        assert!(!pattern("*flash").matches("gemini-2.0-flash-lite"));
        assert!(pattern("*claude-opus-5*").matches("us.anthropic.claude-opus-5-v1:0"));
        assert!(!pattern("*claude-opus-5*").matches("claude-opus-4"));
        assert!(pattern("*-##*").matches("model-v2-07-30"));
        assert!(!pattern("*flash").matches("é"));
    }

    #[test]
    fn a_number_sign_stands_for_one_digit() {
        let dated = pattern("gpt-5.6-####-##-##");
        assert!(dated.matches("gpt-5.6-2026-07-30"));
        assert!(!dated.matches("gpt-5.6-2026-07-3"));
        assert!(!dated.matches("gpt-5.6-mini-07-30"));
        assert!(pattern("gemini-3.5-flash-#*").matches("gemini-3.5-flash-001"));
        assert!(!pattern("gemini-3.5-flash-#*").matches("gemini-3.5-flash-lite"));
    }

    #[test]
    fn what_surrounds_the_fixed_part_is_told() {
        assert_eq!(
            pattern("*anthropic.claude-opus-5*").rest("us.anthropic.claude-opus-5-v1:0"),
            Some(("us.", "-v1:0"))
        );
    }

    #[test]
    fn names_beyond_ascii_are_compared_without_panic() {
        assert!(pattern("*é*").matches("modèle-é"));
        assert!(!pattern("ab*").matches("é"));
    }

    #[test]
    fn a_pattern_reads_back_from_its_text() {
        for text in ["gpt-4o", "gpt-4o*", "*flash", "*opus*", "x-########"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        assert_eq!(pattern("GPT-4o").to_string(), "gpt-4o");
    }

    #[test]
    fn a_star_in_the_middle_is_refused() {
        for text in ["", "*", "**", "a*b"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_longer_of_two_prefixes_is_more_precise() {
        assert!(pattern("gpt-4o-mini*").precision() > pattern("gpt-4o*").precision());
        assert!(pattern("gpt-4o").precision() > pattern("*gpt-4o-mini*").precision());
    }
}
