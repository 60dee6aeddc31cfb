//! Reads the turns of a conversation and their parts (<https://ai.google.dev/api/caching#Content>).
//!
//! Gemini knows two roles, and a turn may come in many contents: clients keep a streamed answer chunk by
//! chunk. Here neighbours of the model's become one message, and the results of calls come before whatever
//! else stands in their content, since other formats want them right after the calls.

use domain::chat::{ChatRequest, Message, Part, ToolCall, ToolResult};
use serde_json::value::RawValue;

use super::{custody, fields, media, results, turn};
use crate::face::InvalidRequest;
use crate::gemini::FORMAT;
use crate::gemini::choice::on_one_line;
use crate::gemini::results::made_up_id;
use crate::openai::fields::Fields;

/// Reads `systemInstruction` and `contents` into the request.
pub(super) fn read(
    request_fields: &mut Fields<'_>,
    request: &mut ChatRequest,
) -> Result<(), InvalidRequest> {
    let mut reader = Reader {
        request,
        calls: results::Calls::default(),
        calls_of_turn: 0,
    };
    if let Some(instruction) = fields::object(request_fields, "systemInstruction")? {
        reader.instruction(instruction)?;
    }
    let contents = fields::list(request_fields, "contents")?;
    if contents.is_empty() {
        return Err(request_fields.missing("contents", "an array of at least one content"));
    }
    for (index, (path, raw)) in contents.into_iter().enumerate() {
        reader.content(index, fields::read(raw, path)?)?;
    }
    if reader.request.messages.is_empty() {
        return Err(InvalidRequest::of(
            "contents",
            "No content of `contents` has a part; there is nothing to answer.",
        ));
    }
    Ok(())
}

/// Says how closely to look at every picture that does not say it itself; whether there is any.
pub(super) fn look_at_pictures(request: &mut ChatRequest, word: &str) -> bool {
    let mut has_pictures = false;
    for part in request.messages.iter_mut().flat_map(Message::content_mut) {
        if let Part::Image(picture) = part {
            has_pictures = true;
            picture.detail.get_or_insert_with(|| word.to_owned());
        }
    }
    has_pictures
}

struct Reader<'r> {
    request: &'r mut ChatRequest,
    calls: results::Calls,
    /// How many calls the model's turn has so far.
    calls_of_turn: usize,
}

/// A part, or the result of a call, which is a message of its own.
enum Piece {
    Part(Part),
    Result(ToolResult),
}

