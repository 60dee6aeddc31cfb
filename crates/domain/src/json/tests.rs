use std::collections::BTreeMap;

use bytes::BytesMut;
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
        record(&value, &mut written).unwrap();
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
    record(&texts, &mut written).unwrap();
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
    record(&at, &mut written).unwrap();
    assert_eq!(written, br#"{"at":1772361000000125}"#);
    let text = serde_json::to_string(&at).unwrap();
    assert_eq!(text, r#"{"at":"2026-03-01T10:30:00.000125Z"}"#);
    assert_eq!(serde_json::from_slice::<At>(&written).unwrap(), at);
    assert_eq!(serde_json::from_str::<At>(&text).unwrap(), at);
    assert!(serde_json::from_str::<At>(r#"{"at":"noon"}"#).is_err());
    assert!(serde_json::from_str::<At>(r#"{"at":18446744073709551615}"#).is_err());
}

/// One of each shape that serde has and the other types here do not.
#[derive(Serialize)]
struct Shapes<'a> {
    raw: &'a serde_json::value::RawValue,
    #[serde(flatten)]
    rest: BTreeMap<u8, Variant>,
    pair: Pair,
    variants: [Variant; 3],
    nothing: Nothing,
    large: u128,
    fraction: f32,
    no_number: f64,
    bytes: &'a [u8],
    letter: char,
}

#[derive(Serialize)]
struct Pair(u8, Option<bool>);

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
enum Variant {
    Plain,
    Tuple(u8, String),
    Struct { a: i8, b: Option<u8> },
}

#[test]
fn every_shape_is_written_as_serde_json_writes_it() {
    let raw = serde_json::from_str(r#"{"b" : [1.50, "\u00e9"],"a":null}"#).unwrap();
    let shapes = Shapes {
        raw,
        rest: BTreeMap::from([(7, Variant::Plain), (8, Variant::Struct { a: -1, b: None })]),
        pair: Pair(1, None),
        variants: [
            Variant::Plain,
            Variant::Tuple(2, "two\n".to_owned()),
            Variant::Struct { a: -3, b: Some(4) },
        ],
        nothing: Nothing,
        large: u128::MAX,
        fraction: 0.1,
        no_number: f64::NAN,
        bytes: &[0, 255],
        letter: '"',
    };
    let mut written = Vec::new();
    write(&shapes, &mut written).unwrap();
    let expected = serde_json::to_vec(&shapes).unwrap();
    assert_eq!(String::from_utf8(written), String::from_utf8(expected),);
}

proptest! {
    #[test]
    fn any_value_is_written_as_serde_json_writes_it(value in json_value()) {
        let mut written = BytesMut::new();
        write(&value, &mut written).unwrap();
        prop_assert_eq!(str::from_utf8(&written).unwrap(), value.to_string());
    }

    #[test]
    fn any_text_is_escaped_as_serde_json_escapes_it(text in "[\\x00-\\x7f\u{e9}\u{1f600}a-z]{0,200}") {
        let mut written = Vec::new();
        write(&text, &mut written).unwrap();
        prop_assert_eq!(written, serde_json::to_vec(&text).unwrap());
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn a_key_that_is_no_text_is_refused() {
    let map = BTreeMap::from([(vec![1], 1)]);
    assert!(write(&map, &mut Vec::new()).is_err());
}

#[test]
fn a_default_is_left_out_of_records_only_and_read_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tenant {
        #[serde(default, serialize_with = "unless_default")]
        number: u8,
    }
    for (number, expected) in [(0, "{}"), (7, r#"{"number":7}"#)] {
        let tenant = Tenant { number };
        let mut written = Vec::new();
        record(&tenant, &mut written).unwrap();
        assert_eq!(str::from_utf8(&written).unwrap(), expected);
        assert_eq!(serde_json::from_slice::<Tenant>(&written).unwrap(), tenant);
        let shown = serde_json::to_string(&tenant).unwrap();
        assert_eq!(shown, format!(r#"{{"number":{number}}}"#));
    }
}
