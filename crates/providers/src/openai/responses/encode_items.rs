//! Writes messages as items.

use std::borrow::Cow;

use domain::chat::{
    CacheControl, ChatRequest, Conversion, Media, Message, Part, Reasoning, Source, Text, Tool,
    ToolResult,
};
use serde_json::value::RawValue;

use super::super::annotations::{FOREIGN, NATIVE};
use super::super::media;
use super::super::wire::{Extra, Leftovers};
use super::wire::{Breakpoint, Content, KnownItem, KnownPart, Summary, WireItem, WirePart};
use super::words::FORMAT;
use super::{annotations, custody, parse_tools};

/// Why a prompt-cache breakpoint does not arrive.
pub(super) const NO_BREAKPOINTS: &str = "OpenAI caches what repeats by itself";

/// The conversation on the wire.
pub(super) struct Conversation<'a> {
    pub(super) instructions: Option<&'a str>,
    pub(super) input: Vec<WireItem<'a>>,
}

/// Whether the tool of this name stands for a custom one.
pub(super) fn is_custom(request: &ChatRequest, tool: &str) -> bool {
    request.tools.iter().any(|known| match known {
        Tool::Function {
            name, parameters, ..
        } => name == tool && parse_tools::is_custom(parameters.as_deref()),
        Tool::Hosted { .. } => false,
    })
}

/// Writes the messages. Instructions that open the conversation in plain words have a field of their own.
pub(super) fn conversation<'a>(
    request: &'a ChatRequest,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Conversation<'a> {
    let mut writer = Writer {
        request,
        leftovers,
        report,
        path: String::new(),
        input: Vec::new(),
        customs: Vec::new(),
    };
    let instructions = match request.messages.as_slice() {
        [Message::System(content), _, ..] => match content.as_slice() {
            [Part::Text(text)] if text.cache.is_none() => Some(text.text.as_str()),
            _ => None,
        },
        _ => None,
    };
    let lifted = usize::from(instructions.is_some());
    for (index, message) in request.messages.iter().enumerate().skip(lifted) {
        writer.path = format!("messages[{index}]");
        writer.message(message);
    }
    Conversation {
        instructions,
        input: writer.input,
    }
}

/// What the model says in one go.
#[derive(Default)]
struct Words<'a> {
    /// The caller's item that it came from.
    source: Option<String>,
    parts: Vec<WirePart<'a>>,
}

