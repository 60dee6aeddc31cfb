//! Renders events as a stream of text completions
//! (<https://platform.openai.com/docs/api-reference/completions/object>).

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use domain::chat::{ChatEvent, Finish};
use domain::problem::Problem;
use domain::usage::Usage;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::encoder::{DONE, HEARTBEAT};
use super::super::render::{append, problem_event};
use super::super::usage::Shown;
use super::logprobs::{self, Listed};
use super::render;
use crate::face::{Rendering, StreamEncoder};

/// Renders one stream.
pub(super) struct TextEncoder {
    rendering: Rendering,
    /// What every chunk begins with, up to the choices.
    head: BytesMut,
    /// The prompt, where it is to stand before every answer.
    echo: String,
    /// How many characters of each choice were written.
    written: BTreeMap<u32, usize>,
    usage: Option<Usage>,
    failed: bool,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<Listed>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
}

impl<'a> ChunkChoice<'a> {
    fn of(index: u32, text: &'a str) -> Self {
        Self {
            text,
            index,
            logprobs: None,
            finish_reason: None,
            stop_sequence: None,
            reasoning_content: None,
        }
    }
}

impl TextEncoder {
    pub(super) fn new(rendering: &Rendering) -> Self {
        let mut encoder = Self {
            rendering: rendering.clone(),
            head: BytesMut::new(),
            echo: render::echoed(&rendering.asked).unwrap_or_default(),
            written: BTreeMap::new(),
            usage: None,
            failed: false,
        };
        encoder.begin(None, None);
        encoder
    }

    fn begin(&mut self, id: Option<&str>, model: Option<&str>) {
        let head = &mut self.head;
        head.clear();
        head.put_slice(b"data: {\"id\":");
        append(&render::identifier(id, &self.rendering), head);
        head.put_slice(b",\"object\":\"text_completion\",\"created\":");
        append(&self.rendering.created.as_second(), head);
        head.put_slice(b",\"model\":");
        append(&model.unwrap_or(&self.rendering.model), head);
    }

    fn chunk(&mut self, choice: &ChunkChoice<'_>, out: &mut BytesMut) {
        let index = choice.index;
        if !self.written.contains_key(&index) {
            self.written.insert(index, self.echo.chars().count());
            if !self.echo.is_empty() {
                let echo = std::mem::take(&mut self.echo);
                self.write(&ChunkChoice::of(index, &echo), out);
                self.echo = echo;
            }
        }
        self.write(choice, out);
    }

    fn write(&self, choice: &ChunkChoice<'_>, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[");
        append(choice, out);
        out.put_slice(if self.rendering.stream_usage {
            b"],\"usage\":null}\n\n"
        } else {
            b"]}\n\n"
        });
    }

    /// Probabilities come after their text, which is where they begin.
    fn logprobs(&mut self, choice: u32, raw: &RawValue, out: &mut BytesMut) {
        let mut at = self.written.get(&choice).copied().unwrap_or_default();
        let listed = logprobs::listed(raw, &mut at);
        self.written.insert(choice, at);
        let chunk = ChunkChoice {
            logprobs: listed,
            ..ChunkChoice::of(choice, "")
        };
        self.write(&chunk, out);
    }

    fn close(&mut self, choice: u32, finish: &Finish, out: &mut BytesMut) {
        let chunk = ChunkChoice {
            finish_reason: Some(render::word(finish.reason)),
            stop_sequence: finish.stop_sequence.as_deref(),
            ..ChunkChoice::of(choice, "")
        };
        self.chunk(&chunk, out);
    }

    /// A chunk without choices.
    fn bare_chunk(&self, name: &str, value: &impl Serialize, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[],\"");
        out.put_slice(name.as_bytes());
        out.put_slice(b"\":");
        append(value, out);
        out.put_slice(b"}\n\n");
    }
}

impl StreamEncoder for TextEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Start { id, model } => self.begin(id.as_deref(), model.as_deref()),
            ChatEvent::Text { choice, text } | ChatEvent::Refusal { choice, text } => {
                self.chunk(&ChunkChoice::of(*choice, text), out);
            }
            ChatEvent::Reasoning { choice, text } => {
                let chunk = ChunkChoice {
                    reasoning_content: Some(text),
                    ..ChunkChoice::of(*choice, "")
                };
                self.chunk(&chunk, out);
            }
            ChatEvent::Logprobs { choice, raw } => self.logprobs(*choice, raw, out),
            ChatEvent::Finish { choice, finish } => self.close(*choice, finish, out),
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::Ping => out.put_slice(HEARTBEAT),
            // A prompt has no tools, and what only the provider's format knows nobody gives back. An
            // error is told through `fail`.
            ChatEvent::ReasoningSignature { .. }
            | ChatEvent::RedactedReasoning { .. }
            | ChatEvent::ToolCallStart { .. }
            | ChatEvent::ToolCallArguments { .. }
            | ChatEvent::ToolCallEnd { .. }
            | ChatEvent::Annotation { .. }
            | ChatEvent::Unknown { .. }
            | ChatEvent::ServiceTier(_)
            | ChatEvent::Error(_) => {}
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if !self.failed {
            self.failed = true;
            problem_event(problem, out);
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        if let Some(usage) = self.usage.filter(|_| self.rendering.stream_usage) {
            self.bare_chunk("usage", &Shown::from(&usage), out);
        }
        if let Some(report) = report {
            self.bare_chunk("trunkline", report, out);
        }
        out.put_slice(DONE);
    }
}
