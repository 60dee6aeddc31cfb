//! Writes JSON: [`write()`] what `serde_json` writes, to the byte, and [`record()`] the same in fewer bytes, for the
//! ledger's records and the log line.
//!
//! It is here because a call writes some hundred fields and the words of its answer: names of fields need no look for
//! what must be escaped, since they are identifiers, and texts are looked at sixteen bytes at a time. Fractions are
//! left to `serde_json`, which reads all that is written here.

use std::cell::Cell;
use std::fmt::Display;

use serde::{Serialize, Serializer, ser};

mod text;
pub mod time;
mod writer;

pub use text::Output;
use writer::{Full, Record, Writer};

/// A value that JSON does not have, such as a key of a map that is a list.
#[derive(Debug, thiserror::Error)]
#[error("cannot be written as JSON: {0}")]
pub struct Unwritable(String);

impl ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Appends `value` as JSON, as `serde_json` writes it. What was appended before an error stays.
pub fn write(value: &(impl Serialize + ?Sized), out: &mut impl Output) -> Result<(), Unwritable> {
    value.serialize(Writer::<_, Full>::to(out))
}

/// Appends `value` as JSON for programs: times are numbers ([`time`]), and a member of a struct that is `null` is
/// left out, which reads back as the same. What was appended before an error stays.
pub fn record(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    value.serialize(Writer::<_, Record>::to(out))
}

/// Writes a field of which [records](record()) leave out the default, which `#[serde(default)]` reads back; for
/// `#[serde(serialize_with)]`.
pub fn unless_default<T: Serialize + Default + PartialEq, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() && *value == T::default() {
        return serializer.serialize_none();
    }
    value.serialize(serializer)
}

/// Lets `write` have room that the thread uses again and again: what every call writes, and hands on as a copy,
/// takes no memory of its own.
pub fn in_scratch<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // Taken out, so that whoever writes while something is written finds other room.
    let mut room = SCRATCH.take();
    room.clear();
    let written = write(&mut room);
    SCRATCH.set(room);
    written
}

#[cfg(test)]
mod tests;
