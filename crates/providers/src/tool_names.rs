//! The names of functions, which some providers take in a form of their own only.

use std::collections::{HashMap, HashSet};

use domain::chat::{ChatRequest, Conversion, Message, Part, Tool};

/// The form of a name that a provider takes: ASCII letters, digits and underscores, no digit at the beginning.
#[derive(Debug)]
pub(crate) struct NameForm {
    /// The most characters.
    pub(crate) longest: usize,
    /// What may stand in a name besides.
    pub(crate) also: &'static str,
}

/// The names that a provider does not take as they are, and what they are called there.
#[derive(Debug, Default)]
pub(crate) struct ToolNames(HashMap<String, String>);

impl ToolNames {
    /// Renames what has to be renamed among the tools and the calls of the conversation, and says so.
    pub(crate) fn of(request: &ChatRequest, form: &NameForm, report: &mut Conversion) -> Self {
        let declared = request
            .tools
            .iter()
            .enumerate()
            .filter_map(|(index, tool)| match tool {
                Tool::Function { name, .. } => Some((Some(index), name.as_str())),
                Tool::Hosted { .. } => None,
            });
        let parts = request.messages.iter().flat_map(Message::content);
        let called = parts.filter_map(|part| match part {
            Part::ToolCall(call) => Some((None, call.name.as_str())),
            _ => None,
        });
        let all: Vec<(Option<usize>, &str)> = declared.chain(called).collect();
        let mut taken: HashSet<String> = all.iter().map(|(_, name)| (*name).to_owned()).collect();
        let mut names = HashMap::new();
        for (tool, name) in all {
            if form.takes(name) || names.contains_key(name) {
                continue;
            }
            let renamed = form.unused(&form.made_of(name), &taken);
            if let Some(tool) = tool {
                let reason = format!("sent as {renamed:?}; given back as it was");
                report.change(format!("tools[{tool}].function.name"), reason);
            }
            taken.insert(renamed.clone());
            names.insert(name.to_owned(), renamed);
        }
        Self(names)
    }

    /// The name that the provider is told.
    pub(crate) fn target<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// The caller's names by the provider's, where they differ.
    pub(crate) fn into_callers(self) -> HashMap<String, String> {
        let swapped = self.0.into_iter().map(|(caller, target)| (target, caller));
        swapped.collect()
    }
}

impl NameForm {
    fn takes(&self, name: &str) -> bool {
        name.len() <= self.longest
            && name.starts_with(is_first)
            && name.chars().all(|character| self.allows(character))
    }

    fn allows(&self, character: char) -> bool {
        character.is_ascii_alphanumeric() || character == '_' || self.also.contains(character)
    }

    fn made_of(&self, name: &str) -> String {
        let mut form = String::with_capacity(name.len() + 1);
        if !name.starts_with(|first| is_first(first) || !self.allows(first)) {
            form.push('_');
        }
        form.extend(name.chars().map(|character| {
            if self.allows(character) {
                character
            } else {
                '_'
            }
        }));
        form.truncate(self.longest);
        form
    }

    fn unused(&self, wish: &str, taken: &HashSet<String>) -> String {
        let mut name = wish.to_owned();
        let mut number = 2_usize;
        while taken.contains(&name) {
            let suffix = format!("_{number}");
            let room = self.longest.saturating_sub(suffix.len());
            name = wish.chars().take(room).collect();
            name.push_str(&suffix);
            number += 1;
        }
        name
    }
}

fn is_first(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str], form: &NameForm) -> (ToolNames, Conversion) {
        let mut request = ChatRequest::new("m".parse().unwrap());
        request.tools = names
            .iter()
            .map(|name| Tool::Function {
                name: (*name).to_owned(),
                description: None,
                parameters: None,
                strict: None,
                cache: None,
            })
            .collect();
        let mut report = Conversion::default();
        (ToolNames::of(&request, form, &mut report), report)
    }

    #[test]
    fn a_name_that_is_not_taken_is_replaced_by_one_that_nobody_has() {
        let form = NameForm {
            longest: usize::MAX,
            also: "",
        };
        let (names, report) = named(&["a-b", "a_b", "a.b", "9", ""], &form);
        assert_eq!(names.target("a_b"), "a_b");
        assert_eq!(names.target("a-b"), "a_b_2");
        assert_eq!(names.target("a.b"), "a_b_3");
        assert_eq!(names.target("9"), "_9");
        assert_eq!(names.target(""), "_");
        assert_eq!(report.changed.len(), 4);
        let callers = names.into_callers();
        assert_eq!(callers.get("a_b_2").map(String::as_str), Some("a-b"));
    }

    #[test]
    fn a_long_name_is_cut_and_stays_its_own() {
        let form = NameForm {
            longest: 64,
            also: ".:-",
        };
        let (one, other) = ("x".repeat(70), "x".repeat(71));
        let (names, _) = named(&[&one, &other, "fine-1.0:a"], &form);
        assert_eq!(names.target(&one), "x".repeat(64));
        assert_eq!(names.target(&other), format!("{}_2", "x".repeat(62)));
        assert_eq!(names.target("fine-1.0:a"), "fine-1.0:a");
    }
}
