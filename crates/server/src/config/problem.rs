//! What is wrong with a configuration: every problem with its place, a sentence and a way out.

use std::fmt;

use serde::Serialize;

use super::node::Place;

/// How alike two words must be to be offered as a correction (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// One thing that is wrong. It never holds the text of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file's name as it was given, or `environment`.
    pub file: String,
    /// The line, counted from 1; `None` where the problem is not in a line.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    /// Where in the tree, such as `models.fast.targets[0].model`; the variable's name when the problem
    /// is in the environment, and empty when it concerns the whole file.
    pub path: String,
    /// What is wrong.
    pub detail: String,
    /// What to do about it.
    pub suggestion: Option<String>,
}

impl Problem {
    pub(super) fn new(
        file: &str,
        place: Option<Place>,
        path: String,
        complaint: Complaint,
    ) -> Self {
        Self {
            file: file.to_owned(),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            path,
            detail: complaint.detail,
            suggestion: complaint.suggestion,
        }
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: path: what is wrong`, as compilers write it, and the suggestion on a line of
    /// its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.detail)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "\n    {suggestion}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub(super) Vec<Problem>);

impl Problems {
    /// `value` when there is no problem, otherwise the problems in the order of the file.
    pub(super) fn or<T>(mut problems: Vec<Problem>, value: Option<T>) -> Result<T, Self> {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => Err(Self(problems)),
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// A problem before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    detail: String,
    suggestion: Option<String>,
}

impl Complaint {
    /// What is wrong: lower-case, without a full stop.
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            suggestion: None,
        }
    }

    /// With what to do about it.
    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// With the word among `known` that looks like `word`, or with all of them.
    pub(super) fn suggest_one_of<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
        plural: &str,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(word, &known) {
            Some(near) => self.suggest(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.suggest(format!("{plural}: {}", known.join(", "))),
        }
    }
}

/// The word among `known` that looks like `word`; `None` when none does.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(&word, known), *known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_compilers() {
        let complaint = Complaint::new("unknown key `prot`").suggest("did you mean `port`?");
        let place = Place { line: 3, column: 5 };
        let problem = Problem::new("a.yaml", Some(place), "server".to_owned(), complaint);
        assert_eq!(
            problem.to_string(),
            "a.yaml:3:5: server: unknown key `prot`\n    did you mean `port`?"
        );
        assert_eq!(
            serde_json::to_value(Problems::from(problem)).unwrap(),
            serde_json::json!([{
                "file": "a.yaml", "line": 3, "column": 5, "path": "server",
                "detail": "unknown key `prot`", "suggestion": "did you mean `port`?",
            }])
        );
    }

    #[test]
    fn only_a_word_that_looks_alike_is_offered() {
        let known = ["base_url", "api_key", "kind"];
        assert_eq!(nearest("bas_url", &known), Some("base_url"));
        assert_eq!(nearest("API_KEY", &known), Some("api_key"));
        assert_eq!(nearest("timeout", &known), None);
    }
}
