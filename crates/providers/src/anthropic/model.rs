//! What a Claude model takes, where the catalog does not say.
//!
//! The catalog's [`Capabilities`] come first. What it does not know is told from the model's name, here and
//! nowhere else; of a name that says nothing, the request passes as the caller asked and the provider
//! decides. Facts: <https://platform.claude.com/docs/en/about-claude/models/overview> and its migration
//! guides, November 2026.

use domain::model::{Capabilities, ReasoningControl};

use crate::dialect::Target;

/// The output bound for a model of which nothing is known: what every Claude since 3.5 can write.
const UNKNOWN_MAX_OUTPUT: u64 = 8_192;

/// What is known of the target model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Model<'a> {
    capabilities: &'a Capabilities,
    release: Option<Release>,
}

/// A release as its name tells it: `claude-sonnet-4-5-20250929` is Sonnet 4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Release {
    family: Family,
    version: (u32, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Opus,
    Sonnet,
    Haiku,
    /// Fable and Mythos, which always think.
    Fable,
    Other,
}

impl<'a> Model<'a> {
    pub(crate) fn of(target: &Target<'a>) -> Self {
        Self {
            capabilities: target.capabilities,
            release: Release::parse(target.model),
        }
    }

    /// Whether `temperature`, `top_p` and `top_k` are taken.
    pub(super) fn takes_sampling(&self) -> bool {
        let by_name = || self.release.is_none_or(|release| release.is_before(4, 7));
        self.capabilities.sampling.unwrap_or_else(by_name)
    }

    /// Whether `temperature` and `top_p` may be sent together.
    pub(super) fn takes_both_samplings(&self) -> bool {
        self.release.is_none_or(|release| release.is_before(4, 1))
    }

    /// How the model is told to think; `None` when that is not known.
    pub(super) fn reasoning(&self) -> Option<ReasoningControl> {
        self.capabilities.reasoning.or_else(|| {
            self.release.map(|release| {
                if release.is_before(3, 7) {
                    ReasoningControl::None
                } else if release.is_before(4, 6) {
                    ReasoningControl::Budget
                } else {
                    ReasoningControl::Adaptive
                }
            })
        })
    }

    /// Whether thinking cannot be switched off.
    pub(super) fn always_thinks(&self) -> bool {
        let by_name = || {
            self.release.is_some_and(|release| match release.family {
                Family::Fable => true,
                Family::Opus | Family::Sonnet => !release.is_before(5, 5),
                Family::Haiku | Family::Other => false,
            })
        };
        self.capabilities
            .reasoning_always_on
            .unwrap_or_else(by_name)
    }

    /// Whether the model thinks when the request does not speak of it; so for unknown models, which are
    /// more likely new than old.
    pub(super) fn thinks_by_default(&self) -> bool {
        self.always_thinks() || self.release.is_none_or(|release| !release.is_before(5, 0))
    }

    /// Whether the thoughts come back in words when the request does not speak of it.
    pub(super) fn shows_thoughts_by_default(&self) -> bool {
        self.release
            .is_some_and(|release| release.is_before(4, 7) && release.family != Family::Fable)
    }

    /// Whether the efforts `xhigh` and `max` are known to it.
    pub(super) fn takes_extra_high_effort(&self) -> bool {
        self.release.is_none_or(|release| !release.is_before(4, 7))
    }

    /// Whether a tool call can be forced.
    pub(crate) fn takes_forced_tools(&self) -> bool {
        let by_name = || {
            self.release.is_none_or(|release| match release.family {
                Family::Fable => release.is_before(5, 1),
                Family::Opus | Family::Sonnet => release.is_before(5, 5),
                Family::Haiku | Family::Other => true,
            })
        };
        self.capabilities.forced_tool_choice.unwrap_or_else(by_name)
    }

    /// Whether `output_config.format` is taken.
    pub(crate) fn takes_output_format(&self) -> bool {
        let by_name = || self.release.is_none_or(|release| !release.is_before(4, 5));
        self.capabilities.structured_output.unwrap_or_else(by_name)
    }

    /// Whether the conversation may end with words of the assistant's, to be continued.
    pub(crate) fn takes_prefill(&self) -> bool {
        let by_name = || self.release.is_none_or(|release| release.is_before(4, 6));
        self.capabilities.prefill.unwrap_or_else(by_name)
    }

    /// Whether a system message may stand between other messages. Where that is not known it is
    /// assumed not to: the words then still arrive, in the user's turn.
    pub(crate) fn takes_system_between_messages(&self) -> bool {
        let by_name = || {
            self.release.is_some_and(|release| match release.family {
                Family::Fable => true,
                Family::Opus => !release.is_before(4, 8),
                Family::Sonnet | Family::Haiku => !release.is_before(5, 5),
                Family::Other => false,
            })
        };
        self.capabilities
            .mid_conversation_system
            .unwrap_or_else(by_name)
    }

    /// Whether images are seen.
    pub(super) fn sees_images(&self) -> bool {
        self.capabilities.images.unwrap_or(true)
    }

    /// Whether documents are read.
    pub(super) fn reads_documents(&self) -> bool {
        self.capabilities.documents.unwrap_or(true)
    }

