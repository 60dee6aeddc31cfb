//! Where data may go.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The most bytes of a region's name.
const MAX_NAME: usize = 32;

/// A region as operators name it: `eu`, `eu-west-1`, `us`. 1 to 32 lower-case letters, digits and `-`. Cheap
/// to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(Arc<str>);

/// The text is not a region's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a region has 1 to 32 of the characters a-z, 0-9 and '-'")]
pub struct InvalidRegion;

impl Region {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this region or lies in it: `eu` holds `eu-west-1`, not `europe`.
    pub fn holds(&self, other: &Self) -> bool {
        other.lies_in(&self.0)
    }

    /// Whether it is the region that is called so, or lies in it.
    pub fn lies_in(&self, name: &str) -> bool {
        match self.0.strip_prefix(name) {
            Some(rest) => rest.is_empty() || rest.starts_with('-'),
            None => false,
        }
    }
}

/// Whether what lies in `region` may serve one who is held to `permitted`. Nobody is held to an empty list;
/// where nothing is known of the region, it is none of those that are permitted.
pub fn permits(permitted: &[Region], region: Option<&Region>) -> bool {
    permitted.is_empty() || region.is_some_and(|region| permitted.iter().any(|it| it.holds(region)))
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Region {
    type Err = InvalidRegion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(allowed) {
            return Err(InvalidRegion);
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(text: &str) -> Region {
        text.parse().unwrap()
    }

    #[test]
    fn a_region_holds_what_lies_in_it() {
        assert!(region("eu").holds(&region("eu")));
        assert!(region("eu").holds(&region("eu-west-1")));
        assert!(!region("eu").holds(&region("europe")));
        assert!(!region("eu-west-1").holds(&region("eu")));
    }

    #[test]
    fn an_unknown_region_is_none_of_those_that_are_permitted() {
        assert!(permits(&[], None));
        assert!(!permits(&[region("eu")], None));
        assert!(permits(
            &[region("us"), region("eu")],
            Some(&region("eu-central-1"))
        ));
        assert!(!permits(&[region("eu")], Some(&region("us"))));
    }

    #[test]
    fn names_out_of_bounds_are_refused() {
        for text in ["", "EU", "eu west", &"e".repeat(33)] {
            assert_eq!(text.parse::<Region>(), Err(InvalidRegion), "{text}");
        }
    }
}
