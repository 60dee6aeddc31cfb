//! Writes messages and their parts.

use domain::chat::{CacheControl, Conversion, Media, Message, Part, Source};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::media;
use super::parse::FORMAT;
use super::render::{OwnUnknown, unknown};
use super::wire::{
    Detail, Extra, ExtraContent, Leftovers, WireCall, reasoning_content, reasoning_details,
    refusals, texts, thoughts,
};

/// One message.
#[derive(Serialize)]
pub(super) struct WireMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Content::is_absent")]
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Detail<'a>>,
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
    #[serde(flatten)]
    extra: Extra<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Absent,
    Null,
    Text(&'a str),
    Parts(Vec<WirePart<'a>>),
}

impl Content<'_> {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
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
    Text { text: &'a str },
    ImageUrl { image_url: ImageUrl<'a> },
    InputAudio { input_audio: InputAudio<'a> },
    File { file: File<'a> },
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

/// Writes every message.
pub(super) fn messages<'a>(
    messages: &'a [Message],
    leftovers: &mut Leftovers<'a>,
    report: &mut Conversion,
) -> Vec<WireMessage<'a>> {
    let numbered = messages.iter().enumerate();
    numbered
        .map(|(index, message)| {
            let mut writer = Writer {
                path: format!("messages[{index}]"),
                leftovers,
                report,
            };
            writer.message(message)
        })
        .collect()
}

/// Writes one message.
struct Writer<'a, 'w> {
    path: String,
    leftovers: &'w mut Leftovers<'a>,
    report: &'w mut Conversion,
}

impl<'a> Writer<'a, '_> {
    fn message(&mut self, message: &'a Message) -> WireMessage<'a> {
        match message {
            Message::System(content) => self.plain("system", content, None),
            Message::Developer(content) => self.plain("developer", content, None),
            Message::User { content, name } => self.plain("user", content, name.as_deref()),
            Message::Assistant { content, name } => self.assistant(content, name.as_deref()),
            Message::Tool(result) => {
                if result.is_error {
                    self.report.change(
                        self.path.clone(),
                        "the format has no mark for a tool that failed; its words must tell",
                    );
                }
                WireMessage {
                    tool_call_id: Some(&result.call_id),
                    cache_control: result.cache.map(ephemeral),
                    ..self.plain("tool", &result.content, result.name.as_deref())
                }
            }
        }
    }

    fn plain(
        &mut self,
        role: &'static str,
        content: &'a [Part],
        name: Option<&'a str>,
    ) -> WireMessage<'a> {
        WireMessage {
            role,
            content: self.content(content),
            name,
            refusal: None,
            reasoning_content: None,
            reasoning_details: Vec::new(),
            tool_calls: Vec::new(),
            tool_call_id: None,
            annotations: Vec::new(),
            extra_content: None,
            cache_control: None,
            extra: self.leftovers.at(&self.path),
        }
    }

    fn assistant(&mut self, parts: &'a [Part], name: Option<&'a str>) -> WireMessage<'a> {
        let mut message = self.plain("assistant", parts, name);
        let refusal: String = refusals(parts).collect();
        message.refusal = (!refusal.is_empty()).then_some(refusal);
        message.reasoning_content = reasoning_content(parts);
        // The plain text says all there is when nothing is signed.
        if thoughts(parts).any(|thought| thought.signature.is_some() || thought.redacted.is_some())
        {
            message.reasoning_details = reasoning_details(parts);
        }
        message.annotations = texts(parts).flat_map(|text| &text.annotations).collect();
        message.extra_content = texts(parts)
            .find_map(|text| text.signature.as_deref())
            .map(ExtraContent::signed);
        for part in parts {
            match part {
                Part::ToolCall(call) => {
                    let path = format!("{}.tool_calls[{}]", self.path, message.tool_calls.len());
                    message.tool_calls.push(AnyCall::Function {
                        call: call.into(),
                        cache_control: call.cache.map(ephemeral),
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

    /// One plain text is written as a string, which every host takes.
    fn content(&mut self, parts: &'a [Part]) -> Content<'a> {
        let mut written = Vec::new();
        let mut lone_text = None;
        // Thoughts and calls have fields of their own; in `content` they take no place.
        let placed = parts.iter().filter(|part| {
            let is_own_unknown = matches!(part, Part::Unknown { format, .. } if *format == FORMAT);
            !is_own_unknown && !matches!(part, Part::Reasoning(_) | Part::ToolCall(_))
        });
        for (index, part) in placed.enumerate() {
            let path = format!("{}.content[{index}]", self.path);
            let (content, cache) = match part {
                Part::Text(text) => {
                    lone_text = Some(text.text.as_str());
                    (Some(PartContent::Text { text: &text.text }), text.cache)
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
                    cache_control: cache.map(ephemeral),
                    extra: self.leftovers.at(&path),
                });
            }
        }
        match (written.as_slice(), lone_text) {
            ([], _) => Content::Absent,
            (
                [
                    WirePart {
                        cache_control: None,
                        extra: Extra(fields),
                        ..
                    },
                ],
                Some(text),
            ) if fields.is_empty() => Content::Text(text),
            _ => Content::Parts(written),
        }
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

    fn document(&mut self, media: &'a Media, path: &str) -> PartContent<'a> {
        let (data, id) = match &media.source {
            Source::Inline { media_type, base64 } => {
                (Some(format!("data:{media_type};base64,{base64}")), None)
            }
            Source::Url { url, .. } => (Some(url.clone()), None),
            Source::File(id) => (None, Some(id.as_str())),
            Source::Text(text) => {
                let encoded = media::encode_base64(text.as_bytes());
                (Some(format!("data:text/plain;base64,{encoded}")), None)
            }
        };
        PartContent::File {
            file: File {
                name: media.name.as_deref(),
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
