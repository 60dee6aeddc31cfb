//! Folds a stream into a whole answer, for callers who did not ask for a stream.

use std::collections::BTreeMap;

use domain::chat::{
    ChatEvent, ChatResponse, Choice, Finish, FinishReason, Part, Reasoning, Text, ToolCall,
};
use serde_json::value::RawValue;

/// Folds events into a [`ChatResponse`]. Pieces of the same kind that follow each other become one part.
#[derive(Debug, Default)]
pub struct Collector {
    response: ChatResponse,
    /// Each on the heap, since a map makes room for eleven at once and most answers have one.
    choices: BTreeMap<u32, Box<Collected>>,
}

#[derive(Debug, Default)]
struct Collected {
    content: Vec<Part>,
    /// Where in `content` each tool call stands.
    calls: BTreeMap<u32, usize>,
    finish: Option<Finish>,
    /// The probabilities of each piece.
    logprobs: Vec<Box<RawValue>>,
}

impl Collector {
    /// Takes the next event. [`ChatEvent::Error`] is the caller's to notice.
    pub fn push(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Start { id, model } => {
                self.response.id = id;
                self.response.model = model;
            }
            ChatEvent::Text { choice, text } => self.choice(choice).text(&text),
            ChatEvent::Reasoning { choice, text } => self.choice(choice).reasoning(&text),
            ChatEvent::ReasoningSignature { choice, signature } => {
                self.choice(choice).sign(signature);
            }
            ChatEvent::RedactedReasoning { choice, data } => {
                let redacted = Reasoning {
                    redacted: Some(data),
                    ..Reasoning::default()
                };
                self.choice(choice).content.push(Part::Reasoning(redacted));
            }
            ChatEvent::Refusal { choice, text } => self.choice(choice).refusal(&text),
            ChatEvent::ToolCallStart {
                choice,
                call,
                id,
                name,
                signature,
            } => {
                let collected = self.choice(choice);
                collected.calls.insert(call, collected.content.len());
                let call = ToolCall {
                    id,
                    name,
                    signature,
                    ..ToolCall::default()
                };
                collected.content.push(Part::ToolCall(call));
            }
            ChatEvent::ToolCallArguments {
                choice,
                call,
                fragment,
            } => {
                self.choice(choice).arguments(call, &fragment);
            }
            ChatEvent::Annotation { choice, annotation } => {
                self.choice(choice).annotate(annotation);
            }
            ChatEvent::Unknown {
                choice,
                format,
                raw,
            } => {
                self.choice(choice)
                    .content
                    .push(Part::Unknown { format, raw });
            }
            ChatEvent::Logprobs { choice, raw } => self.choice(choice).logprobs.push(raw),
            ChatEvent::Finish { choice, finish } => self.choice(choice).finish = Some(finish),
            ChatEvent::Usage(usage) => self.response.usage = Some(usage),
            ChatEvent::ServiceTier(tier) => self.response.service_tier = Some(tier),
            ChatEvent::ToolCallEnd { .. } | ChatEvent::Ping | ChatEvent::Error(_) => {}
        }
    }

    /// The whole answer.
    pub fn finish(self) -> ChatResponse {
        let choices = self.choices.into_iter().map(|(index, collected)| Choice {
            index,
            content: collected.content,
            finish: collected.finish.unwrap_or_else(|| Finish {
                reason: FinishReason::Error,
                native: String::new(),
                stop_sequence: None,
            }),
            logprobs: joined(collected.logprobs),
        });
        ChatResponse {
            choices: choices.collect(),
            ..self.response
        }
    }

    fn choice(&mut self, index: u32) -> &mut Collected {
        self.choices.entry(index).or_default()
    }
}

impl Collected {
    fn text(&mut self, piece: &str) {
        if let Some(Part::Text(text)) = self.content.last_mut() {
            text.text.push_str(piece);
        } else {
            self.content.push(Part::Text(Text::from(piece)));
        }
    }

    fn reasoning(&mut self, piece: &str) {
        if let Some(Part::Reasoning(Reasoning {
            text: Some(text),
            signature: None,
            ..
        })) = self.content.last_mut()
        {
            text.push_str(piece);
        } else {
            let reasoning = Reasoning {
                text: Some(piece.to_owned()),
                ..Reasoning::default()
            };
            self.content.push(Part::Reasoning(reasoning));
        }
    }

