//! The fields of a provider's whole answer: those that have a meaning here are taken one by one, and the rest is kept
//! as it came.

use std::borrow::Cow;
use std::fmt;

use domain::chat::Extensions;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::dialect::DecodeError;
use crate::openai::fields::Name;

/// Nothing is copied that is only looked at. Of a name that comes twice the later counts; both are here, so that a body
/// of very many names is read in one go.
pub(crate) struct AnswerFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> AnswerFields<'a> {
    /// Reads the object that is the whole of `body`.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(body).map_err(|problem| {
            DecodeError::Malformed(format!("the answer is not a JSON object: {problem}"))
        })
    }

    /// Looks at a field without taking it.
    pub(crate) fn look(&self, name: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.0.iter().rfind(|(other, _)| other == name)?;
        Some(raw)
    }

    /// Takes a field as it was written.
    pub(crate) fn take_raw(&mut self, name: &str) -> Option<&'a RawValue> {
        let raw = self.look(name)?;
        self.0.retain(|(other, _)| other != name);
        Some(raw)
    }

    /// Takes a field; one that is null or absent is `None`.
    pub(crate) fn take<T: Deserialize<'a>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        let Some(raw) = self.take_raw(name) else {
            return Ok(None);
        };
        serde_json::from_str(raw.get()).map_err(|problem| {
            DecodeError::Malformed(format!("`{name}` of the answer is not readable: {problem}"))
        })
    }

    /// The fields that nobody took, without those that are null.
    pub(crate) fn rest(self) -> Extensions {
        let fields = self.0.into_iter();
        let mut rest: Extensions = fields
            .map(|(name, raw)| (name.into_owned(), raw.to_owned()))
            .collect();
        rest.retain(|_, raw| raw.get() != "null");
        rest
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AnswerFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields: Self::Value = Vec::with_capacity(12);
                while let Some((Name(name), raw)) = map.next_entry()? {
                    fields.push((name, raw));
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_kept_as_it_came() {
        let body =
            br#"{"id":"a","n\u0061me" : {"b" : 1.0},"none":7,"id":"b","count":null,"none":null}"#;
        let mut fields = AnswerFields::read(body).unwrap();
        assert_eq!(fields.take::<String>("id").unwrap().as_deref(), Some("b"));
        assert_eq!(fields.take::<u8>("count").unwrap(), None);
        assert_eq!(fields.take::<u8>("other").unwrap(), None);
        assert!(fields.look("name").is_some());
        let rest = fields.rest();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest["name"].get(), r#"{"b" : 1.0}"#);
    }

    #[test]
    fn what_is_no_object_or_another_type_is_told() {
        for body in [&b"[]"[..], b"", b"{", b"{\"a\":\xff}", b"{\"a\":1} x"] {
            assert!(AnswerFields::read(body).is_err());
        }
        let mut fields = AnswerFields::read(br#"{"id":7}"#).unwrap();
        let Err(DecodeError::Malformed(problem)) = fields.take::<String>("id") else {
            panic!("a number is no text");
        };
        assert!(problem.starts_with("`id` of the answer is not readable"));
    }
}
