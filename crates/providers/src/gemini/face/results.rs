//! Matches what functions answered to the calls of the model: by id, else by name and position, since the
//! calls of older clients have no ids (<https://ai.google.dev/api/caching#FunctionResponse>).

use std::collections::{HashMap, VecDeque};

use domain::chat::{Extensions, Part, ToolResult};
use serde_json::value::RawValue;

use super::{fields, media};
use crate::face::InvalidRequest;
use crate::gemini::FORMAT;
use crate::gemini::choice::on_one_line;
use crate::openai::fields::{Fields, Kind, text};

/// The calls so far.
#[derive(Default)]
pub(super) struct Calls {
    /// The calls by name, in their order; those that were answered by id are still among them.
    open: HashMap<String, VecDeque<String>>,
    /// Whether a call has been answered.
    is_answered: HashMap<String, bool>,
}

impl Calls {
    /// Notes a call.
    pub(super) fn open(&mut self, id: &str, name: &str) {
        let open = self.open.entry(name.to_owned()).or_default();
        open.push_back(id.to_owned());
        self.is_answered.insert(id.to_owned(), false);
    }

    /// Reads the answer to a call.
    pub(super) fn answer(
        &mut self,
        mut response: Fields<'_>,
        extensions: &mut Extensions,
    ) -> Result<ToolResult, InvalidRequest> {
        let id = response.text("id")?.filter(|id| !id.is_empty());
        let name = response.text("name")?;
        let Some(call_id) = self.take(id.as_deref(), name.as_deref()) else {
            let Some(name) = name else {
                return Err(response.missing("name", "the name of the function that was called"));
            };
            let path = response.path().to_owned();
            let detail = format!("`{path}` answers no `functionCall` of `{name}` before it.");
            return Err(InvalidRequest::of(path, detail));
        };
        let value = response.raw_object("response")?;
        let (words, is_error) = value.map_or_else(|| (String::new(), false), |raw| words(&raw));
        let mut content = vec![Part::Text(words.into())];
        for (path, raw) in fields::list(&mut response, "parts")? {
            let mut part = fields::read(raw, path)?;
            match media::read(&mut part, extensions)? {
                Some(media) => {
                    part.keep_rest(extensions);
                    content.push(media);
                }
                None => content.push(Part::Unknown {
                    format: FORMAT,
                    raw: raw.to_owned(),
                }),
            }
        }
        response.keep_rest(extensions);
        Ok(ToolResult {
            call_id,
            name: None,
            content,
            is_error,
            cache: None,
        })
    }

    /// The id of the call that is answered: the call of this id, else the first call of this name that is
    /// still open.
    fn take(&mut self, id: Option<&str>, name: Option<&str>) -> Option<String> {
        if let Some(id) = id
            && let Some(is_answered) = self.is_answered.get_mut(id)
        {
            *is_answered = true;
            return Some(id.to_owned());
        }
        let open = self.open.get_mut(name?)?;
        while let Some(id) = open.pop_front() {
            if let Some(is_answered) = self.is_answered.get_mut(&id)
                && !std::mem::replace(is_answered, true)
            {
                return Some(id);
            }
        }
        None
    }
}

/// The words of an answer and whether it is a failure: what stands alone under `output` or `error`, the
/// names that Google knows; another object as it is.
fn words(response: &RawValue) -> (String, bool) {
    let whole = || on_one_line(response.get());
    let Ok(fields) = Fields::read(response, String::new()) else {
        return (whole(), false);
    };
    let mut entries = fields.rest();
    let (Some((name, raw)), None) = (entries.next(), entries.next()) else {
        return (whole(), false);
    };
    let value = match Kind::of(raw.get()) {
        Some(Kind::Text) => text(raw, String::new).unwrap_or_else(|_| raw.get().to_owned()),
        _ => on_one_line(raw.get()),
    };
    match name.as_ref() {
        "output" => (value, false),
        "error" => (value, true),
        _ => (whole(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> (String, bool) {
        words(&RawValue::from_string(json.to_owned()).unwrap())
    }

    #[test]
    fn what_google_wraps_is_taken_out() {
        for (json, expected, is_error) in [
            (r#"{"output":"sunny"}"#, "sunny", false),
            (r#"{"output":[1, 2]}"#, "[1, 2]", false),
            (r#"{"error":"no such city"}"#, "no such city", true),
            (r#"{"result":"sunny"}"#, r#"{"result":"sunny"}"#, false),
            (
                r#"{"output":1,"more":2}"#,
                r#"{"output":1,"more":2}"#,
                false,
            ),
            ("{}", "{}", false),
        ] {
            assert_eq!(told(json), (expected.to_owned(), is_error), "{json}");
        }
    }

    fn answered(calls: &mut Calls, json: &str) -> Result<String, InvalidRequest> {
        let raw = RawValue::from_string(json.to_owned()).unwrap();
        let fields = Fields::read(&raw, "functionResponse".to_owned())?;
        calls
            .answer(fields, &mut Extensions::new())
            .map(|result| result.call_id)
    }

    #[test]
    fn two_calls_of_one_function_are_answered_in_their_order() {
        let mut calls = Calls::default();
        for (id, name) in [("1", "look"), ("2", "move"), ("3", "look")] {
            calls.open(id, name);
        }
        let mut answer = |json| answered(&mut calls, json);
        assert_eq!(answer(r#"{"name":"look"}"#).as_deref(), Ok("1"));
        assert_eq!(answer(r#"{"name":"look"}"#).as_deref(), Ok("3"));
        assert_eq!(answer(r#"{"name":"move","id":"2"}"#).as_deref(), Ok("2"));
        assert_eq!(answer(r#"{"id":"2"}"#).as_deref(), Ok("2"));
        let mut refused = |json| answered(&mut calls, json).unwrap_err().param;
        assert_eq!(
            refused(r#"{"name":"move"}"#).as_deref(),
            Some("functionResponse")
        );
        assert_eq!(
            refused(r#"{"id":"9"}"#).as_deref(),
            Some("functionResponse.name")
        );
    }
}
