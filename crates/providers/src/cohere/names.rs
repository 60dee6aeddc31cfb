//! The names of functions, which Cohere takes only in its own form: letters, digits and underscores, and
//! no digit at the beginning (<https://docs.cohere.com/v1/reference/chat#request.body.tools.name>).

use std::collections::{HashMap, HashSet};

use domain::chat::{ChatRequest, Conversion, Message, Part, Tool};

/// The names that Cohere does not take as they are, and what they are called there.
#[derive(Debug, Default)]
pub(super) struct ToolNames(HashMap<String, String>);

impl ToolNames {
    /// Renames what has to be renamed among the tools and the calls of the conversation, and says so.
    pub(super) fn of(request: &ChatRequest, report: &mut Conversion) -> Self {
        let declared = request
            .tools
            .iter()
            .enumerate()
            .filter_map(|(index, tool)| {
                let Tool::Function { name, .. } = tool else {
                    return None;
                };
                Some((Some(index), name.as_str()))
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
            if is_valid(name) || names.contains_key(name) {
                continue;
            }
            let renamed = unused(&valid_form(name), &taken);
            if let Some(tool) = tool {
                let reason = format!("sent as {renamed:?}; given back as it was");
                report.change(format!("tools[{tool}].function.name"), reason);
            }
            taken.insert(renamed.clone());
            names.insert(name.to_owned(), renamed);
        }
        Self(names)
    }

    /// The name that Cohere is told.
    pub(super) fn target<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// The caller's names by Cohere's, where they differ.
    pub(super) fn into_callers(self) -> HashMap<String, String> {
        let swapped = self.0.into_iter().map(|(caller, target)| (target, caller));
        swapped.collect()
    }
}

fn is_valid(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(is_allowed)
}

fn is_allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn valid_form(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|character| {
            if is_allowed(character) {
                character
            } else {
                '_'
            }
        })
        .collect();
    if is_valid(&plain) {
        plain
    } else {
        format!("_{plain}")
    }
}

fn unused(wish: &str, taken: &HashSet<String>) -> String {
    let mut name = wish.to_owned();
    let mut count = 2_u32;
    while taken.contains(&name) {
        name = format!("{wish}_{count}");
        count += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(names: &[&str]) -> ChatRequest {
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
        request
    }

    #[test]
    fn a_name_that_is_not_taken_is_replaced_by_one_that_nobody_has() {
        let mut report = Conversion::default();
        let names = ToolNames::of(&request(&["a-b", "a_b", "a.b", "9", ""]), &mut report);
        assert_eq!(names.target("a_b"), "a_b");
        assert_eq!(names.target("a-b"), "a_b_2");
        assert_eq!(names.target("a.b"), "a_b_3");
        assert_eq!(names.target("9"), "_9");
        assert_eq!(names.target(""), "_");
        assert_eq!(report.changed.len(), 4);
        let callers = names.into_callers();
        assert_eq!(callers.get("a_b_2").map(String::as_str), Some("a-b"));
    }
}
