//! The models of the Anthropic face: what each class of them takes and refuses.
//! See <https://docs.claude.com/en/docs/about-claude/models/overview>.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `claude`, `claude-…-4-5` and older: thinking has a budget; sampling and prefill are taken.
    Budget,
    /// `claude-opus-4-6`, `claude-sonnet-4-6`: thinking by budget or adaptive; no prefill.
    Either,
    /// `claude-opus-4-7` and newer: adaptive thinking only; no sampling, no budget, no prefill.
    Adaptive,
}

/// The models that a list names; every other name that starts with `claude-` is accepted too.
pub(crate) const LISTED: [&str; 4] = [
    "claude",
    "claude-haiku-4-5",
    "claude-sonnet-4-6",
    "claude-opus-4-7",
];

const ADAPTIVE: [&str; 6] = [
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-sonnet-5",
    "claude-haiku-5",
    "claude-fable",
];
const EITHER: [&str; 2] = ["claude-opus-4-6", "claude-sonnet-4-6"];

/// What a model is called at Anthropic, whatever a cloud puts before and behind it:
/// `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-sonnet-4-5@20250929`, or the address of an inference profile.
pub(super) fn own_name(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.rsplit_once("anthropic.")
        .map_or(name, |(_, name)| name)
}

/// What an answer calls a model: its own name, also where a cloud has another for it.
pub(super) fn told(model: &str) -> String {
    let name = own_name(model).replace('@', "-");
    match name.rsplit_once("-v") {
        Some((name, version)) if version.contains(':') => name.to_owned(),
        _ => name,
    }
}

impl Class {
    /// The class of a model, or `None` where Anthropic knows no such model.
    pub(super) fn of(model: &str) -> Option<Self> {
        let begins = |beginnings: &[&str]| {
            beginnings
                .iter()
                .any(|beginning| model.starts_with(beginning))
        };
        if begins(&ADAPTIVE) {
            Some(Self::Adaptive)
        } else if begins(&EITHER) {
            Some(Self::Either)
        } else if model == "claude"
            || model
                .strip_prefix("claude-")
                .is_some_and(|rest| !rest.is_empty() && !rest.starts_with("unknown"))
        {
            Some(Self::Budget)
        } else {
            None
        }
    }

    /// Whether one request may not set both `temperature` and `top_p`.
    pub(super) fn takes_one_sampling_parameter(model: &str) -> bool {
        !model.starts_with("claude-3")
    }

    /// Whether `output_config.effort` is taken.
    pub(super) fn takes_effort(self, model: &str) -> bool {
        self != Self::Budget || model == "claude" || model.starts_with("claude-opus-4-5")
    }

    pub(super) fn takes_prefill(self) -> bool {
        self == Self::Budget
    }

    /// Whether a system message may stand between the others.
    pub(super) fn takes_system_messages(self) -> bool {
        self == Self::Adaptive
    }

    /// The most tokens of output.
    pub(super) const fn most_output(self) -> u64 {
        match self {
            Self::Budget => 64_000,
            Self::Either | Self::Adaptive => 128_000,
        }
    }

    /// The most tokens of input.
    pub(super) const fn context(self) -> u64 {
        match self {
            Self::Budget => 200_000,
            Self::Either | Self::Adaptive => 1_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_one_name_wherever_it_is_served() {
        for model in [
            "claude-sonnet-4-5-20250929",
            "claude-sonnet-4-5@20250929",
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ] {
            assert_eq!(told(model), "claude-sonnet-4-5-20250929", "{model}");
        }
    }
}
