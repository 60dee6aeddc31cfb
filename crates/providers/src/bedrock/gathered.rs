//! Content blocks of a stream that the domain has no word for, put together as they would stand in a whole
//! answer, so that they may go back to the provider.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::dialect::DecodeError;

/// The most that is gathered of one block, in bytes of JSON.
const MAX_BLOCK: usize = 32 * 1024 * 1024;

/// A content block so far.
#[derive(Debug)]
pub(super) struct Gathered {
    /// What it is.
    kind: Kind,
    fields: Map<String, Value>,
    /// The pieces of what it holds.
    input: String,
    results: Vec<Value>,
    bytes: Vec<u8>,
    size: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A call of a tool that the provider runs.
    ToolUse,
    /// What such a tool answered.
    ToolResult,
    /// A picture that the model made.
    Image,
}

impl Kind {
    const ALL: [Self; 3] = [Self::ToolUse, Self::ToolResult, Self::Image];

    fn name(self) -> &'static str {
        match self {
            Self::ToolUse => "toolUse",
            Self::ToolResult => "toolResult",
            Self::Image => "image",
        }
    }
}

impl Gathered {
    /// The block that a `contentBlockStart` begins; `None` where its kind is not known.
    pub(super) fn begin(mut event: Value) -> Option<Self> {
        let start = event.get_mut("start")?.as_object_mut()?;
        let known = |kind: &Kind| start.get(kind.name()).is_some_and(Value::is_object);
        let kind = Kind::ALL.into_iter().find(known)?;
        let Some(Value::Object(fields)) = start.remove(kind.name()) else {
            return None;
        };
        Some(Self {
            kind,
            fields,
            input: String::new(),
            results: Vec::new(),
            bytes: Vec::new(),
            size: 0,
        })
    }

    /// Takes the next `contentBlockDelta` of the block.
    pub(super) fn step(&mut self, mut event: Value) -> Result<(), DecodeError> {
        let delta = event.get_mut("delta").and_then(Value::as_object_mut);
        let Some(step) = delta.and_then(|delta| delta.remove(self.kind.name())) else {
            return Ok(());
        };
        match (self.kind, step) {
            (Kind::ToolUse, step) => {
                let input = step.get("input").and_then(Value::as_str);
                self.input.push_str(input.unwrap_or_default());
                self.size += input.map_or(0, str::len);
            }
            (Kind::ToolResult, Value::Array(results)) => {
                self.size += results.iter().map(|it| it.to_string().len()).sum::<usize>();
                self.results.extend(results);
            }
            (Kind::Image, mut step) => {
                let piece = step.pointer("/source/bytes").and_then(Value::as_str);
                if let Some(piece) = piece.and_then(|piece| STANDARD.decode(piece).ok()) {
                    self.size += piece.len();
                    self.bytes.extend(piece);
                } else if let Some(fields) = step.as_object_mut() {
                    self.fields.append(fields);
                }
            }
            (Kind::ToolResult, _) => {}
        }
        if self.size > MAX_BLOCK {
            let problem = format!("a block of the stream is larger than {MAX_BLOCK} bytes");
            return Err(DecodeError::Malformed(problem));
        }
        Ok(())
    }

    /// The whole block.
    pub(super) fn finish(mut self) -> Option<Box<RawValue>> {
        let (name, held) = match self.kind {
            Kind::ToolUse => {
                let input = serde_json::from_str(&self.input);
                let input = input.unwrap_or_else(|_| Value::Object(Map::new()));
                ("input", input)
            }
            Kind::ToolResult => ("content", Value::Array(self.results)),
            Kind::Image if self.bytes.is_empty() => ("source", Value::Null),
            Kind::Image => {
                let bytes = Value::from(STANDARD.encode(&self.bytes));
                (
                    "source",
                    Map::from_iter([("bytes".to_owned(), bytes)]).into(),
                )
            }
        };
        if !held.is_null() {
            self.fields.insert(name.to_owned(), held);
        }
        let block = Map::from_iter([(self.kind.name().to_owned(), self.fields.into())]);
        to_raw_value(&block).ok()
    }
}
