//! Renders events as a stream of answers (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>).
//!
//! Text and thoughts go out as they come. A call goes out whole, and what comes after a call waits for it,
//! so that the parts keep their order. The last chunk says why each candidate ended, what was used, and the
//! report.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use domain::chat::ChatEvent;
use domain::problem::Problem;
use domain::usage::{ServiceTier, Usage};
use serde_json::Value;

use super::framing::Framing;
use super::progress::{Call, Last, Piece, Progress};
use super::wire::{Answer, Candidate, Head, ProviderContent, UsageMetadata};
use super::{custody, finish, grounding, problem, render};
use crate::face::{Rendering, StreamEncoder};
use crate::gemini::FORMAT;
use crate::gemini::choice::on_one_line;
use crate::gemini::wire::request::{FunctionCall, KnownPart, Part as WirePart};
use crate::openai::render::append;

/// Renders one stream.
pub(super) struct ChunkEncoder {
    framing: Framing,
    told: Told,
    choices: BTreeMap<u32, Progress>,
    failed: bool,
    request_id: String,
}

/// What every chunk says of the whole answer.
struct Told {
    id: String,
    model: String,
    usage: Option<Usage>,
    tier: Option<ServiceTier>,
    /// All of it as a chunk writes it behind its candidates; empty when it is to be written anew.
    written: BytesMut,
}

impl Told {
    fn head(&self) -> Head<'_> {
        Head {
            usage_metadata: self
                .usage
                .as_ref()
                .map(|usage| UsageMetadata::of(usage, self.tier)),
            model_version: &self.model,
            response_id: &self.id,
        }
    }

    /// Writes a chunk of one candidate, which `write` writes.
    fn chunk(
        &mut self,
        framing: &mut Framing,
        out: &mut BytesMut,
        write: impl FnOnce(&mut BytesMut),
    ) {
        if self.written.is_empty() {
            let mut head = BytesMut::new();
            append(&self.head(), &mut head);
            // The brace that opens the object is the chunk's own.
            self.written.put_slice(head.get(1..).unwrap_or_default());
        }
        framing.written(out, |out| {
            out.put_slice(b"{\"candidates\":[");
            write(out);
            out.put_slice(b"],");
            out.put_slice(&self.written);
        });
    }
}

impl ChunkEncoder {
    pub(super) fn new(framing: Framing, rendering: &Rendering) -> Self {
        Self {
            framing,
            told: Told {
                id: rendering.id.clone(),
                model: rendering.model.clone(),
                usage: None,
                tier: None,
                written: BytesMut::new(),
            },
            choices: BTreeMap::new(),
            failed: false,
            request_id: rendering.id.clone(),
        }
    }

    fn piece(&mut self, choice: u32, piece: Piece<'_>, out: &mut BytesMut) {
        let progress = self.choices.entry(choice).or_default();
        if let Some(piece) = progress.admit(piece) {
            write(
                choice,
                progress,
                piece,
                &mut self.told,
                &mut self.framing,
                out,
            );
        }
    }

    /// Writes what waits no longer.
    fn drain(&mut self, choice: u32, out: &mut BytesMut) {
        let progress = self.choices.entry(choice).or_default();
        while let Some(piece) = progress.next() {
            write(
                choice,
                progress,
                piece,
                &mut self.told,
                &mut self.framing,
                out,
            );
        }
    }

    fn call(&mut self, choice: u32, number: u32) -> Option<&mut Call> {
        self.choices.get_mut(&choice)?.call(number)
    }
}

/// Writes one piece as a chunk.
fn write(
    choice: u32,
    progress: &mut Progress,
    piece: Piece<'_>,
    told: &mut Told,
    framing: &mut Framing,
    out: &mut BytesMut,
) {
    let mut send =
        |candidate: Candidate<'_>| told.chunk(framing, out, |out| append(&candidate, out));
    let alone = |part| Candidate::of(choice, vec![part]);
    match piece {
        Piece::Text(text) => {
            progress.note_text(&text);
            told.chunk(framing, out, |out| words(choice, &text, b"", out));
        }
        Piece::Thought(text) => {
            progress.note_thought(&text);
            told.chunk(framing, out, |out| {
                words(choice, &text, b",\"thought\":true", out);
            });
        }
        // A signature over text is Google's own.
        Piece::Signature(signature) if progress.last == Last::Text => {
            send(alone(render::words("", Some(&signature))));
        }
        Piece::Signature(signature) => {
            progress.note_seal(Some(&signature), None);
            let seal = custody::seal_of(Some(&signature), None);
            send(alone(render::thought("", Some(&seal))));
        }
        Piece::Redacted(data) => {
            progress.note_seal(None, Some(&data));
            let seal = custody::seal_of(None, Some(&data));
            send(alone(render::thought("", Some(&seal))));
        }
        Piece::Call(call) => {
            let Some(args) = render::arguments(&call.arguments) else {
                let words = render::spelt_out(&call.name, &call.arguments);
                progress.malformed.get_or_insert(words);
                return;
            };
            progress.note_other();
            let signature = call.signature.or_else(|| {
                let sealed = std::mem::take(&mut progress.sealed);
                (!sealed.is_empty()).then(|| custody::seal(&sealed))
            });
            send(alone(WirePart::from(KnownPart {
                function_call: Some(FunctionCall {
                    id: Some(&call.id),
                    name: &call.name,
                    args: Cow::Owned(args),
                }),
                thought_signature: signature.as_deref(),
                ..KnownPart::default()
            })));
        }
        Piece::Unknown(format, raw) => {
            progress.note_other();
            let Ok(line) = serde_json::value::RawValue::from_string(on_one_line(raw.get())) else {
                return;
            };
            send(if format == FORMAT {
                alone(WirePart::Raw(&line))
            } else {
                Candidate {
                    provider_content: vec![ProviderContent {
                        format,
                        raw: Cow::Borrowed(&line),
                    }],
                    ..Candidate::of(choice, Vec::new())
                }
            });
        }
    }
}

