//! Reads `provider_content`, our own extension of answers, when a client gives it back: the order in which
//! the model made texts and calls, and the blocks that only the provider's format knows.

use std::collections::HashMap;

use domain::chat::{Part, Text};
use serde_json::value::RawValue;

use super::fields::Fields;
use crate::dialect::Format;
use crate::face::InvalidRequest;

/// One item of the list.
enum Block {
    Text(String),
    /// A tool call, by its id.
    Call(String),
    Unknown(Part),
}

/// Puts the parts of an assistant's message back into the order in which they were made. When the client
/// changed what it said, its words hold, and only the unknown blocks are put in, before them.
pub(super) fn restore(
    fields: &mut Fields<'_>,
    parts: Vec<Part>,
) -> Result<Vec<Part>, InvalidRequest> {
    let Some(items) = fields.list("provider_content")? else {
        return Ok(parts);
    };
    // They are in the blocks as well.
    fields.take("images");
    let blocks = items
        .into_iter()
        .map(|(path, raw)| block(raw, path))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut restored, said): (Vec<Part>, Vec<Part>) = parts
        .into_iter()
        .partition(|part| matches!(part, Part::Reasoning(_)));
    if is_order_of(&blocks, &said) {
        restored.extend(in_order(blocks, said));
    } else {
        restored.extend(blocks.into_iter().filter_map(|block| match block {
            Block::Unknown(part) => Some(part),
            Block::Text(_) | Block::Call(_) => None,
        }));
        restored.extend(said);
    }
    Ok(restored)
}

fn block(raw: &RawValue, path: String) -> Result<Block, InvalidRequest> {
    const FORMATS: [Format; 6] = [
        Format::OpenaiChat,
        Format::OpenaiResponses,
        Format::AnthropicMessages,
        Format::Gemini,
        Format::CohereChat,
        Format::BedrockConverse,
    ];
    let mut fields = Fields::read(raw, path)?;
    match fields.required_text("type")?.as_str() {
        "text" => Ok(Block::Text(fields.required_text("text")?)),
        "tool_call" => Ok(Block::Call(fields.required_text("id")?)),
        "unknown" => {
            let word = fields.required_text("format")?;
            let known = FORMATS.into_iter().find(|format| format.as_str() == word);
            let Some(format) = known else {
                let known =
                    "`openai`, `openai_responses`, `anthropic`, `gemini`, `cohere` and `bedrock`";
                return Err(fields.unknown_word("format", &word, known));
            };
            let raw = fields
                .raw_object("raw")?
                .ok_or_else(|| fields.missing("raw", "an object"))?;
            Ok(Block::Unknown(Part::Unknown {
                format: format.as_str(),
                raw,
            }))
        }
        other => {
            let known = "`text`, `tool_call` and `unknown`";
            Err(fields.unknown_word("type", other, known))
        }
    }
}

/// Whether the list speaks of just these texts and calls.
fn is_order_of(blocks: &[Block], said: &[Part]) -> bool {
    let told: String = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            Block::Call(_) | Block::Unknown(_) => None,
        })
        .collect();
    let text: String = super::wire::texts(said)
        .map(|text| text.text.as_str())
        .collect();
    let mut listed: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Call(id) => Some(id.as_str()),
            Block::Text(_) | Block::Unknown(_) => None,
        })
        .collect();
    let mut calls: Vec<&str> = said.iter().filter_map(call_id).collect();
    listed.sort_unstable();
    calls.sort_unstable();
    told == text && listed == calls
}

fn call_id(part: &Part) -> Option<&str> {
    match part {
        Part::ToolCall(call) => Some(&call.id),
        _ => None,
    }
}

fn in_order(blocks: Vec<Block>, said: Vec<Part>) -> Vec<Part> {
    let mut ordered = Vec::with_capacity(blocks.len());
    // What the client said of its text as a whole belongs to the last piece of it.
    let mut whole_text = None;
    let mut calls: HashMap<String, Vec<Part>> = HashMap::new();
    let mut others = Vec::new();
    // From the last to the first, so that calls of the same id come out in their order.
    for part in said.into_iter().rev() {
        match part {
            Part::Text(text) => {
                whole_text.get_or_insert(text);
            }
            Part::ToolCall(call) => {
                let same_id = calls.entry(call.id.clone()).or_default();
                same_id.push(Part::ToolCall(call));
            }
            other => others.push(other),
        }
    }
    for block in blocks {
        match block {
            Block::Text(text) => ordered.push(Part::Text(text.into())),
            Block::Unknown(part) => ordered.push(part),
            Block::Call(id) => ordered.extend(calls.get_mut(&id).and_then(Vec::pop)),
        }
    }
    let last = ordered.iter_mut().rev().find_map(|part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    });
    if let (Some(last), Some(whole)) = (last, whole_text) {
        *last = Text {
            text: std::mem::take(&mut last.text),
            ..whole
        };
    }
    ordered.extend(others.into_iter().rev());
    ordered
}

#[cfg(test)]
mod tests {
    use domain::chat::Message;

    use super::super::parse;
    use super::*;

    /// The parts of an assistant's message, in short.
    fn parts(message: &str) -> Vec<String> {
        let body =
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}},{message}]}}"#);
        let request = parse::request(body.as_bytes()).unwrap();
        let Some(Message::Assistant { content, .. }) = request.messages.last() else {
            panic!("the last message is the assistant's");
        };
        content
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.text.clone(),
                Part::ToolCall(call) => format!("call {}", call.id),
                Part::Unknown { format, raw } => format!("{format} {raw}"),
                Part::Reasoning(reasoning) => reasoning.text.clone().unwrap_or_default(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    const CALL: &str = r#"{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}"#;

    #[test]
    fn text_around_calls_and_unknown_blocks_go_back_to_their_places() {
        let message = format!(
            r#"{{"role":"assistant","reasoning_content":"Hm.","content":"AB","tool_calls":[{CALL}],"provider_content":[
                {{"type":"text","text":"A"}},{{"type":"unknown","format":"anthropic","raw":{{"type":"x"}}}},
                {{"type":"tool_call","id":"c"}},{{"type":"text","text":"B"}}]}}"#
        );
        assert_eq!(
            parts(&message),
            ["Hm.", "A", r#"anthropic {"type":"x"}"#, "call c", "B"]
        );
    }

    #[test]
    fn what_the_client_changed_holds() {
        let message = format!(
            r#"{{"role":"assistant","content":"new","tool_calls":[{CALL}],"provider_content":[
                {{"type":"text","text":"old"}},{{"type":"tool_call","id":"c"}},{{"type":"unknown","format":"gemini","raw":{{}}}}]}}"#
        );
        assert_eq!(parts(&message), ["gemini {}", "new", "call c"]);
    }

    #[test]
    fn a_block_of_a_format_that_is_not_known_is_refused() {
        let body = r#"{"model":"m","messages":[{"role":"assistant","content":"a","provider_content":[{"type":"unknown","format":"x","raw":{}}]}]}"#;
        let refusal = parse::request(body.as_bytes()).unwrap_err();
        assert_eq!(
            refusal.param.as_deref(),
            Some("messages[0].provider_content[0].format")
        );
    }
}
