//! The models of the Gemini face: what each class of them takes and refuses.
//! See <https://ai.google.dev/gemini-api/docs/thinking>.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `gemini-1.5…`, `gemini-2.0…`: does not think.
    Plain,
    /// `gemini`, `gemini-2.5…`: thinks within a budget.
    Budget,
    /// `gemini-2.5-pro…`: as `Budget`, and cannot be told not to think.
    AlwaysBudget,
    /// `gemini-3…`: thinks at a level, and wants its signatures back.
    Level,
}

/// The models that a list names; others are accepted by their beginnings.
pub(crate) const LISTED: [&str; 4] = [
    "gemini",
    "gemini-2.5-pro",
    "gemini-3-pro-preview",
    "gemini-3.1-flash-lite",
];

impl Class {
    /// The class of a model, or `None` where Google knows no such model.
    pub(super) fn of(model: &str) -> Option<Self> {
        if model.starts_with("gemini-3") {
            Some(Self::Level)
        } else if model.starts_with("gemini-2.5-pro") {
            Some(Self::AlwaysBudget)
        } else if model == "gemini" || model.starts_with("gemini-2.5") {
            Some(Self::Budget)
        } else if model.starts_with("gemini-2.0") || model.starts_with("gemini-1.5") {
            Some(Self::Plain)
        } else {
            None
        }
    }

    /// The smallest and the largest thinking budget; −1 leaves it to the model.
    pub(super) const fn budgets(self) -> (i64, i64) {
        match self {
            Self::AlwaysBudget => (128, 32_768),
            Self::Plain | Self::Budget | Self::Level => (0, 24_576),
        }
    }

    /// Whether calls carry ids and must come back with their signatures.
    pub(super) fn signs_calls(self) -> bool {
        self == Self::Level
    }

    /// Whether Google's own search and functions of the caller's go together
    /// (<https://ai.google.dev/gemini-api/docs/function-calling#multi-tool-use>).
    pub(super) fn joins_search_and_functions(self) -> bool {
        self == Self::Level
    }

    /// Whether tools and a JSON answer go together.
    pub(super) fn joins_tools_and_json(self) -> bool {
        self == Self::Level
    }
}

/// The most tokens of output.
pub(super) const MOST_OUTPUT: i64 = 65_536;
/// The most tokens of input.
pub(super) const CONTEXT: u64 = 1_048_576;
