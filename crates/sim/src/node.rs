//! A JSON value that knows where it stands in its document, so that a refusal can name the place as the vendor does.
//! Walking allocates nothing; the place is spelled out only when something is wrong.

use serde_json::{Map, Value};

/// One value and the way to it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'v, 'p> {
    pub(crate) value: &'v Value,
    step: Step<'v>,
    parent: Option<&'p Node<'v, 'p>>,
}

/// One step on the way from the document's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'v> {
    Root,
    Key(&'v str),
    Index(usize),
}

impl<'v> Node<'v, '_> {
    pub(crate) const fn root(value: &'v Value) -> Self {
        Self {
            value,
            step: Step::Root,
            parent: None,
        }
    }

    /// The member called `key`, also when it is `null`.
    pub(crate) fn get<'s>(&'s self, key: &str) -> Option<Node<'v, 's>> {
        let (key, value) = self.value.as_object()?.get_key_value(key)?;
        Some(Node {
            value,
            step: Step::Key(key),
            parent: Some(self),
        })
    }

    /// The member called `key`, unless it is absent or `null`.
    pub(crate) fn present<'s>(&'s self, key: &str) -> Option<Node<'v, 's>> {
        self.get(key).filter(|node| !node.value.is_null())
    }

    /// The items of an array; none for anything else.
    pub(crate) fn items<'s>(&'s self) -> impl Iterator<Item = Node<'v, 's>> {
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice);
        items.iter().enumerate().map(move |(index, value)| Node {
            value,
            step: Step::Index(index),
            parent: Some(self),
        })
    }

    /// The members of an object; none for anything else.
    pub(crate) fn members<'s>(&'s self) -> impl Iterator<Item = (&'v str, Node<'v, 's>)> {
        self.value
            .as_object()
            .into_iter()
            .flat_map(Map::iter)
            .map(move |(key, value)| {
                (
                    key.as_str(),
                    Node {
                        value,
                        step: Step::Key(key),
                        parent: Some(self),
                    },
                )
            })
    }

    pub(crate) fn text(&self) -> Option<&'v str> {
        self.value.as_str()
    }

    /// The last step: what this value is called where it stands.
    pub(crate) const fn step(&self) -> Step<'v> {
        self.step
    }

    /// The steps from the root to here.
    pub(crate) fn steps(&self) -> Vec<Step<'v>> {
        let mut steps = self.parent.map(Node::steps).unwrap_or_default();
        if self.step != Step::Root {
            steps.push(self.step);
        }
        steps
    }

    /// `messages[0].content`, as OpenAI and Google write it.
    pub(crate) fn bracketed(&self) -> String {
        let mut path = String::new();
        for step in self.steps() {
            match step {
                Step::Root => {}
                Step::Index(index) => path.extend(["[", &index.to_string(), "]"]),
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
            }
        }
        path
    }

    /// `messages.0.content`, as Anthropic writes it.
    pub(crate) fn dotted(&self) -> String {
        let steps = self.steps();
        let names: Vec<String> = steps
            .iter()
            .map(|step| match step {
                Step::Root => String::new(),
                Step::Key(key) => (*key).to_owned(),
                Step::Index(index) => index.to_string(),
            })
            .collect();
        names.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_place_is_spelled_in_both_ways() {
        let document = json!({"messages": [{"content": []}, {"content": [{"type": "text"}]}]});
        let root = Node::root(&document);
        let messages = root.get("messages").unwrap();
        let second = messages.items().nth(1).unwrap();
        let content = second.get("content").unwrap();
        let part = content.items().next().unwrap();
        let kind = part.get("type").unwrap();
        assert_eq!(kind.bracketed(), "messages[1].content[0].type");
        assert_eq!(kind.dotted(), "messages.1.content.0.type");
        assert_eq!(kind.text(), Some("text"));
    }
}
