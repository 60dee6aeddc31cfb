//! Reads the keys of one mapping in the file.

use std::collections::BTreeMap;

use super::fields::{Fields, ListOr, Section};
use super::node::{Content, Entry, Kind, Node, Place};
use super::problem::Complaint;
use super::reading::{Reading, expected, shown_misfit_of};
use super::scalar::Scalar;

/// The keys of one mapping in the file.
pub(super) struct Mapping<'r, 'a, 'n> {
    reading: &'r mut Reading<'a>,
    place: Place,
    entries: &'n [Entry],
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

impl<'r, 'a, 'n> Mapping<'r, 'a, 'n> {
    pub(super) fn new(reading: &'r mut Reading<'a>, place: Place, entries: &'n [Entry]) -> Self {
        Self {
            reading,
            place,
            entries,
            known: Vec::new(),
        }
    }

    /// What stands under `key`, if anything does.
    fn value(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        given(self.entries, key)
    }

    /// Reads what stands under `key`; `None` when nothing does.
    fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reading<'a>, &'n Node) -> T,
    ) -> Option<T> {
        let node = self.value(key)?;
        let path = self.reading.path.key(key);
        Some(self.reading.at(path, |reading| read(reading, node)))
    }

    /// Says which keys stand there twice; the first of them counts.
    pub(super) fn refuse_repeated_keys(&mut self) {
        for (index, entry) in self.entries.iter().enumerate() {
            let first = self
                .entries
                .iter()
                .take(index)
                .find(|other| other.key == entry.key);
            if let Some(first) = first {
                let problem = format!(
                    "the key stands here again; it is first in line {}",
                    first.place.line
                );
                let path = self.reading.path.key(&entry.key);
                self.reading.at(path, |reading| {
                    reading.refuse(
                        entry.place,
                        Complaint::new(problem).suggest("remove one of them"),
                    );
                });
            }
        }
    }

    /// Says which keys nobody asked for.
    pub(super) fn refuse_unknown_keys(&mut self) {
        for entry in self.entries {
            if !self.known.contains(&entry.key.as_str()) {
                let complaint = Complaint::new("unknown key").suggest_one_of(
                    &entry.key,
                    self.known.iter().copied(),
                    "known here",
                );
                let path = self.reading.path.key(&entry.key);
                self.reading
                    .at(path, |reading| reading.refuse(entry.place, complaint));
            }
        }
    }
}

fn given<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Node> {
    let entry = entries.iter().find(|entry| entry.key == key)?;
    (entry.value.kind() != Kind::Nothing).then_some(&entry.value)
}

