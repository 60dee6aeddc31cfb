//! The serializer.

use std::fmt::{Display, Write as _};
use std::marker::PhantomData;

use serde::Serialize;
use serde::ser::{self, Error as _};

use super::Unwritable;
use super::text::{AsWritten, Displayed, Output, is_plain, quoted};

/// How JSON that is already written comes to a serializer: as a struct of this name with a field of this name.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// What is written otherwise than `serde_json` writes it.
pub(super) trait Style {
    /// Whether it is for programs: times are numbers, and members of structs that are `null` are left out.
    const IS_RECORD: bool;
}

/// Everything as it is.
pub(super) struct Full;

impl Style for Full {
    const IS_RECORD: bool = false;
}

/// In few bytes.
pub(super) struct Record;

impl Style for Record {
    const IS_RECORD: bool = true;
}

/// Writes one value.
pub(super) struct Writer<'o, O, S> {
    out: &'o mut O,
    /// The value is a text that is JSON.
    is_raw: bool,
    style: PhantomData<S>,
}

/// An object or a list that is being written.
pub(super) struct Members<'o, O, S> {
    out: &'o mut O,
    is_empty: bool,
    close: &'static [u8],
    style: PhantomData<S>,
}

impl<'o, O: Output, S: Style> Members<'o, O, S> {
    fn open(out: &'o mut O, open: u8, close: &'static [u8]) -> Self {
        out.put(open);
        Self {
            out,
            is_empty: true,
            close,
            style: PhantomData,
        }
    }

    fn next(&mut self) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.put(b',');
        }
    }

    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.next();
        value.serialize(Writer::<O, S>::to(self.out))
    }

    fn member<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        debug_assert!(is_plain(name.as_bytes()), "{name}");
        let (before, was_empty) = (self.out.len(), self.is_empty);
        self.next();
        self.out.put(b'"');
        self.out.put_all(name.as_bytes());
        self.out.put_all(br#"":"#);
        let value_at = self.out.len();
        value.serialize(Writer::<O, S>::to(self.out))?;
        if S::IS_RECORD && self.out.len() == value_at + 4 && self.out.ends_with(b"null") {
            self.out.cut(before);
            self.is_empty = was_empty;
        }
        Ok(())
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.next();
        let key_at = self.out.len();
        key.serialize(Writer::<O, S>::to(self.out))?;
        // A name is a text; what else has one form is put in quotes.
        match self.out.get(key_at) {
            Some(b'"') => {}
            Some(b'{' | b'[' | b'n') | None => {
                return Err(Unwritable::custom("a key must be a text"));
            }
            Some(_) => {
                let bare = self.out.get(key_at..).unwrap_or_default().to_vec();
                self.out.cut(key_at);
                self.out.put(b'"');
                self.out.put_all(&bare);
                self.out.put(b'"');
            }
        }
        self.out.put(b':');
        Ok(())
    }

    fn close(self) {
        self.out.put_all(self.close);
    }
}

impl<'o, O: Output, S: Style> Writer<'o, O, S> {
    pub(super) fn to(out: &'o mut O) -> Self {
        Self {
            out,
            is_raw: false,
            style: PhantomData,
        }
    }

    fn integer(self, value: impl itoa::Integer) {
        let mut digits = itoa::Buffer::new();
        self.out.put_all(digits.format(value).as_bytes());
    }

    /// By `serde_json`, which knows how.
    fn elsewhere<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        serde_json::to_writer(AsWritten(self.out), value).map_err(Unwritable::custom)
    }

    /// Opens what stands for a variant: an object of one member.
    fn variant(self, variant: &'static str) -> &'o mut O {
        self.out.put(b'{');
        quoted(variant, self.out);
        self.out.put(b':');
        self.out
    }
}

macro_rules! integers {
    ($($name:ident: $integer:ty),+) => {
        $(fn $name(self, value: $integer) -> Result<(), Unwritable> {
            self.integer(value);
            Ok(())
        })+
    };
}

impl<'o, O: Output, S: Style> ser::Serializer for Writer<'o, O, S> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Members<'o, O, S>;
    type SerializeTuple = Members<'o, O, S>;
    type SerializeTupleStruct = Members<'o, O, S>;
    type SerializeTupleVariant = Members<'o, O, S>;
    type SerializeMap = Members<'o, O, S>;
    type SerializeStruct = Fields<'o, O, S>;
    type SerializeStructVariant = Members<'o, O, S>;

    integers!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128
    );

    fn is_human_readable(&self) -> bool {
        !S::IS_RECORD
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        if value {
            self.out.put_all(b"true");
        } else {
            self.out.put_all(b"false");
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unwritable> {
        self.elsewhere(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unwritable> {
        self.elsewhere(&value)
    }

    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        if self.is_raw {
            self.out.put_all(value.as_bytes());
        } else {
            quoted(value, self.out);
        }
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        self.out.put(b'"');
        write!(Displayed(&mut *self.out), "{value}").map_err(Unwritable::custom)?;
        self.out.put(b'"');
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.out.put_all(b"null");
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
        let out = self.variant(variant);
        value.serialize(Writer::<O, S>::to(out))?;
        out.put(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'o, O, S>, Unwritable> {
        Ok(Members::open(self.out, b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'o, O, S>, Unwritable> {
        Ok(Members::open(self.out, b'[', b"]"))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Members<'o, O, S>, Unwritable> {
        Ok(Members::open(self.out, b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'o, O, S>, Unwritable> {
        Ok(Members::open(self.variant(variant), b'[', b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'o, O, S>, Unwritable> {
        Ok(Members::open(self.out, b'{', b"}"))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        _: usize,
    ) -> Result<Fields<'o, O, S>, Unwritable> {
        Ok(if name == RAW_VALUE {
            Fields::Raw(self.out)
        } else {
            Fields::Members(Members::open(self.out, b'{', b"}"))
        })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'o, O, S>, Unwritable> {
        Ok(Members::open(self.variant(variant), b'{', b"}}"))
    }
}

/// A struct that is being written: an object, or JSON as it is.
pub(super) enum Fields<'o, O, S> {
    Members(Members<'o, O, S>),
    Raw(&'o mut O),
}

impl<O: Output, S: Style> ser::SerializeStruct for Fields<'_, O, S> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        match self {
            Self::Members(members) => members.member(name, value),
            Self::Raw(out) => value.serialize(Writer::<O, S> {
                out,
                is_raw: true,
                style: PhantomData,
            }),
        }
    }

    fn end(self) -> Result<(), Unwritable> {
        if let Self::Members(members) = self {
            members.close();
        }
        Ok(())
    }
}

impl<O: Output, S: Style> ser::SerializeStructVariant for Members<'_, O, S> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close();
        Ok(())
    }
}

impl<O: Output, S: Style> ser::SerializeMap for Members<'_, O, S> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unwritable> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        value.serialize(Writer::<O, S>::to(self.out))
    }

    fn end(self) -> Result<(), Unwritable> {
        self.close();
        Ok(())
    }
}

/// A list, however it is called.
macro_rules! lists {
    ($($list:ident: $add:ident),+) => {
        $(impl<O: Output, S: Style> ser::$list for Members<'_, O, S> {
            type Ok = ();
            type Error = Unwritable;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.element(value)
            }

            fn end(self) -> Result<(), Unwritable> {
                self.close();
                Ok(())
            }
        })+
    };
}

lists!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);
