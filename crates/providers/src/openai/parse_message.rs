//! Reads messages and their parts.

use domain::chat::{
    CacheControl, Extensions, Media, Message, Part, Reasoning, Source, Text, ToolCall, ToolResult,
};
use serde_json::value::RawValue;

use super::fields::{self, Fields, Kind};
use super::parse::{FORMAT, cache_control};
use super::{annotations, media, parse_blocks};
use crate::face::InvalidRequest;

/// Reads one message.
pub(super) fn message(
    mut fields: Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Message, InvalidRequest> {
    const ROLES: &str = "`system`, `developer`, `user`, `assistant` and `tool`";
    let role = fields.required_text("role")?;
    let cache = cache_control(&mut fields)?;
    let message = match role.as_str() {
        "system" | "developer" => {
            let mut content = required_content(&mut fields, extensions)?;
            mark_last(&mut content, cache);
            if role == "system" {
                Message::System(content)
            } else {
                Message::Developer(content)
            }
        }
        "user" => {
            let mut content = required_content(&mut fields, extensions)?;
            mark_last(&mut content, cache);
            let name = fields.text("name")?;
            Message::User { content, name }
        }
        "assistant" => {
            let mut content = assistant_content(&mut fields, extensions)?;
            mark_last(&mut content, cache);
            let name = fields.text("name")?;
            Message::Assistant { content, name }
        }
        "tool" => Message::Tool(ToolResult {
            call_id: fields.required_text("tool_call_id")?,
            name: fields.text("name")?,
            content: required_content(&mut fields, extensions)?,
            is_error: false,
            cache,
        }),
        "function" => {
            return Err(InvalidRequest::of(
                fields.path_of("role"),
                "The role `function` is retired and cannot be translated; use `tool`.",
            ));
        }
        other => return Err(fields.unknown_word("role", other, ROLES)),
    };
    fields.keep_rest(extensions);
    Ok(message)
}

/// A breakpoint on a message stands after its last part.
fn mark_last(content: &mut [Part], cache: Option<CacheControl>) {
    if cache.is_none() {
        return;
    }
    let place = content.iter_mut().rev().find_map(|part| match part {
        Part::Text(text) => Some(&mut text.cache),
        Part::Image(media) | Part::Document(media) | Part::Audio(media) => Some(&mut media.cache),
        Part::ToolCall(call) => Some(&mut call.cache),
        Part::Refusal(_) | Part::Reasoning(_) | Part::Unknown { .. } => None,
    });
    if let Some(place) = place {
        *place = place.or(cache);
    }
}

fn required_content(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, InvalidRequest> {
    content(fields, extensions)?
        .ok_or_else(|| fields.missing("content", "a string or an array of parts"))
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
            .map(|(path, raw)| part(Fields::read(raw, path)?, extensions))
            .collect::<Result<_, _>>()
            .map(Some),
        kind => Err(fields::wrong_type(
            path,
            "a string or an array of parts",
            kind,
        )),
    }
}

fn part(mut fields: Fields<'_>, extensions: &mut Extensions) -> Result<Part, InvalidRequest> {
    const KNOWN: &str = "`text`, `image_url`, `input_audio`, `file` and `refusal`";
    let kind = fields.required_text("type")?;
    let cache = cache_control(&mut fields)?;
    let part = match kind.as_str() {
        "text" => Part::Text(Text {
            text: fields.required_text("text")?,
            cache,
            ..Text::default()
        }),
        "refusal" => Part::Refusal(fields.required_text("refusal")?),
        "image_url" => Part::Image(image(&mut fields, cache, extensions)?),
        "input_audio" => Part::Audio(audio(&mut fields, cache, extensions)?),
        "file" => Part::Document(file(&mut fields, cache, extensions)?),
        other => return Err(fields.unknown_word("type", other, KNOWN)),
    };
    fields.keep_rest(extensions);
    Ok(part)
}

fn image(
    fields: &mut Fields<'_>,
    cache: Option<CacheControl>,
    extensions: &mut Extensions,
) -> Result<Media, InvalidRequest> {
    let Some(raw) = fields.take("image_url") else {
        return Err(fields.missing("image_url", "an object with a `url`"));
    };
    let path = fields.path_of("image_url");
    let (url, detail, path) = if Kind::of(raw.get()) == Some(Kind::Text) {
        (fields::text(raw, || path.clone())?, None, path)
    } else {
        let mut image = Fields::read(raw, path)?;
        let url = image.required_text("url")?;
        let detail = image.text("detail")?;
        let path = image.path_of("url");
        image.keep_rest(extensions);
        (url, detail, path)
    };
    Ok(Media {
        source: media::source(&url, &path)?,
        name: None,
        detail,
        cache,
    })
}

fn audio(
    fields: &mut Fields<'_>,
    cache: Option<CacheControl>,
    extensions: &mut Extensions,
) -> Result<Media, InvalidRequest> {
    let mut audio = fields.required_object("input_audio")?;
    let data = audio.required_text("data")?;
    let format = audio.required_text("format")?;
    let source = Source::Inline {
        media_type: media::audio_type(&format),
        base64: media::standard_base64(&data, &audio.path_of("data"))?.into(),
    };
    audio.keep_rest(extensions);
    Ok(Media {
        source,
        name: None,
        detail: None,
        cache,
    })
}

fn file(
    fields: &mut Fields<'_>,
    cache: Option<CacheControl>,
    extensions: &mut Extensions,
) -> Result<Media, InvalidRequest> {
    let mut file = fields.required_object("file")?;
    let name = file.text("filename")?;
    let data = file.text("file_data")?;
    let id = file.text("file_id")?;
    let source = match (data, id) {
        (Some(data), None) => {
            media::file_source(&data, name.as_deref(), &file.path_of("file_data"))?
        }
        (None, Some(id)) => Source::File(id),
        _ => {
            let path = file.path().to_owned();
            let detail = format!("`{path}` must have either `file_data` or `file_id`.");
            return Err(InvalidRequest::of(path, detail));
        }
    };
    file.keep_rest(extensions);
    Ok(Media {
        source,
        name,
        detail: None,
        cache,
    })
}

/// Thoughts come first, then the words, then the calls: the order in which the model made them.
fn assistant_content(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Vec<Part>, InvalidRequest> {
    let mut parts = reasoning(fields)?;
    let words = content(fields, extensions)?;
    let has_words = words.is_some();
    parts.extend(words.unwrap_or_default());
    if let Some(signature) = thought_signature(fields, extensions)?
        && let Some(Part::Text(text)) = parts.last_mut()
    {
        text.signature = Some(signature);
    }
    let annotations = annotations::take(fields)?;
    if let Some(Part::Text(text)) = parts.last_mut() {
        text.annotations = annotations;
    }
    if let Some(refusal) = fields.text("refusal")? {
        parts.push(Part::Refusal(refusal));
    }
    if fields.take("function_call").is_some() {
        return Err(InvalidRequest::of(
            fields.path_of("function_call"),
            "`function_call` is retired and cannot be translated; use `tool_calls`.",
        ));
    }
    let calls = fields.list("tool_calls")?.unwrap_or_default();
    for (path, raw) in calls {
        parts.push(tool_call(path, raw, extensions)?);
    }
    let parts = parse_blocks::restore(fields, parts)?;
    if parts.is_empty() && !has_words && fields.look("audio").is_none() {
        return Err(fields.missing("content", "a string or an array of parts"));
    }
    Ok(parts)
}

fn tool_call(
    path: String,
    raw: &RawValue,
    extensions: &mut Extensions,
) -> Result<Part, InvalidRequest> {
    let mut fields = Fields::read(raw, path)?;
    let kind = fields.text("type")?;
    if kind.is_some_and(|kind| kind != "function") {
        return Ok(Part::Unknown {
            format: FORMAT,
            raw: raw.to_owned(),
        });
    }
    let mut function = fields.required_object("function")?;
    let call = ToolCall {
        id: fields.required_text("id")?,
        name: function.required_text("name")?,
        arguments: function.required_text("arguments")?,
        signature: thought_signature(&mut fields, extensions)?,
        cache: cache_control(&mut fields)?,
    };
    // The place in a stream, which clients that put the pieces together often leave in.
    fields.take("index");
    function.keep_rest(extensions);
    fields.keep_rest(extensions);
    Ok(Part::ToolCall(call))
}

/// Reads `extra_content.google.thought_signature`, where Google's own OpenAI-compatible endpoint puts it
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>).
pub(super) fn thought_signature(
    fields: &mut Fields<'_>,
    extensions: &mut Extensions,
) -> Result<Option<String>, InvalidRequest> {
    let Some(mut extra) = fields.object("extra_content")? else {
        return Ok(None);
    };
    let mut signature = None;
    if let Some(mut google) = extra.object("google")? {
        signature = google.text("thought_signature")?;
        google.keep_rest(extensions);
    }
    extra.keep_rest(extensions);
    Ok(signature)
}

/// Reads the thoughts of an earlier turn from whichever shape the client kept. `reasoning_details` says
/// most, then `thinking_blocks`, then the plain text.
pub(super) fn reasoning(fields: &mut Fields<'_>) -> Result<Vec<Part>, InvalidRequest> {
    let details = fields.list("reasoning_details")?.unwrap_or_default();
    let blocks = fields.list("thinking_blocks")?.unwrap_or_default();
    let text = fields.text("reasoning_content")?;
    let text = match text {
        Some(text) => Some(text),
        None => fields.text("reasoning")?,
    };
    let mut thoughts = Thoughts::default();
    if !details.is_empty() {
        for (path, raw) in details {
            thoughts.add_detail(raw, path)?;
        }
    } else if !blocks.is_empty() {
        for (path, raw) in blocks {
            thoughts.add_block(Fields::read(raw, path)?)?;
        }
    } else if let Some(text) = text.filter(|text| !text.is_empty()) {
        thoughts.add(Reasoning {
            text: Some(text),
            ..Reasoning::default()
        });
    }
    Ok(thoughts.parts)
}

/// Thoughts, and the `index` under which a stream's pieces of the last one belong together.
#[derive(Default)]
struct Thoughts {
    parts: Vec<Part>,
    open: Option<u64>,
}

impl Thoughts {
    fn add(&mut self, reasoning: Reasoning) {
        self.parts.push(Part::Reasoning(reasoning));
    }

    /// Clients that only append what a stream sends give the pieces back unmerged. What is of a type that
    /// is not known stays with the message.
    fn add_detail(&mut self, raw: &RawValue, path: String) -> Result<(), InvalidRequest> {
        let mut detail = Fields::read(raw, path)?;
        let index = detail.integer("index", "a non-negative integer")?;
        let mut piece = Reasoning::default();
        match detail.required_text("type")?.as_str() {
            "reasoning.text" => piece.text = detail.text("text")?,
            "reasoning.summary" => piece.text = detail.text("summary")?,
            "reasoning.encrypted" => piece.redacted = detail.text("data")?,
            _ => {
                self.open = None;
                self.parts.push(super::decode::unknown_detail(raw));
                return Ok(());
            }
        }
        piece.signature = detail.text("signature")?;
        let continues = index.is_some() && index == self.open && piece.redacted.is_none();
        self.open = index.filter(|_| piece.redacted.is_none());
        match self.parts.last_mut() {
            Some(Part::Reasoning(last)) if continues => {
                if let Some(text) = piece.text {
                    last.text.get_or_insert_default().push_str(&text);
                }
                last.signature = piece.signature.or_else(|| last.signature.take());
            }
            _ if piece != Reasoning::default() => self.add(piece),
            _ => {}
        }
        Ok(())
    }

    fn add_block(&mut self, mut block: Fields<'_>) -> Result<(), InvalidRequest> {
        let kind = block.required_text("type")?;
        self.add(match kind.as_str() {
            "thinking" => Reasoning {
                text: Some(block.required_text("thinking")?),
                signature: block.text("signature")?.filter(|text| !text.is_empty()),
                redacted: None,
            },
            "redacted_thinking" => Reasoning {
                redacted: Some(block.required_text("data")?),
                ..Reasoning::default()
            },
            other => {
                let known = "`thinking` and `redacted_thinking`";
                return Err(block.unknown_word("type", other, known));
            }
        });
        Ok(())
    }
}