impl Reader<'_> {
    fn instruction(&mut self, mut content: Fields<'_>) -> Result<(), InvalidRequest> {
        // Google does not look at it.
        content.take("role");
        let mut parts = Vec::new();
        self.note("messages[0]".to_owned(), content.path());
        for (place, (path, raw)) in fields::list(&mut content, "parts")?.into_iter().enumerate() {
            self.note(format!("messages[0].content[{place}]"), &path);
            match self.part(path.clone(), raw, 0, place)? {
                Piece::Part(part) => parts.push(part),
                Piece::Result(_) => {
                    let detail = format!("`{path}` must be words; instructions answer no call.");
                    return Err(InvalidRequest::of(path, detail));
                }
            }
        }
        content.keep_rest(&mut self.request.extensions);
        if !parts.is_empty() {
            self.request.messages.push(Message::System(parts));
        }
        Ok(())
    }

    fn content(&mut self, index: usize, mut content: Fields<'_>) -> Result<(), InvalidRequest> {
        // `function` is what older clients say of results.
        let is_model = match content.text("role")?.as_deref() {
            None | Some("" | "user" | "function") => false,
            Some("model") => true,
            Some(other) => return Err(content.unknown_word("role", other, "`user` and `model`")),
        };
        let path = content.path().to_owned();
        let mut user = Vec::new();
        for (place, (path, raw)) in fields::list(&mut content, "parts")?.into_iter().enumerate() {
            match self.part(path.clone(), raw, index, place)? {
                Piece::Part(part) if is_model => self.model_part(part, &path),
                Piece::Part(part) => user.push((part, path)),
                Piece::Result(result) => self.result(result, &path),
            }
        }
        content.keep_rest(&mut self.request.extensions);
        if user.is_empty() {
            return Ok(());
        }
        let message = self.request.messages.len();
        self.note(format!("messages[{message}]"), &path);
        let mut parts = Vec::with_capacity(user.len());
        for (place, (part, path)) in user.into_iter().enumerate() {
            self.note(format!("messages[{message}].content[{place}]"), &path);
            parts.push(part);
        }
        self.request.messages.push(Message::User {
            content: parts,
            name: None,
        });
        Ok(())
    }

    fn result(&mut self, result: ToolResult, path: &str) {
        let message = format!("messages[{}]", self.request.messages.len());
        let path = format!("{path}.functionResponse");
        self.note(format!("{message}.tool_call_id"), &format!("{path}.id"));
        self.note(format!("{message}.content"), &format!("{path}.response"));
        let mut parts = 0;
        for (place, part) in result.content.iter().enumerate() {
            let path = if matches!(part, Part::Text(_)) {
                format!("{path}.response")
            } else {
                parts += 1;
                format!("{path}.parts[{}]", parts - 1)
            };
            self.note(format!("{message}.content[{place}]"), &path);
        }
        self.note(message, &path);
        self.request.messages.push(Message::Tool(result));
    }

    /// Adds to the model's turn, which may have begun in an earlier content.
    fn model_part(&mut self, part: Part, path: &str) {
        if turn::is_nothing(&part) {
            return;
        }
        if !matches!(
            self.request.messages.last(),
            Some(Message::Assistant { .. })
        ) {
            let message = self.request.messages.len();
            let content = path
                .rsplit_once(".parts")
                .map_or(path, |(content, _)| content);
            self.note(format!("messages[{message}]"), content);
            self.calls_of_turn = 0;
            self.request.messages.push(Message::Assistant {
                content: Vec::new(),
                name: None,
            });
        }
        let message = self.request.messages.len().saturating_sub(1);
        let Some(Message::Assistant { content, .. }) = self.request.messages.last_mut() else {
            return;
        };
        let is_call = matches!(part, Part::ToolCall(_));
        let known = content.len();
        turn::add(content, part);
        let place = content.len().saturating_sub(1);
        // A piece of what is there already stands where that began.
        if place >= known {
            self.note(format!("messages[{message}].content[{place}]"), path);
        }
        if is_call {
            let call = self.calls_of_turn;
            self.calls_of_turn += 1;
            self.note(format!("messages[{message}].tool_calls[{call}]"), path);
        }
    }

    fn note(&mut self, place: String, path: &str) {
        self.request.paths.insert(place, path);
    }

    fn part(
        &mut self,
        path: String,
        raw: &RawValue,
        content: usize,
        place: usize,
    ) -> Result<Piece, InvalidRequest> {
        let mut part = fields::read(raw, path)?;
        let written = part.look("thoughtSignature");
        let signature = part.text("thoughtSignature")?;
        let is_thought = part.flag("thought")?.unwrap_or(false);
        let has_media = part.look("inlineData").or(part.look("fileData")).is_some();
        let read = if part.look("functionCall").is_some() {
            self.call(&mut part, signature, content, place)?
        } else if let Some(response) = fields::object(&mut part, "functionResponse")? {
            let result = self.calls.answer(response, &mut self.request.extensions)?;
            return Ok(Piece::Result(result));
        } else if has_media && (signature.is_some() || is_thought) {
            // A picture that the model made, with its seal.
            return Ok(unknown(raw));
        } else if let Some(media) = media::read(&mut part, &mut self.request.extensions)? {
            media
        } else if part.look("text").is_some() || (signature.is_some() && part.is_empty()) {
            if let Some(written) = written.filter(|_| is_thought && !is_ours(signature.as_deref()))
            {
                // Google signs what is said, not what is thought; nobody takes such a seal.
                part.put_back("thoughtSignature", written);
            }
            let text = part.text("text")?.unwrap_or_default();
            turn::words(text, signature, is_thought)
        } else if part.is_empty() {
            let path = part.path().to_owned();
            let detail =
                format!("`{path}` holds nothing; a part has `text`, `inlineData` or the like.");
            return Err(InvalidRequest::of(path, detail));
        } else {
            return Ok(unknown(raw));
        };
        part.keep_rest(&mut self.request.extensions);
        Ok(Piece::Part(read))
    }

    fn call(
        &mut self,
        part: &mut Fields<'_>,
        signature: Option<String>,
        content: usize,
        place: usize,
    ) -> Result<Part, InvalidRequest> {
        let Some(mut call) = fields::object(part, "functionCall")? else {
            return Err(part.missing("functionCall", "an object"));
        };
        let name = call.required_text("name")?;
        let told_id = call.text("id")?.filter(|id| !id.is_empty());
        let id = told_id.unwrap_or_else(|| {
            let content = u32::try_from(content).unwrap_or(u32::MAX);
            made_up_id(None, content, u32::try_from(place).unwrap_or(u32::MAX))
        });
        let arguments = call.raw_object("args")?;
        call.keep_rest(&mut self.request.extensions);
        self.calls.open(&id, &name);
        Ok(Part::ToolCall(ToolCall {
            id,
            name,
            arguments: arguments.map_or_else(|| "{}".to_owned(), |raw| on_one_line(raw.get())),
            signature,
            cache: None,
        }))
    }
}

/// A part that is kept whole, with whatever stands in it.
fn unknown(raw: &RawValue) -> Piece {
    Piece::Part(Part::Unknown {
        format: FORMAT,
        raw: raw.to_owned(),
    })
}

fn is_ours(signature: Option<&str>) -> bool {
    signature.is_some_and(|signature| custody::open(signature).is_some())
}
