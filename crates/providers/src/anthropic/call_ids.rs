//! The ids of tool calls in Anthropic's alphabet.

use std::collections::{HashMap, HashSet};

use super::tools::{fingerprint, is_allowed};

/// The ids of tool calls in the provider's alphabet, each given once in the conversation although some
/// callers begin to count anew in every turn.
#[derive(Debug, Default)]
pub(super) struct CallIds<'a> {
    /// The latest target id for each of the caller's.
    current: HashMap<&'a str, String>,
    used: HashSet<String>,
}

impl<'a> CallIds<'a> {
    /// The target id of a call, to be used for this call only.
    pub(super) fn assign(&mut self, id: &'a str) -> String {
        let target = in_alphabet(id);
        let mut unique = target.clone();
        let mut count = 2_u32;
        while !self.used.insert(unique.clone()) {
            unique = format!("{target}_{count}");
            count += 1;
        }
        self.current.insert(id, unique.clone());
        unique
    }

    /// The target id of the call that a result with this id answers.
    pub(super) fn current(&self, id: &str) -> String {
        self.current
            .get(id)
            .map_or_else(|| in_alphabet(id), String::clone)
    }
}

/// `[a-zA-Z0-9_-]+`; what had to be replaced is told apart by a fingerprint.
fn in_alphabet(id: &str) -> String {
    if !id.is_empty() && id.chars().all(is_allowed) {
        return id.to_owned();
    }
    let plain: String = id
        .chars()
        .map(|c| if is_allowed(c) { c } else { '_' })
        .collect();
    format!("{plain}_{:08x}", fingerprint(id))
}
