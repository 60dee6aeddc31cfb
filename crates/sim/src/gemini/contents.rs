//! The rules of the conversation: roles, parts, and that every function call is answered.

use super::check::{bad, field, plain, text_of};
use super::model::Class;
use super::shape::listed;
use super::signature;
use crate::media;
use crate::node::Node;
use crate::prompt::ToolResult;
use crate::tokens;
use crate::vendor::Failure;

/// What the conversation gives to the answer.
#[derive(Default)]
pub(super) struct Contents {
    /// The last user content that has text.
    pub(super) said: String,
    /// The function responses at its end.
    pub(super) results: Vec<ToolResult>,
    pub(super) count: usize,
    /// Tokens of texts and of what surrounds them.
    pub(super) text_tokens: u64,
    /// Tokens of images, documents and other media.
    pub(super) media_tokens: u64,
}

/// What one content holds, as far as the rules between contents ask.
#[derive(Default)]
struct Held {
    is_model: bool,
    words: String,
    calls: usize,
    responses: Vec<ToolResult>,
    /// The first call without a signature, where it is the first call at all.
    unsigned: Option<String>,
}

pub(super) fn read(root: &Node<'_, '_>, class: Class, seed: u64) -> Result<Contents, Failure> {
    let mut read = Contents::default();
    let contents = field(root, "contents").filter(|contents| {
        contents
            .value
            .as_array()
            .is_none_or(|list| !list.is_empty())
    });
    let Some(contents) = contents else {
        return Err(plain(
            "* GenerateContentRequest.contents: contents is not specified\n",
        ));
    };
    let mut held = Vec::new();
    for content in listed(&contents) {
        held.push(one(&content, seed, &mut read)?);
    }
    if let [only] = held.as_slice()
        && only.is_model
    {
        return Err(plain(
            "Please ensure that single turn requests end with a user role or the role field is empty.",
        ));
    }
    call_rules(&held)?;
    if class.signs_calls() {
        signature_rules(&held)?;
    }
    read.count = held.len();
    if let Some(said) = held
        .iter()
        .rev()
        .find(|content| !content.is_model && !content.words.trim().is_empty())
    {
        read.said.clone_from(&said.words);
    }
    if let Some(last) = held.pop() {
        read.results = last.responses;
    }
    Ok(read)
}

/// Reads the system instruction: texts only.
pub(super) fn system(root: &Node<'_, '_>, read: &mut Contents) -> Result<(), Failure> {
    let Some(instruction) = field(root, "system_instruction") else {
        return Ok(());
    };
    let Some(parts) = field(&instruction, "parts") else {
        return Ok(());
    };
    for part in listed(&parts) {
        match field(&part, "text") {
            Some(words) => read.text_tokens += tokens::of_text(words.text().unwrap_or_default()),
            None => return Err(plain("System instruction only supports text parts.")),
        }
    }
    Ok(())
}

fn one(content: &Node<'_, '_>, seed: u64, read: &mut Contents) -> Result<Held, Failure> {
    let is_model = match text_of(content, "role") {
        "" | "user" => false,
        "model" => true,
        _ => return Err(plain("Please use a valid role: user, model.")),
    };
    let parts = field(content, "parts")
        .filter(|parts| parts.value.as_array().is_none_or(|list| !list.is_empty()));
    let Some(parts) = parts else {
        return Err(bad(content, "contents.parts must not be empty."));
    };
    read.text_tokens += tokens::MESSAGE;
    let mut held = Held {
        is_model,
        ..Held::default()
    };
    for part in listed(&parts) {
        self::part(&part, seed, &mut held, read)?;
    }
    Ok(held)
}

const DATA: [&str; 7] = [
    "text",
    "inline_data",
    "file_data",
    "function_call",
    "function_response",
    "executable_code",
    "code_execution_result",
];

