//! Reads JSON objects field by field as raw text, so that errors name the field by its path, unknown
//! fields survive as they were written, and nothing is copied that is only looked at.

use std::borrow::Cow;
use std::fmt;

use domain::chat::Extensions;
use memchr::{memchr, memchr2};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::face::InvalidRequest;

/// More fields than any object of the format has.
const MAX_FIELDS: usize = 256;

/// How many items a list has. It is known to be JSON, so that it is enough to count the commas between them.
pub(crate) fn count_items(list: &RawValue) -> usize {
    let mut rest = list.get().as_bytes();
    let (mut depth, mut commas, mut is_empty) = (0_usize, 0, true);
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'"' => rest = after_text(rest),
            b'[' | b'{' => {
                is_empty &= depth == 0;
                depth += 1;
                continue;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                continue;
            }
            b',' if depth == 1 => commas += 1,
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            _ => {}
        }
        is_empty = false;
    }
    if is_empty { 0 } else { commas + 1 }
}

/// What follows a text of which `rest` is all but the first quote.
fn after_text(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let is_escape = rest.get(at) == Some(&b'\\');
        rest = rest
            .get(at + 1 + usize::from(is_escape)..)
            .unwrap_or_default();
        if !is_escape {
            break;
        }
    }
    rest
}

/// One JSON object.
pub(crate) struct Fields<'a> {
    /// Where the object stands; empty at the top.
    path: String,
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Reads the object that is the whole of `text`.
    pub(crate) fn read_body(text: &'a str) -> Result<Self, InvalidRequest> {
        let refuse = |detail: String| InvalidRequest {
            detail,
            param: None,
        };
        match Kind::of(text) {
            None => {
                return Err(refuse(
                    "The request body is empty; a JSON object was expected.".to_owned(),
                ));
            }
            Some(Kind::Object) => {}
            // What is neither an object nor JSON is told as a syntax error, which has a place.
            Some(kind) => {
                serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|e| syntax(&e))?;
                return Err(refuse(format!(
                    "The request body must be a JSON object, not {kind}."
                )));
            }
        }
        let read: Entries<'a> = serde_json::from_str(text).map_err(|e| syntax(&e))?;
        read.at(String::new())
    }

    /// Reads an object that is part of a body which is known to be JSON.
    pub(crate) fn read(raw: &'a RawValue, path: String) -> Result<Self, InvalidRequest> {
        match Kind::of(raw.get()) {
            Some(Kind::Object) => {}
            kind => return Err(wrong_type(path, "an object", kind)),
        }
        let read: Entries<'a> = serde_json::from_str(raw.get()).map_err(|e| syntax(&e))?;
        read.at(path)
    }

    /// The same object with its fields' names in camel case: protobuf's JSON takes `max_tokens` for
    /// `maxTokens` (<https://protobuf.dev/programming-guides/json/#json-options>).
    pub(crate) fn in_camel_case(mut self) -> Result<Self, InvalidRequest> {
        for at in 0..self.entries.len() {
            let Some((name, _)) = self.entries.get(at) else {
                break;
            };
            if !name.contains('_') {
                continue;
            }
            let name = camel_case(name);
            if self.entries.iter().any(|(other, _)| *other == name) {
                return Err(self.twice(&name));
            }
            if let Some((old, _)) = self.entries.get_mut(at) {
                *old = Cow::Owned(name);
            }
        }
        Ok(self)
    }

    /// The path of a field of this object.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            [&self.path, ".", name].concat()
        }
    }

    /// The path of the object itself.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether every field was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a field as it was written; `null` counts as not said.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        self.take_or_null(name).filter(|raw| raw.get() != "null")
    }

    /// Takes a field as it was written, be it `null`.
    pub(crate) fn take_or_null(&mut self, name: &str) -> Option<&'a RawValue> {
        let place = self.entries.iter().position(|(key, _)| key == name)?;
        Some(self.entries.swap_remove(place).1)
    }

    /// Looks at a field without taking it; `null` counts as not said.
    pub(crate) fn look(&self, name: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.entries.iter().find(|(key, _)| key == name)?;
        Some(*raw).filter(|raw| raw.get() != "null")
    }

    /// Puts a field back that was looked at and not understood.
    pub(crate) fn put_back(&mut self, name: &'a str, raw: &'a RawValue) {
        self.entries.push((Cow::Borrowed(name), raw));
    }

    /// Takes a string.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, InvalidRequest> {
        self.take(name)
            .map(|raw| text(raw, || self.path_of(name)))
            .transpose()
    }

    /// Takes a string that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, InvalidRequest> {
        self.text(name)?
            .ok_or_else(|| self.missing(name, "a string"))
    }

    /// Takes `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, InvalidRequest> {
        match self.take(name).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(self.wrong_type(name, "a boolean", other)),
        }
    }

    /// Takes a whole number.
    pub(crate) fn integer<T: std::str::FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, InvalidRequest> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        match raw.get().parse() {
            Ok(count) => Ok(Some(count)),
            Err(_) if Kind::of(raw.get()) == Some(Kind::Number) => Err(InvalidRequest::of(
                self.path_of(name),
                format!(
                    "`{}` must be {expected}, not {}.",
                    self.path_of(name),
                    raw.get()
                ),
            )),
            Err(_) => Err(self.wrong_type(name, expected, raw.get())),
        }
    }

    /// Takes a number.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<f64>, InvalidRequest> {
        let Some(raw) = self.take(name) else {
            return Ok(None);
        };
        match serde_json::from_str::<f64>(raw.get()) {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(self.wrong_type(name, "a number", raw.get())),
        }
    }

    /// Takes an object.
    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Self>, InvalidRequest> {
        let path = self.path_of(name);
        self.take(name).map(|raw| Self::read(raw, path)).transpose()
    }

    /// Takes an object that must be there.
    pub(crate) fn required_object(&mut self, name: &str) -> Result<Self, InvalidRequest> {
        self.object(name)?
            .ok_or_else(|| self.missing(name, "an object"))
    }

    /// Takes an object as it was written.
    pub(crate) fn raw_object(
        &mut self,
        name: &str,
    ) -> Result<Option<Box<RawValue>>, InvalidRequest> {
        match self.take(name) {
            None => Ok(None),
            Some(raw) if Kind::of(raw.get()) == Some(Kind::Object) => Ok(Some(raw.to_owned())),
            Some(raw) => Err(self.wrong_type(name, "an object", raw.get())),
        }
    }

    /// Takes the items of an array, with their paths.
    pub(crate) fn list(
        &mut self,
        name: &str,
    ) -> Result<Option<Vec<(String, &'a RawValue)>>, InvalidRequest> {
        let path = self.path_of(name);
        self.take(name).map(|raw| list(raw, &path)).transpose()
    }

    /// The fields that nobody took, `null` ones too.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, &'a RawValue)> {
        self.entries.into_iter()
    }

    /// Keeps by path the fields that nobody took. Inside of the request, a `null` of an unknown name is
    /// what SDKs write for "nothing" when they give an answer back; it is not kept.
    pub(crate) fn keep_rest(self, extensions: &mut Extensions) {
        let path = self.path;
        for (name, raw) in self.entries {
            if path.is_empty() {
                extensions.insert(name.into_owned(), raw.to_owned());
            } else if raw.get() != "null" {
                extensions.insert(format!("{path}.{name}"), raw.to_owned());
            }
        }
    }

    /// The refusal for a field that must be there and is not.
    pub(crate) fn missing(&self, name: &str, expected: &str) -> InvalidRequest {
        let path = self.path_of(name);
        let detail = format!("`{path}` is missing; it must be {expected}.");
        InvalidRequest::of(path, detail)
    }

    fn twice(&self, name: &str) -> InvalidRequest {
        let path = self.path_of(name);
        let detail = format!("`{path}` is there twice; only one of them can be meant.");
        InvalidRequest::of(path, detail)
    }

    /// The refusal for a field of another type.
    pub(crate) fn wrong_type(&self, name: &str, expected: &str, found: &str) -> InvalidRequest {
        wrong_type(self.path_of(name), expected, Kind::of(found))
    }

    /// The refusal for a word that is not one of the known ones.
    pub(crate) fn unknown_word(&self, name: &str, found: &str, known: &str) -> InvalidRequest {
        let path = self.path_of(name);
        let found: String = found.chars().take(64).collect();
        let detail = format!("`{path}` is `{found}`; known are {known}.");
        InvalidRequest::of(path, detail)
    }
}

