//! What shares a key and what does not.

use proptest::prelude::*;
use providers::dialect::Format;

use super::*;
use crate::testing::Rules;

fn key(caller: &Caller, plan: &Plan, fields: &http::HeaderMap, body: &Value) -> CacheKey {
    let asking = Asking {
        caller,
        scope: CacheScope::Project,
        api: "openai_chat",
        fields,
        plan,
    };
    let format = Format::OpenaiChat;
    let question = asking.question(body.to_string().as_bytes(), question::aside(format), None);
    question.unwrap().key
}

fn plan(strict: bool, model: &str) -> Plan {
    let rules = Rules {
        strict,
        ..Rules::default()
    };
    let stage = Stage::with(rules, []);
    stage
        .gateway
        .routes()
        .plan(&model.parse().unwrap())
        .unwrap()
}

fn of_tenant(organization: u64, project: u64) -> Caller {
    let mut key = (**caller(Rate::default(), None).key()).clone();
    key.organization_id = format!("org_{organization:032x}").parse().unwrap();
    key.project_id = format!("proj_{project:032x}").parse().unwrap();
    Caller::holding(Arc::new(key))
}

/// A request with everything that matters.
fn request() -> Value {
    json!({
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "You are kind."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "tool_choice": "auto", "temperature": 0.5, "top_p": 1, "seed": 3, "max_tokens": 9,
        "stop": ["x"], "response_format": {"type": "json_object"}, "presence_penalty": 0.1,
        "frequency_penalty": 0.2, "logit_bias": {"5": 1}, "logprobs": true, "top_logprobs": 2,
        "reasoning_effort": "low", "parallel_tool_calls": true, "service_tier": "flex", "verbosity": "low",
    })
}

/// Every place in a value that is not a list or an object.
fn places(value: &Value, at: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| places(value, &format!("{at}/{name}"), out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| places(item, &format!("{at}/{index}"), out)),
        _ => out.push(at.to_owned()),
    }
}

#[test]
fn a_change_anywhere_that_matters_makes_another_key() {
    let (caller, plan, fields) = (of_tenant(1, 1), plan(false, "gpt"), http::HeaderMap::new());
    let base = request();
    let mut keys = vec![key(&caller, &plan, &fields, &base)];
    let mut all = Vec::new();
    places(&base, "", &mut all);
    for place in all.iter().filter(|place| *place != "/model") {
        for other in [json!("another"), json!(77), Value::Null] {
            let mut changed = base.clone();
            *changed.pointer_mut(place).unwrap() = other;
            let key = key(&caller, &plan, &fields, &changed);
            assert!(!keys.contains(&key), "{place}");
            keys.push(key);
        }
    }
    for name in base
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| *name != "model")
    {
        let mut without = base.clone();
        without.as_object_mut().unwrap().remove(name);
        let key = key(&caller, &plan, &fields, &without);
        assert!(!keys.contains(&key), "{name}");
        keys.push(key);
    }
}

#[test]
fn what_does_not_change_the_answer_is_aside() {
    let (caller, plan, fields) = (of_tenant(1, 1), plan(false, "gpt"), http::HeaderMap::new());
    let base = key(&caller, &plan, &fields, &request());
    for (name, value) in [
        ("stream", json!(true)),
        ("stream_options", json!({"include_usage": true})),
        ("user", json!("u")),
        ("metadata", json!({"a": "b"})),
        ("safety_identifier", json!("s")),
        ("prompt_cache_key", json!("p")),
        ("model", json!("sim/gpt")),
    ] {
        let mut body = request();
        body[name] = value;
        assert_eq!(key(&caller, &plan, &fields, &body), base, "{name}");
    }
}

#[test]
fn routes_targets_fields_and_holders_make_other_keys() {
    let caller = of_tenant(1, 1);
    let body = request();
    let none = http::HeaderMap::new();
    let beta = [(
        http::HeaderName::from_static("anthropic-beta"),
        http::HeaderValue::from_static("b"),
    )];
    let keys = [
        key(&caller, &plan(false, "gpt"), &none, &body),
        key(&caller, &plan(true, "gpt"), &none, &body),
        key(&caller, &plan(false, "claude"), &none, &body),
        key(&caller, &plan(false, "sim/gpt"), &none, &body),
        key(
            &caller,
            &plan(false, "gpt"),
            &beta.into_iter().collect(),
            &body,
        ),
    ];
    for (index, one) in keys.iter().enumerate() {
        assert!(!keys[index + 1..].contains(one), "{index}");
    }
}

proptest! {
    #[test]
    fn tenants_never_share_a_key(one in (0..4_u64, 0..4_u64), other in (0..4_u64, 0..4_u64), number in any::<u32>()) {
        let (plan, fields) = (plan(false, "gpt"), http::HeaderMap::new());
        let body = json!({"model": "gpt", "messages": [{"role": "user", "content": number.to_string()}]});
        let one_key = key(&of_tenant(one.0, one.1), &plan, &fields, &body);
        let other_key = key(&of_tenant(other.0, other.1), &plan, &fields, &body);
        prop_assert_eq!(one_key == other_key, one == other);
    }
}
