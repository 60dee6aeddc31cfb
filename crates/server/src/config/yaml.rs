//! From YAML text to [`Node`]s. The scanner is a library; this builds the tree and bounds it.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span};

use super::node::{Content, Entry, Node, Place};
use super::problem::Complaint;

/// How deep lists and mappings may stand in each other.
const MAX_DEPTH: usize = 64;
/// How many nodes a file may have once its aliases are followed: a few lines of aliases to aliases can
/// stand for billions.
const MAX_NODES: usize = 100_000;

/// Why a text is no tree, and where.
type Refused = (Place, Complaint);

/// Reads one YAML document; an empty one is a node without content.
pub(super) fn parse(text: &str) -> Result<Node, Refused> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut tree = Tree {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        nodes: 0,
        text,
    };
    let mut document = None;
    while let Some((event, place)) = tree.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            node if document.is_none() => document = Some(tree.node(node, place)?),
            _ => {
                let complaint = Complaint::new("a second document begins here")
                    .suggest("remove the line `---` and put everything into one document");
                return Err((place, complaint));
            }
        }
    }
    Ok(document.unwrap_or(Node {
        place: Place { line: 1, column: 1 },
        content: Content::Nothing,
    }))
}

struct Tree<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: &'a str,
}

impl<'a> Tree<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Place)>, Refused> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok(Some((event, start(span)))),
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Ok(None),
        }
    }

    /// The node that `event` begins.
    fn node(&mut self, event: Event<'a>, place: Place) -> Result<Node, Refused> {
        self.count(1, place)?;
        if event.tag().is_some() {
            let complaint = Complaint::new("tags such as `!!str` have no meaning here");
            return Err((
                place,
                complaint.suggest("remove the tag; put text in quotes"),
            ));
        }
        let anchor = event.anchor_id();
        let content = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => Content::List(self.items()?),
            Event::MappingStart(..) => Content::Mapping(self.entries()?),
            Event::Alias(id) => self.anchored(id, place)?,
            _ => return Err((place, Complaint::new("expected a value"))),
        };
        let node = Node { place, content };
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self) -> Result<Vec<Node>, Refused> {
        let mut items = Vec::new();
        while let Some((event, place)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            items.push(self.node(event, place)?);
        }
        Ok(items)
    }

    fn entries(&mut self) -> Result<Vec<Entry>, Refused> {
        let mut entries = Vec::new();
        while let Some((event, place)) = self.next()? {
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(key, ..) => key.into_owned(),
                _ => {
                    return Err((
                        place,
                        Complaint::new("a key is text, not a list or mapping"),
                    ));
                }
            };
            let Some((event, value_place)) = self.next()? else {
                break;
            };
            let value = self.node(event, value_place)?;
            entries.push(Entry { key, place, value });
        }
        Ok(entries)
    }

    /// A copy of what the anchor stands before.
    fn anchored(&mut self, id: usize, place: Place) -> Result<Content, Refused> {
        let Some(node) = self.anchors.get(&id).cloned() else {
            let complaint = Complaint::new("this alias stands inside of what it refers to");
            return Err((place, complaint));
        };
        self.count(size(&node), place)?;
        Ok(node.content)
    }

    fn count(&mut self, nodes: usize, place: Place) -> Result<(), Refused> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let complaint = format!("the file has more than {MAX_NODES} values");
            return Err((place, Complaint::new(complaint)));
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError) -> Refused {
        let marker = error.marker();
        let complaint = Complaint::new(format!("this is not YAML: {}", error.kind()));
        let place = Place {
            line: marker.line(),
            column: marker.col() + 1,
        };
        let line = self
            .text
            .lines()
            .nth(place.line.saturating_sub(1))
            .unwrap_or_default();
        if line.contains("${") {
            let hint =
                "put references in quotes where they stand inside { } or [ ], as in \"${NAME}\"";
            return (place, complaint.suggest(hint));
        }
        if line.trim_start_matches(' ').starts_with('\t') {
            return (
                place,
                complaint.suggest("indent with spaces, not with tabs"),
            );
        }
        (place, complaint)
    }
}

fn start(span: Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Content {
    let is_quoted = style != ScalarStyle::Plain;
    if !is_quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Content::Nothing;
    }
    Content::Scalar {
        text: text.to_owned(),
        is_quoted,
    }
}

fn size(node: &Node) -> usize {
    match &node.content {
        Content::Nothing | Content::Scalar { .. } => 1,
        Content::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Content::Mapping(entries) => 1 + entries.iter().map(|it| size(&it.value)).sum::<usize>(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use serde_json::json;

    use super::*;

    fn complaint(text: &str) -> (usize, usize, String) {
        match parse(text) {
            Ok(_) => panic!("{text} is read"),
            Err((place, complaint)) => (place.line, place.column, format!("{complaint:?}")),
        }
    }

    #[test]
    fn a_document_becomes_a_tree_with_places() {
        let node = parse("a: 1\nb:\n  - x\n  - 'true'\nc: ~\n").unwrap_or_else(|_| panic!());
        assert_eq!(
            node.to_json(),
            json!({"a": 1, "b": ["x", "true"], "c": null})
        );
        let Content::Mapping(entries) = &node.content else {
            panic!("it is a mapping")
        };
        let Content::List(items) = &entries[1].value.content else {
            panic!("it is a list")
        };
        assert_eq!(items[1].place, Place { line: 4, column: 5 });
        assert_eq!(entries[2].place, Place { line: 5, column: 1 });
    }

    #[test]
    fn an_alias_stands_for_its_anchor() {
        let node = parse("a: &limits { rpm: 60 }\nb: *limits").unwrap_or_else(|_| panic!());
        assert_eq!(node.to_json(), json!({"a": {"rpm": 60}, "b": {"rpm": 60}}));
    }

    #[test]
    fn an_empty_text_is_an_empty_document() {
        for text in ["", "# only a comment\n", "---\n"] {
            assert!(parse(text).is_ok_and(|node| matches!(node.content, Content::Nothing)));
        }
    }

    #[test]
    fn aliases_to_aliases_are_bounded() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let alias = format!("*a{}", level - 1);
            let aliases = [alias.as_str(); 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{aliases}]").unwrap();
        }
        assert!(complaint(&text).2.contains("more than 100000 values"));
        assert!(
            complaint("a: &a [*a]")
                .2
                .contains("inside of what it refers to")
        );
    }

    #[test]
    fn depth_is_bounded() {
        let text = "[".repeat(1000);
        assert!(complaint(&text).2.contains("recursion limit"));
    }

    #[test]
    fn what_is_not_yaml_is_placed() {
        let (line, column, text) = complaint("a: 1\nb: [1, 2\nc: 3\n");
        assert_eq!((line, column), (3, 2), "{text}");
        assert!(complaint("a: { key: ${KEY} }").2.contains("in quotes"));
        assert!(complaint("a:\n\tb: 1").2.contains("spaces"));
        assert!(complaint("a: 1\n---\nb: 2").2.contains("second document"));
        assert!(complaint("a: !!str 1").2.contains("tag"));
        assert!(complaint("? [a]\n: 1").2.contains("a key is text"));
    }
}