impl Fields for Mapping<'_, '_, '_> {
    fn required<T: Scalar>(&mut self, key: &'static str, example: &str, about: &str) -> Option<T> {
        if !self.is_given(key) {
            let complaint = Complaint::new(format!("`{key}` is missing"));
            self.refuse(
                key,
                complaint.suggest(format!("add it, as in `{key}: {example}`")),
            );
        }
        self.optional(key, example, about)
    }

    fn optional<T: Scalar>(&mut self, key: &'static str, _: &str, _: &str) -> Option<T> {
        self.read(key, Reading::scalar)?
    }

    fn or<T: Scalar>(&mut self, key: &'static str, default: &str, _: &str) -> Option<T> {
        match self.read(key, Reading::scalar) {
            Some(value) => value,
            None => T::parse(default).ok(),
        }
    }

    fn list<T: Scalar>(&mut self, key: &'static str, default: &[&str], _: &str) -> Vec<T> {
        let values = self.read(key, |reading, node| {
            let read = |reading: &mut Reading<'_>, node: &Node| reading.scalar(node);
            items(reading, node, read).into_iter().flatten().collect()
        });
        values.unwrap_or_else(|| {
            default
                .iter()
                .filter_map(|text| T::parse(text).ok())
                .collect()
        })
    }

    fn some<T: Scalar>(&mut self, key: &'static str, about: &str) -> Vec<T> {
        let is_empty =
            |node: &Node| matches!(&node.content, Content::List(items) if items.is_empty());
        if given(self.entries, key).is_some_and(is_empty) {
            let complaint = Complaint::new("expected a list of at least one, found 0");
            self.refuse(key, complaint.suggest("add one, or leave it out"));
        }
        self.list(key, &[], about)
    }

    fn list_or_section<T: Scalar, S: Section>(
        &mut self,
        key: &'static str,
        about: &str,
    ) -> Option<ListOr<T, S>> {
        let is_section = |node: &Node| matches!(node.content, Content::Mapping(_));
        if given(self.entries, key).is_some_and(is_section) {
            return self.optional_section(key, about).map(ListOr::Section);
        }
        Some(ListOr::List(self.list(key, &[], about)))
    }

    fn section<S: Section>(&mut self, key: &'static str, about: &str) -> Option<S> {
        if self.is_given(key) {
            return self.optional_section(key, about);
        }
        self.known.push(key);
        let nothing = Node {
            place: self.place,
            content: Content::Nothing,
        };
        let path = self.reading.path.key(key);
        self.reading.at(path, |reading| reading.section(&nothing))
    }

    fn optional_section<S: Section>(&mut self, key: &'static str, _: &str) -> Option<S> {
        self.read(key, Reading::section)?
    }

    fn some_sections<S: Section>(&mut self, key: &'static str, about: &str) -> Option<Vec<S>> {
        if !self.is_given(key) {
            self.known.push(key);
            let complaint = Complaint::new(format!("`{key}` is missing"));
            self.refuse(
                key,
                complaint.suggest(format!("add a list of at least one: `{key}: [{{ … }}]`")),
            );
            return None;
        }
        let is_list = |node: &Node| matches!(node.content, Content::List(_));
        let count_matters = given(self.entries, key).is_some_and(is_list);
        let sections = self.sections(key, about);
        if count_matters && sections.is_empty() {
            let complaint = Complaint::new("expected a list of at least one, found 0");
            self.refuse(key, complaint.suggest("add one"));
        }
        let sections: Option<Vec<S>> = sections.into_iter().collect();
        sections.filter(|sections| !sections.is_empty())
    }

    fn sections<S: Section>(&mut self, key: &'static str, _: &str) -> Vec<Option<S>> {
        let read = |reading: &mut Reading<'_>, node: &Node| reading.section(node);
        self.read(key, |reading, node| items(reading, node, read))
            .unwrap_or_default()
    }

    fn named_sections<K: Scalar + Ord, S: Section>(
        &mut self,
        key: &'static str,
        _: &str,
        _: &str,
    ) -> Option<BTreeMap<K, Option<S>>> {
        self.read(key, |reading, node| {
            let Content::Mapping(entries) = &node.content else {
                reading.refuse(
                    node.place,
                    expected("names, each with keys and values", node.kind()),
                );
                return BTreeMap::new();
            };
            let mut sections = BTreeMap::new();
            for (index, entry) in entries.iter().enumerate() {
                let path = reading.path.key(&entry.key);
                reading.at(path, |reading| {
                    if entries
                        .iter()
                        .take(index)
                        .any(|other| other.key == entry.key)
                    {
                        let complaint = Complaint::new("the name stands here again");
                        reading.refuse(entry.place, complaint.suggest("remove one of them"));
                        return;
                    }
                    let section = reading.section(&entry.value);
                    match K::parse(&entry.key) {
                        Ok(name) => {
                            sections.insert(name, section);
                        }
                        Err(misfit) => {
                            let complaint = shown_misfit_of::<K>(&entry.key, misfit);
                            reading.refuse(entry.place, complaint);
                        }
                    }
                });
            }
            sections
        })
    }

    fn is_given(&self, key: &str) -> bool {
        given(self.entries, key).is_some()
    }

    fn refuse(&mut self, key: &str, complaint: Complaint) {
        match given(self.entries, key) {
            Some(node) => {
                let path = self.reading.path.key(key);
                self.reading
                    .at(path, |reading| reading.refuse(node.place, complaint));
            }
            None => self.reading.refuse(self.place, complaint),
        }
    }
}

/// Reads every item of a list.
fn items<T>(
    reading: &mut Reading<'_>,
    node: &Node,
    read: impl Fn(&mut Reading<'_>, &Node) -> T,
) -> Vec<T> {
    let Content::List(items) = &node.content else {
        reading.refuse(node.place, expected("a list such as `[a, b]`", node.kind()));
        return Vec::new();
    };
    let list = reading.path.clone();
    let read = |(index, item)| reading.at(list.index(index), |reading| read(reading, item));
    items.iter().enumerate().map(read).collect()
}
