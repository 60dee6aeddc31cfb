//! Reads content blocks.
//! <https://platform.claude.com/docs/en/api/messages>

use domain::chat::{CacheControl, Media, Part, Reasoning, Source, Text, ToolCall, ToolResult};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::{FORMAT, citation};
use super::parse::Kept;
use crate::face::InvalidRequest;
use crate::openai::fields::{self, Fields, Kind};
use crate::openai::media::standard_base64;

/// A part with the path of the block that it came from.
pub(super) type Placed = (String, Part);

/// What a content block is.
pub(super) enum Block {
    Parts(Vec<Placed>),
    Result(ToolResult),
}

/// Reads a text or a list of text blocks, which is all that instructions are made of.
pub(super) fn texts(
    raw: &RawValue,
    path: &str,
    kept: &mut Kept,
) -> Result<Vec<Part>, InvalidRequest> {
    if Kind::of(raw.get()) == Some(Kind::Text) {
        let text = fields::text(raw, || path.to_owned())?;
        return Ok(vec![Part::Text(text.into())]);
    }
    let mut parts = Vec::new();
    for (path, raw) in fields::list(raw, path)? {
        let mut block = Fields::read(raw, path)?;
        let kind = block.required_text("type")?;
        parts.push(if kind == "text" {
            text(block, kept)?
        } else {
            unknown(raw)
        });
    }
    Ok(parts)
}

/// Reads a message's content: a text or a list of blocks, each with its path.
pub(super) fn blocks(
    raw: &RawValue,
    message: &str,
    kept: &mut Kept,
) -> Result<Vec<(String, Block)>, InvalidRequest> {
    let path = format!("{message}.content");
    match Kind::of(raw.get()) {
        Some(Kind::Text) => {
            let text = fields::text(raw, || path.clone())?;
            let parts = vec![(message.to_owned(), Part::Text(text.into()))];
            Ok(vec![(path, Block::Parts(parts))])
        }
        Some(Kind::List) => fields::list(raw, &path)?
            .into_iter()
            .map(|(path, raw)| Ok((path.clone(), block(raw, path, kept)?)))
            .collect(),
        kind => {
            let expected = "a string or an array of blocks";
            Err(fields::wrong_type(path, expected, kind))
        }
    }
}

fn block(raw: &RawValue, path: String, kept: &mut Kept) -> Result<Block, InvalidRequest> {
    let mut fields = Fields::read(raw, path.clone())?;
    let kind = fields.required_text("type")?;
    let part = match kind.as_str() {
        "text" => text(fields, kept)?,
        "image" => image(fields, kept)?,
        "document" => return document(fields, raw, kept).map(Block::Parts),
        "search_result" => search_result(fields, kept)?,
        "thinking" => thinking(fields, kept)?,
        "redacted_thinking" => redacted(fields, kept)?,
        "tool_use" => tool_call(fields, kept)?,
        "tool_result" => return tool_result(fields, kept).map(Block::Result),
        // Blocks of tools that the vendor runs, and whatever will be added.
        _ => unknown(raw),
    };
    Ok(Block::Parts(vec![(path, part)]))
}

fn unknown(raw: &RawValue) -> Part {
    Part::Unknown {
        format: FORMAT,
        raw: raw.to_owned(),
    }
}

/// Reads a prompt-cache breakpoint.
pub(super) fn cache_control(
    fields: &mut Fields<'_>,
    kept: &mut Kept,
) -> Result<Option<CacheControl>, InvalidRequest> {
    let Some(mut control) = fields.object("cache_control")? else {
        return Ok(None);
    };
    let kind = control.required_text("type")?;
    if kind != "ephemeral" {
        return Err(control.unknown_word("type", &kind, "`ephemeral`"));
    }
    let cache = match control.text("ttl")?.as_deref() {
        None | Some("5m") => CacheControl::FiveMinutes,
        Some("1h") => CacheControl::OneHour,
        Some(other) => return Err(control.unknown_word("ttl", other, "`5m` and `1h`")),
    };
    control.keep_rest(&mut kept.extensions);
    Ok(Some(cache))
}