/// Reads a string.
pub(crate) fn text(raw: &RawValue, path: impl Fn() -> String) -> Result<String, InvalidRequest> {
    words(raw, path).map(Cow::into_owned)
}

/// The same, where it stands: few texts have escapes.
pub(crate) fn words(
    raw: &RawValue,
    path: impl Fn() -> String,
) -> Result<Cow<'_, str>, InvalidRequest> {
    if Kind::of(raw.get()) != Some(Kind::Text) {
        return Err(wrong_type(path(), "a string", Kind::of(raw.get())));
    }
    let quoted = raw.get().strip_prefix('"');
    if let Some(words) = quoted.and_then(|rest| rest.strip_suffix('"'))
        && memchr(b'\\', words.as_bytes()).is_none()
    {
        return Ok(Cow::Borrowed(words));
    }
    serde_json::from_str(raw.get())
        .map(Cow::Owned)
        .map_err(|_| {
            let path = path();
            let detail = format!("`{path}` holds an escape that is not a Unicode character.");
            InvalidRequest::of(path, detail)
        })
}

/// Reads the items of an array, with their paths.
pub(crate) fn list<'a>(
    raw: &'a RawValue,
    path: &str,
) -> Result<Vec<(String, &'a RawValue)>, InvalidRequest> {
    if Kind::of(raw.get()) != Some(Kind::List) {
        return Err(wrong_type(path.to_owned(), "an array", Kind::of(raw.get())));
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|e| syntax(&e))?;
    let mut digits = itoa::Buffer::new();
    let with_path =
        |(index, item): (usize, _)| ([path, "[", digits.format(index), "]"].concat(), item);
    Ok(items.into_iter().enumerate().map(with_path).collect())
}

