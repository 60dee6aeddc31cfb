//! Reads along with a streamed answer.

use std::collections::BTreeMap;

use domain::chat::ChatEvent;
use providers::collect::Collector;

use super::{Keeper, MAX_STATE};

/// Reads along with a streamed answer, and keeps the state of each choice as soon as it is finished: the
/// caller may go away, or ask again, before the stream is over.
pub(crate) struct Reader {
    keeper: Keeper,
    /// Each on the heap, since a map makes room for eleven at once and most answers have one.
    choices: BTreeMap<u32, Box<Collector>>,
    bytes: usize,
    /// The choice whose words were noted last, while nothing else comes: most of a stream is one run of
    /// words.
    speaking: Option<u32>,
}

impl Reader {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self {
            keeper,
            choices: BTreeMap::new(),
            bytes: 0,
            speaking: None,
        }
    }

    /// Reads one event.
    pub(crate) fn note(&mut self, event: &ChatEvent) {
        let speaking = match event {
            ChatEvent::Text { choice, .. } => Some(*choice),
            _ => None,
        };
        if std::mem::replace(&mut self.speaking, speaking) == speaking && speaking.is_some() {
            return;
        }
        let (choice, noted) = match event {
            ChatEvent::Finish { choice, .. } => return self.finish(*choice),
            // That words stood here is all that matters of them.
            ChatEvent::Text { choice, .. } => {
                let text = String::new();
                let choice = *choice;
                (choice, ChatEvent::Text { choice, text })
            }
            ChatEvent::Reasoning { choice, text } => {
                self.bytes += text.len();
                (*choice, event.clone())
            }
            ChatEvent::ReasoningSignature { choice, signature } => {
                self.bytes += signature.len();
                (*choice, event.clone())
            }
            ChatEvent::RedactedReasoning { choice, data } => {
                self.bytes += data.len();
                (*choice, event.clone())
            }
            ChatEvent::ToolCallStart {
                choice,
                id,
                name,
                signature,
                ..
            } => {
                self.bytes += id.len() + name.len() + signature.as_ref().map_or(0, String::len);
                (*choice, event.clone())
            }
            ChatEvent::Start { .. }
            | ChatEvent::Refusal { .. }
            | ChatEvent::ToolCallArguments { .. }
            | ChatEvent::ToolCallEnd { .. }
            | ChatEvent::Logprobs { .. }
            | ChatEvent::Annotation { .. }
            | ChatEvent::Unknown { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::ServiceTier(_)
            | ChatEvent::Ping
            | ChatEvent::Error(_) => return,
        };
        if self.bytes <= MAX_STATE {
            self.choices.entry(choice).or_default().push(noted);
        }
    }

    fn finish(&mut self, choice: u32) {
        let Some(collector) = self.choices.remove(&choice) else {
            return;
        };
        // A part of the thoughts is worth nothing.
        if self.bytes > MAX_STATE {
            return;
        }
        for choice in collector.finish().choices {
            self.keeper.keep(&choice.content);
        }
    }
}
