//! Writes messages and their parts.

use std::borrow::Cow;

use domain::chat::{CacheControl, Conversion, Media, Message, Part, Source, ToolResult};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call_ids::CallIds;
use super::parse::FORMAT;
use super::past_thoughts::Thinking;
use super::render::{OwnUnknown, unknown};
use super::wire::{Detail, Extra, ExtraContent, Leftovers, WireCall, refusals, texts};
use super::{annotations, media, past_thoughts};
use crate::hosts::{Prefill, Quirks};

/// Why a prompt-cache breakpoint is dropped.
pub(super) const NO_BREAKPOINTS: &str =
    "the host takes no prompt-cache breakpoints; it caches by itself, or not at all";

/// What the assistant says between the results of tools and the user, where the host demands that it speaks there.
const BRIDGE: &str = "Understood.";

const NO_SIGNATURES: &str = "the host takes no signatures of another provider";

/// One message.
#[derive(Serialize, Default)]
pub(super) struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Content::is_absent")]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<AnyCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Ephemeral>,
    /// Whether it is the beginning of the answer (Mistral's).
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<bool>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize, Default)]
#[serde(untagged)]
enum Content<'a> {
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Parts(Vec<WirePart<'a>>),
}

impl<'a> Content<'a> {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Puts a word before all others.
    fn begin_with_word(&mut self, word: &'static str) {
        match self {
            Self::Text(text) => *text = Cow::Owned(format!("{word} {text}")),
            Self::Absent | Self::Null => *self = Self::Text(Cow::Borrowed(word)),
            Self::Parts(_) => self.begin_with(PartContent::Text { text: word.into() }),
        }
    }

    /// Puts a part before all others.
    fn begin_with(&mut self, part: PartContent<'a>) {
        let mut parts = vec![WirePart {
            content: part,
            cache_control: None,
            extra: Extra::default(),
        }];
        match std::mem::replace(self, Self::Absent) {
            Self::Absent | Self::Null => {}
            Self::Text(text) => parts.push(WirePart {
                content: PartContent::Text { text },
                cache_control: None,
                extra: Extra::default(),
            }),
            Self::Parts(others) => parts.extend(others),
        }
        *self = Self::Parts(parts);
    }
}

impl WireMessage<'_> {
    /// Puts thoughts before the text, as a part of their own.
    pub(super) fn begin_with_thinking(&mut self, thinking: Vec<Thinking>) {
        self.content.begin_with(PartContent::Thinking { thinking });
    }

    /// Puts thoughts into the text, before its first word.
    pub(super) fn begin_with_tagged(&mut self, tagged: impl FnOnce(&str) -> String) {
        match &mut self.content {
            Content::Text(text) => *text = Cow::Owned(tagged(text)),
            Content::Absent | Content::Null => self.content = Content::Text(tagged("").into()),
            Content::Parts(_) => self.content.begin_with(PartContent::Text {
                text: tagged("").into(),
            }),
        }
    }
}

/// A call of a function with what belongs to it, or one of another kind as it came.
#[derive(Serialize)]
#[serde(untagged)]
enum AnyCall<'a> {
    Function {
        #[serde(flatten)]
        call: WireCall<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Ephemeral>,
        #[serde(flatten)]
        extra: Extra<'a>,
    },
    Other(&'a RawValue),
}

#[derive(Serialize)]
struct WirePart<'a> {
    #[serde(flatten)]
    content: PartContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Ephemeral>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartContent<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Thinking {
        thinking: Vec<Thinking>,
    },
    ImageUrl {
        image_url: ImageUrl<'a>,
    },
    InputAudio {
        input_audio: InputAudio<'a>,
    },
    File {
        file: File<'a>,
    },
    /// A document as Mistral takes it.
    DocumentUrl(DocumentUrl<'a>),
}

