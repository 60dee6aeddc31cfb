//! JSON read so that what means the same is written the same: members in order, no white space, one way to
//! write a number.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Whole numbers of at least this size are the same as their neighbours once they are read as fractions.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Whole(i128),
    Fraction(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// Reads a body. `None` where it is no JSON, or says something that readers understand differently: a
    /// member twice, or a number that is too large to be exact.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The member of that name.
    pub(super) fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let at = members
            .binary_search_by(|(member, _)| (**member).cmp(name))
            .ok()?;
        members.get(at).map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub(super) fn member_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let at = members
            .binary_search_by(|(member, _)| (**member).cmp(name))
            .ok()?;
        members.get_mut(at).map(|(_, value)| value)
    }

    /// Takes out the members of these names.
    pub(super) fn remove(&mut self, names: &[&str]) {
        if let Self::Object(members) = self {
            members.retain(|(name, _)| !names.contains(&&**name));
        }
    }

    /// The text that it is.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Appends the value as JSON, which is read as the same value again.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Whole(number) => json(number, out),
            Self::Fraction(number) => json(number, out),
            Self::Text(text) => json(text, out),
            Self::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn json(value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, value);
    // Text and finite numbers are written into memory without failing.
    debug_assert!(written.is_ok());
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// A member's name, which is part of the body where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a member's name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Words)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Node::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Node::Whole(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        if value.abs() >= EXACT {
            return Err(E::custom("a number that is too large to be exact"));
        }
        if value.fract() != 0.0 {
            return Ok(Node::Fraction(value));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole, and smaller than 2^53"
        )]
        let whole = value as i64;
        Ok(Node::Whole(whole.into()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut object: Vec<(Cow<'de, str>, Node<'de>)> = Vec::new();
        while let Some((Name(name), value)) = members.next_entry()? {
            object.push((name, value));
        }
        object.sort_by(|(one, _), (other, _)| one.cmp(other));
        if object.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(serde::de::Error::custom("a member that is there twice"));
        }
        Ok(Node::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn canonical(body: &str) -> String {
        let mut out = Vec::new();
        Node::read(body.as_bytes()).unwrap().write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_means_the_same_is_written_the_same() {
        for same in [
            r#"{"a":1,"b":[true,null,"ü"]}"#,
            r#" { "b" : [ true , null , "\u00fc" ] , "a" : 1.0 } "#,
            r#"{"b":[true,null,"ü"],"\u0061":10e-1}"#,
        ] {
            assert_eq!(canonical(same), r#"{"a":1,"b":[true,null,"ü"]}"#);
        }
        assert_eq!(canonical("[-0.0,0,0.5,5e-1]"), "[0,0,0.5,0.5]");
    }

    #[test]
    fn what_readers_understand_differently_is_not_read() {
        for unclear in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"\u0062":1}}"#,
            "[18446744073709551617]",
            "[1e300]",
            "{",
            "",
        ] {
            assert_eq!(Node::read(unclear.as_bytes()), None, "{unclear}");
        }
        assert_eq!(
            canonical("[18446744073709551615]"),
            "[18446744073709551615]"
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1.0e6..1.0e6).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..5)
                    .prop_map(|members| json!(members)),
            ]
        })
    }

    /// The same value with the members of every object the other way round.
    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(reversed).collect(),
            Value::Object(members) => members
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), reversed(value)))
                .collect(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(value in values()) {
            let once = canonical(&value.to_string());
            prop_assert_eq!(canonical(&once), once.clone());
            let pretty = serde_json::to_string_pretty(&reversed(&value)).unwrap();
            prop_assert_eq!(canonical(&pretty), once);
        }

        #[test]
        fn what_differs_is_written_differently(one in values(), other in values()) {
            let (one, other) = (one.to_string(), other.to_string());
            let are_equal = Node::read(one.as_bytes()) == Node::read(other.as_bytes());
            prop_assert_eq!(canonical(&one) == canonical(&other), are_equal);
        }
    }
}
