//! Conditions on a request, in the Common Expression Language (<https://cel.dev>).
//!
//! An expression is read and checked once, with the configuration: every name that it uses must be one that
//! there is. What it asks of a request is made when it asks, and nothing else. Evaluation is bounded by what
//! is accepted: short expressions, no loop within a loop, patterns that stand in the expression.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value};

use super::flag::Flags;
use super::question::Question;

mod check;
mod resolve;

/// The most bytes of an expression.
const MAX_EXPRESSION: usize = 1_000;
/// The most characters of an evaluation's failure that are repeated.
const MAX_FAILURE: usize = 200;

/// The language: CEL's own functions and the extension for texts (`lowerAscii`, `split`, …).
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut language = Env::stdlib();
    // It fails where a function stands there twice, and none of these does in the standard library.
    let added = language.add_extension(cel::extensions::strings);
    debug_assert!(added.is_ok(), "{added:?}");
    Arc::new(language)
});

/// An expression that a request fulfils or does not. Cheap to clone.
#[derive(Clone)]
pub struct Condition {
    program: Arc<Program>,
    text: Arc<str>,
    flags: Arc<[String]>,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidCondition {
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

impl InvalidCondition {
    fn because(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            remedy: None,
        }
    }

    fn remedied(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// What came of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The request fulfils it.
    Holds,
    /// It does not.
    DoesNotHold,
    /// It could not be told, which counts as not: why.
    Failed(String),
}

impl Condition {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, InvalidCondition> {
        if text.len() > MAX_EXPRESSION {
            let problem = format!("it is longer than {MAX_EXPRESSION} bytes");
            return Err(InvalidCondition::because(problem));
        }
        let program = LANGUAGE.compile(text).map_err(|errors| {
            let first = errors.errors.first();
            InvalidCondition::because(first.map_or_else(
                || "it is no expression".to_owned(),
                |error| format!("at column {}: {}", error.pos.1, first_line(&error.msg)),
            ))
        })?;
        let asked = check::expression(program.expression())?;
        if !asked.has_maps {
            try_out(&program)?;
        }
        Ok(Self {
            program: Arc::new(program),
            text: text.into(),
            flags: asked.flags.into(),
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The flags that it names.
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// Whether a request fulfils it.
    pub fn verdict(&self, question: &Question<'_>, flags: &Flags) -> Verdict {
        let resolver = resolve::Resolver { question, flags };
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        context.set_variable_resolver(&resolver);
        match self.program.execute(&context) {
            Ok(Value::Bool(true)) => Verdict::Holds,
            Ok(Value::Bool(false)) => Verdict::DoesNotHold,
            Ok(other) => Verdict::Failed(format!("it is {}, not true or false", other.type_of())),
            Err(error) => Verdict::Failed(error.to_string().chars().take(MAX_FAILURE).collect()),
        }
    }
}

/// Refuses what is neither true nor false, or compares what cannot be compared, whatever is asked: every name stands
/// for a value of its kind. What depends on the values themselves is found out when they are there.
fn try_out(program: &Program) -> Result<(), InvalidCondition> {
    let mut context = Context::with_env(Arc::clone(&LANGUAGE));
    context.set_variable_resolver(&resolve::Samples);
    let problem = match program.execute(&context) {
        Ok(Value::Bool(_)) => return Ok(()),
        Ok(other) => format!("it is {}, not true or false", other.type_of()),
        Err(
            error @ (ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::ValuesNotComparable(..)
            | ExecutionError::UnsupportedBinaryOperator(..)),
        ) => error.to_string().chars().take(MAX_FAILURE).collect(),
        Err(_) => return Ok(()),
    };
    Err(InvalidCondition::because(problem))
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim()
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests;
