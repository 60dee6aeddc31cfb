//! Reads a file and collects what is wrong with it; [`super::mapping`] reads one mapping of it.

use std::fs;

use super::fields::Section;
use super::mapping::Mapping;
use super::node::{Content, Kind, Node, Place};
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
    pub(super) path: Path,
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
        let mut mapping = Mapping::new(self, node.place, entries);
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

    /// Says that something is wrong at `place`, with what is being read.
    pub(super) fn refuse(&mut self, place: Place, complaint: Complaint) {
        let path = self.path.to_string();
        self.problems
            .push(Problem::new(self.file, Some(place), path, complaint));
    }

    /// Reads at `path`, then comes back.
    pub(super) fn at<T>(&mut self, path: Path, read: impl FnOnce(&mut Self) -> T) -> T {
        let here = std::mem::replace(&mut self.path, path);
        let value = read(self);
        self.path = here;
        value
    }

    /// Reads the scalar that `node` holds, its references resolved.
    pub(super) fn scalar<T: Scalar>(&mut self, node: &Node) -> Option<T> {
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
            Err(misfit) => Err(shown_misfit_of::<T>(written, misfit)),
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

/// Why `written` is not what is expected.
pub(super) fn shown_misfit_of<T: Scalar>(written: &str, misfit: Misfit) -> Complaint {
    let is_not = format!(
        "`{}` is not {}{}",
        shown(written),
        T::EXPECTED,
        reason(&misfit)
    );
    with_suggestion(Complaint::new(is_not), misfit.suggestion)
}

/// The same without the text.
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

/// Something else stands there than what is expected.
pub(super) fn expected(what: &str, found: Kind) -> Complaint {
    Complaint::new(format!("expected {what}, found {found}"))
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.replace('\n', " ")
}
