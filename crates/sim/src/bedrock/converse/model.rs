//! The models that Bedrock serves, as far as they differ in what they take.
//! See <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html>.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `anthropic.claude…`: everything, with signed reasoning.
    Claude,
    /// `amazon.nova…` and profiles of one's own: everything, without reasoning.
    Nova,
    /// `meta.llama…`, `mistral.…`, `cohere.command…` and the like: no reasoning, and nothing to be cached.
    Open,
    /// `deepseek.r1…`, `openai.gpt-oss…`: reasoning that is not signed; no media.
    OpenReasoning,
}

/// Where a model may be asked for beside its own region.
const REGIONS: [&str; 8] = ["us", "eu", "apac", "jp", "au", "ca", "global", "us-gov"];

/// Models that came with inference profiles alone, which are counted nowhere here
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>).
const UNCOUNTED: [&str; 6] = [
    "claude-sonnet-4-6",
    "claude-opus-4-6",
    "claude-opus-4-7",
    "claude-opus-4-8",
    "claude-opus-5",
    "claude-sonnet-5",
];

/// Whether the tokens of a model are counted: it must be called by its own name, and not by a profile's.
pub(super) fn is_counted(model: &str) -> bool {
    let is_own = ["anthropic.claude", "amazon.nova"]
        .iter()
        .any(|beginning| model.starts_with(beginning));
    is_own && !UNCOUNTED.iter().any(|uncounted| model.contains(uncounted))
}

impl Family {
    /// The family of a model, or `None` where Bedrock knows no such model.
    pub(super) fn of(model: &str) -> Option<Self> {
        if model.starts_with("arn:aws") && model.contains(":application-inference-profile/") {
            return Some(Self::Nova);
        }
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = match name.split_once('.') {
            Some((region, rest)) if REGIONS.contains(&region) => rest,
            _ => name,
        };
        let begins = |beginnings: &[&str]| {
            beginnings
                .iter()
                .any(|beginning| name.starts_with(beginning))
        };
        if begins(&["anthropic.claude"]) {
            Some(Self::Claude)
        } else if begins(&["amazon.nova"]) {
            Some(Self::Nova)
        } else if begins(&["deepseek.r1", "openai.gpt-oss"]) {
            Some(Self::OpenReasoning)
        } else if begins(&[
            "meta.llama",
            "mistral.",
            "cohere.command",
            "ai21.",
            "amazon.titan-text",
            "deepseek.",
            "qwen.",
        ]) {
            Some(Self::Open)
        } else {
            None
        }
    }

    pub(super) const fn takes_cache_points(self) -> bool {
        matches!(self, Self::Claude | Self::Nova)
    }

    pub(super) const fn takes_media(self) -> bool {
        matches!(self, Self::Claude | Self::Nova)
    }

    /// The most tokens of output.
    pub(super) const fn most_output(self) -> u64 {
        match self {
            Self::Claude => 128_000,
            Self::Nova => 10_000,
            Self::Open | Self::OpenReasoning => 32_768,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_vendor_wherever_it_is_served() {
        for (model, family) in [
            (
                "anthropic.claude-sonnet-4-5-20250929-v1:0",
                Some(Family::Claude),
            ),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Some(Family::Claude),
            ),
            (
                "arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.anthropic.claude-3-5-haiku-20241022-v1:0",
                Some(Family::Claude),
            ),
            (
                "arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/a1b2c3",
                Some(Family::Nova),
            ),
            ("amazon.nova-pro-v1:0", Some(Family::Nova)),
            ("us.deepseek.r1-v1:0", Some(Family::OpenReasoning)),
            ("meta.llama3-1-70b-instruct-v1:0", Some(Family::Open)),
            ("claude", None),
            ("us.nothing", None),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
