//! Identifiers: UUID version 7 (time-ordered), written with a prefix that says what they identify.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::entropy::Entropy;

/// The text is not an identifier of the expected kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected an identifier that starts with {prefix} and ends in 32 hexadecimal digits")]
pub struct InvalidId {
    /// The prefix that was expected, with its last `_` or `-`.
    pub prefix: &'static str,
}

/// Room for the text of any identifier. Every call writes a dozen of them.
struct Text([u8; 40]);

impl Text {
    const EMPTY: Self = Self([0; 40]);

    fn write(&mut self, prefix: &str, id: Uuid) -> &str {
        let mut digits = [0; uuid::fmt::Simple::LENGTH];
        let digits = id.as_simple().encode_lower(&mut digits);
        let (start, rest) = self.0.split_at_mut(prefix.len());
        start.copy_from_slice(prefix.as_bytes());
        let (end, _) = rest.split_at_mut(digits.len());
        end.copy_from_slice(digits.as_bytes());
        let length = prefix.len() + digits.len();
        // ASCII from end to end.
        str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

/// Writes one identifier: a newtype over a UUID that prints as, and parses only from, `prefix` and
/// 32 hexadecimal digits.
macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier, ordered by `now` (milliseconds), unique by `entropy`.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(time_ordered(now, entropy))
            }

            fn write(self, text: &mut Text) -> &str {
                text.write($prefix, self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.write(&mut { Text::EMPTY }))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() == uuid::fmt::Simple::LENGTH)
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or(InvalidId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.write(&mut { Text::EMPTY }))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_id! {
    /// Identifies one call, from its arrival to its row in the ledger; the caller reads it in `x-request-id`.
    RequestId, "req_"
}
prefixed_id! {
    /// Identifies a virtual key; never the key itself.
    KeyId, "key_"
}
prefixed_id! {
    /// Identifies an organisation: the tenant that owns projects, keys and calls.
    OrganizationId, "org_"
}
prefixed_id! {
    /// Identifies a project of an organisation.
    ProjectId, "proj_"
}
prefixed_id! {
    /// Identifies an application: a program of a project that calls models.
    ApplicationId, "app_"
}
prefixed_id! {
    /// Identifies a user: a person of an organisation.
    UserId, "user_"
}
prefixed_id! {
    /// Identifies a limit.
    LimitId, "lim_"
}
prefixed_id! {
    /// Identifies something that happened and that operators want to hear of.
    EventId, "evt_"
}
prefixed_id! {
    /// Identifies one batch: many requests that are handed over together.
    BatchId, "batch_"
}
prefixed_id! {
    /// Identifies one process that serves calls; names its journal segments.
    ReplicaId, "rep_"
}

prefixed_id! {
    /// Identifies a stored file as its owner knows it, in OpenAI's and in Anthropic's API.
    FileId, "file-"
}

impl RequestId {
    /// Its sixteen bytes, of which the last ones nobody can predict.
    pub fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// When it was made, in whole milliseconds. Of an identifier that [`RequestId::new`] did not make,
    /// any time, but always the same.
    pub fn time(self) -> Timestamp {
        let milliseconds = self.0.as_u128() >> 80;
        i64::try_from(milliseconds)
            .ok()
            .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
            .unwrap_or(Timestamp::MAX)
    }
}

impl RequestId {
    /// The call that line `number` of a batch becomes when the batch is handed over to a provider for the
    /// `handover`th time. It follows from the batch, so that it is known before the line has an end.
    pub fn of_line(batch: BatchId, number: u32, handover: u32) -> Self {
        // The upper half has the time and the version; the lower one is the variant and random bits, of
        // which the variant stays.
        const RANDOM: u128 = (1 << 62) - 1;
        let base = batch.0.as_u128();
        let place = (u128::from(handover) << 32) | u128::from(number);
        let random = (base & RANDOM).wrapping_add(place) & RANDOM;
        Self(Uuid::from_u128((base & !RANDOM) | random))
    }
}

impl RequestId {
    /// Stands where no request is.
    pub const NONE: Self = Self(Uuid::nil());
}

impl KeyId {
    /// The identifier of a key that lives in the configuration: the same name gives the same
    /// identifier at every start, so that its calls and its spend stay together.
    pub fn of_configured(digest_of_name: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(digest_of_name).into_uuid())
    }
}

impl LimitId {
    /// The identifier of a limit that lives in the configuration: the same name gives the same identifier at
    /// every start, so that its counters stay.
    pub fn of_configured(digest_of_name: [u8; 16]) -> Self {
        Self(uuid::Builder::from_custom_bytes(digest_of_name).into_uuid())
    }

    /// The identifier of what a key itself may use up.
    pub fn of_key(key: KeyId) -> Self {
        Self(key.0)
    }
}

impl Default for OrganizationId {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl OrganizationId {
    /// The organisation that exists from the first start.
    pub const DEFAULT: Self = Self(Uuid::from_u128(1));

    /// Trunkline itself: what it asks providers on nobody's behalf. It has no record and no keys to show, and
    /// what it spends counts for no tenant.
    pub const HOUSE: Self = Self(Uuid::from_u128(2));
}

impl Default for ProjectId {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl ProjectId {
    /// The default organisation's first project.
    pub const DEFAULT: Self = Self(Uuid::from_u128(1));

    /// The one project of [`OrganizationId::HOUSE`].
    pub const HOUSE: Self = Self(Uuid::from_u128(2));
}

fn time_ordered(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counted;
    impl Entropy for Counted {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn an_identifier_parses_from_what_it_prints() {
        let id = RequestId::new(Timestamp::UNIX_EPOCH, &Counted);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_request_identifier_tells_its_time() {
        let now = Timestamp::from_microsecond(1_763_700_000_123_456).unwrap();
        let time = RequestId::new(now, &Counted).time();
        assert_eq!(time.as_millisecond(), now.as_millisecond());
        assert_eq!(
            format!("req_{}", "f".repeat(32))
                .parse::<RequestId>()
                .unwrap()
                .time(),
            Timestamp::MAX
        );
    }

    #[test]
    fn every_line_of_a_batch_has_a_call_of_its_own() {
        let batch = BatchId::new(Timestamp::from_second(1_763_700_000).unwrap(), &Counted);
        let mut seen = std::collections::HashSet::new();
        for handover in 1..4 {
            for number in 1..1_000 {
                let id = RequestId::of_line(batch, number, handover);
                assert!(seen.insert(id));
                assert_eq!(id.time().as_second(), 1_763_700_000);
            }
        }
    }

    #[test]
    fn another_kind_of_identifier_is_refused() {
        let id = KeyId::new(Timestamp::UNIX_EPOCH, &Counted);
        assert!(id.to_string().parse::<RequestId>().is_err());
        assert!("req_12".parse::<RequestId>().is_err());
        assert!(
            "req_00000000-0000-0000-0000-000000000001"
                .parse::<RequestId>()
                .is_err()
        );
    }
}