/// The refusal for a value of another type.
pub(crate) fn wrong_type(path: String, expected: &str, found: Option<Kind>) -> InvalidRequest {
    let found = found.map_or("nothing", Kind::as_str);
    let detail = format!("`{path}` must be {expected}, not {found}.");
    InvalidRequest::of(path, detail)
}

/// `max_tokens` as `maxTokens`; an underscore that begins a name stays.
fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for character in name.chars() {
        if character == '_' && !camel.is_empty() {
            raise = true;
        } else if std::mem::take(&mut raise) {
            camel.push(character.to_ascii_uppercase());
        } else {
            camel.push(character);
        }
    }
    camel
}

fn syntax(error: &serde_json::Error) -> InvalidRequest {
    InvalidRequest {
        detail: format!("The request body is not valid JSON: {error}."),
        param: None,
    }
}

/// What a JSON value is, told from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    List,
    Text,
    Boolean,
    Null,
    Number,
}

impl Kind {
    pub(crate) fn of(json: &str) -> Option<Self> {
        let first = json.bytes().find(|byte| !byte.is_ascii_whitespace())?;
        Some(match first {
            b'{' => Self::Object,
            b'[' => Self::List,
            b'"' => Self::Text,
            b't' | b'f' => Self::Boolean,
            b'n' => Self::Null,
            _ => Self::Number,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "an array",
            Self::Text => "a string",
            Self::Boolean => "a boolean",
            Self::Null => "null",
            Self::Number => "a number",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The fields in their order, and the first name that comes twice.
struct Entries<'a> {
    entries: Vec<(Cow<'a, str>, &'a RawValue)>,
    fault: Option<Fault>,
}

enum Fault {
    Twice(String),
    TooMany,
}

impl<'a> Entries<'a> {
    fn at(self, path: String) -> Result<Fields<'a>, InvalidRequest> {
        let fields = Fields {
            path,
            entries: self.entries,
        };
        match self.fault {
            None => Ok(fields),
            Some(Fault::Twice(name)) => Err(fields.twice(&name)),
            Some(Fault::TooMany) => Err(InvalidRequest {
                detail: format!("An object has more than {MAX_FIELDS} fields."),
                param: (!fields.path.is_empty()).then_some(fields.path),
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut read = Entries {
                    entries: Vec::with_capacity(12),
                    fault: None,
                };
                while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    if read.fault.is_some() {
                        continue;
                    }
                    if read.entries.iter().any(|(other, _)| *other == name) {
                        read.fault = Some(Fault::Twice(name.into_owned()));
                    } else if read.entries.len() == MAX_FIELDS {
                        read.fault = Some(Fault::TooMany);
                    } else {
                        read.entries.push((name, raw));
                    }
                }
                Ok(read)
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// A field's name, borrowed unless it was written with escapes.
pub(crate) struct Name<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            r#"[a"\\\[\]{},]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((r#"["\\\[,}]{0,3}"#, inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_items_of_any_list_are_counted(items in prop::collection::vec(json(), 0..6)) {
            for text in [
                serde_json::to_string(&items).unwrap(),
                serde_json::to_string_pretty(&items).unwrap(),
            ] {
                let raw: &RawValue = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(count_items(raw), items.len(), "{}", text);
            }
        }
    }

    #[test]
    fn a_list_with_nothing_but_space_is_empty() {
        let raw: &RawValue = serde_json::from_str("[ \n]").unwrap();
        assert_eq!(count_items(raw), 0);
    }
}