fn part(
    part: &Node<'_, '_>,
    seed: u64,
    held: &mut Held,
    read: &mut Contents,
) -> Result<(), Failure> {
    let mut given = DATA
        .iter()
        .copied()
        .filter(|name| field(part, name).is_some());
    let Some(kind) = given.next() else {
        let place = super::check::snake_path(part);
        return Err(plain(format!(
            "* GenerateContentRequest.{place}.data: required oneof field 'data' must have one initialized field\n"
        )));
    };
    if let Some(second) = given.next() {
        let place = super::check::snake_path(part);
        return Err(plain(format!(
            "Invalid value at '{place}' (oneof), oneof field 'data' is already set. Cannot set '{second}'"
        )));
    }
    let Some(data) = field(part, kind) else {
        return Ok(());
    };
    let signature = field(part, "thought_signature").and_then(|signature| signature.text());
    if let Some(signature) = signature
        && !signature::is_ours(seed, signature)
    {
        return Err(plain("Corrupted thought signature."));
    }
    match kind {
        "text" => {
            let words = data.text().unwrap_or_default();
            read.text_tokens += tokens::of_text(words);
            if field(part, "thought").is_none_or(|thought| *thought.value != true) {
                held.words
                    .push_str(if held.words.is_empty() { "" } else { "\n" });
                held.words.push_str(words);
            }
        }
        "function_call" => {
            let name = named(&data)?;
            if !held.is_model {
                return Err(plain(
                    "Please ensure that function call turns have the role model.",
                ));
            }
            if held.calls == 0 && signature.is_none() {
                held.unsigned = Some(name.to_owned());
            }
            held.calls += 1;
            read.text_tokens += tokens::of_text(name)
                + field(&data, "args").map_or(0, |args| tokens::of_text(&args.value.to_string()));
        }
        "function_response" => {
            let name = named(&data)?;
            let Some(response) = field(&data, "response") else {
                return Err(bad(&data, "response must be specified."));
            };
            let text = response.value.to_string();
            read.text_tokens += tokens::of_text(name) + tokens::of_text(&text);
            if let Some(parts) = field(&data, "parts") {
                for part in listed(&parts) {
                    if let Some(blob) = field(&part, "inline_data") {
                        inline_data(&blob, read)?;
                    }
                }
            }
            held.responses.push(ToolResult {
                name: name.to_owned(),
                text,
            });
        }
        "inline_data" => inline_data(&data, read)?,
        "file_data" => file_data(&data, read)?,
        _ => read.text_tokens += tokens::of_text(&data.value.to_string()),
    }
    Ok(())
}

fn named<'v>(data: &Node<'v, '_>) -> Result<&'v str, Failure> {
    match text_of(data, "name") {
        "" => Err(plain(format!(
            "* GenerateContentRequest.{}.name: Name cannot be empty.\n",
            super::check::snake_path(data)
        ))),
        name => Ok(name),
    }
}

fn inline_data(blob: &Node<'_, '_>, read: &mut Contents) -> Result<(), Failure> {
    let kind = text_of(blob, "mime_type");
    let bytes = media::decode_any(text_of(blob, "data")).unwrap_or_default();
    let is_readable = match kind {
        "" => return Err(bad(blob, "mime_type must be specified.")),
        "image/png" | "image/jpeg" | "image/webp" => media::image_type(&bytes).is_some(),
        "image/heic" | "image/heif" => !bytes.is_empty(),
        "application/pdf" if media::is_pdf(&bytes) => true,
        "application/pdf" => return Err(plain("The document has no pages.")),
        _ if ["text/", "audio/", "video/"]
            .iter()
            .any(|beginning| kind.starts_with(beginning))
            || kind == "application/json" =>
        {
            !bytes.is_empty()
        }
        _ => return Err(plain(format!("Unsupported MIME type: {kind}"))),
    };
    if !is_readable {
        return Err(plain(
            "Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting",
        ));
    }
    read.media_tokens += if kind.starts_with("image/") {
        tokens::IMAGE
    } else {
        tokens::of_document(bytes.len())
    };
    Ok(())
}

fn file_data(data: &Node<'_, '_>, read: &mut Contents) -> Result<(), Failure> {
    let uri = text_of(data, "file_uri");
    if !uri.starts_with("https://") && !uri.starts_with("gs://") {
        return Err(plain(format!("Invalid or unsupported file uri: {uri}")));
    }
    read.media_tokens += tokens::IMAGE;
    Ok(())
}

fn call_rules(held: &[Held]) -> Result<(), Failure> {
    let mut before: Option<&Held> = None;
    for content in held {
        let calls_before = before.map_or(0, |before| before.calls);
        if content.calls > 0 && before.is_none_or(|before| before.is_model) {
            return Err(plain(
                "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
            ));
        }
        if calls_before == 0 && !content.responses.is_empty() {
            return Err(plain(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if calls_before != content.responses.len() {
            return Err(plain(
                "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
            ));
        }
        before = Some(content);
    }
    Ok(())
}

/// In the current turn (since the user last said something of its own) every step's first call needs its signature.
/// See <https://ai.google.dev/gemini-api/docs/thought-signatures>.
fn signature_rules(held: &[Held]) -> Result<(), Failure> {
    let turn = held
        .iter()
        .rposition(|content| !content.is_model && content.responses.is_empty())
        .unwrap_or(0);
    for (position, content) in held.iter().enumerate().skip(turn) {
        if let Some(name) = &content.unsigned {
            return Err(plain(format!(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing \
                 thought_signature may lead to degraded model performance. Additional data, function call `default_api:{name}` , position {}. \
                 Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                position + 1
            )));
        }
    }
    Ok(())
}
