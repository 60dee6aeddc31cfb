//! The events of a response.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::events::check_modalities;
use super::{Active, Counted, Item, Session, SimFrame};
use crate::directive::{Directive, Fault, InvalidDirective, UsageReport, Voice};
use crate::node::Node;
use crate::openai::check::{integer, object, one_of, plain, text};
use crate::tasks::sound;
use crate::tokens;
use crate::vendor::Failure;

/// One token of sound that comes out lasts 50 ms.
const OUTPUT_AUDIO_MILLISECONDS: u64 = 50;

/// What a response is made of.
struct Answer {
    id: String,
    item: String,
    words: String,
    is_audio: bool,
    input: Counted,
    output: Counted,
    cached: Counted,
    report: UsageReport,
    pause: Duration,
    /// Whether the conversation gets it.
    is_kept: bool,
}

/// Begins a response.
pub(super) fn create(session: &mut Session, wanted: Option<&Node<'_, '_>>) -> Result<(), Failure> {
    if session.setting("/type").and_then(Value::as_str) == Some("transcription") {
        return Err(
            plain("A transcription session cannot create responses.").code("invalid_request")
        );
    }
    if let Some(active) = &session.active {
        let message = format!(
            "Conversation already has an active response in progress: {}. Wait until the response is finished before creating \
             a new one.",
            active.id
        );
        return Err(plain(message).code("conversation_already_has_active_response"));
    }
    let (answer, directive) = read(session, wanted)?;
    let begun = session.pending.len();
    write(session, &answer);
    strike(session, &directive, begun);
    Ok(())
}

/// Reads what is asked for, the wishes in the user's last words among it.
fn read(
    session: &mut Session,
    wanted: Option<&Node<'_, '_>>,
) -> Result<(Answer, Directive), Failure> {
    let mut is_audio = session.setting("/output_modalities") == Some(&json!(["audio"]));
    let mut is_kept = true;
    let mut instructions = session
        .setting("/instructions")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    if let Some(wanted) = wanted {
        object(
            wanted,
            &[
                "conversation",
                "instructions",
                "output_modalities",
                "input",
                "max_output_tokens",
                "metadata",
                "tools",
                "tool_choice",
                "audio",
                "prompt",
            ],
        )?;
        if let Some(modalities) = wanted.present("output_modalities") {
            check_modalities(&modalities)?;
            is_audio = modalities.value == &json!(["audio"]);
        }
        if let Some(conversation) = wanted.present("conversation") {
            is_kept = one_of(&conversation, &["auto", "none"])? == "auto";
        }
        if let Some(most) = wanted.present("max_output_tokens")
            && most.text() != Some("inf")
        {
            integer(&most, 1, 4096)?;
        }
        if let Some(said) = wanted.present("instructions") {
            text(&said)?.clone_into(&mut instructions);
        }
    }
    let last = session.items.iter().rev().find(|item| item.is_users);
    let said = last.map(|item| item.text.clone()).unwrap_or_default();
    let (directive, said) =
        Directive::extract(&said).map_err(|InvalidDirective(problem)| plain(problem))?;
    let words = match &directive.voice {
        Voice::Echo if said.is_empty() => "This is a simulated answer to what you said.".to_owned(),
        Voice::Echo => format!("This is a simulated answer to: {said}"),
        Voice::Words(count) => vec!["simulated"; *count].join(" "),
        Voice::Unicode => "Größe, 世界, e\u{301}, 👩‍💻 (simulated).".to_owned(),
        Voice::Quoted(text) => text.clone(),
        Voice::Refusal => "I cannot help with that (simulated).".to_owned(),
    };
    let input = session.items.iter().fold(
        Counted {
            text: tokens::MESSAGE + tokens::of_text(&instructions),
            audio: 0,
        },
        |sum, item| Counted {
            text: sum.text + item.counted.text + tokens::MESSAGE,
            audio: sum.audio + item.counted.audio,
        },
    );
    let cached = Counted {
        text: directive
            .cached
            .unwrap_or(session.read_before.text)
            .min(input.text),
        audio: session.read_before.audio.min(input.audio),
    };
    session.read_before = input;
    let spoken = sound::spoken_milliseconds(&words).div_ceil(OUTPUT_AUDIO_MILLISECONDS);
    let output = Counted {
        text: tokens::of_text(&words),
        audio: if is_audio { spoken } else { 0 },
    };
    let answer = Answer {
        id: session.id("resp"),
        item: session.id("item"),
        words,
        is_audio,
        input,
        output,
        cached,
        report: directive.usage,
        pause: directive.chunk_delay,
        is_kept,
    };
    Ok((answer, directive))
}

