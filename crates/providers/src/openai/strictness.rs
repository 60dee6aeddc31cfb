//! Which schemas OpenAI enforces: it refuses `strict` for any that leaves an object open or a property
//! optional (<https://platform.openai.com/docs/guides/structured-outputs#supported-schemas>).

use std::borrow::Cow;

use domain::chat::Conversion;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::Format;

/// OpenAI's own formats.
const OWN: [Format; 3] = [
    Format::OpenaiChat,
    Format::OpenaiResponses,
    Format::OpenaiCompletions,
];

/// `strict` of the tool at `path` of a request in `format`, as OpenAI takes it. Who speaks a format of OpenAI's
/// is answered by OpenAI itself; what another format calls strict asks less of a schema, and stays behind where it asks too little.
pub(super) fn of_tool(
    strict: Option<bool>,
    parameters: Option<&RawValue>,
    format: &str,
    path: &str,
    report: &mut Conversion,
) -> Option<bool> {
    if strict != Some(true) || OWN.iter().any(|own| own.as_str() == format) {
        return strict;
    }
    let schema: Value = parameters
        .and_then(|parameters| serde_json::from_str(parameters.get()).ok())
        .unwrap_or_default();
    if is_enforceable(&schema) {
        return strict;
    }
    report.drop(
        Cow::Owned(format!("{path}.function.strict")),
        "the provider enforces only schemas whose objects are closed and whose properties are all required",
    );
    None
}

/// Whether every object of a schema is closed, and requires each of its properties.
fn is_enforceable(schema: &Value) -> bool {
    let Value::Object(members) = schema else {
        return false;
    };
    let properties = members.get("properties").and_then(Value::as_object);
    let is_object = properties.is_some() || members.get("type").is_some_and(names_object);
    let required = members.get("required").and_then(Value::as_array);
    let is_required = |name: &String| required.is_some_and(|it| it.iter().any(|it| it == name));
    let is_closed = members.get("additionalProperties") == Some(&Value::Bool(false));
    let holds = !is_object
        || is_closed && properties.is_none_or(|properties| properties.keys().all(is_required));
    let named = ["properties", "$defs", "definitions"].into_iter();
    let named = named.filter_map(|name| members.get(name)?.as_object());
    let mut parts = named.flat_map(|schemas| schemas.values());
    let listed = members.get("anyOf").and_then(Value::as_array);
    let mut choices = listed.into_iter().flatten().chain(members.get("items"));
    holds && parts.all(is_enforceable) && choices.all(is_enforceable)
}

fn names_object(kind: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        kind => kind == "object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_schemas_without_anything_open_are_enforceable() {
        let closed = json!({"type": "object", "properties": {"a": {"type": "string"}},
            "required": ["a"], "additionalProperties": false});
        let with = |part: Value| {
            json!({"type": "object", "properties": {"p": part}, "required": ["p"],
                "additionalProperties": false})
        };
        let open =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        let optional = json!({"type": ["object", "null"], "properties": {"a": {}}, "additionalProperties": false});
        assert!(is_enforceable(&closed));
        for part in [
            &closed,
            &json!({"type": "array", "items": closed}),
            &json!({"anyOf": [closed]}),
        ] {
            assert!(is_enforceable(&with(part.clone())), "{part}");
        }
        for part in [&open, &optional] {
            assert!(!is_enforceable(part), "{part}");
            for around in [
                with(part.clone()),
                json!({"items": part}),
                json!({"anyOf": [part]}),
                json!({"$defs": {"x": part}}),
            ] {
                assert!(!is_enforceable(&around), "{around}");
            }
        }
        assert!(!is_enforceable(&Value::Null));
    }

    #[test]
    fn who_speaks_openais_format_is_not_corrected() {
        let open = RawValue::from_string(r#"{"type":"object"}"#.to_owned()).unwrap();
        let mut report = Conversion::default();
        let strict = |format, report: &mut Conversion| {
            of_tool(Some(true), Some(&open), format, "tools[0]", report)
        };
        for own in OWN {
            assert_eq!(strict(own.as_str(), &mut report), Some(true));
        }
        assert!(report.is_lossless());
        assert_eq!(strict("cohere", &mut report), None);
        assert_eq!(report.dropped[0].field, "tools[0].function.strict");
    }
}
