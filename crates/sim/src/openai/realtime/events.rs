//! What clients send, read as strictly as the vendor does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Counted, INPUT_AUDIO_MILLISECONDS, Item, Session, reply};
use crate::node::Node;
use crate::openai::check::{bad, missing, object, one_of, plain, text, wrong_type};
use crate::tokens;
use crate::vendor::Failure;

const EVENTS: [&str; 8] = [
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
];
/// Bytes of sound of a second: 24,000 samples of two bytes.
const BYTES_OF_A_SECOND: u64 = 48_000;
/// The least sound that makes an item, in milliseconds.
const LEAST_SOUND: u64 = 100;
/// The most sound of one event, in bytes of base64.
const MOST_SOUND: usize = 15 * 1024 * 1024;

/// Does what an event asks for.
pub(super) fn take(session: &mut Session, event: &Value) -> Result<(), Failure> {
    let root = Node::root(event);
    if !event.is_object() {
        return Err(wrong_type(&root, "an object"));
    }
    let kind = required(&root, "type")?;
    let known = |fields: &[&str]| object(&root, &[&["type", "event_id"], fields].concat());
    match one_of(&kind, &EVENTS)? {
        "session.update" => {
            known(&["session"])?;
            update(session, &required(&root, "session")?)
        }
        "input_audio_buffer.append" => {
            known(&["audio"])?;
            append(session, &required(&root, "audio")?)
        }
        "input_audio_buffer.commit" => {
            known(&[])?;
            commit(session)
        }
        "input_audio_buffer.clear" => {
            known(&[])?;
            session.buffer = super::Buffer::default();
            session.tell(json!({ "type": "input_audio_buffer.cleared" }));
            Ok(())
        }
        "conversation.item.create" => {
            known(&["item", "previous_item_id"])?;
            create_item(session, &required(&root, "item")?)
        }
        "conversation.item.delete" => {
            known(&["item_id"])?;
            delete_item(session, text(&required(&root, "item_id")?)?)
        }
        "response.create" => {
            known(&["response"])?;
            reply::create(session, root.present("response").as_ref())
        }
        // `response.cancel`; there are no others.
        _ => {
            known(&["response_id"])?;
            reply::cancel(session)
        }
    }
}

/// A member that must be there.
fn required<'v, 's>(parent: &'s Node<'v, '_>, key: &str) -> Result<Node<'v, 's>, Failure> {
    parent.present(key).ok_or_else(|| missing(parent, key))
}

fn update(session: &mut Session, wanted: &Node<'_, '_>) -> Result<(), Failure> {
    object(
        wanted,
        &[
            "type",
            "model",
            "output_modalities",
            "instructions",
            "audio",
            "tools",
            "tool_choice",
            "max_output_tokens",
            "tracing",
            "truncation",
            "prompt",
            "include",
        ],
    )?;
    one_of(&required(wanted, "type")?, &["realtime", "transcription"])?;
    if let Some(modalities) = wanted.present("output_modalities") {
        check_modalities(&modalities)?;
    }
    if let Some(audio) = wanted.present("audio") {
        object(&audio, &["input", "output"])?;
        if let Some(input) = audio.present("input") {
            object(
                &input,
                &[
                    "format",
                    "transcription",
                    "noise_reduction",
                    "turn_detection",
                ],
            )?;
            if let Some(turn) = input.present("turn_detection") {
                one_of(&required(&turn, "type")?, &["server_vad", "semantic_vad"])?;
            }
        }
    }
    if let Some(model) = wanted.present("model")
        && session.setting("/model") != Some(model.value)
    {
        let message = "The model of a session cannot be changed.";
        return Err(bad(&model, "cannot_update_model", message));
    }
    merge(&mut session.settings, wanted.value);
    session.tell(json!({ "type": "session.updated", "session": session.settings }));
    Ok(())
}

/// The modalities of an answer: text or sound, not both.
pub(super) fn check_modalities(modalities: &Node<'_, '_>) -> Result<(), Failure> {
    if !modalities.value.is_array() {
        return Err(wrong_type(modalities, "an array of strings"));
    }
    for modality in modalities.items() {
        one_of(&modality, &["text", "audio"])?;
    }
    if modalities.items().count() == 1 {
        return Ok(());
    }
    let message =
        "Invalid modalities. Supported combinations are: ['text'] and ['audio'].".to_owned();
    Err(bad(modalities, "invalid_value", message))
}

/// Puts what is said over what is; what is not mentioned stays.
fn merge(settings: &mut Value, wanted: &Value) {
    match (settings, wanted) {
        (Value::Object(settings), Value::Object(wanted)) => {
            for (key, value) in wanted {
                merge(settings.entry(key).or_insert(Value::Null), value);
            }
        }
        (settings, wanted) => *settings = wanted.clone(),
    }
}