fn text(mut fields: Fields<'_>, kept: &mut Kept) -> Result<Part, InvalidRequest> {
    let words = fields.required_text("text")?;
    let length = words.chars().count();
    let cited = fields.list("citations")?.unwrap_or_default();
    let annotations = cited
        .into_iter()
        .filter_map(|(_, raw)| serde_json::from_str::<Value>(raw.get()).ok())
        .map(|cited| citation::annotation(&cited, 0, length))
        .collect();
    let part = Part::Text(Text {
        text: words,
        cache: cache_control(&mut fields, kept)?,
        annotations,
        ..Text::default()
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(part)
}

fn image(mut fields: Fields<'_>, kept: &mut Kept) -> Result<Part, InvalidRequest> {
    let mut source = fields.required_object("source")?;
    let kind = source.required_text("type")?;
    let Some(read) = media_source(&kind, &mut source)? else {
        let known = "`base64`, `url` and `file`";
        return Err(source.unknown_word("type", &kind, known));
    };
    source.keep_rest(&mut kept.extensions);
    let part = Part::Image(Media {
        source: read,
        name: None,
        detail: None,
        cache: cache_control(&mut fields, kept)?,
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(part)
}

/// The sources that images and documents have in common.
fn media_source(kind: &str, source: &mut Fields<'_>) -> Result<Option<Source>, InvalidRequest> {
    Ok(Some(match kind {
        "base64" => {
            let data = source.required_text("data")?;
            Source::Inline {
                media_type: source.required_text("media_type")?,
                base64: standard_base64(&data, &source.path_of("data"))?.into(),
            }
        }
        "url" => Source::Url {
            url: source.required_text("url")?,
            media_type: None,
        },
        "file" => Source::File(source.required_text("file_id")?),
        _ => return Ok(None),
    }))
}

/// A document; one that is made of blocks becomes a text, or, where it holds images, its parts.
fn document(
    mut fields: Fields<'_>,
    raw: &RawValue,
    kept: &mut Kept,
) -> Result<Vec<Placed>, InvalidRequest> {
    let path = fields.path().to_owned();
    let mut source = fields.required_object("source")?;
    let kind = source.required_text("type")?;
    let read = match (kind.as_str(), media_source(&kind, &mut source)?) {
        // The vendor knows one type of document by URL.
        (_, Some(Source::Url { url, .. })) => Source::Url {
            url,
            media_type: Some("application/pdf".to_owned()),
        },
        (_, Some(read)) => read,
        ("text", None) => {
            source.take("media_type");
            Source::Text(source.required_text("data")?)
        }
        ("content", None) => match written(&mut source, kept)? {
            Written::Text(text) => Source::Text(text),
            Written::Parts(parts) => {
                source.keep_rest(&mut kept.extensions);
                fields.keep_rest(&mut kept.extensions);
                return Ok(parts);
            }
        },
        // A source that will be added.
        _ => return Ok(vec![(path, unknown(raw))]),
    };
    source.keep_rest(&mut kept.extensions);
    let part = Part::Document(Media {
        source: read,
        name: fields.text("title")?,
        detail: None,
        cache: cache_control(&mut fields, kept)?,
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(vec![(path, part)])
}

/// What a document is made of.
enum Written {
    Text(String),
    Parts(Vec<Placed>),
}

fn written(source: &mut Fields<'_>, kept: &mut Kept) -> Result<Written, InvalidRequest> {
    let Some(raw) = source.take("content") else {
        return Err(source.missing("content", "a string or an array of blocks"));
    };
    let mut placed = Vec::new();
    for (path, block) in blocks(raw, source.path(), kept)? {
        match block {
            Block::Parts(parts) => placed.extend(parts),
            Block::Result(_) => {
                let detail = format!("`{path}` is a `tool_result`, which no document holds.");
                return Err(InvalidRequest::of(path, detail));
            }
        }
    }
    let words: Option<Vec<&str>> = placed
        .iter()
        .map(|(_, part)| match part {
            Part::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    Ok(match words {
        Some(words) => Written::Text(words.join("\n\n")),
        None => Written::Parts(placed),
    })
}

/// A search result is a short document of which the source is known; the source goes before the words,
/// so that a model of any provider can name it.
fn search_result(mut fields: Fields<'_>, kept: &mut Kept) -> Result<Part, InvalidRequest> {
    let source = fields.required_text("source")?;
    let title = fields.required_text("title")?;
    let Some(content) = fields.take("content") else {
        return Err(fields.missing("content", "an array of text blocks"));
    };
    let parts = texts(content, &fields.path_of("content"), kept)?;
    let words = parts.into_iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.text),
        _ => None,
    });
    let words: Vec<String> = std::iter::once(source).chain(words).collect();
    let part = Part::Document(Media {
        source: Source::Text(words.join("\n\n")),
        name: Some(title),
        detail: None,
        cache: cache_control(&mut fields, kept)?,
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(part)
}

/// A thought without a signature has an empty one.
fn thinking(mut fields: Fields<'_>, kept: &mut Kept) -> Result<Part, InvalidRequest> {
    let part = Part::Reasoning(Reasoning {
        text: Some(fields.required_text("thinking")?).filter(|text| !text.is_empty()),
        signature: fields.text("signature")?.filter(|text| !text.is_empty()),
        redacted: None,
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(part)
}

fn redacted(mut fields: Fields<'_>, kept: &mut Kept) -> Result<Part, InvalidRequest> {
    let part = Part::Reasoning(Reasoning {
        redacted: Some(fields.required_text("data")?),
        ..Reasoning::default()
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(part)
}

fn tool_call(mut fields: Fields<'_>, kept: &mut Kept) -> Result<Part, InvalidRequest> {
    let input = fields
        .raw_object("input")?
        .ok_or_else(|| fields.missing("input", "an object"))?;
    let part = Part::ToolCall(ToolCall {
        id: fields.required_text("id")?,
        name: fields.required_text("name")?,
        arguments: input.get().to_owned(),
        signature: None,
        cache: cache_control(&mut fields, kept)?,
    });
    fields.keep_rest(&mut kept.extensions);
    Ok(part)
}

fn tool_result(mut fields: Fields<'_>, kept: &mut Kept) -> Result<ToolResult, InvalidRequest> {
    let mut content = Vec::new();
    if let Some(raw) = fields.take("content") {
        for (path, block) in blocks(raw, fields.path(), kept)? {
            match block {
                Block::Parts(parts) => content.extend(parts.into_iter().map(|(_, part)| part)),
                Block::Result(_) => {
                    let detail = format!("`{path}` is a `tool_result` inside of another one.");
                    return Err(InvalidRequest::of(path, detail));
                }
            }
        }
    }
    let result = ToolResult {
        call_id: fields.required_text("tool_use_id")?,
        name: None,
        content,
        is_error: fields.flag("is_error")?.unwrap_or(false),
        cache: cache_control(&mut fields, kept)?,
    };
    fields.keep_rest(&mut kept.extensions);
    Ok(result)
}
