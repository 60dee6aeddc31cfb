//! What a model on Bedrock takes, as far as its name tells.
//!
//! The catalog's capabilities come first; this is what they do not hold. A name that says nothing, such
//! as an application inference profile's, restricts nothing: the provider decides.

use crate::anthropic;
use crate::dialect::Target;

/// Who made a model, where it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's.
    Claude,
    /// Amazon's second generation of Nova.
    Nova2,
    /// Amazon's Nova Premier.
    NovaPremier,
    /// Amazon's other Nova models.
    Nova,
    /// OpenAI's.
    OpenAi,
    /// Mistral's.
    Mistral,
    /// Another known vendor's.
    Other,
    /// The name does not tell.
    Unknown,
}

impl Family {
    /// Reads `[REGION.]VENDOR.MODEL` and the ARNs that end in one.
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        if name.contains("anthropic.claude") {
            return Self::Claude;
        }
        // `amazon.nova-2-lite-v1:0`, `us.amazon.nova-premier-v1:0`
        if let Some((_, nova)) = name.split_once("amazon.nova-") {
            return match nova {
                nova if nova.starts_with("2-") => Self::Nova2,
                nova if nova.starts_with("premier") => Self::NovaPremier,
                _ => Self::Nova,
            };
        }
        let vendors = [("openai.", Self::OpenAi), ("mistral.", Self::Mistral)];
        for (vendor, family) in vendors {
            if name.contains(vendor) {
                return family;
            }
        }
        if name.contains('.') {
            Self::Other
        } else {
            Self::Unknown
        }
    }

    /// Whether prompt-cache breakpoints are taken; others answer them with an error.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>
    pub(super) fn caches_prompts(self) -> bool {
        matches!(
            self,
            Self::Claude | Self::Nova | Self::Nova2 | Self::NovaPremier | Self::Unknown
        )
    }

    /// Whether signed or sealed thoughts of earlier turns are taken back; others refuse the whole request for them.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html>
    pub(super) fn takes_thoughts_back(self) -> bool {
        matches!(self, Self::Claude | Self::Nova2 | Self::Unknown)
    }

    /// Whether the provider searches the web for it.
    /// <https://docs.aws.amazon.com/nova/latest/nova2-userguide/web-grounding.html>
    pub(super) fn searches_the_web(self) -> bool {
        matches!(self, Self::Nova2 | Self::NovaPremier)
    }

    /// Whether a breakpoint may stand among the tools.
    pub(super) fn caches_tools(self) -> bool {
        matches!(self, Self::Claude | Self::Unknown)
    }

    /// Whether a breakpoint may last an hour.
    pub(super) fn caches_for_an_hour(self) -> bool {
        matches!(self, Self::Claude | Self::Unknown)
    }
}

/// Where inference profiles may ask a model: what stands before its name in theirs.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
const GEOGRAPHIES: [&str; 8] = ["us", "eu", "apac", "jp", "au", "ca", "global", "us-gov"];

/// The name of the model that an inference profile asks, told by the profile's name or ARN:
/// `us.anthropic.claude-…` and `arn:…:inference-profile/us.anthropic.claude-…` are `anthropic.claude-…`. A profile of
/// one's own does not tell, and stays what it is.
#[must_use]
pub fn without_geography(model: &str) -> &str {
    let name = model
        .split_once(":inference-profile/")
        .map_or(model, |(_, name)| name);
    match name.split_once('.') {
        Some((geography, rest)) if GEOGRAPHIES.contains(&geography) => rest,
        _ => name,
    }
}

/// The shortest beginning of a prompt that a model caches, in tokens; `None` where it takes no breakpoints, or
/// its name does not tell. <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>
pub(crate) fn min_cacheable_tokens(target: &Target<'_>) -> Option<u64> {
    match Family::of(target.model) {
        Family::Claude => Some(anthropic::model::Model::of(target).min_cacheable_tokens()),
        Family::Nova | Family::Nova2 | Family::NovaPremier => Some(1_024),
        Family::OpenAi | Family::Mistral | Family::Other | Family::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_called_as_its_model_where_its_name_tells() {
        const OWN: &str =
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6";
        for (profile, model) in [
            ("us.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"),
            ("us-gov.anthropic.claude-x", "anthropic.claude-x"),
            (
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/global.anthropic.claude-x",
                "anthropic.claude-x",
            ),
            ("zai.glm-4.6", "zai.glm-4.6"),
            (OWN, OWN),
        ] {
            assert_eq!(without_geography(profile), model);
        }
    }

    #[test]
    fn the_vendor_is_read_from_every_shape_of_name() {
        let cases = [
            ("anthropic.claude-3-haiku-20240307-v1:0", Family::Claude),
            (
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Family::Claude,
            ),
            ("global.anthropic.claude-opus-5-5", Family::Claude),
            (
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-1-20250805-v1:0",
                Family::Claude,
            ),
            ("amazon.nova-pro-v1:0", Family::Nova),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("us.amazon.nova-premier-v1:0", Family::NovaPremier),
            ("openai.gpt-oss-120b-1:0", Family::OpenAi),
            ("eu.mistral.pixtral-large-2502-v1:0", Family::Mistral),
            ("meta.llama3-1-70b-instruct-v1:0", Family::Other),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
                Family::Unknown,
            ),
        ];
        for (name, family) in cases {
            assert_eq!(Family::of(name), family, "{name}");
        }
    }
}
