//! The models of the Cohere face: what each class of them takes and refuses.
//! See <https://docs.cohere.com/docs/models>.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `command`, `command-a-plus…`: takes everything.
    Generous,
    /// `command-r…`, `command-a-03-2025`: text and tools.
    Plain,
    /// `command-a-reasoning…`: thinks, unless told not to.
    Reasoning,
    /// `command-a-vision…`: sees, and takes no tools.
    Vision,
}

/// The models that a list names; others are accepted by their beginnings.
pub(crate) const LISTED: [&str; 5] = [
    "command",
    "command-a-03-2025",
    "command-a-reasoning-08-2025",
    "command-a-vision-07-2025",
    "command-r-plus-08-2024",
];

impl Class {
    /// The class of a model, or `None` where Cohere knows no such model.
    pub(super) fn of(model: &str) -> Option<Self> {
        if model == "command" || model.starts_with("command-a-plus") {
            Some(Self::Generous)
        } else if model.starts_with("command-a-reasoning") {
            Some(Self::Reasoning)
        } else if model.starts_with("command-a-vision") {
            Some(Self::Vision)
        } else if model.starts_with("command-r") || model.starts_with("command-a") {
            Some(Self::Plain)
        } else {
            None
        }
    }

    pub(super) const fn sees(self) -> bool {
        matches!(self, Self::Generous | Self::Vision)
    }

    pub(super) const fn thinks(self) -> bool {
        matches!(self, Self::Generous | Self::Reasoning)
    }

    pub(super) const fn takes_tools(self) -> bool {
        !matches!(self, Self::Vision)
    }
}

/// The most tokens of input.
pub(super) const CONTEXT: u64 = 256_000;
/// The most tokens of output.
pub(super) const MOST_OUTPUT: u64 = 32_768;
