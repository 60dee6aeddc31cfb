//! Carries the reasoning state of other providers through the caller's hands.
//!
//! Gemini signs tool calls and texts, and demands the signatures back. This format has no place for a
//! signature outside of a thought, but callers give a `redacted_thinking` block back as they got it: the
//! signature travels in one of our own, which says what it belongs to.
//!
//! A signature over the text that ends an answer stays behind: applications take the last block for what was
//! said (Claude Code prints it), and Gemini demands only those of turns that call tools
//! (<https://ai.google.dev/gemini-api/docs/thought-signatures>).

/// How the data of our own blocks begins; the providers' are base64, which has no colon.
const MARK: &str = "trunkline:";

/// What one of our own blocks holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed<'a> {
    /// The signature over a tool call.
    Call { id: &'a str, signature: &'a str },
    /// The signature over the text before the block.
    Text { signature: &'a str },
}

/// The data of a block that holds the signature over a tool call.
pub(super) fn of_call(id: &str, signature: &str) -> String {
    format!("{MARK}call:{}:{id}{signature}", id.len())
}

/// The data of a block that holds the signature over a text.
pub(super) fn of_text(signature: &str) -> String {
    format!("{MARK}text:{signature}")
}

/// Reads the data of a block of our own; `None` when it is a provider's.
pub(super) fn read(data: &str) -> Option<Sealed<'_>> {
    let (kind, rest) = data.strip_prefix(MARK)?.split_once(':')?;
    match kind {
        "call" => {
            let (length, rest) = rest.split_once(':')?;
            let (id, signature) = rest.split_at_checked(length.parse().ok()?)?;
            Some(Sealed::Call { id, signature })
        }
        "text" => Some(Sealed::Text { signature: rest }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_reads_back_whatever_is_in_it() {
        let call = of_call("call:1:ü", "c2ln:YQ==");
        let expected = Sealed::Call {
            id: "call:1:ü",
            signature: "c2ln:YQ==",
        };
        assert_eq!(read(&call), Some(expected));
        let text = of_text("a:b");
        assert_eq!(read(&text), Some(Sealed::Text { signature: "a:b" }));
    }

    #[test]
    fn a_providers_own_data_is_not_ours() {
        for data in [
            "EmwKAhgBEgy3va3pzix",
            "",
            "trunkline:",
            "trunkline:call:9:ab",
            "trunkline:call:1:ü",
        ] {
            assert_eq!(read(data), None, "{data}");
        }
    }
}
