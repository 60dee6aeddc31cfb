//! Reads sections from a file and collects what is wrong with them.

use std::collections::BTreeMap;
use std::fs;

use super::fields::{Fields, Section};
use super::node::{Content, Entry, Kind, Node, Place};
use super::path::Path;
use super::problem::{Complaint, Problem};
use super::reference::{self, Environment, Unresolved};
use super::scalar::{Misfit, Scalar};

/// How much of a wrong value is repeated, in characters.
const MAX_SHOWN: usize = 60;
/// How a secret names the file that it stands in.
const FILE_PREFIX: &str = "file:";

/// One pass over a file.
pub(super) struct Reading<'a> {
    file: &'a str,
    /// Relative `file:` references start here.
    directory: &'a std::path::Path,
    environment: Environment<'a>,
    path: Path,
    problems: Vec<Problem>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        file: &'a str,
        directory: &'a std::path::Path,
        environment: Environment<'a>,
    ) -> Self {
        Self {
            file,
            directory,
            environment,
            path: Path::default(),
            problems: Vec::new(),
        }
    }

    /// Reads the section that `node` holds; an empty node is a section without keys.
    pub(super) fn section<S: Section>(&mut self, node: &Node) -> Option<S> {
        let entries = match &node.content {
            Content::Nothing => &[],
            Content::Mapping(entries) => entries.as_slice(),
            _ => {
                self.refuse(node.place, expected("keys and values", node.kind()));
                return None;
            }
        };
        let mut mapping = Mapping {
            reading: self,
            place: node.place,
            entries,
            known: Vec::new(),
        };
        mapping.refuse_repeated_keys();
        let section = S::read(&mut mapping);
        mapping.refuse_unknown_keys();
        section
    }

    /// Says that something is wrong with what `path` leads to below `root`.
    pub(super) fn refuse_at(&mut self, root: &Node, path: &Path, complaint: Complaint) {
        let place = Some(path.place_in(root));
        let problem = Problem::new(self.file, place, path.to_string(), complaint);
        self.problems.push(problem);
    }

    /// What is wrong, found so far.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    fn refuse(&mut self, place: Place, complaint: Complaint) {
        let path = self.path.to_string();
        self.problems
            .push(Problem::new(self.file, Some(place), path, complaint));
    }

    /// Reads at `path`, then comes back.
    fn at<T>(&mut self, path: Path, read: impl FnOnce(&mut Self) -> T) -> T {
        let here = std::mem::replace(&mut self.path, path);
        let value = read(self);
        self.path = here;
        value
    }

    fn scalar<T: Scalar>(&mut self, node: &Node) -> Option<T> {
        let Content::Scalar { text: written, .. } = &node.content else {
            self.refuse(node.place, expected(T::EXPECTED, node.kind()));
            return None;
        };
        let read = self.resolve::<T>(written, node.kind());
        read.map_err(|complaint| self.refuse(node.place, complaint))
            .ok()
    }

    fn resolve<T: Scalar>(&self, written: &str, kind: Kind) -> Result<T, Complaint> {
        let resolved = reference::resolve(written, self.environment).map_err(unresolved)?;
        if T::IS_SECRET
            && let Some(file) = resolved.text.strip_prefix(FILE_PREFIX)
        {
            let text = self.secret_file(file)?;
            return T::parse(text.trim_end_matches(['\r', '\n'])).map_err(misfit_of::<T>);
        }
        let may_show = !T::IS_SECRET || reference::is_one_variable(written);
        match T::parse(&resolved.text) {
            Ok(value) if resolved.has_references || T::ACCEPTS.contains(&kind) => Ok(value),
            Ok(_) => Err(misquoted::<T>(written, kind)),
            // What a variable holds is not repeated: it may be a secret that was put in the wrong place.
            Err(misfit) if resolved.has_references && may_show => {
                let problem = format!(
                    "what `{}` stands for is not {}",
                    shown(written),
                    T::EXPECTED
                );
                Err(Complaint::new(problem + &reason(&misfit)))
            }
            Err(misfit) if T::IS_SECRET => Err(misfit_of::<T>(misfit)),
            Err(misfit) => {
                let problem = format!(
                    "`{}` is not {}{}",
                    shown(written),
                    T::EXPECTED,
                    reason(&misfit)
                );
                Err(with_suggestion(Complaint::new(problem), misfit.suggestion))
            }
        }
    }

    fn secret_file(&self, file: &str) -> Result<String, Complaint> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).map_err(|error| {
            let problem = format!("the file {} cannot be read: {error}", path.display());
            Complaint::new(problem).suggest("a relative name starts at the configuration's folder")
        })
    }
}

