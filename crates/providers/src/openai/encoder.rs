//! Renders events as a stream of chat completion chunks
//! (<https://platform.openai.com/docs/api-reference/chat-streaming>).

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use domain::chat::{ChatEvent, Finish};
use domain::problem::Problem;
use domain::usage::Usage;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::annotations;
use super::parse::FORMAT;
use super::pictures::Picture;
use super::render::{self, Block, OwnUnknown, append};
use super::usage::Shown;
use super::wire::{Detail, Extra, ExtraContent, WireCall, WireFunction};
use crate::face::{Rendering, StreamEncoder};

/// What ends every stream that did not fail.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// What keeps an idle stream open.
pub(super) const HEARTBEAT: &[u8] = b": keep-alive\n\n";

/// Renders one stream.
pub(super) struct ChunkEncoder {
    rendering: Rendering,
    /// What every chunk begins with, up to the choices.
    head: BytesMut,
    choices: BTreeMap<u32, Progress>,
    usage: Option<Usage>,
    failed: bool,
}

/// How far one choice is.
#[derive(Default)]
struct Progress {
    role_sent: bool,
    /// Which calls are open, and whether arguments of them were sent.
    calls: BTreeMap<u32, bool>,
    /// The index of the thought that is being written.
    thought: usize,
    /// What of it was said since it was last shown whole. Pieces would be lost: of a field that it does not know,
    /// `openai` for Node keeps what came last, while that for Python puts all that came together.
    pending: String,
    signs: Signs,
    /// The pictures that were shown.
    images: usize,
}

