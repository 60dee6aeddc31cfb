use jiff::Timestamp;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    word: Word,
    ratio: f64,
    pair: (u8, i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    PlainWord,
    Wrapped(u32),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Outer {
    text: String,
    none: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    flag: bool,
    letter: char,
    list: Vec<Inner>,
    #[serde(default)]
    unit: (),
}

fn outer() -> impl Strategy<Value = Outer> {
    let word = prop_oneof![Just(Word::PlainWord), any::<u32>().prop_map(Word::Wrapped)];
    let inner = (word, -1e9..1e9, any::<(u8, i64)>()).prop_map(|(word, ratio, pair)| Inner {
        word,
        ratio,
        pair,
    });
    (
        any::<String>(),
        any::<Option<String>>(),
        any::<Option<u64>>(),
        any::<bool>(),
        any::<char>(),
        prop::collection::vec(inner, 0..4),
    )
        .prop_map(|(text, none, skipped, flag, letter, list)| Outer {
            text,
            none,
            skipped,
            flag,
            letter,
            list,
            unit: (),
        })
}

/// Without the members that are `null`.
fn filled(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, filled(member)))
            .collect(),
        Value::Array(items) => items.into_iter().map(filled).collect(),
        other => other,
    }
}

proptest! {
    #[test]
    fn it_is_what_serde_json_writes_without_what_is_null(value in outer()) {
        let mut written = Vec::new();
        write(&value, &mut written).unwrap();
        let text = String::from_utf8(written).unwrap();
        let expected = filled(serde_json::to_value(&value).unwrap());
        prop_assert_eq!(&text, &expected.to_string());
        let mut read: Outer = serde_json::from_str(&text).unwrap();
        // Reading a fraction is not exact.
        for (read, value) in read.list.iter_mut().zip(&value.list) {
            read.ratio = value.ratio;
        }
        prop_assert_eq!(read, value);
    }
}

#[test]
fn a_text_that_ends_like_nothing_is_something() {
    #[derive(Serialize)]
    struct Texts<'a> {
        first: Option<&'a str>,
        second: &'a str,
        third: Option<u8>,
    }
    let mut written = Vec::new();
    let texts = Texts {
        first: None,
        second: ":null",
        third: None,
    };
    write(&texts, &mut written).unwrap();
    assert_eq!(written, br#"{"second":":null"}"#);
}

#[test]
fn every_character_below_the_space_is_escaped() {
    let text: String = (0_u8..=0x7f).map(char::from).collect();
    let mut written = Vec::new();
    write(&text, &mut written).unwrap();
    assert_eq!(written, serde_json::to_vec(&text).unwrap());
}

#[test]
fn a_time_is_a_number_here_and_a_text_elsewhere_and_either_is_read() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct At {
        #[serde(with = "super::time")]
        at: Timestamp,
    }
    let at = At {
        at: "2026-03-01T10:30:00.000125Z".parse().unwrap(),
    };
    let mut written = Vec::new();
    write(&at, &mut written).unwrap();
    assert_eq!(written, br#"{"at":1772361000000125}"#);
    let text = serde_json::to_string(&at).unwrap();
    assert_eq!(text, r#"{"at":"2026-03-01T10:30:00.000125Z"}"#);
    assert_eq!(serde_json::from_slice::<At>(&written).unwrap(), at);
    assert_eq!(serde_json::from_str::<At>(&text).unwrap(), at);
    assert!(serde_json::from_str::<At>(r#"{"at":"noon"}"#).is_err());
    assert!(serde_json::from_str::<At>(r#"{"at":18446744073709551615}"#).is_err());
}

#[test]
fn what_is_not_foreseen_is_refused() {
    let map = std::collections::BTreeMap::from([("a", 1)]);
    assert!(write(&map, &mut Vec::new()).is_err());
}
