//! Prompt-cache breakpoints that the gateway places: where they can stand in a body, and how they get there.
//!
//! A body is not written anew for them: they are inserted where they belong, and every other byte stays.
//!
//! Anthropic: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>. Bedrock:
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::anthropic::model::Model;
use crate::bedrock::model::min_cacheable_tokens;
use crate::dialect::{Format, Target};

/// The most breakpoints that one request may have, at every provider that takes them.
pub const MAX_BREAKPOINTS: usize = 4;

const CONTROL: &str = r#""cache_control":{"type":"ephemeral"},"#;
const TEXT_BEGINS: &str = r#"[{"type":"text","text":"#;
const TEXT_ENDS: &str = r#","cache_control":{"type":"ephemeral"}}]"#;
const POINT: &str = r#",{"cachePoint":{"type":"default"}}"#;

/// The shortest beginning of a prompt that the target caches, in tokens; `None` where it takes no breakpoints,
/// or its name does not tell.
pub fn min_tokens(format: Format, target: &Target<'_>) -> Option<u64> {
    match format {
        Format::AnthropicMessages => Some(Model::of(target).min_cacheable_tokens()),
        Format::BedrockConverse => min_cacheable_tokens(target),
        _ => None,
    }
}

/// A request's prompt in the order in which it is cached: tools, system prompt, turns.
#[derive(Debug)]
pub struct Outline<'b> {
    body: &'b [u8],
    /// The tools.
    pub tools: Option<Piece<'b>>,
    /// The system prompt.
    pub system: Option<Piece<'b>>,
    /// The turns, oldest first.
    pub turns: Vec<Piece<'b>>,
}

/// A part of a prompt behind which a breakpoint may stand.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'b> {
    /// As it is written.
    pub bytes: &'b [u8],
    insertion: Option<Insertion>,
}

/// Where a breakpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind the tools.
    Tools,
    /// Behind the system prompt.
    System,
    /// Behind the turn of this index.
    Turn(usize),
}

/// What is inserted, by its place in the body.
#[derive(Debug, Clone, Copy)]
enum Insertion {
    /// A member of the object that begins before it.
    Member(usize),
    /// The text from here to there becomes a block.
    Around(usize, usize),
    /// A block of its own, behind all others.
    Block(usize),
}

impl Piece<'_> {
    /// Whether a breakpoint may stand behind it.
    pub fn takes_breakpoint(&self) -> bool {
        self.insertion.is_some()
    }
}

#[derive(Deserialize)]
struct Claude<'b> {
    #[serde(borrow, default)]
    tools: Option<Vec<&'b RawValue>>,
    #[serde(borrow, default)]
    system: Option<&'b RawValue>,
    #[serde(borrow)]
    messages: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
struct Converse<'b> {
    #[serde(borrow, default, rename = "toolConfig")]
    tool_config: Option<ToolConfig<'b>>,
    #[serde(borrow, default)]
    system: Option<&'b RawValue>,
    #[serde(borrow)]
    messages: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
struct ToolConfig<'b> {
    #[serde(borrow, default)]
    tools: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct Turn<'b> {
    #[serde(borrow)]
    role: Cow<'b, str>,
    #[serde(borrow)]
    content: &'b RawValue,
}

#[derive(Deserialize)]
struct Block<'b> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'b, str>,
    #[serde(borrow, default)]
    text: Option<&'b RawValue>,
}

impl<'b> Outline<'b> {
    /// The prompt of a request. `None` where the format has no breakpoints, where the caller has placed its own,
    /// and where the body cannot be read.
    pub fn read(format: Format, body: &'b [u8]) -> Option<Self> {
        match format {
            Format::AnthropicMessages => Self::of_messages(body),
            Format::BedrockConverse => Self::of_converse(body),
            _ => None,
        }
    }

    fn of_messages(body: &'b [u8]) -> Option<Self> {
        // Within a text its quotes would have backslashes before them.
        if memmem::find(body, br#""cache_control""#).is_some() {
            return None;
        }
        let read: Claude<'b> = serde_json::from_slice(body).ok()?;
        let tools = read.tools.filter(|tools| !tools.is_empty());
        Some(Self {
            body,
            tools: tools.and_then(|tools| piece_of_tools(body, &tools)),
            system: read.system.and_then(|system| {
                let insertion = in_content(body, system);
                is_something(system).then_some(Piece::new(system, insertion))
            }),
            turns: read
                .messages
                .into_iter()
                .map(|turn| Piece::new(turn, in_turn(body, turn, in_content)))
                .collect(),
        })
    }

