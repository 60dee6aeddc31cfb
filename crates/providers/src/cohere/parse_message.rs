//! Reads messages and their blocks. <https://docs.cohere.com/reference/chat#request.body.messages>

use domain::chat::{
    Extensions, Media, Message, Part, Reasoning, Source, Text, ToolCall, ToolResult,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::citation;
use crate::dialect::Format;
use crate::face::InvalidRequest;
use crate::openai::fields::{self, Fields, Kind};
use crate::openai::media;

/// Reads one message.
pub(super) fn message(
    mut fields: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Message, InvalidRequest> {
    let role = fields.required_text("role")?;
    let message = match role.as_str() {
        "system" => Message::System(required_content(&mut fields, extensions)?),
        "user" => Message::User {
            content: required_content(&mut fields, extensions)?,
            name: None,
        },
        "assistant" => Message::Assistant {
            content: assistant(&mut fields, extensions)?,
            name: None,
        },
        "tool" => Message::Tool(ToolResult {
            call_id: fields.required_text("tool_call_id")?,
            name: None,
            content: tool_content(&mut fields, extensions)?,
            is_error: false,
            cache: None,
        }),
        other => {
            let known = "`system`, `user`, `assistant` and `tool`";
            return Err(fields.unknown_word("role", other, known));
        }
    };
    fields.keep_rest(extensions);
    Ok(message)
}

fn required_content(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, InvalidRequest> {
    content(fields, extensions)?
        .ok_or_else(|| fields.missing("content", "a string or an array of blocks"))
}

/// What a tool gave: texts, and documents, which are how Cohere's clients hand over any JSON. They become
/// texts, the only thing that tools of every format give.
fn tool_content(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, InvalidRequest> {
    let Some(raw) = fields.look("content") else {
        return required_content(fields, extensions);
    };
    if Kind::of(raw.get()) != Some(Kind::List) {
        return required_content(fields, extensions);
    }
    fields.take("content");
    let mut parts = Vec::new();
    for (path, raw) in fields::list(raw, &fields.path_of("content"))? {
        let mut item = Fields::read(raw, path.clone())?;
        if item.text("type")?.as_deref() != Some("document") {
            parts.push(block(raw, path, extensions)?);
            continue;
        }
        let mut document = item.required_object("document")?;
        let text = match document.take("data") {
            Some(data) if Kind::of(data.get()) == Some(Kind::Text) => {
                fields::text(data, || document.path_of("data"))?
            }
            Some(data) => data.get().to_owned(),
            None => return Err(document.missing("data", "an object or a string")),
        };
        document.keep_rest(extensions);
        item.keep_rest(extensions);
        parts.push(Part::Text(text.into()));
    }
    Ok(parts)
}

fn content(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<Vec<Part>>, InvalidRequest> {
    let Some(raw) = fields.take("content") else {
        return Ok(None);
    };
    let path = fields.path_of("content");
    match Kind::of(raw.get()) {
        Some(Kind::Text) => {
            let text = fields::text(raw, || path.clone())?;
            Ok(Some(vec![Part::Text(text.into())]))
        }
        Some(Kind::List) => fields::list(raw, &path)?
            .into_iter()
            .map(|(path, raw)| block(raw, path, extensions))
            .collect::<Result<_, _>>()
            .map(Some),
        kind => Err(fields::wrong_type(
            path,
            "a string or an array of blocks",
            kind,
        )),
    }
}

fn block(
    raw: &RawValue,
    path: String,
    extensions: &mut Extensions,
) -> Result<Part, InvalidRequest> {
    const KNOWN: &str = "`text`, `image_url`, `document` and `thinking`";
    let mut fields = Fields::read(raw, path)?;
    let kind = fields.required_text("type")?;
    let part = match kind.as_str() {
        "text" => Part::Text(Text {
            text: fields.required_text("text")?,
            signature: fields.text("signature")?,
            ..Text::default()
        }),
        "thinking" => Part::Reasoning(Reasoning {
            text: fields.text("thinking")?.filter(|text| !text.is_empty()),
            signature: fields.text("signature")?,
            redacted: fields.text("redacted")?,
        }),
        "image_url" => Part::Image(image(&mut fields, extensions)?),
        "document" => {
            let Some(raw) = fields.take("document") else {
                return Err(fields.missing("document", "an object with `data`"));
            };
            Part::Document(document(raw, fields.path_of("document"))?)
        }
        other => return Err(fields.unknown_word("type", other, KNOWN)),
    };
    fields.keep_rest(extensions);
    Ok(part)
}

fn image(fields: &mut Fields<'_>, extensions: &mut Extensions) -> Result<Media, InvalidRequest> {
    let mut image = fields.required_object("image_url")?;
    let url = image.required_text("url")?;
    let media = Media {
        source: media::source(&url, &image.path_of("url"))?,
        name: None,
        detail: image.text("detail")?,
        cache: None,
    };
    image.keep_rest(extensions);
    Ok(media)
}

/// Reads a document: a text, or `data` with whatever names; one that has a text, and perhaps a title,
/// is known by them, and of others the whole JSON is the text.
pub(super) fn document(raw: &RawValue, path: String) -> Result<Media, InvalidRequest> {
    let of_text = |text: String, name: Option<String>| Media {
        source: Source::Text(text),
        name,
        detail: None,
        cache: None,
    };
    if Kind::of(raw.get()) == Some(Kind::Text) {
        return Ok(of_text(fields::text(raw, || path.clone())?, None));
    }
    let mut fields = Fields::read(raw, path)?;
    let id = fields.text("id")?;
    let Some(data) = fields.take("data") else {
        return Err(fields.missing("data", "an object or a string"));
    };
    if Kind::of(data.get()) == Some(Kind::Text) {
        let text = fields::text(data, || fields.path_of("data"))?;
        return Ok(of_text(text, id));
    }
    let Ok(map) = serde_json::from_str::<Map<String, Value>>(data.get()) else {
        return Err(fields.wrong_type("data", "an object or a string", data.get()));
    };
    let text_of = |name: &str| map.get(name).and_then(Value::as_str);
    let title = text_of("title");
    let text = text_of("text").or_else(|| text_of("snippet"));
    let others = map.len() - usize::from(text.is_some()) - usize::from(title.is_some());
    let name = title.map(str::to_owned).or(id);
    Ok(match text {
        Some(text) if others == 0 => of_text(text.to_owned(), name),
        _ => of_text(data.get().to_owned(), name),
    })
}

/// Thoughts and words come first, then the plan, then the calls.
fn assistant(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, InvalidRequest> {
    let words = content(fields, extensions)?;
    let has_words = words.is_some();
    let mut parts = words.unwrap_or_default();
    let citations = fields.list("citations")?.unwrap_or_default();
    if !citations.is_empty()
        && let Some(Part::Text(text)) = parts
            .iter_mut()
            .rev()
            .find(|part| matches!(part, Part::Text(_)))
    {
        for (_, raw) in citations {
            let cited: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            text.annotations.extend(citation::annotations(&cited, 0));
        }
    }
    if let Some(plan) = fields.text("tool_plan")?.filter(|plan| !plan.is_empty()) {
        parts.push(Part::Text(plan.into()));
    }
    for (path, raw) in fields.list("tool_calls")?.unwrap_or_default() {
        parts.push(Part::ToolCall(tool_call(
            Fields::read(raw, path)?,
            extensions,
        )?));
    }
    for (path, raw) in fields.list("provider_content")?.unwrap_or_default() {
        parts.push(unknown(Fields::read(raw, path)?)?);
    }
    if parts.is_empty() && !has_words {
        return Err(fields.missing("content", "a string or an array of blocks"));
    }
    Ok(parts)
}

fn tool_call(
    mut fields: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<ToolCall, InvalidRequest> {
    let kind = fields.text("type")?;
    if let Some(kind) = kind.filter(|kind| kind != "function") {
        return Err(fields.unknown_word("type", &kind, "`function`"));
    }
    let mut function = fields.required_object("function")?;
    let mut signature = None;
    if let Some(mut extra) = fields.object("extra_content")? {
        if let Some(mut google) = extra.object("google")? {
            signature = google.text("thought_signature")?;
            google.keep_rest(extensions);
        }
        extra.keep_rest(extensions);
    }
    let call = ToolCall {
        id: fields.required_text("id")?,
        name: function.required_text("name")?,
        arguments: function.text("arguments")?.unwrap_or_default(),
        signature,
        cache: None,
    };
    function.keep_rest(extensions);
    fields.keep_rest(extensions);
    Ok(call)
}

/// Reads an item of `provider_content`, our own extension of answers, when a client gives it back.
fn unknown(mut fields: Fields<'_>) -> Result<Part, InvalidRequest> {
    let name = fields.required_text("format")?;
    let formats = [
        Format::OpenaiChat,
        Format::OpenaiResponses,
        Format::AnthropicMessages,
        Format::Gemini,
        Format::CohereChat,
        Format::BedrockConverse,
    ];
    let format = formats
        .map(Format::as_str)
        .into_iter()
        .find(|it| *it == name);
    let Some(format) = format else {
        let known = "those that an answer of this API bore";
        return Err(fields.unknown_word("format", &name, known));
    };
    match fields.take("raw") {
        Some(raw) => Ok(Part::Unknown {
            format,
            raw: raw.to_owned(),
        }),
        None => Err(fields.missing("raw", "what the answer had there")),
    }
}
