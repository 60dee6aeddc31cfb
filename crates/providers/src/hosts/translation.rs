//! When a caller's own OpenAI request cannot pass untouched to a host that speaks the same format.

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{OutputBound, PastThoughts, Quirks};
use crate::face::Envelope;

/// Whether `body`, a chat completions request that has this envelope, is to be translated for a host
/// although the host speaks the same format.
///
/// That is so when it holds what OpenAI's clients send as a matter of course and the host refuses or
/// misreads:
/// - a stream, which is to end with its usage, of a host that refuses `stream_options`;
/// - `max_completion_tokens`, of a host that knows `max_tokens` only;
/// - a message of the role `developer`, of a host that does not know it;
/// - several tool calls' ids of another host, where the host takes its own form only;
/// - words of the user right after the results of tools, where the assistant has to speak between them;
/// - documents, of a host that takes them in other parts;
/// - thoughts of earlier turns as the gateway shows them, of a host that takes them back in another place only.
///
/// Whatever else a host refuses it refuses in its own words: the caller spoke its format.
pub fn needs_translation(quirks: &Quirks, envelope: &Envelope, body: &[u8]) -> bool {
    if envelope.stream && !quirks.stream_options {
        return true;
    }
    let holds = |text: &str| memmem::find(body, text.as_bytes()).is_some();
    if quirks.output_bound == OutputBound::MaxTokens
        && envelope.max_output_tokens.is_some()
        && holds("\"max_completion_tokens\"")
        && has_newer_bound(body)
    {
        return true;
    }
    if !quirks.developer_role && holds("\"developer\"") && has_developer(body) {
        return true;
    }
    if !quirks.user_after_results && holds("\"tool\"") && has_user_after_results(body) {
        return true;
    }
    if quirks.documents_by_url && holds("\"file\"") && has_file(body) {
        return true;
    }
    let elsewhere = [PastThoughts::ThinkingParts, PastThoughts::Reasoning];
    if elsewhere.contains(&quirks.past_thoughts)
        && holds("\"reasoning_content\"")
        && has_thoughts(body)
    {
        return true;
    }
    quirks.short_call_ids && holds("\"tool_calls\"") && has_foreign_call_ids(body)
}

#[derive(Deserialize)]
struct Bounds<'a> {
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
}

fn has_newer_bound(body: &[u8]) -> bool {
    serde_json::from_slice::<Bounds<'_>>(body)
        .is_ok_and(|bounds| bounds.max_completion_tokens.is_some())
}

#[derive(Deserialize)]
struct Roles {
    messages: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    role: Option<String>,
}

fn has_developer(body: &[u8]) -> bool {
    serde_json::from_slice::<Roles>(body).is_ok_and(|body| {
        body.messages
            .iter()
            .any(|message| message.role.as_deref() == Some("developer"))
    })
}

fn has_user_after_results(body: &[u8]) -> bool {
    serde_json::from_slice::<Roles>(body).is_ok_and(|body| {
        let roles = body.messages.iter().map(|message| message.role.as_deref());
        roles
            .clone()
            .zip(roles.skip(1))
            .any(|pair| pair == (Some("tool"), Some("user")))
    })
}

#[derive(Deserialize)]
struct Thoughts {
    messages: Vec<ThoughtsOf>,
}

#[derive(Deserialize)]
struct ThoughtsOf {
    reasoning_content: Option<IgnoredAny>,
}

fn has_thoughts(body: &[u8]) -> bool {
    serde_json::from_slice::<Thoughts>(body).is_ok_and(|body| {
        let mut messages = body.messages.iter();
        messages.any(|message| message.reasoning_content.is_some())
    })
}

#[derive(Deserialize)]
struct Contents<'a> {
    #[serde(borrow)]
    messages: Vec<ContentOf<'a>>,
}

#[derive(Deserialize)]
struct ContentOf<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TypeOf {
    #[serde(rename = "type")]
    kind: Option<String>,
}

fn has_file(body: &[u8]) -> bool {
    let is_file = |part: &TypeOf| part.kind.as_deref() == Some("file");
    serde_json::from_slice::<Contents<'_>>(body).is_ok_and(|body| {
        let contents = body.messages.iter().filter_map(|message| message.content);
        contents
            .filter_map(|content| serde_json::from_str::<Vec<TypeOf>>(content.get()).ok())
            .any(|parts| parts.iter().any(is_file))
    })
}

#[derive(Deserialize)]
struct Calls {
    messages: Vec<CallsOf>,
}

#[derive(Deserialize)]
struct CallsOf {
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    id: Option<String>,
}

fn has_foreign_call_ids(body: &[u8]) -> bool {
    let is_foreign = |call: &Call| {
        call.id
            .as_deref()
            .is_some_and(|id| !crate::openai::is_short_call_id(id))
    };
    serde_json::from_slice::<Calls>(body).is_ok_and(|body| {
        body.messages
            .iter()
            .flat_map(|message| message.tool_calls.iter().flatten())
            .any(is_foreign)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::{Asked, Face};
    use crate::openai::OpenaiChat;

    fn needs(quirks: &Quirks, body: &str) -> bool {
        let envelope = OpenaiChat
            .envelope(&Asked::default(), body.as_bytes())
            .unwrap();
        needs_translation(quirks, &envelope, body.as_bytes())
    }

    const STRICT: Quirks = Quirks {
        output_bound: OutputBound::MaxTokens,
        developer_role: false,
        stream_options: false,
        short_call_ids: true,
        user_after_results: false,
        documents_by_url: true,
        past_thoughts: PastThoughts::ThinkingParts,
        ..Quirks::NONE
    };

    #[test]
    fn what_clients_send_of_course_and_a_host_refuses_is_translated() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}"#,
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_completion_tokens":5}"#,
            r#"{"model":"m","messages":[{"role":"developer","content":"x"}]}"#,
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"call_1","function":{"name":"f","arguments":"{}"}}]}]}"#,
            r#"{"model":"m","messages":[{"role":"tool","tool_call_id":"a1B2c3D4e","content":"x"},{"role":"user","content":"y"}]}"#,
            r#"{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_content":"y"},{"role":"user","content":"z"}]}"#,
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBERi0="}}]}]}"#,
        ] {
            assert!(needs(&STRICT, body), "{body}");
            assert!(!needs(&Quirks::NONE, body), "{body}");
        }
    }

    #[test]
    fn what_only_looks_like_it_passes_untouched() {
        for body in [
            r#"{"model":"m","messages":[{"role":"user","content":"\"developer\""}],"max_tokens":5}"#,
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"metadata":{"max_completion_tokens":"5"}}"#,
            r#"{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_content":null},{"role":"user","content":"\"reasoning_content\""}]}"#,
            r#"{"model":"developer","messages":[{"role":"user","content":"x"}]}"#,
            r#"{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a1B2c3D4e","function":{"name":"f","arguments":"{}"}}]}]}"#,
            r#"{"model":"m","messages":[{"role":"tool","tool_call_id":"a1B2c3D4e","content":"\"file\""},{"role":"assistant","content":"x"},{"role":"user","content":"y"}]}"#,
        ] {
            assert!(!needs(&STRICT, body), "{body}");
        }
    }
}