    fn of_converse(body: &'b [u8]) -> Option<Self> {
        if memmem::find(body, br#""cachePoint""#).is_some() {
            return None;
        }
        let read: Converse<'b> = serde_json::from_slice(body).ok()?;
        let piece = |list: &'b RawValue| {
            let insertion = behind_all(body, list);
            insertion.is_some().then_some(Piece::new(list, insertion))
        };
        Some(Self {
            body,
            tools: read.tool_config.and_then(|it| it.tools).and_then(piece),
            system: read.system.and_then(piece),
            turns: read
                .messages
                .into_iter()
                .map(|turn| Piece::new(turn, in_turn(body, turn, behind_all)))
                .collect(),
        })
    }

    /// The body with breakpoints at these places, of which those count that can take one.
    pub fn placed(&self, places: &[Place]) -> Bytes {
        let insertions = places.iter().filter_map(|place| {
            let piece = match *place {
                Place::Tools => self.tools.as_ref(),
                Place::System => self.system.as_ref(),
                Place::Turn(index) => self.turns.get(index),
            };
            piece?.insertion
        });
        let mut texts: Vec<(usize, &str)> = Vec::with_capacity(2 * MAX_BREAKPOINTS);
        for insertion in insertions {
            match insertion {
                Insertion::Member(at) => texts.push((at, CONTROL)),
                Insertion::Block(at) => texts.push((at, POINT)),
                Insertion::Around(from, to) => {
                    texts.extend([(from, TEXT_BEGINS), (to, TEXT_ENDS)]);
                }
            }
        }
        texts.sort_by_key(|(at, _)| *at);
        let more: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let mut out = BytesMut::with_capacity(self.body.len() + more);
        let mut copied = 0;
        for (at, text) in texts {
            out.extend_from_slice(self.body.get(copied..at).unwrap_or_default());
            out.extend_from_slice(text.as_bytes());
            copied = at;
        }
        out.extend_from_slice(self.body.get(copied..).unwrap_or_default());
        out.freeze()
    }
}

impl<'b> Piece<'b> {
    fn new(raw: &'b RawValue, insertion: Option<Insertion>) -> Self {
        Self {
            bytes: raw.get().as_bytes(),
            insertion,
        }
    }
}

/// The tools, from the first to the last. One that is loaded later only is not cached, and the provider refuses
/// a breakpoint there.
fn piece_of_tools<'b>(body: &'b [u8], tools: &[&'b RawValue]) -> Option<Piece<'b>> {
    let (first, last) = (tools.first()?, tools.last()?);
    let from = place_of(body, first.get());
    let to = place_of(body, last.get()) + last.get().len();
    let is_deferred = memmem::find(last.get().as_bytes(), br#""defer_loading""#).is_some();
    Some(Piece {
        bytes: body.get(from..to)?,
        insertion: (!is_deferred).then(|| in_object(body, last)).flatten(),
    })
}

/// In the content of a turn, where it is the user's: what a model says is cached with what follows it.
fn in_turn<'b>(
    body: &'b [u8],
    turn: &'b RawValue,
    in_content: impl Fn(&'b [u8], &'b RawValue) -> Option<Insertion>,
) -> Option<Insertion> {
    let turn: Turn<'b> = serde_json::from_str(turn.get()).ok()?;
    (turn.role == "user")
        .then(|| in_content(body, turn.content))
        .flatten()
}

/// In Anthropic's content: a text becomes a block, of several blocks the last takes it. An empty text takes
/// none, nor does what only the vendor knows.
fn in_content<'b>(body: &'b [u8], content: &'b RawValue) -> Option<Insertion> {
    if content.get().starts_with('"') {
        let from = place_of(body, content.get());
        let to = from + content.get().len();
        return is_something(content).then_some(Insertion::Around(from, to));
    }
    let blocks: Vec<&'b RawValue> = serde_json::from_str(content.get()).ok()?;
    let last = *blocks.last()?;
    let block: Block<'b> = serde_json::from_str(last.get()).ok()?;
    let takes_it = match &*block.kind {
        "text" => block.text.is_some_and(is_something),
        "image" | "document" | "tool_result" => true,
        _ => false,
    };
    takes_it.then(|| in_object(body, last)).flatten()
}

/// As the first member of an object that has others.
fn in_object<'b>(body: &'b [u8], object: &'b RawValue) -> Option<Insertion> {
    let inside = object.get().strip_prefix('{')?;
    let has_members = inside.trim_ascii_start().starts_with('"');
    has_members.then(|| Insertion::Member(place_of(body, inside)))
}

