//! OpenAI's realtime sessions over WebSocket, a strict subset of their events.
//! Reference: <https://platform.openai.com/docs/api-reference/realtime>.
//!
//! `events` reads what clients send, `reply` makes the events of a response, and [`Session`] keeps what both share.
//!
//! Speech is heard where sound is followed by silence: a chunk of zeros ends what was said, and with `turn_detection` a response
//! begins by itself. Wishes stand in the last words of the user.

mod events;
mod reply;

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::check::INVALID;
use crate::digest::Digest;
use crate::vendor::Failure;

/// The most items of a conversation; a client that never stops must not fill the memory.
const MOST_ITEMS: usize = 10_000;
/// The most events that wait to be sent.
const MOST_PENDING: usize = 100_000;
/// Tokens of sound that goes in: one for each 100 ms.
const INPUT_AUDIO_MILLISECONDS: u64 = 100;

/// What a session sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimFrame {
    /// An event.
    Text(String),
    /// The connection breaks, because a client wished for it.
    Break,
}

/// Models that hold such conversations: `gpt` and whatever is called realtime.
pub(crate) fn is_realtime_model(model: &str) -> bool {
    model == "gpt" || (model.starts_with("gpt-") && model.contains("realtime"))
}

/// One conversation.
#[derive(Debug)]
pub(crate) struct Session {
    seed: u64,
    /// Ids that were given.
    ids: u64,
    /// As the vendor shows it.
    settings: Value,
    items: Vec<Item>,
    buffer: Buffer,
    /// The response that is being made.
    active: Option<Active>,
    /// Tokens that the last response read; the next finds them in the cache.
    read_before: Counted,
    pending: VecDeque<Pending>,
    is_broken: bool,
}

/// Something that was said.
#[derive(Debug)]
struct Item {
    id: String,
    text: String,
    counted: Counted,
    is_users: bool,
}

/// Tokens by what they are of.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    text: u64,
    audio: u64,
}

/// Sound that no item has yet.
#[derive(Debug, Default)]
struct Buffer {
    milliseconds: u64,
    has_speech: bool,
}

#[derive(Debug)]
struct Active {
    id: String,
    item: String,
    /// What it will have taken when it is cancelled.
    input: Counted,
}

#[derive(Debug)]
struct Pending {
    at: Instant,
    frame: SimFrame,
    /// The response that is over with it.
    ends_response: bool,
    /// Whether it is of the response that is being made.
    is_of_response: bool,
}

impl Session {
    /// A session that has just begun with `model`; `is_transcription` when it only writes down what is said.
    pub(crate) fn new(
        seed: u64,
        model: &str,
        is_transcription: bool,
        sequence: u64,
        now: u64,
    ) -> Self {
        let mut session = Self {
            seed: Digest::new(seed).with_number(sequence).value(),
            ids: 0,
            settings: Value::Null,
            items: Vec::new(),
            buffer: Buffer::default(),
            active: None,
            read_before: Counted::default(),
            pending: VecDeque::new(),
            is_broken: false,
        };
        session.settings = json!({
            "type": "realtime",
            "object": "realtime.session",
            "id": session.id("sess"),
            "model": model,
            "output_modalities": ["audio"],
            "instructions": "Say that you are simulated.",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": null,
            "truncation": "auto",
            "prompt": null,
            "expires_at": now + 3600,
            "audio": {
                "input": {
                    "format": { "type": "audio/pcm", "rate": 24000 },
                    "transcription": null,
                    "noise_reduction": null,
                    "turn_detection": {
                        "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200,
                        "idle_timeout_ms": null, "create_response": true, "interrupt_response": true,
                    },
                },
                "output": { "format": { "type": "audio/pcm", "rate": 24000 }, "voice": "marin", "speed": 1.0 },
            },
            "include": null,
        });
        if is_transcription {
            session.only_write_down();
        }
        let created = json!({ "type": "session.created", "session": session.settings });
        session.tell(created);
        session
    }

