//! The ids of tool calls, where a host takes its own form only: nine letters and digits
//! (<https://docs.mistral.ai/capabilities/function_calling>).

use std::collections::{BTreeSet, HashMap};

use domain::chat::{Message, Part};

/// The length of the form.
const LENGTH: usize = 9;

/// Whether an id has nine letters and digits.
pub(crate) fn is_short_call_id(id: &str) -> bool {
    id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What each foreign id of a conversation is called at the host.
#[derive(Default)]
pub(super) struct CallIds<'a>(HashMap<&'a str, String>);

impl<'a> CallIds<'a> {
    /// Gives every id of the conversation that has another form one of its own, the same in every call.
    pub(super) fn of(messages: &'a [Message]) -> Self {
        let called = messages.iter().flat_map(Message::content);
        let called = called.filter_map(|part| match part {
            Part::ToolCall(call) => Some(call.id.as_str()),
            _ => None,
        });
        let answered = messages.iter().filter_map(|message| match message {
            Message::Tool(result) => Some(result.call_id.as_str()),
            _ => None,
        });
        let all: BTreeSet<&str> = called.chain(answered).collect();
        let (own, foreign): (BTreeSet<&str>, BTreeSet<&str>) =
            all.into_iter().partition(|id| is_short_call_id(id));
        let mut given = BTreeSet::new();
        let mut names = HashMap::new();
        for id in foreign {
            let mut seed = 0;
            let short = loop {
                let short = shortened(id, seed);
                if !own.contains(short.as_str()) && given.insert(short.clone()) {
                    break short;
                }
                seed += 1;
            };
            names.insert(id, short);
        }
        Self(names)
    }

    /// The id in the host's form.
    pub(super) fn written<'b>(&'b self, id: &'b str) -> &'b str {
        self.0.get(id).map_or(id, String::as_str)
    }

    /// Whether an id had to be changed.
    pub(super) fn has_changed(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Nine letters and digits of a fingerprint (FNV-1a, 64 bits,
/// <https://www.rfc-editor.org/rfc/rfc9923>).
fn shortened(id: &str, seed: u64) -> String {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    let mut hash = id.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let digits = (0..LENGTH).map(|_| {
        let digit = usize::try_from(hash % 36).unwrap_or_default();
        hash /= 36;
        ALPHABET.get(digit).copied().map_or('0', char::from)
    });
    digits.collect()
}

#[cfg(test)]
mod tests {
    use domain::chat::{ToolCall, ToolResult};

    use super::*;

    fn call(id: &str) -> Message {
        Message::Assistant {
            content: vec![Part::ToolCall(ToolCall {
                id: id.to_owned(),
                ..ToolCall::default()
            })],
            name: None,
        }
    }

    fn result(id: &str) -> Message {
        Message::Tool(ToolResult {
            call_id: id.to_owned(),
            name: None,
            content: Vec::new(),
            is_error: false,
            cache: None,
        })
    }

    #[test]
    fn an_id_of_another_form_is_replaced_where_it_is_called_and_where_it_is_answered() {
        let messages = [call("call_1"), result("call_1"), call("call_2")];
        let ids = CallIds::of(&messages);
        assert!(is_short_call_id(ids.written("call_1")));
        assert_ne!(ids.written("call_1"), ids.written("call_2"));
        assert_eq!(
            ids.written("call_1"),
            CallIds::of(&messages).written("call_1")
        );
    }

    #[test]
    fn an_id_of_the_hosts_own_form_stays() {
        let messages = [call("a1B2c3D4e"), result("a1B2c3D4e")];
        let ids = CallIds::of(&messages);
        assert_eq!(ids.written("a1B2c3D4e"), "a1B2c3D4e");
        assert!(!ids.has_changed());
    }

    #[test]
    fn many_ids_stay_apart() {
        let messages: Vec<Message> = (0..5_000).map(|n| call(&format!("toolu_{n}"))).collect();
        let ids = CallIds::of(&messages);
        let written: BTreeSet<&str> = ids.0.values().map(String::as_str).collect();
        assert_eq!(written.len(), 5_000);
        assert!(written.iter().all(|id| is_short_call_id(id)));
    }
}