/// What a signature that comes now would be over.
#[derive(Default, PartialEq)]
enum Signs {
    #[default]
    Nothing,
    Text,
    Thought,
    SignedThought,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_details: Option<[Detail<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[WireCall<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<[&'a Value; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_annotations: Option<[&'a Value; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<[Picture; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_content: Option<[Block<'a>; 1]>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a RawValue>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_sequence: Option<&'a str>,
}

impl ChunkEncoder {
    pub(super) fn new(rendering: &Rendering) -> Self {
        let mut encoder = Self {
            rendering: rendering.clone(),
            head: BytesMut::new(),
            choices: BTreeMap::new(),
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
        head.put_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        append(&self.rendering.created.as_second(), head);
        head.put_slice(b",\"model\":");
        append(&model.unwrap_or(&self.rendering.model), head);
    }

    fn delta(&mut self, choice: u32, delta: Delta<'_>, out: &mut BytesMut) {
        let choice = ChunkChoice {
            index: choice,
            delta,
            logprobs: None,
            finish_reason: None,
            native_finish_reason: None,
            stop_sequence: None,
        };
        self.chunk(choice, out);
    }

    fn chunk(&mut self, mut choice: ChunkChoice<'_>, out: &mut BytesMut) {
        let progress = self.choices.entry(choice.index).or_default();
        if !progress.role_sent {
            progress.role_sent = true;
            choice.delta.role = Some("assistant");
        }
        out.put_slice(&self.head);
        out.put_slice(b",\"choices\":[");
        append(&choice, out);
        out.put_slice(if self.rendering.stream_usage {
            b"],\"usage\":null}\n\n"
        } else {
            b"]}\n\n"
        });
    }

    fn progress(&mut self, choice: u32) -> &mut Progress {
        self.choices.entry(choice).or_default()
    }

    fn reasoning(&mut self, choice: u32, text: &str, out: &mut BytesMut) {
        let progress = self.progress(choice);
        progress.thought_index();
        progress.pending.push_str(text);
        let delta = Delta {
            reasoning_content: Some(text),
            ..Delta::default()
        };
        self.delta(choice, delta, out);
    }

    /// Shows the thought whole that ends here, with the signature over it if there is one.
    fn end_thought(&mut self, choice: u32, signature: Option<&str>, out: &mut BytesMut) {
        let progress = self.progress(choice);
        let text = std::mem::take(&mut progress.pending);
        if text.is_empty() && signature.is_none() {
            return;
        }
        let text = Some(text.as_str()).filter(|text| !text.is_empty());
        let detail = Detail::readable(progress.thought, text, signature);
        let delta = Delta {
            reasoning_details: Some([detail]),
            ..Delta::default()
        };
        self.delta(choice, delta, out);
    }

    /// A signature over text is Gemini's, and goes where Google puts it.
    fn signature(&mut self, choice: u32, signature: &str, out: &mut BytesMut) {
        let progress = self.progress(choice);
        if progress.signs == Signs::Text {
            let delta = Delta {
                extra_content: Some(ExtraContent::signed(signature)),
                ..Delta::default()
            };
            self.delta(choice, delta, out);
        } else {
            progress.thought_index();
            progress.signs = Signs::SignedThought;
            self.end_thought(choice, Some(signature), out);
        }
    }

    fn redacted(&mut self, choice: u32, data: &str, out: &mut BytesMut) {
        self.end_thought(choice, None, out);
        let progress = self.progress(choice);
        let index = progress.thought_index();
        progress.signs = Signs::SignedThought;
        let delta = Delta {
            reasoning_details: Some([Detail::encrypted(index, data)]),
            ..Delta::default()
        };
        self.delta(choice, delta, out);
    }

    fn arguments(&mut self, choice: u32, call: u32, fragment: &str, out: &mut BytesMut) {
        self.progress(choice).calls.insert(call, true);
        let piece = WireCall {
            index: Some(call),
            function: WireFunction {
                name: None,
                arguments: Some(fragment),
            },
            ..WireCall::default()
        };
        let delta = Delta {
            tool_calls: Some([piece]),
            ..Delta::default()
        };
        self.delta(choice, delta, out);
    }

    /// A call without arguments must end as `{}`: clients parse what they put together.
    fn close_call(&mut self, choice: u32, call: u32, out: &mut BytesMut) {
        if self.progress(choice).calls.remove(&call) == Some(false) {
            self.arguments(choice, call, "{}", out);
            self.progress(choice).calls.remove(&call);
        }
    }

    fn close(&mut self, choice: u32, finish: &Finish, out: &mut BytesMut) {
        self.end_thought(choice, None, out);
        let open: Vec<u32> = self.progress(choice).calls.keys().copied().collect();
        for call in open {
            self.close_call(choice, call, out);
        }
        let choice = ChunkChoice {
            index: choice,
            delta: Delta::default(),
            logprobs: None,
            finish_reason: Some(render::finish_word(finish.reason)),
            native_finish_reason: Some(finish.native.as_str()).filter(|word| !word.is_empty()),
            stop_sequence: finish.stop_sequence.as_deref(),
        };
        self.chunk(choice, out);
    }

    fn unknown(&mut self, choice: u32, format: &'static str, raw: &RawValue, out: &mut BytesMut) {
        self.end_thought(choice, None, out);
        let progress = self.progress(choice);
        let picture = Picture::of(format, raw, progress.images);
        progress.images += usize::from(picture.is_some());
        let foreign = Delta {
            images: picture.map(|picture| [picture]),
            provider_content: Some([Block::Unknown { format, raw }]),
            ..Delta::default()
        };
        let delta = match render::unknown(raw) {
            OwnUnknown::Fields(fields) if format == FORMAT => Delta {
                extra: Extra(fields),
                ..Delta::default()
            },
            _ => foreign,
        };
        self.delta(choice, delta, out);
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

    /// A citation of a kind that clients do not know stands beside theirs.
    fn annotate(&mut self, choice: u32, annotation: &Value, out: &mut BytesMut) {
        let mut delta = Delta::default();
        if annotations::is_of(annotation, &[annotations::URL]) {
            delta.annotations = Some([annotation]);
        } else {
            delta.native_annotations = Some([annotation]);
        }
        self.delta(choice, delta, out);
    }
}

impl Progress {
    /// The index of the thought that a piece belongs to: a signature ends a thought.
    fn thought_index(&mut self) -> usize {
        if self.signs == Signs::SignedThought {
            self.thought += 1;
        }
        self.signs = Signs::Thought;
        self.thought
    }
}

impl StreamEncoder for ChunkEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            ChatEvent::Start { id, model } => self.begin(id.as_deref(), model.as_deref()),
            ChatEvent::Text { choice, text } => {
                self.end_thought(*choice, None, out);
                self.progress(*choice).signs = Signs::Text;
                let delta = Delta {
                    content: Some(text),
                    ..Delta::default()
                };
                self.delta(*choice, delta, out);
            }
            ChatEvent::Reasoning { choice, text } => self.reasoning(*choice, text, out),
            ChatEvent::ReasoningSignature { choice, signature } => {
                self.signature(*choice, signature, out);
            }
            ChatEvent::RedactedReasoning { choice, data } => self.redacted(*choice, data, out),
            ChatEvent::Refusal { choice, text } => {
                self.end_thought(*choice, None, out);
                let delta = Delta {
                    refusal: Some(text),
                    ..Delta::default()
                };
                self.delta(*choice, delta, out);
            }
            ChatEvent::ToolCallStart {
                choice,
                call,
                id,
                name,
                signature,
            } => {
                self.end_thought(*choice, None, out);
                let progress = self.progress(*choice);
                progress.calls.insert(*call, false);
                progress.signs = Signs::Nothing;
                let opened = WireCall {
                    index: Some(*call),
                    id: Some(id),
                    kind: Some("function"),
                    function: WireFunction {
                        name: Some(name),
                        arguments: Some(""),
                    },
                    extra_content: signature.as_deref().map(ExtraContent::signed),
                };
                let delta = Delta {
                    tool_calls: Some([opened]),
                    ..Delta::default()
                };
                self.delta(*choice, delta, out);
            }
            ChatEvent::ToolCallArguments {
                choice,
                call,
                fragment,
            } => {
                if !fragment.is_empty() {
                    self.arguments(*choice, *call, fragment, out);
                }
            }
            ChatEvent::ToolCallEnd { choice, call } => self.close_call(*choice, *call, out),
            ChatEvent::Logprobs { choice, raw } => {
                let choice = ChunkChoice {
                    index: *choice,
                    delta: Delta::default(),
                    logprobs: Some(raw),
                    finish_reason: None,
                    native_finish_reason: None,
                    stop_sequence: None,
                };
                self.chunk(choice, out);
            }
            ChatEvent::Annotation { choice, annotation } => {
                self.annotate(*choice, annotation, out);
            }
            ChatEvent::Unknown {
                choice,
                format,
                raw,
            } => self.unknown(*choice, format, raw, out),
            ChatEvent::Finish { choice, finish } => self.close(*choice, finish, out),
            ChatEvent::Usage(usage) => self.usage = Some(*usage),
            ChatEvent::ServiceTier(tier) => {
                if let Some(word) = render::tier_word(*tier) {
                    // From here on, every chunk says so.
                    self.head.put_slice(b",\"service_tier\":");
                    append(&word, &mut self.head);
                }
            }
            ChatEvent::Ping => out.put_slice(HEARTBEAT),
            // The gateway tells it through `fail`, as a problem of its own.
            ChatEvent::Error(_) => {}
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if !self.failed {
            self.failed = true;
            render::problem_event(problem, out);
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
