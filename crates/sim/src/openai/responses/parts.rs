//! The parts of messages and of function outputs.

use super::super::attachments;
use super::super::check::{bad, object, one_of, plain, required, sized, text, wrong_type};
use super::items::Heard;
use crate::node::Node;
use crate::vendor::Failure;

/// What a user, a system or a developer message may hold.
pub(super) const INPUT: [&str; 3] = ["input_text", "input_image", "input_file"];
/// What an assistant message may hold.
pub(super) const OUTPUT: [&str; 2] = ["output_text", "refusal"];
/// What a function may answer with.
pub(super) const RESULT: [&str; 3] = ["input_text", "input_image", "input_file"];

/// Reads a text or a list of parts; gives back its text.
pub(super) fn content(
    content: &Node<'_, '_>,
    kinds: &[&str],
    heard: &mut Heard,
) -> Result<String, Failure> {
    if let Some(words) = content.text() {
        heard.words(words);
        return Ok(words.to_owned());
    }
    if !content.value.is_array() {
        return Err(wrong_type(
            content,
            "one of an array of objects or a string",
        ));
    }
    sized(content, 0, 2048)?;
    let mut said = String::new();
    for part in content.items() {
        if !part.value.is_object() {
            return Err(wrong_type(&part, "an object"));
        }
        let kind = tag(&part, kinds)?;
        match kind {
            "input_text" => {
                object(&part, &["type", "text", "prompt_cache_breakpoint"])?;
                spoken(&part, "text", &mut said, heard)?;
            }
            "output_text" => {
                object(&part, &["type", "text", "annotations", "logprobs"])?;
                spoken(&part, "text", &mut said, heard)?;
            }
            "refusal" => {
                object(&part, &["type", "refusal"])?;
                spoken(&part, "refusal", &mut said, heard)?;
            }
            "input_image" => heard.tokens += image(&part)?,
            _ => heard.tokens += file(&part)?,
        }
    }
    Ok(said)
}

/// The `type` of a part or an item; a wrong one is told at the place of the whole.
pub(super) fn tag<'v>(node: &Node<'v, '_>, supported: &[&str]) -> Result<&'v str, Failure> {
    let kind = required(node, "type")?;
    one_of(&kind, supported).map_err(|failure| failure.at(node.bracketed()))
}

fn spoken(
    part: &Node<'_, '_>,
    key: &str,
    said: &mut String,
    heard: &mut Heard,
) -> Result<(), Failure> {
    let place = required(part, key)?;
    let words = text(&place)?;
    heard.words(words);
    if !said.is_empty() {
        said.push('\n');
    }
    said.push_str(words);
    Ok(())
}

fn image(part: &Node<'_, '_>) -> Result<u64, Failure> {
    object(
        part,
        &[
            "type",
            "detail",
            "file_id",
            "image_url",
            "prompt_cache_breakpoint",
        ],
    )?;
    attachments::detail(part)?;
    match (part.present("image_url"), part.present("file_id")) {
        (Some(url), None) => attachments::image_url(&url),
        (None, Some(id)) => Err(attachments::no_such_file(text(&id)?)),
        _ => Err(one_source(part, "'image_url' or 'file_id'")),
    }
}

fn file(part: &Node<'_, '_>) -> Result<u64, Failure> {
    object(
        part,
        &[
            "type",
            "detail",
            "file_data",
            "file_id",
            "file_url",
            "filename",
            "prompt_cache_breakpoint",
        ],
    )?;
    if let Some(filename) = part.present("filename") {
        text(&filename)?;
    }
    match (
        part.present("file_data"),
        part.present("file_id"),
        part.present("file_url"),
    ) {
        (Some(data), None, None) => attachments::file_data(&data),
        (None, Some(id), None) => Err(attachments::no_such_file(text(&id)?)),
        (None, None, Some(url)) => {
            let address = text(&url)?;
            if address.starts_with("https://") || address.starts_with("http://") {
                return Ok(crate::tokens::IMAGE);
            }
            let sentence = format!(
                "Invalid '{}'. Expected a valid URL, but got a value with an invalid format.",
                url.bracketed()
            );
            Err(bad(&url, "invalid_value", sentence))
        }
        _ => Err(one_source(part, "'file_data', 'file_id', or 'file_url'")),
    }
}

fn one_source(part: &Node<'_, '_>, sources: &str) -> Failure {
    plain(format!("Exactly one of {sources} must be given."))
        .at(part.bracketed())
        .code("missing_required_parameter")
}
