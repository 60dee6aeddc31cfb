//! Where a value stands in the tree.

use std::fmt;

use super::node::{Content, Node, Place};

/// The steps from the root to a value. Prints like `models.fast.targets[0]`, a key with other
/// characters in quotes: `models["gpt-5.4"]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// The value under `key` of the mapping here.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.to_owned()))
    }

    /// The value at `index`, counted from 0, of the list here.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// Where the path leads below `root`; where it leads as far as it does, when it ends early.
    pub(super) fn place_in(&self, root: &Node) -> Place {
        self.node_in(root).place
    }

    /// What the path leads to below `root`, as far as it leads.
    pub(super) fn node_in<'n>(&self, root: &'n Node) -> &'n Node {
        let mut node = root;
        for step in &self.0 {
            let next = match (&node.content, step) {
                (Content::Mapping(entries), Step::Key(key)) => entries
                    .iter()
                    .find(|entry| entry.key == *key)
                    .map(|entry| &entry.value),
                (Content::List(items), Step::Index(index)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.is_empty() || !key.chars().all(is_word) => {
                    write!(f, "[{key:?}]")?;
                }
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn a_path_reads_like_code() {
        let target = Path::default()
            .key("models")
            .key("gpt-5.4")
            .key("targets")
            .index(0);
        assert_eq!(target.to_string(), "models[\"gpt-5.4\"].targets[0]");
    }

    #[test]
    fn a_path_leads_to_its_place() {
        let root = yaml::parse("a:\n  b:\n    - 1\n    - 2\n").unwrap_or_else(|_| panic!());
        let second = Path::default().key("a").key("b").index(1);
        assert_eq!(second.place_in(&root), Place { line: 4, column: 7 });
        let absent = Path::default().key("a").key("c");
        assert_eq!(absent.place_in(&root), Place { line: 2, column: 3 });
    }
}
