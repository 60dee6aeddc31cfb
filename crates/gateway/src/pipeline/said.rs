//! What a stream has said, so that another target can go on with it.

use domain::chat::ChatEvent;
use domain::usage::Usage;

/// The most words that are remembered, in bytes; a longer answer is not gone on with.
const MAX: usize = 1024 * 1024;

/// What a stream has said, and how what another target says is joined to it.
#[derive(Debug, Default)]
pub(crate) struct Said {
    words: String,
    /// Something came that nobody could go on with: calls of tools, a refusal, what is not known.
    is_mixed: bool,
    /// Another target goes on.
    is_joined: bool,
    /// White space at the end of the words that the other target was not shown: models dislike it, and
    /// Anthropic refuses it. They begin with it themselves.
    owed: String,
    /// What was taken before the other target went on.
    before: Usage,
}

impl Said {
    /// What another target is shown to go on with; `None` where it could not.
    pub(super) fn to_be_continued(&self) -> Option<&str> {
        (!self.is_mixed).then(|| self.words.trim_end())
    }

    /// How many characters the caller was told.
    pub(super) fn characters(&self) -> usize {
        self.words.chars().count()
    }

    /// Another target goes on; the others have taken so much.
    pub(super) fn join(&mut self, before: Usage) {
        let shown = self.words.trim_end().len();
        let owed = self.words.get(shown..).unwrap_or_default();
        owed.clone_into(&mut self.owed);
        self.is_joined = true;
        self.before = before;
    }

    /// Notes an event, and gives what the caller is told of it.
    pub(super) fn pass(&mut self, event: ChatEvent) -> Option<ChatEvent> {
        match event {
            // The answer has begun.
            ChatEvent::Start { .. } if self.is_joined => return None,
            ChatEvent::Usage(usage) if self.is_joined => {
                return Some(ChatEvent::Usage(self.before.saturating_add(usage)));
            }
            ChatEvent::Text { choice: 0, text } => {
                let text = self.without_owed(text);
                if self.words.len() + text.len() > MAX {
                    self.is_mixed = true;
                } else {
                    self.words.push_str(&text);
                }
                let text = Some(text).filter(|text| !text.is_empty());
                return text.map(|text| ChatEvent::Text { choice: 0, text });
            }
            ChatEvent::Text { .. }
            | ChatEvent::Refusal { .. }
            | ChatEvent::ToolCallStart { .. }
            | ChatEvent::ToolCallArguments { .. }
            | ChatEvent::ToolCallEnd { .. }
            | ChatEvent::Unknown { .. } => self.is_mixed = true,
            ChatEvent::Start { .. }
            | ChatEvent::Reasoning { .. }
            | ChatEvent::ReasoningSignature { .. }
            | ChatEvent::RedactedReasoning { .. }
            | ChatEvent::Logprobs { .. }
            | ChatEvent::Annotation { .. }
            | ChatEvent::Finish { .. }
            | ChatEvent::Usage(_)
            | ChatEvent::ServiceTier(_)
            | ChatEvent::Ping
            | ChatEvent::Error(_) => {}
        }
        Some(event)
    }

    /// A text without the white space at its beginning that the caller has already.
    fn without_owed(&mut self, text: String) -> String {
        if self.owed.is_empty() {
            return text;
        }
        let owed = std::mem::take(&mut self.owed);
        let alike = text.chars().zip(owed.chars()).take_while(|(a, b)| a == b);
        let common: usize = alike.map(|(character, _)| character.len_utf8()).sum();
        let (Some(rest), Some(still_owed)) = (text.get(common..), owed.get(common..)) else {
            return text;
        };
        if rest.is_empty() {
            still_owed.clone_into(&mut self.owed);
        }
        rest.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> ChatEvent {
        ChatEvent::Text {
            choice: 0,
            text: text.to_owned(),
        }
    }

    /// What the caller is told of two legs' texts.
    fn told(first: &[&str], then: &[&str]) -> String {
        let mut said = Said::default();
        let mut told = String::new();
        let mut tell = |said: &mut Said, texts: &[&str]| {
            for it in texts {
                if let Some(ChatEvent::Text { text, .. }) = said.pass(text(it)) {
                    told.push_str(&text);
                }
            }
        };
        tell(&mut said, first);
        said.join(Usage::default());
        tell(&mut said, then);
        assert_eq!(said.words, told, "what was told is what is gone on with");
        told
    }

    #[test]
    fn white_space_at_the_seam_is_told_once() {
        assert_eq!(told(&["Hello "], &[" there"]), "Hello there");
        assert_eq!(told(&["Hello "], &["there"]), "Hello there");
        assert_eq!(told(&["Hello"], &[" there"]), "Hello there");
        assert_eq!(told(&["One\n", "\n"], &["\n", "\nTwo"]), "One\n\nTwo");
        assert_eq!(told(&["One\n"], &["\n\nTwo"]), "One\n\nTwo");
        assert_eq!(told(&["One \n"], &["  Two"]), "One \n Two");
        assert_eq!(told(&[" "], &["Hello"]), " Hello");
    }

    #[test]
    fn calls_of_tools_are_not_gone_on_with() {
        let mut said = Said::default();
        said.pass(text("Let me see. "));
        assert_eq!(said.to_be_continued(), Some("Let me see."));
        said.pass(ChatEvent::ToolCallEnd { choice: 0, call: 0 });
        assert_eq!(said.to_be_continued(), None);
    }

    #[test]
    fn the_answer_begins_once_and_its_usage_is_that_of_all() {
        let mut said = Said::default();
        let start = || ChatEvent::Start {
            id: None,
            model: None,
        };
        assert!(said.pass(start()).is_some());
        said.join(Usage::text(10, 4));
        assert!(said.pass(start()).is_none());
        let Some(ChatEvent::Usage(usage)) = said.pass(ChatEvent::Usage(Usage::text(14, 6))) else {
            panic!("usage is told")
        };
        assert_eq!(usage, Usage::text(24, 10));
    }

    #[test]
    fn what_is_too_long_is_not_remembered() {
        let mut said = Said::default();
        assert!(said.pass(text(&"a".repeat(MAX))).is_some());
        assert!(said.to_be_continued().is_some());
        assert!(said.pass(text("b")).is_some(), "it is told all the same");
        assert_eq!(said.to_be_continued(), None);
    }
}
