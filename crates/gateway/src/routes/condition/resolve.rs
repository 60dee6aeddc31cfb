//! What an expression's names stand for, made when they are asked for.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelInt, CelMap, CelMapKey, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use jiff::tz::TimeZone;

use super::check::is_secret;
use crate::routes::flag::{Flags, Setting};
use crate::routes::question::Question;

/// Answers for one request.
pub(super) struct Resolver<'a, 'q> {
    pub(super) question: &'a Question<'q>,
    pub(super) flags: &'a Flags,
}

/// Every name with one value; those of `headers`, `metadata` and `flags` are the operator's and the caller's.
pub(super) const NAMES: &[&str] = &[
    "caller.application",
    "caller.key",
    "caller.key_id",
    "caller.organization",
    "caller.project",
    "caller.role",
    "caller.user",
    "request.input_tokens",
    "request.language",
    "request.max_output_tokens",
    "request.messages",
    "request.model",
    "request.operation",
    "request.stream",
    "request.tools",
    "request.user",
    "time.hour",
    "time.weekday",
];

/// Names with as many values as there are.
pub(super) const MAPS: &[&str] = &["flags", "headers", "metadata"];

impl VariableResolver for Resolver<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let question = self.question;
        let caller = question.caller;
        Some(match variable {
            "caller.application" => {
                let application = caller.key().application_id;
                owned(application.map(|id| id.to_string()).unwrap_or_default())
            }
            "caller.user" => {
                let user = caller.key().user_id;
                owned(user.map(|id| id.to_string()).unwrap_or_default())
            }
            "caller.key" => text(caller.key().name.as_str()),
            "caller.key_id" => owned(caller.key_id().to_string()),
            "caller.organization" => owned(caller.organization_id().to_string()),
            "caller.project" => owned(caller.project_id().to_string()),
            "caller.role" => text(caller.key().role.as_str()),
            "request.input_tokens" => number(question.input_tokens()),
            // Empty where it cannot be told: comparing is then no failure.
            "request.language" => text(question.language().unwrap_or_default()),
            "request.max_output_tokens" => number(question.max_output_tokens.unwrap_or_default()),
            "request.messages" => number(question.messages as u64),
            "request.model" => text(question.model.as_str()),
            "request.operation" => text(question.operation.as_str()),
            "request.stream" => CowVal::owned(CelBool::from(question.streamed)),
            "request.tools" => CowVal::owned(CelBool::from(question.has_tools())),
            "request.user" => owned(question.user().unwrap_or_default()),
            "time.hour" => number(self.local_time().hour().unsigned_abs().into()),
            "time.weekday" => {
                let day = self.local_time().weekday().to_monday_one_offset();
                number(day.unsigned_abs().into())
            }
            "flags" => self.flags(),
            "headers" => self.headers(),
            "metadata" => self.metadata(),
            _ => return None,
        })
    }
}

/// A value of its kind for every name but the maps: what comes with a request, where there is none.
pub(super) struct Samples;

impl VariableResolver for Samples {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        Some(match variable {
            "request.stream" | "request.tools" => CowVal::owned(CelBool::from(true)),
            "request.input_tokens"
            | "request.max_output_tokens"
            | "request.messages"
            | "time.hour"
            | "time.weekday" => number(1),
            name if NAMES.contains(&name) => text("x"),
            _ => return None,
        })
    }
}

impl Resolver<'_, '_> {
    fn local_time(&self) -> jiff::Zoned {
        self.question.now.to_zoned(TimeZone::UTC)
    }

    fn flags<'b>(&'b self) -> CowVal<'b, 'b> {
        let flags = self.flags.iter(self.question);
        map(flags.map(|(name, setting)| {
            let value = match setting {
                Setting::Switch(is_on) => Box::new(CelBool::from(is_on)) as Box<dyn Val + 'b>,
                Setting::Variant(word) => worded(word),
            };
            (name, value)
        }))
    }

    fn headers(&self) -> CowVal<'_, '_> {
        let fields = self.question.headers.iter();
        let shown = fields.filter(|(name, _)| !is_secret(name.as_str()));
        map(shown.filter_map(|(name, value)| Some((name.as_str(), worded(value.to_str().ok()?)))))
    }

    fn metadata(&self) -> CowVal<'_, '_> {
        let entries = self.question.metadata().iter();
        map(entries.map(|(name, value)| (name.as_str(), worded(value))))
    }
}

fn text(text: &str) -> CowVal<'_, '_> {
    CowVal::owned(CelString::from(text))
}

fn owned<'b>(text: String) -> CowVal<'b, 'b> {
    CowVal::owned(CelString::from(text))
}

fn worded<'b>(text: &'b str) -> Box<dyn Val + 'b> {
    Box::new(CelString::from(text))
}

fn number<'b>(number: u64) -> CowVal<'b, 'b> {
    CowVal::owned(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn map<'b>(entries: impl Iterator<Item = (&'b str, Box<dyn Val + 'b>)>) -> CowVal<'b, 'b> {
    let entries: HashMap<CelMapKey<'b>, Box<dyn Val + 'b>> = entries
        .map(|(name, value)| (CelMapKey::from(name), value))
        .collect();
    CowVal::owned(CelMap::from(entries))
}
