//! Unfolds a whole answer into the events of a stream, for callers who asked for a stream that the provider
//! would not give.

use domain::chat::{ChatEvent, ChatResponse, Part};

/// Appends the events of an answer.
pub fn unfold(response: ChatResponse, events: &mut Vec<ChatEvent>) {
    events.push(ChatEvent::Start {
        id: response.id,
        model: response.model,
    });
    events.extend(response.service_tier.map(ChatEvent::ServiceTier));
    for choice in response.choices {
        let mut calls = 0;
        for part in choice.content {
            unfold_part(choice.index, part, &mut calls, events);
        }
        events.extend(choice.logprobs.map(|raw| ChatEvent::Logprobs {
            choice: choice.index,
            raw,
        }));
        events.push(ChatEvent::Finish {
            choice: choice.index,
            finish: choice.finish,
        });
    }
    events.extend(response.usage.map(ChatEvent::Usage));
}

fn unfold_part(choice: u32, part: Part, calls: &mut u32, events: &mut Vec<ChatEvent>) {
    let signed = |signature: String| ChatEvent::ReasoningSignature { choice, signature };
    match part {
        Part::Text(text) => {
            if !text.text.is_empty() {
                events.push(ChatEvent::Text {
                    choice,
                    text: text.text,
                });
            }
            events.extend(text.signature.map(signed));
            let annotations = text.annotations.into_iter();
            events
                .extend(annotations.map(|annotation| ChatEvent::Annotation { choice, annotation }));
        }
        Part::Reasoning(reasoning) => {
            let text = reasoning.text.filter(|text| !text.is_empty());
            events.extend(text.map(|text| ChatEvent::Reasoning { choice, text }));
            events.extend(reasoning.signature.map(signed));
            let redacted = reasoning.redacted;
            events.extend(redacted.map(|data| ChatEvent::RedactedReasoning { choice, data }));
        }
        Part::Refusal(text) => {
            if !text.is_empty() {
                events.push(ChatEvent::Refusal { choice, text });
            }
        }
        Part::ToolCall(made) => {
            let call = *calls;
            *calls += 1;
            events.push(ChatEvent::ToolCallStart {
                choice,
                call,
                id: made.id,
                name: made.name,
                signature: made.signature,
            });
            if !made.arguments.is_empty() {
                events.push(ChatEvent::ToolCallArguments {
                    choice,
                    call,
                    fragment: made.arguments,
                });
            }
            events.push(ChatEvent::ToolCallEnd { choice, call });
        }
        Part::Unknown { format, raw } => events.push(ChatEvent::Unknown {
            choice,
            format,
            raw,
        }),
        // No provider answers with media in a chat of this domain; what it sent is kept as unknown.
        Part::Image(_) | Part::Document(_) | Part::Audio(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use domain::chat::{Choice, Finish, FinishReason, Reasoning, ToolCall};
    use domain::usage::Usage;

    use super::*;
    use crate::collect::Collector;

    fn answer() -> ChatResponse {
        let thought = Reasoning {
            text: Some("Let me see.".to_owned()),
            signature: Some("c2ln".to_owned()),
            redacted: None,
        };
        let call = |id: &str, arguments: &str| {
            Part::ToolCall(ToolCall {
                id: id.to_owned(),
                name: "look".to_owned(),
                arguments: arguments.to_owned(),
                ..ToolCall::default()
            })
        };
        let choice = |index, content| Choice {
            index,
            content,
            finish: Finish {
                reason: FinishReason::ToolCalls,
                native: "tool_use".to_owned(),
                stop_sequence: None,
            },
            logprobs: None,
        };
        ChatResponse {
            id: Some("a".to_owned()),
            model: Some("m".to_owned()),
            choices: vec![
                choice(
                    0,
                    vec![
                        Part::Reasoning(thought),
                        Part::Text("I look.".into()),
                        call("1", r#"{"at":"moon"}"#),
                        call("2", ""),
                    ],
                ),
                choice(1, vec![Part::Refusal("No.".to_owned())]),
            ],
            usage: Some(Usage::text(3, 4)),
            ..ChatResponse::default()
        }
    }

    #[test]
    fn what_is_unfolded_folds_back_into_the_same_answer() {
        let mut events = Vec::new();
        unfold(answer(), &mut events);
        let mut collector = Collector::default();
        for event in events {
            collector.push(event);
        }
        assert_eq!(
            format!("{:?}", collector.finish()),
            format!("{:?}", answer())
        );
    }
}
