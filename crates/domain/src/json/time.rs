//! Times in records, for `#[serde(with = "domain::json::time")]`: microseconds since 1970 in UTC where
//! [`write`](super::write) writes them, RFC 3339 elsewhere. Either is read.

use std::fmt;

use jiff::Timestamp;
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serialize, Serializer};

/// Writes a time.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        time.serialize(serializer)
    } else {
        serializer.serialize_i64(time.as_microsecond())
    }
}

/// Reads a time in either form.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    struct Either;

    impl Visitor<'_> for Either {
        type Value = Timestamp;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("microseconds since 1970, or a time as RFC 3339 has it")
        }

        fn visit_i64<E: Error>(self, microseconds: i64) -> Result<Timestamp, E> {
            Timestamp::from_microsecond(microseconds).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, microseconds: u64) -> Result<Timestamp, E> {
            let microseconds = i64::try_from(microseconds).map_err(E::custom)?;
            self.visit_i64(microseconds)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_any(Either)
}