    /// Makes it one that writes down what is said and answers nothing.
    fn only_write_down(&mut self) {
        let Some(settings) = self.settings.as_object_mut() else {
            return;
        };
        settings.retain(|key, _| matches!(key.as_str(), "id" | "expires_at" | "audio" | "include"));
        settings.insert("type".to_owned(), json!("transcription"));
        settings.insert("object".to_owned(), json!("realtime.transcription_session"));
        if let Some(audio) = settings.get_mut("audio").and_then(Value::as_object_mut) {
            audio.remove("output");
        }
    }

    /// Takes one message of the client.
    pub(crate) fn take(&mut self, text: &str) {
        let (event_id, taken) = match serde_json::from_str::<Value>(text) {
            Ok(event) => {
                let event_id = event.get("event_id").cloned().unwrap_or_default();
                (event_id, events::take(self, &event))
            }
            Err(_) => (
                Value::Null,
                Err(Failure::new(
                    400,
                    INVALID,
                    "We could not parse the JSON body of your message.",
                )
                .code("invalid_json")),
            ),
        };
        if let Err(failure) = taken {
            self.tell_error(&failure, &event_id);
        }
    }

    /// The next frame when its time has come; `None` when the connection is broken. It waits for as long as there is none, and may
    /// be dropped at any time.
    pub(crate) async fn next(&mut self) -> Option<SimFrame> {
        if self.is_broken {
            return None;
        }
        match self.pending.front() {
            None => std::future::pending().await,
            Some(pending) => tokio::time::sleep_until(pending.at).await,
        }
        let pending = self.pending.pop_front()?;
        if pending.ends_response {
            self.active = None;
        }
        self.is_broken = pending.frame == SimFrame::Break;
        Some(pending.frame)
    }

    fn id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        let hash = Digest::new(self.seed).with_number(self.ids).value();
        format!("{prefix}_sim{hash:016x}")
    }

    /// Sends an event at once.
    fn tell(&mut self, event: Value) {
        self.tell_after(Duration::ZERO, event, false, false);
    }

    fn tell_after(
        &mut self,
        pause: Duration,
        mut event: Value,
        is_of_response: bool,
        ends_response: bool,
    ) {
        let id = self.id("event");
        if let Some(fields) = event.as_object_mut() {
            fields.insert("event_id".to_owned(), json!(id));
        }
        self.push(
            pause,
            SimFrame::Text(event.to_string()),
            is_of_response,
            ends_response,
        );
    }

    fn push(
        &mut self,
        pause: Duration,
        frame: SimFrame,
        is_of_response: bool,
        ends_response: bool,
    ) {
        if self.pending.len() >= MOST_PENDING {
            self.is_broken = true;
            return;
        }
        let now = Instant::now();
        let last = self
            .pending
            .back()
            .map_or(now, |pending| pending.at.max(now));
        self.pending.push_back(Pending {
            at: last + pause,
            frame,
            ends_response,
            is_of_response,
        });
    }

    fn tell_error(&mut self, failure: &Failure, event_id: &Value) {
        self.tell(json!({
            "type": "error",
            "error": {
                "type": failure.kind, "code": failure.code, "message": failure.message, "param": failure.param,
                "event_id": event_id,
            },
        }));
    }

    /// Adds what was said to the conversation.
    fn add(&mut self, item: Item, shown: &Value) -> Result<(), Failure> {
        if self.items.len() >= MOST_ITEMS {
            return Err(Failure::new(
                400,
                INVALID,
                "The conversation has too many items.",
            ));
        }
        let previous = self.items.last().map(|item| item.id.clone());
        self.items.push(item);
        for kind in ["conversation.item.added", "conversation.item.done"] {
            self.tell(json!({ "type": kind, "previous_item_id": previous, "item": shown }));
        }
        Ok(())
    }

    /// What stands at a place of the settings, unless it is null.
    fn setting(&self, pointer: &str) -> Option<&Value> {
        self.settings
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }
}
