//! What of CEL a condition may use, looked at once when it is read.

use cel::Context;
use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};
use cel::common::types::CelString;

use super::resolve::{MAPS, NAMES};
use super::{InvalidCondition, LANGUAGE};

/// Functions that take and give texts, numbers and lists. Whatever begins otherwise than with a letter is an
/// operator.
const FUNCTIONS: &[&str] = &[
    "charAt",
    "contains",
    "double",
    "endsWith",
    "indexOf",
    "int",
    "join",
    "lastIndexOf",
    "lowerAscii",
    "matches",
    "replace",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "trim",
    "upperAscii",
];

/// Fields that hold what proves who the caller is.
const SECRETS: &[&str] = &[
    "authorization",
    "api-key",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-goog-api-key",
];

/// Whether a field is hidden from conditions.
pub(super) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// What an expression asks for.
#[derive(Default)]
pub(super) struct Asked {
    /// The flags: which of them there are is not known here.
    pub(super) flags: Vec<String>,
    /// Whether it asks for what is there for some requests only, and of a kind that nobody knows.
    pub(super) has_maps: bool,
}

/// Refuses what is not known, and what would take long.
pub(super) fn expression(expression: &IdedExpr) -> Result<Asked, InvalidCondition> {
    let mut check = Check::default();
    check.look_at(expression)?;
    Ok(check.asked)
}

/// Where in the expression the look is.
#[derive(Default)]
struct Check<'e> {
    /// The names that loops around it have made.
    made: Vec<&'e str>,
    is_in_loop: bool,
    asked: Asked,
}

impl<'e> Check<'e> {
    fn look_at(&mut self, expression: &'e IdedExpr) -> Result<(), InvalidCondition> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => list.elements.iter().try_for_each(|it| self.look_at(it)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.look_at(&entry.key)?;
                    self.look_at(&entry.value)
                }
                EntryExpr::StructField(field) => self.look_at(&field.value),
            }),
            Expr::Struct(_) => Err(InvalidCondition::because(
                "it makes an object, and there are none",
            )),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn name(&mut self, name: &str) -> Result<(), InvalidCondition> {
        if self.made.contains(&name) {
            return Ok(());
        }
        if MAPS.contains(&name) {
            self.asked.has_maps = true;
            return Ok(());
        }
        Err(unknown(name))
    }

    fn select(&mut self, select: &'e SelectExpr) -> Result<(), InvalidCondition> {
        let Expr::Ident(root) = &select.operand.expr else {
            return self.look_at(&select.operand);
        };
        if self.made.contains(&root.as_str()) {
            return Ok(());
        }
        if MAPS.contains(&root.as_str()) {
            return self.entry(root, &select.field);
        }
        let path = format!("{root}.{}", select.field);
        if NAMES.contains(&path.as_str()) {
            return Ok(());
        }
        Err(unknown(&path))
    }

    fn call(&mut self, call: &'e CallExpr) -> Result<(), InvalidCondition> {
        let name = call.func_name.as_str();
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_operator && !FUNCTIONS.contains(&name) {
            let unknown = InvalidCondition::because(format!("there is no function `{name}`"));
            return Err(suggest(unknown, name, FUNCTIONS, "the functions are"));
        }
        if name == "matches" {
            pattern(call)?;
        }
        if let ("_[_]", [of, at]) = (name, call.args.as_slice())
            && let (Expr::Ident(root), Expr::Literal(LiteralValue::String(key))) =
                (&of.expr, &at.expr)
            && MAPS.contains(&root.as_str())
        {
            return self.entry(root, key.inner());
        }
        call.target
            .iter()
            .try_for_each(|target| self.look_at(target))?;
        call.args
            .iter()
            .try_for_each(|argument| self.look_at(argument))
    }

    /// One value of a map.
    fn entry(&mut self, map: &str, name: &str) -> Result<(), InvalidCondition> {
        self.asked.has_maps = true;
        match map {
            "headers" => return field(name),
            "flags" => self.asked.flags.push(name.to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// A loop, which is what `all`, `exists`, `map` and `filter` are made into.
    fn comprehension(
        &mut self,
        comprehension: &'e ComprehensionExpr,
    ) -> Result<(), InvalidCondition> {
        if std::mem::replace(&mut self.is_in_loop, true) {
            let problem = "it goes through a list for every item of a list";
            return Err(InvalidCondition::because(problem).remedied("use `in`, or a single loop"));
        }
        self.look_at(&comprehension.iter_range)?;
        let made = [&comprehension.iter_var, &comprehension.accu_var];
        let before = self.made.len();
        self.made.extend(made.map(String::as_str));
        self.made.extend(comprehension.iter_var2.as_deref());
        let parts = [
            &comprehension.accu_init,
            &comprehension.loop_cond,
            &comprehension.loop_step,
            &comprehension.result,
        ];
        parts.into_iter().try_for_each(|part| self.look_at(part))?;
        self.made.truncate(before);
        self.is_in_loop = false;
        Ok(())
    }
}

/// Fields are named in lower case, and those with secrets are not there.
fn field(name: &str) -> Result<(), InvalidCondition> {
    if is_secret(&name.to_ascii_lowercase()) {
        let problem = format!("the field `{name}` holds a secret, which conditions do not see");
        return Err(
            InvalidCondition::because(problem).remedied("ask for `caller.key` or `caller.role`")
        );
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let problem = format!("the field `{name}` is not written in lower case");
        let remedy = format!("write `headers[\"{}\"]`", name.to_ascii_lowercase());
        return Err(InvalidCondition::because(problem).remedied(remedy));
    }
    Ok(())
}

/// A pattern must stand in the expression: one that a caller writes could be a long one.
fn pattern(call: &CallExpr) -> Result<(), InvalidCondition> {
    let Some(Expr::Literal(LiteralValue::String(pattern))) = call.args.last().map(|it| &it.expr)
    else {
        let problem = "the pattern of `matches` is not a text that stands in the expression";
        return Err(InvalidCondition::because(problem));
    };
    let mut context = Context::with_env(std::sync::Arc::clone(&LANGUAGE));
    context.add_variable_as_val("pattern", Box::new(CelString::from(pattern.inner())));
    let probe = LANGUAGE.compile("''.matches(pattern)");
    if probe.is_ok_and(|probe| probe.execute(&context).is_ok()) {
        return Ok(());
    }
    let problem = format!("`{}` is not a regular expression", pattern.inner());
    Err(InvalidCondition::because(problem))
}

fn unknown(name: &str) -> InvalidCondition {
    let known: Vec<&str> = NAMES.iter().chain(MAPS).copied().collect();
    let unknown = InvalidCondition::because(format!("there is no `{name}`"));
    suggest(unknown, name, &known, "there are")
}

/// Names the nearest of what is known, or all of it.
fn suggest(
    invalid: InvalidCondition,
    name: &str,
    known: &[&str],
    otherwise: &str,
) -> InvalidCondition {
    let likeness = |known: &&&str| strsim::jaro_winkler(name, known);
    let nearest = known
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest.filter(|nearest| likeness(nearest) > super::super::served::ALIKE) {
        Some(nearest) => invalid.remedied(format!("did you mean `{nearest}`?")),
        None => invalid.remedied(format!("{otherwise} {}", known.join(", "))),
    }
}
