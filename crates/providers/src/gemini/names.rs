//! The names of functions, which Google takes only in its own form.

use std::collections::{HashMap, HashSet};

use domain::chat::{ChatRequest, Conversion, Message, Part, Tool};

/// The longest name of a function that every model takes.
const MAX_NAME: usize = 64;

/// The names that Google does not take as they are, and what they are called there.
#[derive(Debug, Default)]
pub(super) struct ToolNames(HashMap<String, String>);

impl ToolNames {
    /// Renames what has to be renamed among the tools and the calls of the conversation, and says so.
    pub(super) fn of(request: &ChatRequest, report: &mut Conversion) -> Self {
        let declared = request
            .tools
            .iter()
            .enumerate()
            .filter_map(|(index, tool)| match tool {
                Tool::Function { name, .. } => Some((Some(index), name.as_str())),
                Tool::Hosted { .. } => None,
            });
        let called = request
            .messages
            .iter()
            .flat_map(calls)
            .map(|name| (None, name));
        let all: Vec<(Option<usize>, &str)> = declared.chain(called).collect();
        let mut taken: HashSet<String> = all.iter().map(|(_, name)| (*name).to_owned()).collect();
        let mut names = HashMap::new();
        for (tool, name) in all {
            if is_valid(name) || names.contains_key(name) {
                continue;
            }
            let renamed = unused(&valid_form(name), &taken);
            if let Some(tool) = tool {
                let reason = format!("Gemini does not take the name; it is told {renamed:?}");
                report.change(format!("tools[{tool}].function.name"), reason);
            }
            taken.insert(renamed.clone());
            names.insert(name.to_owned(), renamed);
        }
        Self(names)
    }

    /// The name that Google is told.
    pub(super) fn target<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// The caller's names by Google's, where they differ.
    pub(super) fn into_callers(self) -> HashMap<String, String> {
        self.0
            .into_iter()
            .map(|(caller, target)| (target, caller))
            .collect()
    }
}

fn calls(message: &Message) -> impl Iterator<Item = &str> {
    message.content().iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    })
}

/// A letter or an underscore, then letters, digits, underscores, dots, colons and dashes.
/// <https://ai.google.dev/api/caching#FunctionDeclaration>
fn is_valid(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_allowed)
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | ':' | '-')
}

fn valid_form(name: &str) -> String {
    let mut form = String::with_capacity(name.len() + 1);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        form.push('_');
    }
    form.extend(name.chars().map(|character| {
        if is_allowed(character) {
            character
        } else {
            '_'
        }
    }));
    form.truncate(MAX_NAME);
    form
}

fn unused(name: &str, taken: &HashSet<String>) -> String {
    let mut candidate = name.to_owned();
    let mut number = 2_usize;
    while taken.contains(&candidate) {
        let suffix = format!("_{number}");
        let room = MAX_NAME.saturating_sub(suffix.len());
        candidate = name.chars().take(room).collect();
        candidate.push_str(&suffix);
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_google_refuses_become_valid_and_stay_distinct() {
        let long = "x".repeat(70);
        let mut request = ChatRequest::new("any".parse().unwrap());
        for name in [
            "get weather",
            "get_weather",
            "get/weather",
            "1st",
            &long,
            "fine-1.0:a",
        ] {
            request.tools.push(Tool::Function {
                name: name.to_owned(),
                description: None,
                parameters: None,
                strict: None,
                cache: None,
            });
        }
        let mut report = Conversion::default();
        let names = ToolNames::of(&request, &mut report);
        assert_eq!(names.target("get_weather"), "get_weather");
        assert_eq!(names.target("get weather"), "get_weather_2");
        assert_eq!(names.target("get/weather"), "get_weather_3");
        assert_eq!(names.target("1st"), "_1st");
        assert_eq!(names.target(&long).len(), MAX_NAME);
        assert_eq!(names.target("fine-1.0:a"), "fine-1.0:a");
        assert_eq!(report.changed.len(), 4);
        let callers = names.into_callers();
        assert_eq!(callers["get_weather_2"], "get weather");
    }
}
