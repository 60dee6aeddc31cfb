//! Puts the model's turn together from its pieces: as it was before it was streamed, and with the sealed
//! thoughts that the client kept or left out.

use domain::chat::{Part, Reasoning, Text};

use super::custody;

/// Words of the model's, or of a caller's: a text, or a thought. A seal of ours makes it a thought even
/// where a client lost the mark; over words that are no thought it seals nothing.
pub(super) fn words(text: String, signature: Option<String>, is_thought: bool) -> Part {
    let seal = signature.as_deref().and_then(custody::open);
    match seal {
        Some(thoughts) if is_thought || text.is_empty() => {
            let seal = thoughts.into_iter().next().unwrap_or_default();
            Part::Reasoning(Reasoning {
                text: seal.text.or((!text.is_empty()).then_some(text)),
                ..seal
            })
        }
        Some(_) => Part::Text(text.into()),
        None if is_thought => Part::Reasoning(Reasoning {
            text: (!text.is_empty()).then_some(text),
            ..Reasoning::default()
        }),
        None => Part::Text(Text {
            text,
            signature,
            ..Text::default()
        }),
    }
}

/// Whether a part says nothing: what a last chunk has for a text, or a thought that lost its seal.
pub(super) fn is_nothing(part: &Part) -> bool {
    match part {
        Part::Text(text) => text.text.is_empty() && text.signature.is_none(),
        Part::Reasoning(thought) => *thought == Reasoning::default(),
        _ => false,
    }
}

/// Adds a part: pieces of one text or thought become one, and what a call's signature keeps of the thoughts
/// before it takes its place.
pub(super) fn add(content: &mut Vec<Part>, part: Part) {
    match part {
        Part::Text(text) => match content.last_mut() {
            Some(Part::Text(last)) if last.signature.is_none() => {
                last.text.push_str(&text.text);
                last.signature = text.signature;
            }
            _ => content.push(Part::Text(text)),
        },
        Part::Reasoning(thought) => match content.last_mut() {
            Some(Part::Reasoning(last)) if is_open(last) && thought.redacted.is_none() => {
                if let Some(text) = thought.text {
                    last.text.get_or_insert_default().push_str(&text);
                }
                last.signature = thought.signature;
            }
            _ => content.push(Part::Reasoning(thought)),
        },
        Part::ToolCall(mut call) => {
            if let Some(thoughts) = call.signature.as_deref().and_then(custody::open) {
                call.signature = None;
                for thought in thoughts {
                    restore(content, thought);
                }
            }
            content.push(Part::ToolCall(call));
        }
        other => content.push(other),
    }
}

/// Puts a thought back where the client left it out, or left out its seal. A call keeps the thoughts since
/// the call before it.
fn restore(content: &mut Vec<Part>, thought: Reasoning) {
    let is_call = |part: &&Part| matches!(part, Part::ToolCall(_));
    let is_that = |part: &Part| matches!(part, Part::Reasoning(known) if *known == thought);
    let since_call = content.iter().rev().take_while(|part| !is_call(part));
    if since_call.into_iter().any(is_that) {
        return;
    }
    match content.last_mut() {
        Some(Part::Reasoning(last)) if is_open(last) && last.text == thought.text => {
            *last = thought;
        }
        _ => content.push(Part::Reasoning(thought)),
    }
}

fn is_open(thought: &Reasoning) -> bool {
    thought.signature.is_none() && thought.redacted.is_none()
}

#[cfg(test)]
mod tests {
    use domain::chat::ToolCall;

    use super::*;

    fn signed(text: &str, signature: &str) -> Reasoning {
        Reasoning {
            text: Some(text.to_owned()),
            signature: Some(signature.to_owned()),
            redacted: None,
        }
    }

    fn call(sealed: &[Reasoning]) -> Part {
        Part::ToolCall(ToolCall {
            id: "c".to_owned(),
            signature: Some(custody::seal(sealed)),
            ..ToolCall::default()
        })
    }

    fn turn(parts: Vec<Part>) -> Vec<String> {
        let mut content = Vec::new();
        for part in parts {
            add(&mut content, part);
        }
        content
            .iter()
            .map(|part| match part {
                Part::Text(text) => format!("{} {:?}", text.text, text.signature),
                Part::Reasoning(thought) => {
                    format!("thought {:?} {:?}", thought.text, thought.signature)
                }
                Part::ToolCall(call) => format!("call {:?}", call.signature),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_call_brings_back_the_thoughts_that_the_client_left_out() {
        let thought = signed("Hm.", "s");
        let expected = [r#"thought Some("Hm.") Some("s")"#, "call None"];
        let kept = Part::Reasoning(thought.clone());
        let without_seal = words("Hm.".to_owned(), None, true);
        let sealed = std::slice::from_ref(&thought);
        for before in [vec![], vec![kept], vec![without_seal]] {
            let parts = before.into_iter().chain([call(sealed)]).collect();
            assert_eq!(turn(parts), expected);
        }
    }

    #[test]
    fn a_signed_piece_ends_its_text() {
        let piece = |text: &str, signature: Option<&str>| {
            words(text.to_owned(), signature.map(str::to_owned), false)
        };
        assert_eq!(
            turn(vec![
                piece("a", None),
                piece("b", None),
                piece("", Some("c2ln")),
                piece("c", None)
            ]),
            [r#"ab Some("c2ln")"#, "c None"]
        );
    }

    #[test]
    fn a_seal_over_spoken_words_leaves_them_spoken() {
        let seal = custody::seal(&[signed("Hm.", "s")]);
        assert_eq!(
            turn(vec![words("Said.".to_owned(), Some(seal), false)]),
            ["Said. None"]
        );
    }
}