/// Writes every event of the response, and lets the conversation have it.
fn write(session: &mut Session, answer: &Answer) {
    session.active = Some(Active {
        id: answer.id.clone(),
        item: answer.item.clone(),
        input: answer.input,
    });
    let response = answer.object(session, "in_progress", &json!([]), &Value::Null);
    session.tell(json!({ "type": "response.created", "response": response }));
    for event in answer.beginning() {
        session.tell_after(Duration::ZERO, event, true, false);
    }
    for word in answer.words.split_inclusive(' ') {
        let mut pause = answer.pause;
        for event in answer.deltas(word) {
            session.tell_after(std::mem::take(&mut pause), event, true, false);
        }
    }
    for event in answer.ending() {
        session.tell_after(Duration::ZERO, event, true, false);
    }
    let output = json!([answer.item("completed")]);
    let response = answer.object(session, "completed", &output, &answer.usage());
    let done = json!({ "type": "response.done", "response": response });
    session.tell_after(Duration::ZERO, done, true, true);
    if answer.is_kept {
        session.items.push(Item {
            id: answer.item.clone(),
            text: answer.words.clone(),
            counted: answer.output,
            is_users: false,
        });
    }
}

/// The fault that was wished for, in the events from `begun` on.
fn strike(session: &mut Session, directive: &Directive, begun: usize) {
    match &directive.fault {
        None => {}
        Some(Fault::HangBody) => session.pending.truncate(begun + 3),
        Some(Fault::Cut(count)) => {
            session.pending.truncate(begun + count);
            session.push(Duration::ZERO, SimFrame::Break, false, false);
        }
        Some(_) => {
            session.pending.truncate(begun + 1);
            let Some(active) = session.active.take() else {
                return;
            };
            let failed = json!({
                "type": "response.done",
                "response": {
                    "object": "realtime.response", "id": active.id, "status": "failed",
                    "status_details": { "type": "failed", "error": {
                        "type": "server_error", "code": "server_error",
                        "message": "The server had an error while processing your request. Sorry about that!",
                    } },
                    "output": [], "conversation_id": "conv_sim", "usage": null,
                },
            });
            session.tell_after(Duration::ZERO, failed, true, true);
        }
    }
}

/// Ends the response that is being made.
pub(super) fn cancel(session: &mut Session) -> Result<(), Failure> {
    let Some(active) = session.active.take() else {
        let message = "Cancellation failed: no active response found";
        return Err(plain(message).code("response_cancel_not_active"));
    };
    session.pending.retain(|pending| !pending.is_of_response);
    let usage = usage(
        active.input,
        Counted::default(),
        Counted { text: 1, audio: 0 },
    );
    session.tell(json!({
        "type": "response.done",
        "response": {
            "object": "realtime.response", "id": active.id, "status": "cancelled",
            "status_details": { "type": "cancelled", "reason": "client_cancelled" },
            "output": [{
                "id": active.item, "object": "realtime.item", "type": "message", "status": "incomplete",
                "role": "assistant", "content": [],
            }],
            "conversation_id": "conv_sim", "usage": usage,
        },
    }));
    Ok(())
}

impl Answer {
    /// An event about the one item.
    fn of_item(&self, kind: &str, more: &Value) -> Value {
        let place = json!({ "type": kind, "response_id": self.id, "output_index": 0 });
        joined(place, more)
    }

