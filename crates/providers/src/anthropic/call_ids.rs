//! The ids of tool calls in Anthropic's alphabet.

use std::collections::{HashMap, HashSet};

use super::tools::{fingerprint, is_allowed};

/// The ids of tool calls in the provider's alphabet, each given once in the conversation although some
/// callers begin to count anew in every turn.
#[derive(Debug, Default)]
pub(crate) struct CallIds<'a> {
    /// The latest target id for each of the caller's.
    current: HashMap<&'a str, String>,
    used: HashSet<String>,
    /// The most bytes that an id may have, where the target has a bound.
    longest: Option<usize>,
}

impl<'a> CallIds<'a> {
    /// Ids of at most `longest` bytes, which must be at least 32.
    pub(crate) fn at_most(longest: usize) -> Self {
        Self {
            longest: Some(longest),
            ..Self::default()
        }
    }

    /// The target id of a call, to be used for this call only.
    pub(crate) fn assign(&mut self, id: &'a str) -> String {
        let target = in_alphabet(id, self.longest);
        let mut unique = target.clone();
        let mut count = 2_u32;
        while !self.used.insert(unique.clone()) {
            let stem = self.longest.and_then(|longest| target.get(..longest - 10));
            unique = format!("{}_{count}", stem.unwrap_or(&target));
            count += 1;
        }
        self.current.insert(id, unique.clone());
        unique
    }

    /// The target id of the call that a result with this id answers.
    pub(crate) fn current(&self, id: &str) -> String {
        self.current
            .get(id)
            .map_or_else(|| in_alphabet(id, self.longest), String::clone)
    }
}

/// `[a-zA-Z0-9_-]+`; what had to be replaced or cut is told apart by a fingerprint.
fn in_alphabet(id: &str, longest: Option<usize>) -> String {
    let fits = longest.is_none_or(|longest| id.len() <= longest);
    if !id.is_empty() && fits && id.chars().all(is_allowed) {
        return id.to_owned();
    }
    let plain: String = id
        .chars()
        .map(|c| if is_allowed(c) { c } else { '_' })
        .collect();
    let stem = longest.and_then(|longest| plain.get(..longest - 20));
    format!("{}_{:08x}", stem.unwrap_or(&plain), fingerprint(id))
}