#[derive(Serialize)]
struct DocumentUrl<'a> {
    #[serde(rename = "document_url")]
    url: String,
    #[serde(rename = "document_name", skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct ImageUrl<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct InputAudio<'a> {
    data: &'a str,
    format: &'a str,
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "filename", skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(rename = "file_data", skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(rename = "file_id", skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// A prompt-cache breakpoint in Anthropic's words, which hosts of several models accept.
#[derive(Serialize)]
pub(super) struct Ephemeral {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

pub(super) fn ephemeral(cache: CacheControl) -> Ephemeral {
    Ephemeral {
        kind: "ephemeral",
        ttl: match cache {
            CacheControl::FiveMinutes => None,
            CacheControl::OneHour => Some("1h"),
        },
    }
}

/// An instruction of ours, before all messages.
pub(super) fn instruction(text: &str) -> WireMessage<'_> {
    WireMessage {
        role: "system",
        content: Content::Text(Cow::Borrowed(text)),
        ..WireMessage::default()
    }
}

/// Writes every message.
pub(super) fn messages<'a>(
    messages: &'a [Message],
    quirks: &'a Quirks,
    ids: &'a CallIds<'a>,
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Vec<WireMessage<'a>> {
    let mut written = Vec::with_capacity(messages.len());
    let mut is_bridged = false;
    let mut bridge = |written: &mut Vec<WireMessage<'a>>, next: &WireMessage<'a>| {
        let stands_after_results = written.last().is_some_and(|last| last.role == "tool");
        if !quirks.user_after_results && stands_after_results && next.role == "user" {
            is_bridged = true;
            written.push(WireMessage {
                role: "assistant",
                content: Content::Text(Cow::Borrowed(BRIDGE)),
                ..WireMessage::default()
            });
        }
    };
    // What tools gave that is not words, until the last of the results that stand together.
    let mut beside = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let mut writer = Writer {
            path: format!("messages[{index}]"),
            quirks,
            ids,
            leftovers,
            report,
        };
        if let Message::Tool(result) = message {
            written.push(writer.tool_result(result, &mut beside));
            continue;
        }
        if let Some(shown) = shown(&mut beside) {
            bridge(&mut written, &shown);
            written.push(shown);
        }
        let shown = writer.message(message);
        // What only another format knows is reported; every host refuses a message of nothing.
        let held_unknown = |part: &Part| matches!(part, Part::Unknown { .. });
        if !(shown.says_nothing() && message.content().iter().any(held_unknown)) {
            bridge(&mut written, &shown);
            written.push(shown);
        }
    }
    if let Some(shown) = shown(&mut beside) {
        bridge(&mut written, &shown);
        written.push(shown);
    }
    if is_bridged {
        report.change(
            "messages",
            format!(
                "the host demands that the assistant speaks between a tool's result and the user: a turn that says \
                 {BRIDGE:?} was put there"
            ),
        );
    }
    if quirks.prefill == Prefill::Prefix
        && let Some(last) = written.last_mut()
    {
        last.begin_the_answer();
    }
    written
}

/// The message of the user that shows what tools gave, if they gave something to be shown.
fn shown<'a>(beside: &mut Vec<WirePart<'a>>) -> Option<WireMessage<'a>> {
    let parts = std::mem::take(beside);
    (!parts.is_empty()).then(|| WireMessage {
        role: "user",
        content: Content::Parts(parts),
        ..WireMessage::default()
    })
}

/// Whether a tool's message takes the part: it takes words
/// (<https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages>).
fn is_words(part: &Part) -> bool {
    !matches!(part, Part::Image(_) | Part::Document(_) | Part::Audio(_))
        || matches!(
            part,
            Part::Document(Media {
                source: Source::Text(_),
                ..
            })
        )
}

impl WireMessage<'_> {
    /// Says of an assistant's words that the answer begins with them.
    fn begin_the_answer(&mut self) {
        let is_said = self.extra.0.iter().any(|(name, _)| *name == "prefix");
        if self.role == "assistant" && self.tool_calls.is_empty() && !is_said {
            self.prefix = Some(true);
        }
    }

    /// Whether nothing is left to be said.
    fn says_nothing(&self) -> bool {
        matches!(self.content, Content::Absent | Content::Null)
            && self.tool_calls.is_empty()
            && self.refusal.is_none()
            && self.extra.is_empty()
    }
}

/// Writes one message.
struct Writer<'a, 'w> {
    path: String,
    quirks: &'a Quirks,
    ids: &'a CallIds<'a>,
    leftovers: &'w mut Leftovers<'a>,
    report: &'w mut Conversion,
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, message: &'a Message) -> WireMessage<'a> {
        match message {
            Message::System(content) => self.plain("system", content, None),
            Message::Developer(content) => {
                let role = if self.quirks.developer_role {
                    "developer"
                } else {
                    let path = format!("{}.role", self.path);
                    let reason = "the host does not know the role `developer`; sent as `system`";
                    self.report.change(path, reason);
                    "system"
                };
                self.plain(role, content, None)
            }
            Message::User { content, name } => self.plain("user", content, name.as_deref()),
            Message::Assistant { content, name } => self.assistant(content, name.as_deref()),
            Message::Tool(result) => self.tool_result(result, &mut Vec::new()),
        }
    }

