//! Text that matches a schema's `pattern`, for the regular expressions that tool schemas use in practice:
//! literals, classes, groups, alternatives and counted repetition. Look-around and back-references give `None`.

use std::iter::Peekable;
use std::str::Chars;

use crate::digest::Draws;

/// One text that matches the whole of `pattern`.
pub(crate) fn sample(pattern: &str, draws: &mut Draws) -> Option<String> {
    let mut parser = Parser {
        rest: pattern.chars().peekable(),
    };
    let branches = parser.branches()?;
    if parser.rest.next().is_some() {
        return None;
    }
    let mut text = String::new();
    write_one(&branches, draws, &mut text);
    Some(text)
}

/// One thing to match, and how often at least and at most.
struct Repeat {
    atom: Atom,
    least: u64,
    most: u64,
}

enum Atom {
    /// One of these characters.
    OneOf(Vec<char>),
    /// One of these sequences.
    Group(Vec<Vec<Repeat>>),
}

fn write_one(branches: &[Vec<Repeat>], draws: &mut Draws, text: &mut String) {
    for Repeat { atom, least, most } in draws.pick(branches).map(Vec::as_slice).unwrap_or_default()
    {
        for _ in 0..least + draws.below(most - least + 1) {
            match atom {
                Atom::OneOf(characters) => text.extend(draws.pick(characters)),
                Atom::Group(branches) => write_one(branches, draws, text),
            }
        }
    }
}

/// How often something unbounded is repeated beyond its minimum.
const FEW: u64 = 3;
/// The most that a counted repetition is followed.
const MANY: u64 = 1_000;

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Parser<'_> {
    fn branches(&mut self) -> Option<Vec<Vec<Repeat>>> {
        let mut branches = vec![Vec::new()];
        while let Some(&character) = self.rest.peek() {
            match character {
                ')' => break,
                '|' => {
                    self.rest.next();
                    branches.push(Vec::new());
                }
                '^' | '$' => {
                    self.rest.next();
                }
                _ => {
                    let atom = self.atom()?;
                    let (least, most) = self.repetition()?;
                    branches.last_mut()?.push(Repeat { atom, least, most });
                }
            }
        }
        Some(branches)
    }

    fn atom(&mut self) -> Option<Atom> {
        match self.rest.next()? {
            '(' => {
                if self.rest.next_if_eq(&'?').is_some() {
                    self.rest.next_if_eq(&':')?;
                }
                let branches = self.branches()?;
                self.rest.next_if_eq(&')')?;
                Some(Atom::Group(branches))
            }
            '[' => self.class().map(Atom::OneOf),
            '.' => Some(Atom::OneOf(('a'..='z').collect())),
            '\\' => self.escaped().map(Atom::OneOf),
            '*' | '+' | '?' | '{' => None,
            literal => Some(Atom::OneOf(vec![literal])),
        }
    }

    fn escaped(&mut self) -> Option<Vec<char>> {
        match self.rest.next()? {
            'd' => Some(('0'..='9').collect()),
            'w' => Some(word_characters()),
            's' => Some(vec![' ']),
            'n' => Some(vec!['\n']),
            't' => Some(vec!['\t']),
            letter if letter.is_ascii_alphanumeric() => None,
            literal => Some(vec![literal]),
        }
    }

    fn class(&mut self) -> Option<Vec<char>> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut members = Vec::new();
        loop {
            let start = match self.rest.next()? {
                ']' => break,
                '\\' => {
                    let escaped = self.escaped()?;
                    match escaped.as_slice() {
                        [one] => *one,
                        several => {
                            members.extend_from_slice(several);
                            continue;
                        }
                    }
                }
                other => other,
            };
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-')
                && let Some(end) = ahead.next().filter(|end| *end != ']')
            {
                self.rest = ahead;
                let end = if end == '\\' {
                    *self.escaped()?.first()?
                } else {
                    end
                };
                members.extend((start..=end).take(128));
            } else {
                members.push(start);
            }
        }
        if negated {
            members = (' '..='~')
                .filter(|character| !members.contains(character))
                .collect();
        }
        (!members.is_empty()).then_some(members)
    }

    fn repetition(&mut self) -> Option<(u64, u64)> {
        let range = match self.rest.peek() {
            Some('*') => (0, FEW),
            Some('+') => (1, 1 + FEW),
            Some('?') => (0, 1),
            Some('{') => {
                let mut counts = String::new();
                self.rest.next();
                while let Some(character) = self.rest.next_if(|character| *character != '}') {
                    counts.push(character);
                }
                match counts.split_once(',') {
                    None => (counts.parse().ok()?, counts.parse().ok()?),
                    Some((least, "")) => (
                        least.parse().ok()?,
                        least.parse::<u64>().ok()?.saturating_add(FEW),
                    ),
                    Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
                }
            }
            _ => return Some((1, 1)),
        };
        self.rest.next();
        self.rest.next_if_eq(&'?');
        (range.0 <= range.1 && range.1 <= MANY).then_some(range)
    }
}

fn word_characters() -> Vec<char> {
    ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .chain(['_'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn a_sample_matches_its_pattern() {
        for pattern in [
            "^[a-z]{3}-\\d{4}$",
            "^(?:cat|dog)s?$",
            "^[A-Z][a-z]+( [A-Z][a-z]+)*$",
            "^\\+?[0-9]{7,15}$",
            "^[^@\\s]+@[a-z]+\\.(com|org)$",
            "^#[0-9a-fA-F]{6}$",
        ] {
            let schema = serde_json::json!({"type": "string", "pattern": pattern});
            let validator = jsonschema::validator_for(&schema).unwrap();
            for seed in 0..20 {
                let text = sample(pattern, &mut Draws::new(Digest::new(seed))).unwrap();
                assert!(validator.is_valid(&text.clone().into()), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_gives_nothing() {
        for pattern in ["(?=a)b", "(a)\\1", "[", "a{2,1}", "(a", "a)"] {
            assert_eq!(
                sample(pattern, &mut Draws::new(Digest::new(1))),
                None,
                "{pattern}"
            );
        }
    }
}