/// A candidate of some words: what most chunks are, written without a detour.
fn words(choice: u32, text: &str, mark: &[u8], out: &mut BytesMut) {
    out.put_slice(b"{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":");
    append(&text, out);
    out.put_slice(mark);
    out.put_slice(b"}]},\"index\":");
    append(&choice, out);
    out.put_slice(b"}");
}

/// The last word on a candidate.
fn ending(choice: u32, progress: &Progress) -> Candidate<'_> {
    let (annotations, text) = progress.cited();
    let mut candidate = Candidate::of(choice, Vec::new());
    candidate.provider_content = grounding::untold(annotations);
    candidate.grounding_metadata = grounding::metadata(annotations, text);
    candidate.logprobs_result = grounding::logprobs(progress.logprobs.iter().map(|raw| &**raw));
    if let Some(finish) = &progress.finish {
        let ended = finish::translate(finish, progress.malformed.as_deref());
        candidate.finish_reason = Some(ended.reason);
        candidate.finish_message = ended.message;
        candidate.native_finish_reason = ended.native;
        candidate.stop_sequence = finish.stop_sequence.as_deref();
    }
    candidate
}

impl StreamEncoder for ChunkEncoder {
    fn push(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        match event {
            ChatEvent::Start { id, model } => {
                if let Some(id) = id.as_ref().filter(|id| !id.is_empty()) {
                    self.told.id.clone_from(id);
                }
                if let Some(model) = model {
                    self.told.model.clone_from(model);
                }
                self.told.written.clear();
            }
            ChatEvent::Text { choice, text } | ChatEvent::Refusal { choice, text } => {
                self.piece(*choice, Piece::Text(text.into()), out);
            }
            ChatEvent::Reasoning { choice, text } => {
                self.piece(*choice, Piece::Thought(text.into()), out);
            }
            ChatEvent::ReasoningSignature { choice, signature } => {
                self.piece(*choice, Piece::Signature(signature.into()), out);
            }
            ChatEvent::RedactedReasoning { choice, data } => {
                self.piece(*choice, Piece::Redacted(data.into()), out);
            }
            ChatEvent::ToolCallStart {
                choice,
                call,
                id,
                name,
                signature,
            } => {
                let call = Call {
                    number: *call,
                    id: id.clone(),
                    name: name.clone(),
                    arguments: String::new(),
                    signature: signature.clone(),
                    is_whole: false,
                };
                self.piece(*choice, Piece::Call(call), out);
            }
            ChatEvent::ToolCallArguments {
                choice,
                call,
                fragment,
            } => {
                if let Some(call) = self.call(*choice, *call) {
                    call.arguments.push_str(fragment);
                }
            }
            ChatEvent::ToolCallEnd { choice, call } => {
                if let Some(call) = self.call(*choice, *call) {
                    call.is_whole = true;
                    self.drain(*choice, out);
                }
            }
            ChatEvent::Logprobs { choice, raw } => {
                let progress = self.choices.entry(*choice).or_default();
                progress.logprobs.push(raw.clone());
            }
            ChatEvent::Annotation { choice, annotation } => {
                let progress = self.choices.entry(*choice).or_default();
                progress.annotate(annotation);
            }
            ChatEvent::Unknown {
                choice,
                format,
                raw,
            } => self.piece(*choice, Piece::Unknown(format, Cow::Borrowed(raw)), out),
            ChatEvent::Finish { choice, finish } => {
                let progress = self.choices.entry(*choice).or_default();
                progress.end_calls();
                progress.finish = Some(finish.clone());
                self.drain(*choice, out);
            }
            ChatEvent::Usage(usage) => {
                self.told.usage = Some(*usage);
                self.told.written.clear();
            }
            ChatEvent::ServiceTier(tier) => {
                self.told.tier = Some(*tier);
                self.told.written.clear();
            }
            // An error is told through `fail`, as a problem of the gateway's.
            ChatEvent::Ping | ChatEvent::Error(_) => {}
        }
    }

    fn fail(&mut self, problem: &Problem, out: &mut BytesMut) {
        if !self.failed {
            self.failed = true;
            let line = problem::line(problem, &self.request_id);
            self.framing.line(&line, out);
            self.framing.finish(out);
        }
    }

    fn finish(&mut self, report: Option<&Value>, out: &mut BytesMut) {
        if self.failed {
            return;
        }
        let choices = self.choices.iter();
        let candidates = choices.map(|(choice, progress)| ending(*choice, progress));
        let last = Answer {
            candidates: candidates.collect(),
            head: self.told.head(),
            trunkline: report,
        };
        self.framing.chunk(&last, out);
        self.framing.finish(out);
    }
}