    /// An event about the item's one part.
    fn of_part(&self, kind: &str, more: &Value) -> Value {
        let event = self.of_item(kind, more);
        joined(event, &json!({ "item_id": self.item, "content_index": 0 }))
    }

    /// What the events of the words begin with.
    fn kind(&self) -> &'static str {
        if self.is_audio {
            "response.output_audio_transcript"
        } else {
            "response.output_text"
        }
    }

    fn part(&self, words: &str) -> Value {
        if self.is_audio {
            json!({ "type": "audio", "transcript": words })
        } else {
            json!({ "type": "text", "text": words })
        }
    }

    fn item(&self, status: &str) -> Value {
        let content = match (status, self.is_audio) {
            ("completed", true) => json!([{ "type": "output_audio", "transcript": self.words }]),
            ("completed", false) => json!([{ "type": "output_text", "text": self.words }]),
            _ => json!([]),
        };
        json!({
            "id": self.item, "object": "realtime.item", "type": "message", "status": status, "role": "assistant",
            "content": content,
        })
    }

    fn beginning(&self) -> [Value; 2] {
        let item = json!({ "item": self.item("in_progress") });
        [
            self.of_item("response.output_item.added", &item),
            self.of_part(
                "response.content_part.added",
                &json!({ "part": self.part("") }),
            ),
        ]
    }

    fn deltas(&self, word: &str) -> Vec<Value> {
        let kind = format!("{}.delta", self.kind());
        let mut deltas = vec![self.of_part(&kind, &json!({ "delta": word }))];
        if self.is_audio {
            let sound = STANDARD.encode(sound::make("pcm", word));
            let delta = json!({ "delta": sound });
            deltas.push(self.of_part("response.output_audio.delta", &delta));
        }
        deltas
    }

    fn ending(&self) -> Vec<Value> {
        let said = if self.is_audio { "transcript" } else { "text" };
        let mut ending = Vec::new();
        if self.is_audio {
            ending.push(self.of_part("response.output_audio.done", &json!({})));
        }
        let kind = format!("{}.done", self.kind());
        ending.push(self.of_part(&kind, &json!({ said: self.words })));
        let part = json!({ "part": self.part(&self.words) });
        ending.push(self.of_part("response.content_part.done", &part));
        let item = json!({ "item": self.item("completed") });
        ending.push(self.of_item("response.output_item.done", &item));
        ending
    }

    fn usage(&self) -> Value {
        match self.report {
            UsageReport::None => Value::Null,
            UsageReport::Zero => usage(Counted::default(), Counted::default(), Counted::default()),
            UsageReport::Full => usage(self.input, self.cached, self.output),
        }
    }

    fn object(&self, session: &Session, status: &str, output: &Value, usage: &Value) -> Value {
        json!({
            "object": "realtime.response", "id": self.id, "status": status, "status_details": null, "output": output,
            "conversation_id": self.is_kept.then_some("conv_sim"),
            "output_modalities": [if self.is_audio { "audio" } else { "text" }],
            "max_output_tokens": session.setting("/max_output_tokens"),
            "audio": { "output": session.setting("/audio/output") },
            "usage": usage, "metadata": null,
        })
    }
}

fn usage(input: Counted, cached: Counted, output: Counted) -> Value {
    let (input_tokens, output_tokens) = (input.text + input.audio, output.text + output.audio);
    json!({
        "total_tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_token_details": {
            "text_tokens": input.text, "audio_tokens": input.audio, "image_tokens": 0,
            "cached_tokens": cached.text + cached.audio,
            "cached_tokens_details": { "text_tokens": cached.text, "audio_tokens": cached.audio, "image_tokens": 0 },
        },
        "output_token_details": { "text_tokens": output.text, "audio_tokens": output.audio },
    })
}

/// One object with the members of another beside its own.
fn joined(mut object: Value, more: &Value) -> Value {
    if let (Some(object), Some(more)) = (object.as_object_mut(), more.as_object()) {
        object.extend(more.clone());
    }
    object
}