    /// The largest output in tokens, where it is known.
    pub(crate) fn max_output(&self) -> Option<u64> {
        self.capabilities.max_output_tokens.or_else(|| {
            self.release.map(|release| match release.version {
                version if version >= (4, 6) => 128_000,
                version if version >= (4, 5) => 64_000,
                version if version >= (4, 0) && release.family == Family::Opus => 32_000,
                version if version >= (3, 7) => 64_000,
                version if version >= (3, 5) => 8_192,
                _ => 4_096,
            })
        })
    }

    /// The bound on the output for a request that sets none.
    ///
    /// Anthropic demands one where OpenAI lets it be absent, so the nearest to "no bound" is the model's
    /// own: what the catalog says, else what its name says, else 8,192, which every Claude since 3.5 takes.
    pub(crate) fn default_max_output(&self) -> u64 {
        self.max_output().unwrap_or(UNKNOWN_MAX_OUTPUT)
    }
}

impl Model<'_> {
    /// The shortest beginning of a prompt that is cached, in tokens; the longest of all where the name does not
    /// tell. <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>
    pub(crate) fn min_cacheable_tokens(&self) -> u64 {
        let Some(Release { family, version }) = self.release else {
            return 4_096;
        };
        match family {
            Family::Haiku if version < (4, 5) => 2_048,
            Family::Sonnet if version < (4, 6) => 1_024,
            Family::Sonnet => 2_048,
            Family::Opus if version < (4, 5) => 1_024,
            Family::Opus | Family::Haiku | Family::Fable | Family::Other => 4_096,
        }
    }
}

/// Whether a model counts more tokens for the same words than those before it: Claude from 4.7 on.
pub(crate) fn has_short_tokens(model: &str) -> bool {
    Release::parse(model).is_some_and(|release| !release.is_before(4, 7))
}

/// Whether a model thinks between its tool calls only when a beta feature asks for it: Claude 4 and 4.5.
/// Newer ones do so by themselves, older ones never.
pub(super) fn thinks_between_tools_by_beta(model: &str) -> bool {
    Release::parse(model).is_some_and(|release| {
        release.family != Family::Haiku && !release.is_before(4, 0) && release.is_before(4, 6)
    })
}

impl Release {
    fn is_before(&self, major: u32, minor: u32) -> bool {
        self.version < (major, minor)
    }

    /// Reads `claude-FAMILY-MAJOR[-MINOR]` and the older `claude-MAJOR[-MINOR]-FAMILY`, with whatever a
    /// platform puts before or after.
    fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (_, rest) = name.split_once("claude-")?;
        let words = || rest.split(['-', '.', '@', ':']);
        let family = words()
            .find_map(|word| match word {
                "opus" => Some(Family::Opus),
                "sonnet" => Some(Family::Sonnet),
                "haiku" => Some(Family::Haiku),
                "fable" | "mythos" => Some(Family::Fable),
                _ => None,
            })
            .unwrap_or(Family::Other);
        // A number of more than two digits is a date.
        let number = |word: &str| word.parse().ok().filter(|_| word.len() <= 2);
        let mut numbers = words()
            .map(number)
            .skip_while(Option::is_none)
            .map_while(|number| number);
        let version = match (numbers.next(), numbers.next()) {
            (Some(major), minor) => (major, minor.unwrap_or(0)),
            // `claude-mythos-preview` behaves as the numbered ones that followed.
            (None, _) if family == Family::Fable => (5, 0),
            (None, _) => return None,
        };
        Some(Self { family, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str) -> Option<(Family, (u32, u32))> {
        Release::parse(name).map(|release| (release.family, release.version))
    }

    #[test]
    fn a_release_is_read_from_every_shape_of_name() {
        let cases = [
            ("claude-3-haiku-20240307", Family::Haiku, (3, 0)),
            ("claude-3-5-sonnet-latest", Family::Sonnet, (3, 5)),
            ("claude-opus-4-20250514", Family::Opus, (4, 0)),
            ("claude-sonnet-4-5-20250929", Family::Sonnet, (4, 5)),
            ("anthropic/claude-opus-5.5", Family::Opus, (5, 5)),
            (
                "us.anthropic.claude-haiku-4-5-20251001-v1:0",
                Family::Haiku,
                (4, 5),
            ),
            ("claude-fable-5-1", Family::Fable, (5, 1)),
            ("claude-mythos-preview", Family::Fable, (5, 0)),
            ("claude-2.1", Family::Other, (2, 1)),
        ];
        for (name, family, version) in cases {
            assert_eq!(release(name), Some((family, version)), "{name}");
        }
    }

    #[test]
    fn a_name_that_says_nothing_is_not_guessed() {
        for name in ["my-tune", "claude-latest", "sim"] {
            assert_eq!(release(name), None, "{name}");
        }
    }

    #[test]
    fn the_catalog_overrules_the_name() {
        let capabilities = Capabilities {
            sampling: Some(true),
            max_output_tokens: Some(1_000),
            forced_tool_choice: Some(true),
            ..Capabilities::default()
        };
        let target = Target {
            model: "claude-opus-5-5",
            base_url: "https://api.anthropic.com",
            capabilities: &capabilities,
            host: &crate::host::Host::NONE,
        };
        let model = Model::of(&target);
        assert!(model.takes_sampling());
        assert_eq!(model.default_max_output(), 1_000);
        assert!(model.takes_forced_tools());
        assert!(model.always_thinks());
    }
}