struct Writer<'a, 'r> {
    request: &'a ChatRequest,
    leftovers: &'r mut Leftovers<'a>,
    report: &'r mut Conversion,
    /// Of the message that is being written.
    path: String,
    input: Vec<WireItem<'a>>,
    /// The ids of the calls of custom tools.
    customs: Vec<&'a str>,
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, message: &'a Message) {
        match message {
            Message::System(content) => self.said("system", content, None),
            Message::Developer(content) => self.said("developer", content, None),
            Message::User { content, name } => self.said("user", content, name.as_deref()),
            Message::Assistant { content, name } => {
                self.name(name.as_deref());
                self.assistant(content);
            }
            Message::Tool(result) => self.result(result),
        }
    }

    fn item(&mut self, item: KnownItem<'a>) {
        self.input.push(WireItem::Known(item));
    }

    /// What the caller said of the item that `path` came from, where it speaks this format.
    fn extra(&mut self, path: &str) -> Extra<'a> {
        match self.source(path) {
            Some(item) => self.leftovers.at(&item),
            None => Extra::default(),
        }
    }

    /// The caller's item that `path` came from.
    fn source(&self, path: &str) -> Option<String> {
        let caller = self.request.paths.of(path);
        let end = caller.starts_with("input[").then(|| caller.find(']'))??;
        caller.get(..=end).map(ToOwned::to_owned)
    }

    fn name(&mut self, name: Option<&str>) {
        if name.is_some() {
            self.report.drop(
                format!("{}.name", self.path),
                "the target's format has no names of speakers",
            );
        }
    }

    /// What is not the model's. Items that only this format knows stand in a message by themselves.
    fn said(&mut self, role: &'static str, content: &'a [Part], name: Option<&str>) {
        self.name(name);
        if let [Part::Unknown { format, raw }] = content
            && *format == FORMAT
            && is_item(raw)
        {
            self.input.push(WireItem::Raw(raw));
            return;
        }
        let held = content.len();
        let content = self.content(content, "content");
        // What only another format knows is reported; a message of nothing is refused.
        if held > 0 && content.says_nothing() {
            return;
        }
        let extra = self.extra(&self.path.clone());
        self.item(KnownItem::Message {
            role,
            content,
            extra,
        });
    }

    fn result(&mut self, result: &'a ToolResult) {
        self.cache(result.cache, &self.path.clone());
        let mut output = self.content(&result.content, "content");
        if result.is_error {
            self.report.change(
                self.path.clone(),
                "the format has no mark for a tool that failed; its words begin with `Error:`",
            );
            output.begin_with_word("Error:");
        } else if output.says_nothing() {
            output = Content::Text(Cow::Borrowed(""));
        }
        let call_id = result.call_id.as_str();
        let extra = self.extra(&self.path.clone());
        let item = if self.customs.contains(&call_id) {
            KnownItem::CustomToolCallOutput {
                call_id,
                output,
                extra,
            }
        } else {
            KnownItem::FunctionCallOutput {
                call_id,
                output,
                extra,
            }
        };
        self.item(item);
    }

    fn cache(&mut self, cache: Option<CacheControl>, path: &str) {
        if cache.is_some() {
            self.report
                .drop(format!("{path}.cache_control"), NO_BREAKPOINTS);
        }
    }

    /// The breakpoint, where the caller set one in this format's way. Models differ in what they take of
    /// it, so that those of other formats are not turned into it.
    fn breakpoint(&mut self, cache: Option<CacheControl>, path: &str) -> Option<Breakpoint<'a>> {
        cache?;
        if self.request.format != FORMAT {
            self.cache(cache, path);
            return None;
        }
        let caller = self.request.paths.of(path).into_owned();
        Some(Breakpoint {
            mode: "explicit",
            extra: self
                .leftovers
                .at(&format!("{caller}.prompt_cache_breakpoint")),
        })
    }

    fn content(&mut self, parts: &'a [Part], field: &str) -> Content<'a> {
        if let [Part::Text(text)] = parts
            && text.cache.is_none()
        {
            return Content::Text(Cow::Borrowed(&text.text));
        }
        let mut written = Vec::with_capacity(parts.len());
        for (index, part) in parts.iter().enumerate() {
            let path = format!("{}.{field}[{index}]", self.path);
            written.extend(self.part(part, &path));
        }
        Content::Parts(written)
    }

    fn part(&mut self, part: &'a Part, path: &str) -> Option<WirePart<'a>> {
        Some(WirePart::Known(match part {
            Part::Text(text) => KnownPart::InputText {
                text: &text.text,
                prompt_cache_breakpoint: self.breakpoint(text.cache, path),
            },
            Part::Image(media) => self.image(media, path)?,
            Part::Document(media) => self.document(media, path),
            Part::Unknown { format, raw } if *format == FORMAT => return Some(WirePart::Raw(raw)),
            Part::Unknown { format, .. } => {
                self.foreign(path, format);
                return None;
            }
            // A request with audio was refused before.
            Part::Audio(_) | Part::Refusal(_) | Part::Reasoning(_) | Part::ToolCall(_) => {
                let reason = "only the model says such things";
                self.report.drop(path.to_owned(), reason);
                return None;
            }
        }))
    }

    fn foreign(&mut self, path: &str, format: &str) {
        self.report
            .drop(path.to_owned(), format!("only {format} knows it"));
    }

    fn image(&mut self, media: &'a Media, path: &str) -> Option<KnownPart<'a>> {
        let prompt_cache_breakpoint = self.breakpoint(media.cache, path);
        let (image_url, file_id) = match &media.source {
            Source::Inline { media_type, base64 } => {
                (Some(format!("data:{media_type};base64,{base64}")), None)
            }
            Source::Url { url, .. } => (Some(url.clone()), None),
            Source::File(id) => (None, Some(id.as_str())),
            Source::Text(_) => {
                let reason = "an image must be a URL, a file or its bytes";
                self.report.drop(path.to_owned(), reason);
                return None;
            }
        };
        Some(KnownPart::InputImage {
            image_url,
            file_id,
            detail: media.detail.as_deref(),
            prompt_cache_breakpoint,
        })
    }

    fn document(&mut self, media: &'a Media, path: &str) -> KnownPart<'a> {
        let prompt_cache_breakpoint = self.breakpoint(media.cache, path);
        let (mut file_data, mut file_url, mut file_id) = (None, None, None);
        match &media.source {
            Source::Inline { media_type, base64 } => {
                file_data = Some(format!("data:{media_type};base64,{base64}"));
            }
            Source::Url { url, .. } => file_url = Some(url.as_str()),
            Source::File(id) => file_id = Some(id.as_str()),
            Source::Text(text) => {
                let encoded = media::encode_base64(text.as_bytes());
                file_data = Some(format!("data:text/plain;base64,{encoded}"));
            }
        }
        KnownPart::InputFile {
            // Bytes without a name are refused.
            filename: media
                .name
                .as_deref()
                .or(file_data.is_some().then_some("file")),
            file_data,
            file_url,
            file_id,
            detail: media.detail.as_deref(),
            prompt_cache_breakpoint,
        }
    }

    /// The model's turn: one item for what it says in one go, one for each thought and call.
    fn assistant(&mut self, content: &'a [Part]) {
        let mut words = Words::default();
        let (mut said, mut calls) = (0, 0);
        for (place, part) in content.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|place| content.get(place));
            match part {
                Part::Text(text) => {
                    let path = format!("{}.content[{said}]", self.path);
                    said += 1;
                    self.speak_from(&path, &mut words);
                    words.parts.extend(self.text(text, &path));
                    continue;
                }
                Part::Refusal(refusal) => {
                    let path = format!("{}.content[{said}]", self.path);
                    said += 1;
                    self.speak_from(&path, &mut words);
                    words
                        .parts
                        .push(WirePart::Known(KnownPart::Refusal { refusal }));
                    continue;
                }
                _ => self.end_words(&mut words),
            }
            match part {
                Part::Reasoning(thought) => {
                    self.thought(thought, before, content.get(place + 1));
                }
                Part::ToolCall(call) => {
                    let path = format!("{}.tool_calls[{calls}]", self.path);
                    calls += 1;
                    self.cache(call.cache, &path);
                    if call.signature.is_some() {
                        let reason = "the signature is another provider's";
                        self.report.drop(path.clone(), reason);
                    }
                    let extra = self.extra(&path);
                    let (call_id, name) = (call.id.as_str(), call.name.as_str());
                    if is_custom(self.request, name) {
                        self.customs.push(call_id);
                        let input = parse_tools::input_of(&call.arguments);
                        self.item(KnownItem::CustomToolCall {
                            call_id,
                            name,
                            input,
                            extra,
                        });
                    } else {
                        let is_empty = call.arguments.trim().is_empty();
                        self.item(KnownItem::FunctionCall {
                            call_id,
                            name,
                            arguments: if is_empty { "{}" } else { &call.arguments },
                            extra,
                        });
                    }
                }
                Part::Unknown { format, raw } if *format == FORMAT => {
                    said += 1;
                    self.input.push(WireItem::Raw(raw));
                }
                other => {
                    let path = format!("{}.content[{said}]", self.path);
                    said += 1;
                    match other {
                        Part::Unknown { format, .. } => self.foreign(&path, format),
                        _ => self
                            .report
                            .drop(path, "the target takes no media in the model's own turn"),
                    }
                }
            }
        }
        self.end_words(&mut words);
    }

    fn text(&mut self, text: &'a Text, path: &str) -> Option<WirePart<'a>> {
        self.cache(text.cache, path);
        if text.signature.is_some() {
            let reason = "the signature is another provider's";
            self.report.drop(path.to_owned(), reason);
        }
        let (annotations, native) = annotations::parted(&text.annotations);
        if !native.is_empty() {
            let path = format!("{path}.{NATIVE}");
            self.report.drop(path, FOREIGN);
        }
        (!text.text.is_empty()).then_some(WirePart::Known(KnownPart::OutputText {
            text: &text.text,
            annotations,
        }))
    }

    /// Words of another item of the caller's are another item here too.
    fn speak_from(&mut self, path: &str, words: &mut Words<'a>) {
        let source = self.source(path);
        if words.source != source {
            self.end_words(words);
            words.source = source;
        }
    }

    fn end_words(&mut self, words: &mut Words<'a>) {
        let Words { source, parts } = std::mem::take(words);
        if !parts.is_empty() {
            let extra = source.map(|item| self.leftovers.at(&item));
            self.item(KnownItem::Message {
                role: "assistant",
                content: Content::Parts(parts),
                extra: extra.unwrap_or_default(),
            });
        }
    }

    /// OpenAI takes back only thoughts that it encrypted itself; their summary stands before them.
    fn thought(&mut self, thought: &'a Reasoning, before: Option<&'a Part>, after: Option<&Part>) {
        let sealed = thought.redacted.as_deref().and_then(custody::own);
        if let Some(encrypted_content) = sealed {
            let text = match (&thought.text, before) {
                (Some(text), _) => Some(text.as_str()),
                (None, Some(Part::Reasoning(summary))) if is_summary(summary) => {
                    summary.text.as_deref()
                }
                _ => None,
            };
            let summary = text.map(|text| Summary::SummaryText { text });
            self.item(KnownItem::Reasoning {
                summary: summary.into_iter().collect(),
                encrypted_content,
            });
            return;
        }
        let is_shown_with_next = is_summary(thought)
            && matches!(after, Some(Part::Reasoning(next))
                if next.redacted.as_deref().and_then(custody::own).is_some());
        if !is_shown_with_next {
            self.report.drop(
                format!("{}.reasoning_details", self.path),
                "the target takes back only thoughts that it encrypted itself",
            );
        }
    }
}

fn is_summary(thought: &Reasoning) -> bool {
    thought.text.is_some() && thought.signature.is_none() && thought.redacted.is_none()
}

/// Whether this is an item by itself and no part of a message.
fn is_item(raw: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: String,
    }
    let typed: Result<Typed, _> = serde_json::from_str(raw.get());
    typed
        .is_ok_and(|typed| typed.kind.ends_with("_output") || typed.kind == "mcp_approval_response")
}
