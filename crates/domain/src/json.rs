//! Writes as JSON what is written of every call: the ledger's records and the log line.
//!
//! The JSON is the same that `serde_json` writes, but for times ([`time`]) and for what is `null`: a member
//! without a value is left out, which reads back as the same. It is here because a call writes a hundred fields: names of fields need no look for what must be escaped, since they are identifiers, and
//! values are looked at sixteen bytes at a time. What is no plain struct of text and numbers is left to
//! `serde_json`, or refused.

use std::cell::Cell;
use std::fmt::{self, Display, Write as _};
use std::io::Write as _;

use serde::Serialize;
use serde::ser::{self, Impossible};

pub mod time;

/// A value that is written here only by mistake: a type that the ledger does not have.
#[derive(Debug, thiserror::Error)]
#[error("cannot be written: {0}")]
pub struct Unwritable(String);

impl ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Appends `value` as JSON. What was appended before an error stays.
pub fn write(value: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    value.serialize(Writer(out))
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

struct Writer<'o>(&'o mut Vec<u8>);

/// An object or a list that is being written.
struct Members<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
    close: u8,
}

impl<'o> Members<'o> {
    fn open(out: &'o mut Vec<u8>, open: u8, close: u8) -> Self {
        out.push(open);
        Self {
            out,
            is_empty: true,
            close,
        }
    }

    fn next(&mut self) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(b',');
        }
    }

    fn close(self) {
        self.out.push(self.close);
    }
}

impl Writer<'_> {
    fn integer(self, value: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        self.0.extend_from_slice(digits.format(value).as_bytes());
    }

    /// By `serde_json`, which knows how.
    fn elsewhere<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        serde_json::to_writer(self.0, value).map_err(ser::Error::custom)
    }
}

/// Appends a text in quotes.
fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escaped(text, out);
    out.push(b'"');
}

/// Appends a text without quotes.
fn escaped(text: &str, out: &mut Vec<u8>) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    for character in text.chars() {
        let mut bytes = [0; 4];
        // RFC 8259, section 7. Writing to memory does not fail.
        let written = match character {
            '"' => out.write_all(br#"\""#),
            '\\' => out.write_all(br"\\"),
            '\u{8}' => out.write_all(br"\b"),
            '\u{c}' => out.write_all(br"\f"),
            '\n' => out.write_all(br"\n"),
            '\r' => out.write_all(br"\r"),
            '\t' => out.write_all(br"\t"),
            control if control < ' ' => write!(out, "\\u{:04x}", u32::from(control)),
            other => out.write_all(other.encode_utf8(&mut bytes).as_bytes()),
        };
        debug_assert!(written.is_ok());
    }
}

/// Whether nothing has to be escaped. There is no early way out, so that it is done many bytes at a time.
fn is_plain(bytes: &[u8]) -> bool {
    let escaped = |byte: u8| u8::from(matches!(byte, ..b' ' | b'"' | b'\\'));
    bytes.iter().fold(0, |found, &byte| found | escaped(byte)) == 0
}

/// What a value displays, escaped piece by piece.
struct Displayed<'o>(&'o mut Vec<u8>);

impl fmt::Write for Displayed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(text, self.0);
        Ok(())
    }
}

type No = Impossible<(), Unwritable>;

fn refused<T>(what: &str) -> Result<T, Unwritable> {
    Err(Unwritable(format!("{what} is not foreseen")))
}

macro_rules! integers {
    ($($name:ident: $integer:ty),+) => {
        $(fn $name(self, value: $integer) -> Result<(), Unwritable> {
            self.integer(value);
            Ok(())
        })+
    };
}

impl<'o> ser::Serializer for Writer<'o> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Members<'o>;
    type SerializeTuple = Members<'o>;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = Members<'o>;
    type SerializeStructVariant = No;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    /// Programs read it: times are numbers ([`time`]).
    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.0.extend_from_slice(text);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        self.elsewhere(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        self.elsewhere(&value)
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.elsewhere(&value)
    }

    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        quoted(value, self.0);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        self.0.push(b'"');
        write!(Displayed(self.0), "{value}").map_err(ser::Error::custom)?;
        self.0.push(b'"');
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        self.elsewhere(value)
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.0.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        let mut members = Members::open(self.0, b'{', b'}');
        ser::SerializeStruct::serialize_field(&mut members, variant, value)?;
        members.close();
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'o>, Unwritable> {
        Ok(Members::open(self.0, b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'o>, Unwritable> {
        Ok(Members::open(self.0, b'[', b']'))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Members<'o>, Unwritable> {
        Ok(Members::open(self.0, b'{', b'}'))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<No, Unwritable> {
        refused(name)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, Unwritable> {
        refused(name)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<No, Unwritable> {
        refused("a map")
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<No, Unwritable> {
        refused(name)
    }
}

impl ser::SerializeStruct for Members<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        debug_assert!(is_plain(name.as_bytes()), "{name}");
        let (before, was_empty) = (self.out.len(), self.is_empty);
        self.next();
        self.out.reserve(name.len() + 3);
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(br#"":"#);
        value.serialize(Writer(self.out))?;
        if self.out.ends_with(b":null") {
            self.out.truncate(before);
            self.is_empty = was_empty;
        }
        Ok(())
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeSeq for Members<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.next();
        value.serialize(Writer(self.out))
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close();
        Ok(())
    }
}

impl ser::SerializeTuple for Members<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        ser::SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
