//! Matches what functions answered to the calls of the model: by id, else by name and position, since the
//! calls of older clients have no ids (<https://ai.google.dev/api/caching#FunctionResponse>).

use domain::chat::{Extensions, Part, ToolResult};
use serde_json::value::RawValue;

use super::{fields, media};
use crate::face::InvalidRequest;
use crate::gemini::FORMAT;
use crate::gemini::choice::on_one_line;
use crate::openai::fields::{Fields, Kind, text};

/// The calls so far.
#[derive(Default)]
pub(super) struct Calls(Vec<Call>);

struct Call {
    id: String,
    name: String,
    is_answered: bool,
}

impl Calls {
    /// Notes a call.
    pub(super) fn open(&mut self, id: &str, name: &str) {
        self.0.push(Call {
            id: id.to_owned(),
            name: name.to_owned(),
            is_answered: false,
        });
    }

    /// Reads the answer to a call.
    pub(super) fn answer(
        &mut self,
        mut response: Fields<'_>,
        extensions: &mut Extensions,
    ) -> Result<ToolResult, InvalidRequest> {
        let id = response.text("id")?.filter(|id| !id.is_empty());
        let name = response.required_text("name")?;
        let Some(call) = self.find(id.as_deref(), &name) else {
            let path = response.path().to_owned();
            let detail = format!("`{path}` answers no `functionCall` of `{name}` before it.");
            return Err(InvalidRequest::of(path, detail));
        };
        call.is_answered = true;
        let call_id = call.id.clone();
        let value = response.raw_object("response")?;
        let (words, is_error) = value.map_or((None, false), |raw| words(&raw));
        let mut content: Vec<Part> = words
            .map(|text| Part::Text(text.into()))
            .into_iter()
            .collect();
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

    /// The call of this id; else the first call of this name that is still open.
    fn find(&mut self, id: Option<&str>, name: &str) -> Option<&mut Call> {
        let by_id = |call: &Call| id == Some(call.id.as_str());
        let by_name = |call: &Call| call.name == name && !call.is_answered;
        let place = self
            .0
            .iter()
            .rposition(by_id)
            .or_else(|| self.0.iter().position(by_name))?;
        self.0.get_mut(place)
    }
}

/// The words of an answer and whether it is a failure: what stands alone under `output` or `error`, the
/// names that Google knows; another object as it is.
fn words(response: &RawValue) -> (Option<String>, bool) {
    let whole = || on_one_line(response.get());
    let Ok(fields) = Fields::read(response, String::new()) else {
        return (Some(whole()), false);
    };
    let mut entries = fields.rest();
    let (Some((name, raw)), None) = (entries.next(), entries.next()) else {
        return (Some(whole()), false);
    };
    let value = match Kind::of(raw.get()) {
        Some(Kind::Text) => text(raw, String::new).unwrap_or_else(|_| raw.get().to_owned()),
        _ => on_one_line(raw.get()),
    };
    match name.as_ref() {
        "output" => (Some(value), false),
        "error" => (Some(value), true),
        _ => (Some(whole()), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> (Option<String>, bool) {
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
            assert_eq!(told(json), (Some(expected.to_owned()), is_error), "{json}");
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
        let refusal = answer(r#"{"name":"move"}"#).unwrap_err();
        assert_eq!(refusal.param.as_deref(), Some("functionResponse"));
    }
}