/// As the last element of a list that has others.
fn behind_all<'b>(body: &'b [u8], list: &'b RawValue) -> Option<Insertion> {
    let inside = list.get().strip_suffix(']')?;
    let has_elements = inside.trim_ascii_end().ends_with('}');
    has_elements.then(|| Insertion::Block(place_of(body, inside) + inside.len()))
}

/// Whether it is more than an empty text or list.
fn is_something(value: &RawValue) -> bool {
    let inside = value
        .get()
        .trim_matches(['"', '[', ']', ' ', '\n', '\t', '\r']);
    !inside.is_empty() && inside != "null"
}

/// Where a part of the body stands.
fn place_of(body: &[u8], part: &str) -> usize {
    part.as_ptr().addr() - body.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn placed(format: Format, body: &str, places: &[Place]) -> Value {
        let outline = Outline::read(format, body.as_bytes()).expect(body);
        let placed = outline.placed(places);
        serde_json::from_slice(&placed).expect("it stays JSON")
    }

    const ALL: [Place; 3] = [Place::Tools, Place::System, Place::Turn(0)];

    #[test]
    fn anthropics_breakpoints_stand_in_the_last_of_each_and_nothing_else_changes() {
        let body = r#"{"model":"m", "tools":[{"name":"a"},{ "name":"b"}], "system":"S \"x\"","messages":[{"role":"user","content":[{"text":"q","type":"text"},{"type":"image","source":1.0}]}],"odd":1.50}"#;
        let mark = json!({"type": "ephemeral"});
        let value = placed(Format::AnthropicMessages, body, &ALL);
        assert_eq!(
            value,
            json!({"model": "m",
                "tools": [{"name": "a"}, {"name": "b", "cache_control": mark}],
                "system": [{"type": "text", "text": "S \"x\"", "cache_control": mark}],
                "messages": [{"role": "user", "content": [
                    {"type": "text", "text": "q"}, {"type": "image", "source": 1.0, "cache_control": mark},
                ]}], "odd": 1.5})
        );
        let outline = Outline::read(Format::AnthropicMessages, body.as_bytes()).unwrap();
        let text = String::from_utf8(outline.placed(&ALL).to_vec()).unwrap();
        let without = [CONTROL, TEXT_BEGINS, TEXT_ENDS]
            .iter()
            .fold(text, |text, inserted| text.replace(inserted, ""));
        assert_eq!(without, body);
        assert_eq!(outline.placed(&[]), body);
    }

    #[test]
    fn bedrocks_breakpoints_are_blocks_of_their_own() {
        let body = r#"{"toolConfig":{"tools":[{"toolSpec":{"name":"a"}} ]},"system":[{"text":"S"}],"messages":[{"role":"user","content":[{"text":"q"}]}]}"#;
        let point = json!({"cachePoint": {"type": "default"}});
        assert_eq!(
            placed(Format::BedrockConverse, body, &ALL),
            json!({"toolConfig": {"tools": [{"toolSpec": {"name": "a"}}, point]},
                "system": [{"text": "S"}, point],
                "messages": [{"role": "user", "content": [{"text": "q"}, point]}]})
        );
    }

    #[test]
    fn nothing_is_placed_where_the_caller_did_or_nothing_can_stand() {
        for (format, body) in [
            (
                Format::AnthropicMessages,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}"#,
            ),
            (
                Format::BedrockConverse,
                r#"{"messages":[{"role":"user","content":[{"text":"q"},{"cachePoint":{"type":"default"}}]}]}"#,
            ),
            (Format::AnthropicMessages, r#"{"messages":1}"#),
            (Format::OpenaiChat, r#"{"messages":[]}"#),
        ] {
            assert!(Outline::read(format, body.as_bytes()).is_none(), "{body}");
        }
        for body in [
            r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
            r#"{"messages":[{"role":"user","content":""}]}"#,
            r#"{"messages":[{"role":"user","content":[]}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":""}]}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"new_kind","x":1}]}],"system":"","tools":[]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"new_kind","x":1}]}],"system":null,"tools":[{"name":"a","defer_loading":true}]}"#,
        ] {
            let outline = Outline::read(Format::AnthropicMessages, body.as_bytes()).expect(body);
            assert_eq!(outline.placed(&ALL), body);
        }
        // A text that speaks of breakpoints has none.
        let body = r#"{"messages":[{"role":"user","content":"\"cache_control\""}]}"#;
        assert!(Outline::read(Format::AnthropicMessages, body.as_bytes()).is_some());
    }
}
