//! The models of the OpenAI face: what each class of them takes and refuses.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `gpt`, `gpt-mini`: takes everything, and reasons when an effort is named.
    Generous,
    /// `gpt-4…`: sampling parameters, no reasoning.
    Plain,
    /// `gpt-5…`, `o1…`: hidden reasoning; sampling parameters and `max_tokens` are refused.
    Reasoning,
    /// `gpt-5.6…`: as `Reasoning`, and tools with a reasoning effort are for the Responses API only.
    ReasoningWithoutTools,
    /// `deepseek-chat`, `mistral-large` and the like: a compatible host without reasoning.
    Open,
    /// `deepseek-r…`, which shows its reasoning as `reasoning_content`, and `magistral…`, which does in parts.
    OpenReasoning,
}

/// The models that a list names; more names are accepted by their beginnings.
pub(crate) const LISTED: [&str; 6] = [
    "gpt",
    "gpt-mini",
    "gpt-4o",
    "gpt-5",
    "deepseek-chat",
    "deepseek-reasoner",
];

impl Class {
    /// The class of a model, or `None` where OpenAI knows no such model.
    pub(super) fn of(model: &str) -> Option<Self> {
        let is_o_series = model
            .strip_prefix('o')
            .is_some_and(|rest| rest.starts_with(|character: char| character.is_ascii_digit()));
        if model.starts_with("gpt-5.6") {
            Some(Self::ReasoningWithoutTools)
        } else if model.starts_with("gpt-5") || is_o_series {
            Some(Self::Reasoning)
        } else if matches!(model, "gpt" | "gpt-mini") {
            Some(Self::Generous)
        } else if model.starts_with("gpt-4") || model.starts_with("gpt-3.5") {
            Some(Self::Plain)
        } else if model.starts_with("deepseek-r") || super::mistral::thinks(model) {
            Some(Self::OpenReasoning)
        } else if model.starts_with("deepseek-") || super::mistral::has(model) {
            Some(Self::Open)
        } else {
            None
        }
    }

    /// Whether it is one of OpenAI's own reasoning models.
    pub(super) const fn reasons(self) -> bool {
        matches!(self, Self::Reasoning | Self::ReasoningWithoutTools)
    }

    pub(super) const fn is_compatible_host(self) -> bool {
        matches!(self, Self::Open | Self::OpenReasoning)
    }

    pub(super) const fn takes_effort(self) -> bool {
        !matches!(self, Self::Plain)
    }

    pub(super) const fn refuses_tools_with_effort(self) -> bool {
        matches!(self, Self::ReasoningWithoutTools)
    }

    /// The most tokens of input.
    pub(super) const fn context(self) -> u64 {
        if self.reasons() { 400_000 } else { 128_000 }
    }

    /// The most tokens of output: the models of compatible hosts are bound by their context only.
    pub(super) const fn most_output(self) -> u64 {
        if self.reasons() || self.is_compatible_host() {
            128_000
        } else {
            16_384
        }
    }
}