    /// A tool's words; what else it gave is put `beside`, to be shown by the user.
    fn tool_result(
        &mut self,
        result: &'a ToolResult,
        beside: &mut Vec<WirePart<'a>>,
    ) -> WireMessage<'a> {
        let path = self.path.clone();
        let mut message = WireMessage {
            tool_call_id: Some(self.ids.written(&result.call_id)),
            cache_control: self.cache(result.cache, &path),
            ..self.plain("tool", &[], result.name.as_deref())
        };
        message.content = self.content_of(&result.content, is_words);
        if let Content::Parts(parts) = self.parts_of(&result.content, |part| !is_words(part)) {
            self.report.change(
                path.clone(),
                "a tool's message holds words only; what else the tool gave is sent as the user's, after the results",
            );
            beside.extend(parts);
        }
        if result.is_error {
            self.report.change(
                path,
                "the format has no mark for a tool that failed; its words begin with `Error:`",
            );
            message.content.begin_with_word("Error:");
        } else if message.content.is_absent() {
            message.content = Content::Text(Cow::Borrowed(""));
        }
        message
    }

    fn plain(
        &mut self,
        role: &'static str,
        content: &'a [Part],
        name: Option<&'a str>,
    ) -> WireMessage<'a> {
        let name = name.filter(|_| {
            if !self.quirks.named_messages {
                let reason = "the host takes no names of speakers";
                self.report.drop(format!("{}.name", self.path), reason);
            }
            self.quirks.named_messages
        });
        WireMessage {
            role,
            content: self.content(content),
            name,
            extra: self.leftovers.at(&self.path),
            ..WireMessage::default()
        }
    }

    /// A prompt-cache breakpoint, where the host takes it.
    fn cache(&mut self, cache: Option<CacheControl>, path: &str) -> Option<Ephemeral> {
        let cache = cache?;
        if !self.quirks.additions {
            self.report
                .drop(format!("{path}.cache_control"), NO_BREAKPOINTS);
            return None;
        }
        Some(ephemeral(cache))
    }

    fn assistant(&mut self, parts: &'a [Part], name: Option<&'a str>) -> WireMessage<'a> {
        let mut message = self.plain("assistant", parts, name);
        let refusal: String = refusals(parts).collect();
        message.refusal = (!refusal.is_empty()).then_some(refusal);
        past_thoughts::write(&mut message, parts, self.quirks, &self.path, self.report);
        let (own, native) = annotations::parted(texts(parts));
        message.annotations = own;
        if !native.is_empty() {
            let path = format!("{}.{}", self.path, annotations::NATIVE);
            self.report.drop(path, annotations::FOREIGN);
        }
        message.extra_content = texts(parts)
            .find_map(|text| text.signature.as_deref())
            .map(ExtraContent::signed);
        if !self.quirks.additions {
            self.withhold_additions(&mut message);
        }
        for part in parts {
            match part {
                Part::ToolCall(call) => {
                    let path = format!("{}.tool_calls[{}]", self.path, message.tool_calls.len());
                    let mut written = WireCall::from(call);
                    written.id = Some(self.ids.written(&call.id));
                    if !self.quirks.additions && written.extra_content.take().is_some() {
                        let path = format!("{path}.extra_content");
                        self.report.drop(path, NO_SIGNATURES);
                    }
                    message.tool_calls.push(AnyCall::Function {
                        call: written,
                        cache_control: self.cache(call.cache, &path),
                        extra: self.leftovers.at(&path),
                    });
                }
                Part::Unknown { format, raw } if *format == FORMAT => match unknown(raw) {
                    OwnUnknown::Call(raw) => message.tool_calls.push(AnyCall::Other(raw)),
                    OwnUnknown::Fields(fields) => {
                        if !message.extra.add(&fields) {
                            self.report.drop(
                                self.path.clone(),
                                "an unknown piece of an earlier answer has no place in a request",
                            );
                        }
                    }
                },
                _ => {}
            }
        }
        if matches!(message.content, Content::Absent) {
            message.content = Content::Null;
        }
        message
    }

    /// What others have added to the format, of a host that knows the format only.
    fn withhold_additions(&mut self, message: &mut WireMessage<'_>) {
        if !std::mem::take(&mut message.annotations).is_empty() {
            let reason = "the host takes no citations of earlier answers back";
            self.report
                .drop(format!("{}.annotations", self.path), reason);
        }
        if message.extra_content.take().is_some() {
            self.report
                .drop(format!("{}.extra_content", self.path), NO_SIGNATURES);
        }
    }

    /// One plain text is written as a string, which every host takes.
    fn content(&mut self, parts: &'a [Part]) -> Content<'a> {
        self.content_of(parts, |_| true)
    }

    /// The content that the wanted ones among the parts make.
    fn content_of(&mut self, parts: &'a [Part], wanted: impl Fn(&Part) -> bool) -> Content<'a> {
        match self.parts_of(parts, wanted) {
            Content::Parts(mut written) => match written.as_mut_slice() {
                [
                    WirePart {
                        content: PartContent::Text { text },
                        cache_control: None,
                        extra: Extra(fields),
                    },
                ] if fields.is_empty() => Content::Text(std::mem::take(text)),
                _ => Content::Parts(written),
            },
            other => other,
        }
    }

    fn parts_of(&mut self, parts: &'a [Part], wanted: impl Fn(&Part) -> bool) -> Content<'a> {
        let mut written = Vec::new();
        // Thoughts and calls have fields of their own; in `content` they take no place.
        let placed = parts.iter().filter(|part| {
            let is_own_unknown = matches!(part, Part::Unknown { format, .. } if *format == FORMAT);
            !is_own_unknown && !matches!(part, Part::Reasoning(_) | Part::ToolCall(_))
        });
        for (index, part) in placed.enumerate().filter(|(_, part)| wanted(part)) {
            let path = format!("{}.content[{index}]", self.path);
            let (content, cache) = match part {
                Part::Text(text) => {
                    let text_part = PartContent::Text {
                        text: Cow::Borrowed(&text.text),
                    };
                    (Some(text_part), text.cache)
                }
                Part::Image(media) => (self.image(media, &path), media.cache),
                Part::Document(media) => (Some(self.document(media, &path)), media.cache),
                Part::Audio(media) => (self.audio(media, &path), media.cache),
                Part::Unknown { format, .. } if *format != FORMAT => {
                    self.report
                        .drop(path.clone(), format!("only {format} knows it"));
                    (None, None)
                }
                Part::Refusal(_)
                | Part::Reasoning(_)
                | Part::ToolCall(_)
                | Part::Unknown { .. } => (None, None),
            };
            if let Some(content) = content {
                written.push(WirePart {
                    content,
                    cache_control: self.cache(cache, &path),
                    extra: self.leftovers.at(&path),
                });
            }
        }
        if written.is_empty() {
            return Content::Absent;
        }
        Content::Parts(written)
    }

    fn image(&mut self, media: &'a Media, path: &str) -> Option<PartContent<'a>> {
        let url = match &media.source {
            Source::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
            Source::Url { url, .. } => url.clone(),
            Source::File(_) | Source::Text(_) => {
                self.report
                    .drop(path.to_owned(), "an image must be a URL or its bytes");
                return None;
            }
        };
        Some(PartContent::ImageUrl {
            image_url: ImageUrl {
                url,
                detail: media.detail.as_deref(),
                extra: self.extra(path, "image_url"),
            },
        })
    }

    /// A document; one that is plain text is sent as such, because a file must be a PDF.
    fn document(&mut self, media: &'a Media, path: &str) -> PartContent<'a> {
        let (data, id) = match &media.source {
            Source::Inline { media_type, base64 } => {
                (Some(format!("data:{media_type};base64,{base64}")), None)
            }
            Source::Url { url, .. } => (Some(url.clone()), None),
            Source::File(id) => (None, Some(id.as_str())),
            Source::Text(text) => {
                let reason = "the document's words are sent as text, after its title";
                self.report.change(format!("{path}.file"), reason);
                let text = match &media.name {
                    Some(title) => Cow::Owned(format!("{title}\n\n{text}")),
                    None => Cow::Borrowed(text.as_str()),
                };
                return PartContent::Text { text };
            }
        };
        let name = media.name.as_deref();
        let data = match data {
            Some(url) if self.quirks.documents_by_url => {
                return PartContent::DocumentUrl(DocumentUrl { url, name });
            }
            data => data,
        };
        PartContent::File {
            file: File {
                name,
                data,
                id,
                extra: self.extra(path, "file"),
            },
        }
    }

    fn audio(&mut self, media: &'a Media, path: &str) -> Option<PartContent<'a>> {
        let Source::Inline { media_type, base64 } = &media.source else {
            self.report
                .drop(path.to_owned(), "audio must come with its bytes");
            return None;
        };
        Some(PartContent::InputAudio {
            input_audio: InputAudio {
                data: base64,
                format: media::audio_format(media_type),
                extra: self.extra(path, "input_audio"),
            },
        })
    }

    fn extra(&mut self, path: &str, name: &str) -> Extra<'a> {
        self.leftovers.at(&format!("{path}.{name}"))
    }
}