fn append(session: &mut Session, audio: &Node<'_, '_>) -> Result<(), Failure> {
    let sound = text(audio)?;
    if sound.len() > MOST_SOUND {
        let message = "Invalid 'audio': larger than 15 MiB.";
        return Err(bad(audio, "invalid_value", message));
    }
    let sound = STANDARD.decode(sound).map_err(|_| {
        let message =
            "Invalid 'audio'. Expected base64-encoded audio bytes, but got an invalid value.";
        bad(audio, "invalid_value", message)
    })?;
    let is_silence = sound.iter().all(|byte| *byte == 0);
    let milliseconds = (sound.len() as u64 * 1_000) / BYTES_OF_A_SECOND;
    session.buffer.milliseconds += milliseconds;
    let Some(detection) = session.setting("/audio/input/turn_detection") else {
        return Ok(());
    };
    let answers = detection.get("create_response") != Some(&Value::Bool(false));
    if !is_silence {
        if !std::mem::replace(&mut session.buffer.has_speech, true) {
            let item = session.id("item");
            session.tell(json!({
                "type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item,
            }));
        }
        return Ok(());
    }
    if session.buffer.has_speech {
        let end = session.buffer.milliseconds;
        let item = session.id("item");
        session.tell(json!({
            "type": "input_audio_buffer.speech_stopped", "audio_end_ms": end, "item_id": item,
        }));
        commit(session)?;
        let is_conversation = session.setting("/type").and_then(Value::as_str) == Some("realtime");
        if answers && is_conversation && session.active.is_none() {
            return reply::create(session, None);
        }
    }
    Ok(())
}

fn commit(session: &mut Session) -> Result<(), Failure> {
    let milliseconds = session.buffer.milliseconds;
    if milliseconds < LEAST_SOUND {
        let message = format!(
            "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has \
             {milliseconds}.00ms of audio."
        );
        return Err(plain(message).code("input_audio_buffer_commit_empty"));
    }
    session.buffer = super::Buffer::default();
    let id = session.id("item");
    let previous = session.items.last().map(|item| item.id.clone());
    session.tell(json!({
        "type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": id,
    }));
    let shown = json!({
        "id": id, "type": "message", "object": "realtime.item", "status": "completed", "role": "user",
        "content": [{ "type": "input_audio", "transcript": null }],
    });
    let audio = milliseconds.div_ceil(INPUT_AUDIO_MILLISECONDS);
    session.add(
        Item {
            id: id.clone(),
            text: String::new(),
            counted: Counted { text: 0, audio },
            is_users: true,
        },
        &shown,
    )?;
    if session.setting("/audio/input/transcription").is_some() {
        transcribe(session, &id, audio);
    }
    Ok(())
}

fn transcribe(session: &mut Session, item: &str, audio: u64) {
    let words = "This is a simulated transcript.";
    let output = tokens::of_text(words);
    session.tell(json!({
        "type": "conversation.item.input_audio_transcription.delta", "item_id": item, "content_index": 0,
        "delta": words,
    }));
    session.tell(json!({
        "type": "conversation.item.input_audio_transcription.completed", "item_id": item, "content_index": 0,
        "transcript": words,
        "usage": {
            "type": "tokens", "total_tokens": audio + output, "input_tokens": audio,
            "input_token_details": { "text_tokens": 0, "audio_tokens": audio }, "output_tokens": output,
        },
    }));
}

fn create_item(session: &mut Session, item: &Node<'_, '_>) -> Result<(), Failure> {
    let kind = one_of(
        &required(item, "type")?,
        &["message", "function_call", "function_call_output"],
    )?;
    let mut said = String::new();
    let mut counted = Counted::default();
    let mut is_users = false;
    if kind == "message" {
        object(item, &["id", "object", "type", "status", "role", "content"])?;
        let role = one_of(&required(item, "role")?, &["user", "assistant", "system"])?;
        is_users = role == "user";
        for part in required(item, "content")?.items() {
            let kinds: &[&str] = match role {
                "user" => &["input_text", "input_audio", "input_image"],
                "system" => &["input_text"],
                _ => &["output_text", "output_audio"],
            };
            match one_of(&required(&part, "type")?, kinds)? {
                "input_text" | "output_text" => said.push_str(text(&required(&part, "text")?)?),
                "input_audio" => {
                    counted.audio += tokens::of_text(text(&required(&part, "audio")?)?);
                }
                _ => counted.text += tokens::IMAGE,
            }
        }
    } else if kind == "function_call_output" {
        object(
            item,
            &["id", "object", "type", "status", "call_id", "output"],
        )?;
        required(item, "call_id")?;
        said.push_str(text(&required(item, "output")?)?);
    } else {
        required(item, "name")?;
        said.push_str(text(&required(item, "arguments")?)?);
    }
    counted.text += tokens::of_text(&said);
    let id = match item.present("id") {
        Some(id) => text(&id)?.to_owned(),
        None => session.id("item"),
    };
    let mut shown = item.value.clone();
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("id".to_owned(), json!(id));
        fields.insert("object".to_owned(), json!("realtime.item"));
        fields.insert("status".to_owned(), json!("completed"));
    }
    session.add(
        Item {
            id,
            text: said,
            counted,
            is_users,
        },
        &shown,
    )
}

fn delete_item(session: &mut Session, id: &str) -> Result<(), Failure> {
    let Some(place) = session.items.iter().position(|item| item.id == id) else {
        let message = format!("Error deleting item: the item with id '{id}' does not exist.");
        return Err(plain(message).code("item_delete_invalid_item_id"));
    };
    session.items.remove(place);
    session.tell(json!({ "type": "conversation.item.deleted", "item_id": id }));
    Ok(())
}
