//! Access tokens that say by themselves for whom they are and how long they live.

use crate::digest::Digest;

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Google Cloud.
    Google,
    /// Microsoft's AI services.
    Entra,
    /// Anything else that Microsoft gives tokens for.
    EntraElsewhere,
    /// Temporary keys at Amazon.
    Aws,
    /// Asking a machine at Amazon about itself.
    AwsMetadata,
}

impl Audience {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Google => "ya29.sim",
            Self::Entra => "eyJ0eXAi.simai",
            Self::EntraElsewhere => "eyJ0eXAi.simother",
            Self::Aws => "IQoJsim",
            Self::AwsMetadata => "AQAEAsim",
        }
    }
}

/// How a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    Expired,
    /// Not given out by this provider for this.
    Unknown,
}

/// A token for `audience` that lives until `until`, in seconds since 1970; `about` is bound to it.
pub(crate) fn issue(seed: u64, audience: Audience, about: &str, until: u64) -> String {
    let proof = proof(seed, audience, about, until);
    format!("{}.{until:x}.{proof:016x}", audience.prefix())
}

/// How a token stands at `now`.
pub(crate) fn standing(
    seed: u64,
    audience: Audience,
    about: &str,
    token: &str,
    now: u64,
) -> Standing {
    let parts = token
        .strip_prefix(audience.prefix())
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.split_once('.'));
    let Some((until, told)) = parts else {
        return Standing::Unknown;
    };
    let Ok(until) = u64::from_str_radix(until, 16) else {
        return Standing::Unknown;
    };
    if told != format!("{:016x}", proof(seed, audience, about, until)) {
        Standing::Unknown
    } else if until <= now {
        Standing::Expired
    } else {
        Standing::Good
    }
}

fn proof(seed: u64, audience: Audience, about: &str, until: u64) -> u64 {
    Digest::new(seed)
        .with(audience.prefix().as_bytes())
        .with(about.as_bytes())
        .with_number(until)
        .value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_thing_and_one_time() {
        let token = issue(1, Audience::Google, "", 1000);
        let of = |audience, about, now| standing(1, audience, about, &token, now);
        assert_eq!(of(Audience::Google, "", 999), Standing::Good);
        assert_eq!(of(Audience::Google, "", 1000), Standing::Expired);
        assert_eq!(of(Audience::Google, "other", 999), Standing::Unknown);
        assert_eq!(of(Audience::Entra, "", 999), Standing::Unknown);
        assert_eq!(
            standing(2, Audience::Google, "", &token, 999),
            Standing::Unknown
        );
        assert_eq!(
            standing(1, Audience::Google, "", "ya29.other", 999),
            Standing::Unknown
        );
    }
}