fn unresolved(unresolved: Unresolved) -> Complaint {
    match unresolved {
        Unresolved::Malformed => {
            Complaint::new("`${` is not followed by a variable's name and `}`")
                .suggest("write `${NAME}` or `${NAME:-default}`; for a plain `${` write `$${`")
        }
        Unresolved::Missing(names) => {
            let are_not_set = match names.as_slice() {
                [name] => format!("environment variable `{name}` is not set"),
                names => format!(
                    "environment variables `{}` are not set",
                    names.join("` and `")
                ),
            };
            Complaint::new(are_not_set)
                .suggest("set it before starting, or give a default as in `${NAME:-default}`")
        }
    }
}

/// The value is right, but its kind is not: text instead of a number or the other way round.
fn misquoted<T: Scalar>(written: &str, kind: Kind) -> Complaint {
    let complaint = expected(T::EXPECTED, kind);
    match kind {
        Kind::Text => complaint.suggest("remove the quotes"),
        _ if T::IS_SECRET => complaint.suggest("put it in quotes"),
        _ => complaint.suggest(format!("put it in quotes: \"{}\"", shown(written))),
    }
}

fn misfit_of<T: Scalar>(misfit: Misfit) -> Complaint {
    let complaint = Complaint::new(format!("this is not {}{}", T::EXPECTED, reason(&misfit)));
    with_suggestion(complaint, misfit.suggestion)
}

fn with_suggestion(complaint: Complaint, suggestion: Option<String>) -> Complaint {
    match suggestion {
        Some(suggestion) => complaint.suggest(suggestion),
        None => complaint,
    }
}

fn reason(misfit: &Misfit) -> String {
    misfit
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(": {reason}"))
}

fn expected(what: &str, found: Kind) -> Complaint {
    Complaint::new(format!("expected {what}, found {found}"))
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.replace('\n', " ")
}

/// The keys of one mapping in the file.
struct Mapping<'r, 'a, 'n> {
    reading: &'r mut Reading<'a>,
    place: Place,
    entries: &'n [Entry],
    /// The keys that were asked for.
    known: Vec<&'static str>,
}

impl<'n> Mapping<'_, '_, 'n> {
    /// What stands under `key`, if anything does.
    fn value(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        given(self.entries, key)
    }

    /// Reads what stands under `key`; `None` when nothing does.
    fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reading<'_>, &'n Node) -> T,
    ) -> Option<T> {
        let node = self.value(key)?;
        let path = self.reading.path.key(key);
        Some(self.reading.at(path, |reading| read(reading, node)))
    }

    fn refuse_repeated_keys(&mut self) {
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

    fn refuse_unknown_keys(&mut self) {
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
        self.read(key, |reading, node| reading.scalar(node))?
    }

    fn or<T: Scalar>(&mut self, key: &'static str, default: &str, _: &str) -> Option<T> {
        match self.read(key, |reading, node| reading.scalar(node)) {
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
        self.read(key, |reading, node| reading.section(node))?
    }

    fn only_section<S: Section>(&mut self, key: &'static str, about: &str) -> Option<S> {
        if !self.is_given(key) {
            self.known.push(key);
            let complaint = Complaint::new(format!("`{key}` is missing"));
            self.refuse(
                key,
                complaint.suggest(format!("add a list of one: `{key}: [{{ … }}]`")),
            );
            return None;
        }
        let is_list = |node: &Node| matches!(node.content, Content::List(_));
        let count_matters = given(self.entries, key).is_some_and(is_list);
        let mut sections = self.sections(key, about);
        if count_matters && sections.len() != 1 {
            let problem = format!("expected a list of exactly one, found {}", sections.len());
            let suggestion = if sections.is_empty() {
                "add one"
            } else {
                "keep one"
            };
            self.refuse(key, Complaint::new(problem).suggest(suggestion));
        }
        sections.pop()?
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
                            let problem = format!(
                                "`{}` is not {}{}",
                                shown(&entry.key),
                                K::EXPECTED,
                                reason(&misfit)
                            );
                            let complaint =
                                with_suggestion(Complaint::new(problem), misfit.suggestion);
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
