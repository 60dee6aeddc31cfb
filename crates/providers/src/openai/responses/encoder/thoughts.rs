//! What the model thinks, and what a provider wants back that the format has no place for.

use bytes::BytesMut;
use domain::chat::Reasoning;

use super::super::custody::Sealed;
use super::super::items::{self, Item, Status, Summary};
use super::events::{close, field};
use super::{EventEncoder, Open};

impl EventEncoder {
    pub(super) fn reasoning(&mut self, choice: u32, piece: &str, out: &mut BytesMut) {
        let continues = matches!(
            &self.open,
            Open::Thought { choice: thinking, thought, .. }
                if *thinking == choice && thought.signature.is_none()
        );
        if !continues {
            self.shut(Status::Completed, out);
            let place = self.items.len();
            let item = self.frame.ids.silent_reasoning(place);
            self.add(Item::Made(item), out);
            self.item_event("response.reasoning_summary_part.added", place, out);
            field("summary_index", &0, out);
            field("part", &summary(""), out);
            close(out);
            self.open = Open::Thought {
                choice,
                place,
                thought: Reasoning {
                    text: Some(String::new()),
                    ..Reasoning::default()
                },
            };
        }
        let Open::Thought { place, thought, .. } = &mut self.open else {
            return;
        };
        let place = *place;
        thought.text.get_or_insert_default().push_str(piece);
        self.item_event("response.reasoning_summary_text.delta", place, out);
        field("summary_index", &0, out);
        field("delta", piece, out);
        close(out);
    }

    pub(super) fn end_thought(&mut self, place: usize, thought: Reasoning, out: &mut BytesMut) {
        let text = thought.text.clone().unwrap_or_default();
        self.item_event("response.reasoning_summary_text.done", place, out);
        field("summary_index", &0, out);
        field("text", &text, out);
        close(out);
        self.item_event("response.reasoning_summary_part.done", place, out);
        field("summary_index", &0, out);
        field("part", &summary(&text), out);
        close(out);
        let whole = self.frame.ids.reasoning(place, &Sealed::Thought(thought));
        if let Some(made) = self.made(place) {
            *made = whole;
        }
        self.done(place, Status::Completed, out);
    }

    /// A signature belongs to what was said before it.
    pub(super) fn sign(&mut self, choice: u32, signature: &str, out: &mut BytesMut) {
        let signature = signature.to_owned();
        let ends_in_text = self.ends_in_text();
        match &mut self.open {
            Open::Thought {
                choice: thinking,
                thought,
                ..
            } if *thinking == choice && thought.signature.is_none() => {
                thought.signature = Some(signature);
            }
            Open::Message {
                choice: speaking, ..
            } if *speaking == choice && ends_in_text => {
                self.seal(&Sealed::Text { signature }, out);
            }
            _ => {
                let thought = Reasoning {
                    signature: Some(signature),
                    ..Reasoning::default()
                };
                self.seal(&Sealed::Thought(thought), out);
            }
        }
    }

    pub(super) fn redacted(&mut self, data: &str, out: &mut BytesMut) {
        let sealed = Reasoning {
            redacted: Some(data.to_owned()),
            ..Reasoning::default()
        };
        if let Open::Thought { thought, .. } = &mut self.open
            && items::completes(thought, &sealed)
        {
            thought.redacted = sealed.redacted;
            self.shut(Status::Completed, out);
            return;
        }
        self.seal(&Sealed::Thought(sealed), out);
    }

    /// A thought that says nothing and keeps what the provider wants back.
    pub(super) fn seal(&mut self, sealed: &Sealed, out: &mut BytesMut) {
        self.shut(Status::Completed, out);
        let place = self.items.len();
        let silent = self.frame.ids.silent_reasoning(place);
        self.add(Item::Made(silent), out);
        let whole = self.frame.ids.reasoning(place, sealed);
        if let Some(made) = self.made(place) {
            *made = whole;
        }
        self.done(place, Status::Completed, out);
    }
}

fn summary(text: &str) -> Summary {
    Summary::SummaryText {
        text: text.to_owned(),
    }
}
