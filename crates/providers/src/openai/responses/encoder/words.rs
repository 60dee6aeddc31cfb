//! What the model says: messages and their parts, one after the other.

use bytes::{BufMut, BytesMut};
use domain::chat::Annotation;
use serde_json::value::RawValue;

use super::super::annotations;
use super::super::items::{self, Content, Item, Status};
use super::events::{close, field};
use super::{EventEncoder, Open};

/// Which text a piece belongs to.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Refusal,
}

impl EventEncoder {
    /// Where the open part of this kind stands: its item and its number in it. Opens what is not open.
    fn part(&mut self, choice: u32, kind: Kind, out: &mut BytesMut) -> (usize, usize) {
        let place = match self.open {
            Open::Message {
                choice: speaking,
                place,
            } if speaking == choice => place,
            _ => {
                self.shut(Status::Completed, out);
                let message = self.frame.ids.message(self.items.len());
                let place = self.add(Item::Made(message), out);
                self.open = Open::Message { choice, place };
                place
            }
        };
        let parts = self.parts(place);
        let (count, is_same) = parts.map_or((0, false), |parts| {
            let is_same = matches!(
                (parts.last(), kind),
                (Some(Content::OutputText { .. }), Kind::Text)
                    | (Some(Content::Refusal { .. }), Kind::Refusal)
            );
            (parts.len(), is_same)
        });
        if is_same {
            return (place, count - 1);
        }
        self.end_part(place, out);
        let part = match kind {
            Kind::Text => Content::text(""),
            Kind::Refusal => Content::Refusal {
                refusal: String::new(),
            },
        };
        self.item_event("response.content_part.added", place, out);
        field("content_index", &count, out);
        field("part", &part, out);
        close(out);
        if let Some(parts) = self.parts(place) {
            parts.push(part);
        }
        (place, count)
    }

    pub(super) fn words(&mut self, choice: u32, kind: Kind, piece: &str, out: &mut BytesMut) {
        let (place, index) = self.part(choice, kind, out);
        match self.parts(place).and_then(|parts| parts.last_mut()) {
            Some(Content::OutputText { text, .. }) => text.push_str(piece),
            Some(Content::Refusal { refusal }) => refusal.push_str(piece),
            None => {}
        }
        let event = match kind {
            Kind::Text => "response.output_text.delta",
            Kind::Refusal => "response.refusal.delta",
        };
        self.item_event(event, place, out);
        field("content_index", &index, out);
        field("delta", piece, out);
        if matches!(kind, Kind::Text) {
            out.put_slice(b",\"logprobs\":[]");
        }
        close(out);
    }

    /// What clients do not know is told when its part is done: they refuse an event with it.
    pub(super) fn annotate(&mut self, choice: u32, annotation: &Annotation, out: &mut BytesMut) {
        let (place, index) = self.part(choice, Kind::Text, out);
        let annotation = annotations::flat(annotation);
        let Some(Content::OutputText {
            annotations,
            native_annotations,
            ..
        }) = self.parts(place).and_then(|parts| parts.last_mut())
        else {
            return;
        };
        if !annotations::is_own(&annotation) {
            native_annotations.push(annotation);
            return;
        }
        let number = annotations.len();
        annotations.push(annotation.clone());
        self.item_event("response.output_text.annotation.added", place, out);
        field("content_index", &index, out);
        field("annotation_index", &number, out);
        field("annotation", &annotation, out);
        close(out);
    }

    /// Probabilities come after their text; they are shown when it is done.
    pub(super) fn logprobs(&mut self, choice: u32, raw: &RawValue, out: &mut BytesMut) {
        let told = items::logprobs_of(raw);
        if told.is_empty() {
            return;
        }
        let (place, _) = self.part(choice, Kind::Text, out);
        if let Some(Content::OutputText { logprobs, .. }) =
            self.parts(place).and_then(|parts| parts.last_mut())
        {
            let told = told.iter().map(|raw| items::on_one_line(raw).into_owned());
            logprobs.extend(told);
        }
    }

    /// Ends the last part of the message at `place`, if it has one.
    pub(super) fn end_part(&mut self, place: usize, out: &mut BytesMut) {
        let Some(parts) = self.parts(place) else {
            return;
        };
        let (Some(part), index) = (parts.last().cloned(), parts.len().saturating_sub(1)) else {
            return;
        };
        match &part {
            Content::OutputText { text, logprobs, .. } => {
                self.item_event("response.output_text.done", place, out);
                field("content_index", &index, out);
                field("text", text, out);
                field("logprobs", logprobs, out);
            }
            Content::Refusal { refusal } => {
                self.item_event("response.refusal.done", place, out);
                field("content_index", &index, out);
                field("refusal", refusal, out);
            }
        }
        close(out);
        self.item_event("response.content_part.done", place, out);
        field("content_index", &index, out);
        field("part", &part, out);
        close(out);
    }

    pub(super) fn ends_in_text(&mut self) -> bool {
        let Open::Message { place, .. } = self.open else {
            return false;
        };
        let parts = self.parts(place);
        parts.is_some_and(|parts| matches!(parts.last(), Some(Content::OutputText { .. })))
    }
}
