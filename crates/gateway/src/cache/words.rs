//! The last words of the user, by which requests are compared.

use providers::dialect::Format;

use super::canonical::Node;

/// The longest words that are compared, in bytes: a sentence model reads the first few hundred words only, and
/// what it does not read would not count.
const MAX_WORDS: usize = 4 * 1024;

/// Takes the last words of the user out of a request, and leaves a gap. `None` where the last turn is
/// not the user's, is not words alone, or is too long: such a request is never compared.
pub(super) fn take_last(format: Format, request: &mut Node<'_>) -> Option<String> {
    let gap = match format {
        Format::OpenaiChat | Format::AnthropicMessages | Format::CohereChat => {
            of_turn(request.member_mut("messages")?, "content", "text")?
        }
        Format::OpenaiResponses => {
            let input = request.member_mut("input")?;
            if matches!(input, Node::Text(_)) {
                input
            } else {
                of_turn(input, "content", "input_text")?
            }
        }
        Format::Gemini => {
            let contents = request.member_mut("contents")?;
            let turn = last(contents)?;
            let role = turn.member("role").and_then(Node::text);
            if role.is_some_and(|role| role != "user") {
                return None;
            }
            let part = only(turn.member_mut("parts")?)?;
            let Node::Object(members) = &*part else {
                return None;
            };
            if members.len() != 1 {
                return None;
            }
            part.member_mut("text")?
        }
        Format::OpenaiCompletions => request.member_mut("prompt")?,
        Format::BedrockConverse => return None,
    };
    let Node::Text(words) = std::mem::replace(gap, Node::Null) else {
        return None;
    };
    let fits = words.len() <= MAX_WORDS && !words.trim().is_empty();
    fits.then(|| words.into_owned())
}

/// The words of the last message, which are a text or the only part of it.
fn of_turn<'n, 'a>(
    messages: &'n mut Node<'a>,
    content: &str,
    kind: &str,
) -> Option<&'n mut Node<'a>> {
    let turn = last(messages)?;
    if turn.member("role").and_then(Node::text) != Some("user") {
        return None;
    }
    let content = turn.member_mut(content)?;
    if matches!(content, Node::Text(_)) {
        return Some(content);
    }
    let part = only(content)?;
    if part.member("type").and_then(Node::text) != Some(kind) {
        return None;
    }
    part.member_mut("text")
}

fn last<'n, 'a>(list: &'n mut Node<'a>) -> Option<&'n mut Node<'a>> {
    match list {
        Node::List(items) => items.last_mut(),
        _ => None,
    }
}

fn only<'n, 'a>(list: &'n mut Node<'a>) -> Option<&'n mut Node<'a>> {
    match list {
        Node::List(items) => match items.as_mut_slice() {
            [only] => Some(only),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(format: Format, body: &str) -> Option<(String, String)> {
        let mut node = Node::read(body.as_bytes()).unwrap();
        let words = take_last(format, &mut node)?;
        let mut rest = Vec::new();
        node.write(&mut rest);
        Some((words, String::from_utf8(rest).unwrap()))
    }

    #[test]
    fn the_last_words_are_found_in_every_format() {
        for (format, body) in [
            (
                Format::OpenaiChat,
                r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"Why?"}]}"#,
            ),
            (
                Format::OpenaiChat,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Why?"}]}]}"#,
            ),
            (
                Format::AnthropicMessages,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"Why?"}]}],"system":"S"}"#,
            ),
            (
                Format::CohereChat,
                r#"{"messages":[{"role":"user","content":"Why?"}]}"#,
            ),
            (
                Format::OpenaiResponses,
                r#"{"input":"Why?","instructions":"S"}"#,
            ),
            (
                Format::OpenaiResponses,
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"Why?"}]}]}"#,
            ),
            (
                Format::Gemini,
                r#"{"contents":[{"role":"user","parts":[{"text":"Why?"}]}]}"#,
            ),
            (
                Format::Gemini,
                r#"{"contents":[{"parts":[{"text":"Why?"}]}]}"#,
            ),
            (Format::OpenaiCompletions, r#"{"prompt":"Why?"}"#),
        ] {
            let (words, rest) = taken(format, body).expect(body);
            assert_eq!(words, "Why?");
            assert!(!rest.contains("Why?"), "{rest}");
            assert_eq!(rest.contains('S'), body.contains('S'), "{rest}");
        }
    }

    #[test]
    fn what_is_not_the_users_words_alone_is_never_compared() {
        let long = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(MAX_WORDS + 1));
        for (format, body) in [
            (Format::OpenaiChat, r#"{"messages":[]}"#),
            (
                Format::OpenaiChat,
                r#"{"messages":[{"role":"assistant","content":"Hi"}]}"#,
            ),
            (
                Format::OpenaiChat,
                r#"{"messages":[{"role":"tool","tool_call_id":"a","content":"3"}]}"#,
            ),
            (
                Format::OpenaiChat,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"What is this?"},{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
            ),
            (
                Format::AnthropicMessages,
                r#"{"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"3"}]}]}"#,
            ),
            (
                Format::Gemini,
                r#"{"contents":[{"role":"user","parts":[{"text":"a","thought":true}]}]}"#,
            ),
            (
                Format::Gemini,
                r#"{"contents":[{"role":"model","parts":[{"text":"a"}]}]}"#,
            ),
            (Format::OpenaiCompletions, r#"{"prompt":["a","b"]}"#),
            (Format::OpenaiCompletions, r#"{"prompt":" "}"#),
            (Format::OpenaiCompletions, long.as_str()),
        ] {
            assert_eq!(taken(format, body), None, "{body}");
        }
    }
}
