//! The rules of speech. See <https://platform.openai.com/docs/api-reference/audio/createSpeech>.

use serde_json::json;

use super::super::check::{bad, decimal, object, one_of, required, short_text, text};
use super::{GENEROUS, known, model, no_such_model, tokens, wish};
use crate::media;
use crate::node::Node;
use crate::tasks::{Asked, Output, SimTaskUsage, Wish, pieces, sound};
use crate::tokens as counted;
use crate::vendor::Failure;

const PARAMETERS: [&str; 7] = [
    "model",
    "input",
    "voice",
    "instructions",
    "response_format",
    "speed",
    "stream_format",
];
const VOICES: [&str; 13] = [
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse",
    "marin", "cedar",
];

/// `POST /v1/audio/speech`
pub(crate) fn speak(asked: &Asked<'_>) -> Result<Wish, Failure> {
    let body = asked.json()?;
    let root = Node::root(&body);
    known(&root, &PARAMETERS)?;
    let name = model(&root)?;
    if !(name == GENEROUS || name.starts_with("tts-1") || name.starts_with("gpt-4o-mini-tts")) {
        return Err(no_such_model(name));
    }
    let is_old = name.starts_with("tts-1");
    let input = required(&root, "input")?;
    let said = short_text(&input, 4_096)?;
    if said.is_empty() {
        return Err(bad(
            &input,
            "empty_string",
            "Invalid 'input': string too short. Expected a string with minimum length 1.",
        ));
    }
    let voice = required(&root, "voice")?;
    if voice.value.is_object() {
        object(&voice, &["id"])?;
        text(&required(&voice, "id")?)?;
    } else if name == GENEROUS {
        text(&voice)?;
    } else {
        one_of(&voice, &VOICES)?;
    }
    if let Some(instructions) = root.present("instructions") {
        text(&instructions)?;
    }
    let format = match root.present("response_format") {
        None => "mp3",
        Some(format) => one_of(&format, &["mp3", "opus", "aac", "flac", "wav", "pcm"])?,
    }
    .to_owned();
    if let Some(speed) = root.present("speed") {
        decimal(&speed, 0.25, 4.0)?;
    }
    let events = match root.present("stream_format") {
        None => false,
        Some(format) => {
            let events = one_of(&format, &["sse", "audio"])? == "sse";
            if events && is_old {
                return Err(bad(
                    &format,
                    "unsupported_value",
                    "Unsupported value: 'sse' is not supported with this model.",
                ));
            }
            events
        }
    };
    Ok(wish(name, said, events, move |understood| {
        let sound = sound::make(&format, understood.said);
        let input = counted::of_text(understood.said);
        // Twenty tokens a second.
        let output = sound::spoken_milliseconds(understood.said).div_ceil(50);
        let usage = SimTaskUsage {
            characters: understood.said.chars().count() as u64,
            input_tokens: input,
            output_tokens: output,
            ..SimTaskUsage::default()
        };
        if !events {
            return (Output::Bytes(sound::media_type(&format), sound), usage);
        }
        let mut told: Vec<_> = pieces(&sound)
            .iter()
            .map(|piece| {
                (
                    None,
                    json!({"type": "speech.audio.delta", "audio": media::encode(piece)}),
                )
            })
            .collect();
        told.push((
            None,
            json!({"type": "speech.audio.done", "usage": tokens(input, output)}),
        ));
        (Output::Events(told), usage)
    }))
}
