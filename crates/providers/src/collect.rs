//! Folds a stream into a whole answer, for callers who did not ask for a stream.

use std::collections::BTreeMap;

use domain::chat::{
    ChatEvent, ChatResponse, Choice, Finish, FinishReason, Part, Reasoning, Text, ToolCall,
};

/// Folds events into a [`ChatResponse`]. Pieces of the same kind that follow each other become one part.
#[derive(Debug, Default)]
pub struct Collector {
    response: ChatResponse,
    choices: BTreeMap<u32, Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    content: Vec<Part>,
    /// Where in `content` each tool call stands.
    calls: BTreeMap<u32, usize>,
    finish: Option<Finish>,
    logprobs: Option<Box<serde_json::value::RawValue>>,
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
            ChatEvent::Logprobs { choice, raw } => self.choice(choice).logprobs = Some(raw),
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
            logprobs: collected.logprobs,
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
