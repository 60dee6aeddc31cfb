//! What a project decides for its own calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::region::Region;

/// A project's own settings; empty ones leave everything as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectSettings {
    /// The regions that its calls may be answered in, as providers name theirs (`region` in the
    /// configuration); empty permits all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Switches and variants that routes may ask for, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flags: BTreeMap<String, Flag>,
    /// Whether what is said in its calls is kept; `None` leaves it to the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payloads: Option<PayloadRule>,
}

/// The value of a feature flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Flag {
    /// On or off.
    Switch(bool),
    /// One of several.
    Variant(String),
}

/// Whether what is said in calls is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "keep", rename_all = "snake_case", deny_unknown_fields)]
pub enum PayloadRule {
    /// Nothing is kept.
    None,
    /// Requests and answers are kept as they were, for so many seconds.
    Full {
        /// How long.
        retention_seconds: u32,
    },
}

/// Why settings are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// A region's name.
    #[error("'{0}' is no region: 1 to 64 of the characters a-z, 0-9 and '-'")]
    Region(String),
    /// More regions or flags than are taken.
    #[error("there are at most {0}")]
    TooMany(usize),
    /// A flag's name.
    #[error("'{0}' is no flag: 1 to 64 letters, digits, '_', '-' and '.'")]
    Flag(String),
    /// A flag's value.
    #[error("the value of flag '{0}' has more than 256 characters or control characters")]
    FlagValue(String),
    /// Nothing would be kept.
    #[error("what is kept is kept for a second at least")]
    Retention,
}

impl InvalidSettings {
    /// The field that is meant.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Region(_) => "settings.regions",
            Self::TooMany(_) => "settings",
            Self::Flag(_) | Self::FlagValue(_) => "settings.flags",
            Self::Retention => "settings.payloads.retention_seconds",
        }
    }
}

/// The most regions, and the most flags, of a project.
const MAX_ENTRIES: usize = 100;
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 256;

impl ProjectSettings {
    /// The settings, if all of them are such as are taken.
    pub fn checked(self) -> Result<Self, InvalidSettings> {
        if self.regions.len() > MAX_ENTRIES || self.flags.len() > MAX_ENTRIES {
            return Err(InvalidSettings::TooMany(MAX_ENTRIES));
        }
        let is_region = |text: &str| {
            let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed)
        };
        if let Some(region) = self.regions.iter().find(|region| !is_region(region)) {
            return Err(InvalidSettings::Region(region.clone()));
        }
        for (name, value) in &self.flags {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(allowed) {
                return Err(InvalidSettings::Flag(name.clone()));
            }
            if let Flag::Variant(text) = value
                && (text.chars().count() > MAX_VALUE || text.chars().any(char::is_control))
            {
                return Err(InvalidSettings::FlagValue(name.clone()));
            }
        }
        let keeps_nothing = PayloadRule::Full {
            retention_seconds: 0,
        };
        if self.payloads == Some(keeps_nothing) {
            return Err(InvalidSettings::Retention);
        }
        Ok(self)
    }

    /// Whether the project's calls may be answered in `region`. What lies nobody knows where is nowhere that is
    /// permitted.
    pub fn permits(&self, region: Option<&Region>) -> bool {
        let mut regions = self.regions.iter();
        self.regions.is_empty()
            || region.is_some_and(|region| regions.any(|name| region.lies_in(name)))
    }

    /// Whether the configuration decides everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl PayloadRule {
    /// How long what is said is kept; `None` where it is not.
    pub fn retention(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::Full { retention_seconds } => {
                Some(Duration::from_secs(u64::from(retention_seconds)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ProjectSettings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let json = r#"{"regions":["eu-west-1"],"flags":{"beta":true,"tone":"warm"},"payloads":{"keep":"full","retention_seconds":60}}"#;
        let settings = read(json).checked().unwrap();
        assert_eq!(serde_json::to_string(&settings).unwrap(), json);
        assert_eq!(
            settings.payloads.unwrap().retention(),
            Some(Duration::from_mins(1))
        );
        assert!(read("{}").is_empty());
        assert_eq!(
            read(r#"{"payloads":{"keep":"none"}}"#).payloads,
            Some(PayloadRule::None)
        );
    }

    #[test]
    fn a_project_is_held_to_its_regions() {
        let (eu, us) = ("eu-west-1".parse().unwrap(), "us".parse().unwrap());
        let settings = read(r#"{"regions":["eu"]}"#);
        assert!(settings.permits(Some(&eu)));
        assert!(!settings.permits(Some(&us)) && !settings.permits(None));
        assert!(read("{}").permits(Some(&us)) && read("{}").permits(None));
    }

    #[test]
    fn what_is_no_setting_is_named() {
        for (json, field) in [
            (r#"{"regions":["EU"]}"#, "settings.regions"),
            (r#"{"flags":{"a b":true}}"#, "settings.flags"),
            (r#"{"flags":{"a":"\u0000"}}"#, "settings.flags"),
            (
                r#"{"payloads":{"keep":"full","retention_seconds":0}}"#,
                "settings.payloads.retention_seconds",
            ),
        ] {
            assert_eq!(read(json).checked().unwrap_err().field(), field, "{json}");
        }
        assert!(serde_json::from_str::<ProjectSettings>(r#"{"region":[]}"#).is_err());
    }
}