    /// A signature belongs to the part before it; one that comes alone is a thought without words.
    fn sign(&mut self, signature: String) {
        match self.content.last_mut() {
            Some(Part::Reasoning(reasoning)) if reasoning.signature.is_none() => {
                reasoning.signature = Some(signature);
            }
            Some(Part::Text(text)) if text.signature.is_none() => text.signature = Some(signature),
            _ => {
                let reasoning = Reasoning {
                    signature: Some(signature),
                    ..Reasoning::default()
                };
                self.content.push(Part::Reasoning(reasoning));
            }
        }
    }

    fn refusal(&mut self, piece: &str) {
        if let Some(Part::Refusal(text)) = self.content.last_mut() {
            text.push_str(piece);
        } else {
            self.content.push(Part::Refusal(piece.to_owned()));
        }
    }

    fn arguments(&mut self, call: u32, fragment: &str) {
        let place = self.calls.get(&call).copied();
        if let Some(Part::ToolCall(call)) = place.and_then(|place| self.content.get_mut(place)) {
            call.arguments.push_str(fragment);
        }
    }

    fn annotate(&mut self, annotation: domain::chat::Annotation) {
        if let Some(Part::Text(text)) = self
            .content
            .iter_mut()
            .rev()
            .find(|part| matches!(part, Part::Text(_)))
        {
            text.annotations.push(annotation);
        }
    }
}

/// One object of the probabilities of all pieces: lists of the same name follow each other.
fn joined(mut pieces: Vec<Box<RawValue>>) -> Option<Box<RawValue>> {
    if pieces.len() < 2 {
        return pieces.pop();
    }
    let mut whole: BTreeMap<String, Option<Vec<Box<RawValue>>>> = BTreeMap::new();
    for piece in &pieces {
        // What is not of OpenAI's shape cannot be joined with anything.
        let lists: BTreeMap<String, Option<Vec<Box<RawValue>>>> =
            serde_json::from_str(piece.get()).unwrap_or_default();
        for (name, list) in lists {
            let known = whole.entry(name).or_default();
            if let Some(list) = list {
                known.get_or_insert_default().extend(list);
            }
        }
    }
    serde_json::value::to_raw_value(&whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_interleaved_calls_find_their_call() {
        let start = |call: u32| ChatEvent::ToolCallStart {
            choice: 0,
            call,
            id: call.to_string(),
            name: "look".to_owned(),
            signature: None,
        };
        let piece = |call, fragment: &str| ChatEvent::ToolCallArguments {
            choice: 0,
            call,
            fragment: fragment.to_owned(),
        };
        let mut collector = Collector::default();
        for event in [
            start(0),
            start(1),
            piece(0, "{"),
            piece(1, "[]"),
            piece(0, "}"),
        ] {
            collector.push(event);
        }
        let answer = collector.finish();
        let arguments: Vec<_> = answer
            .choices
            .iter()
            .flat_map(|choice| &choice.content)
            .filter_map(|part| match part {
                Part::ToolCall(call) => Some(call.arguments.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(arguments, ["{}", "[]"]);
    }

    #[test]
    fn probabilities_of_the_pieces_are_joined() {
        let mut collector = Collector::default();
        for json in [
            r#"{"content":[{"token":"a"}],"refusal":null}"#,
            r#"{"content":[{"token":"b"},{"token":"c"}],"refusal":null}"#,
        ] {
            collector.push(ChatEvent::Logprobs {
                choice: 0,
                raw: RawValue::from_string(json.to_owned()).unwrap(),
            });
        }
        let answer = collector.finish();
        let logprobs = answer
            .choices
            .first()
            .and_then(|choice| choice.logprobs.as_ref());
        assert_eq!(
            logprobs.map(|raw| raw.get()),
            Some(r#"{"content":[{"token":"a"},{"token":"b"},{"token":"c"}],"refusal":null}"#)
        );
    }

    #[test]
    fn an_answer_that_never_finished_says_error() {
        let mut collector = Collector::default();
        collector.push(ChatEvent::Text {
            choice: 0,
            text: "Hal".to_owned(),
        });
        let answer = collector.finish();
        assert_eq!(
            answer.choices.first().map(|choice| choice.finish.reason),
            Some(FinishReason::Error)
        );
    }
}
