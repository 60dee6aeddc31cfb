//! What vectors do not tell apart: numbers, names, negations. Sentences that differ in one of them are close to
//! each other for a sentence model, and have different answers.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What must be the same in two texts for one to answer the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marks {
    /// Words with digits, names, and what stands in quotes, in order.
    exact: Vec<String>,
    /// How many words deny something.
    denials: usize,
    /// The words that say what it is about.
    about: BTreeSet<String>,
}

/// Words that deny. They count by their number: a text may say the same with another of them.
const DENIALS: [&str; 18] = [
    "no", "not", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "cannot",
    "without", "nicht", "kein", "keine", "nie", "ohne", "pas", "sans",
];

/// Words that say how something is asked and not what it is about.
const ASKING: [&str; 93] = [
    "a", "about", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "could", "did", "do", "does", "describe", "explain", "find", "for", "from", "get", "give",
    "has", "have", "hello", "help", "her", "hey", "hi", "his", "how", "i", "if", "im", "in", "is",
    "it", "its", "know", "let", "like", "list", "may", "me", "might", "must", "my", "need", "of",
    "on", "or", "our", "please", "shall", "she", "should", "show", "so", "some", "tell", "than",
    "thank", "thanks", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "those", "to", "want", "was", "way", "we", "were", "what", "when", "where", "which", "who",
    "why", "will", "with", "would", "you", "your",
];

impl Marks {
    pub(super) fn of(text: &str) -> Self {
        let mut marks = Self {
            exact: quoted(text),
            denials: 0,
            about: BTreeSet::new(),
        };
        let mut begins = true;
        for token in text.split_whitespace() {
            let ends = token.ends_with(['.', '!', '?', ':']);
            let word = token.trim_matches(|c: char| !c.is_alphanumeric());
            if !word.is_empty() {
                marks.note(word, begins);
                begins = ends;
            }
        }
        marks
    }

    fn note(&mut self, word: &str, begins: bool) {
        let lower = word.to_lowercase().replace('’', "'");
        let lower = lower.strip_suffix("'s").unwrap_or(&lower).to_owned();
        if DENIALS.contains(&&*lower) || lower.ends_with("n't") {
            self.denials += 1;
            return;
        }
        let is_name = word.chars().next().is_some_and(char::is_uppercase) && !begins;
        let is_code = word.contains(|c: char| {
            c.is_ascii_digit() || matches!(c, '_' | '@' | '/' | '\\' | '=' | '<' | '>' | '#')
        });
        let says_how = ASKING.contains(&&*lower);
        if (is_name && !says_how) || is_code || number(&lower) {
            self.exact.push(lower.clone());
        }
        if !says_how {
            self.about.insert(stem(&lower));
        }
    }

    /// What is the same for all texts that [`Self::allow`] each other.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.exact, self.denials).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the answer to one may be that to the other. Where each text has one word that the other has
    /// not, one stands in the place of the other: another name, the opposite, another unit.
    pub(super) fn allow(&self, other: &Self) -> bool {
        let are_replaced = || {
            self.about.difference(&other.about).count() == 1
                && other.about.difference(&self.about).count() == 1
        };
        self.exact == other.exact && self.denials == other.denials && !are_replaced()
    }
}

/// What stands in double quotes or in backquotes.
fn quoted(text: &str) -> Vec<String> {
    let mut quoted = Vec::new();
    for quote in ['"', '`'] {
        let inside = text.split(quote).skip(1).step_by(2);
        quoted.extend(inside.map(|words| format!("{quote}{words}{quote}")));
    }
    quoted
}

/// Whether a word is a small number.
fn number(word: &str) -> bool {
    const NUMBERS: [&str; 24] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve", "twenty", "thirty", "forty", "fifty", "hundred", "thousand", "million",
        "first", "second", "third", "half",
    ];
    NUMBERS.contains(&word)
}

/// A word without the ending that a plural has.
fn stem(word: &str) -> String {
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 3 && !stem.ends_with('s') => stem.to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(one: &str, other: &str) -> bool {
        let (one, other) = (Marks::of(one), Marks::of(other));
        assert_eq!(one.allow(&other), other.allow(&one));
        assert!(!one.allow(&other) || one.digest() == other.digest());
        one.allow(&other)
    }

    /// Pairs that a sentence model takes for the same, and that have different answers.
    const TRAPS: [(&str, &str); 27] = [
        ("What is 15% of 80?", "What is 25% of 80?"),
        ("Convert 10 km to miles", "Convert 12 km to miles"),
        (
            "Who won the World Cup in 2014?",
            "Who won the World Cup in 2018?",
        ),
        (
            "List three reasons to exercise",
            "List five reasons to exercise",
        ),
        (
            "Is aspirin safe during pregnancy?",
            "Is aspirin not safe during pregnancy?",
        ),
        (
            "Can I take ibuprofen with alcohol?",
            "Can't I take ibuprofen with alcohol?",
        ),
        (
            "Which plants need sunlight?",
            "Which plants need no sunlight?",
        ),
        (
            "How do I enable two-factor login?",
            "How do I disable two-factor login?",
        ),
        (
            "What is the capital of Australia?",
            "What is the capital of Austria?",
        ),
        (
            "What is the weather in Paris today?",
            "What is the weather in London today?",
        ),
        (
            "what is the weather in paris today",
            "what is the weather in london today",
        ),
        ("Paris weather?", "London weather?"),
        (
            "Summarise the life of Marie Curie",
            "Summarise the life of Pierre Curie",
        ),
        ("When was Mozart born?", "When was Beethoven born?"),
        ("How tall is Anna?", "How tall is Hannah?"),
        (
            "How do I increase the font size?",
            "How do I decrease the font size?",
        ),
        (
            "Should I eat before exercise?",
            "Should I eat after exercise?",
        ),
        ("Delete the file `a.txt`", "Delete the file `b.txt`"),
        (
            "What does the word \"bank\" mean?",
            "What does the word \"bark\" mean?",
        ),
        ("How do I open port 80?", "How do I open port 8080?"),
        (
            "Explain user_id in this schema",
            "Explain order_id in this schema",
        ),
        (
            "Is the store open on Monday?",
            "Is the store open on Sunday?",
        ),
        (
            "Translate 'good morning' to French",
            "Translate 'good morning' to Spanish",
        ),
        ("Buy shares of Apple", "Sell shares of Apple"),
        ("Why did the stock rise?", "Why did the stock fall?"),
        ("Refund order 1001", "Refund order 1010"),
        ("Is Bob taller than Anna?", "Is Anna taller than Bob?"),
    ];

    #[test]
    fn what_differs_in_a_number_a_name_or_a_negation_is_not_the_same() {
        for (one, other) in TRAPS {
            assert!(!allowed(one, other), "{one} / {other}");
        }
    }

    #[test]
    fn what_says_the_same_in_other_words_may_be_the_same() {
        for (one, other) in [
            (
                "How do I reset my password?",
                "How can I reset my password?",
            ),
            (
                "How do I reset my password?",
                "What are the steps to reset my password?",
            ),
            (
                "What is the capital of France?",
                "Tell me the capital of France, please.",
            ),
            (
                "what's France's capital?",
                "What is the capital city of France?",
            ),
            ("Why is the sky blue?", "Explain why the sky is blue"),
            (
                "Do I need a visa for Japan?",
                "Would I need visas for Japan?",
            ),
        ] {
            assert!(
                allowed(one, other),
                "{one} / {other}: {:?} {:?}",
                Marks::of(one),
                Marks::of(other)
            );
        }
    }
}
