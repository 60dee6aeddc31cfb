use serde_json::json;

use crate::testing::{Act, Rules, Stage};

/// What Claude answers when it thinks and calls a tool.
const THOUGHT: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"claude-x","content":[{"type":"thinking","thinking":"Where?","signature":"c2lnbmVk"},{"type":"tool_use","id":"toolu_1","name":"look","input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":10}}"#;
const DONE: &str = r#"{"id":"m2","type":"message","role":"assistant","model":"claude-x","content":[{"type":"text","text":"There."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":10}}"#;

/// The route `gpt`, with Claude for when it fails.
fn stage(acts: impl IntoIterator<Item = Act>) -> Stage {
    let rules = Rules {
        fallback: &["spare/claude"],
        ..Rules::default()
    };
    Stage::with(rules, acts)
}

fn ask() -> serde_json::Value {
    json!({
        "model": "gpt", "max_tokens": 20_000, "reasoning_effort": "medium",
        "tools": [{ "type": "function", "function": { "name": "look", "parameters": { "type": "object" } } }],
        "messages": [{ "role": "user", "content": "Where is the moon?" }],
    })
}

/// The same with the call of a tool, as clients send it that know OpenAI's fields only, and its result.
fn go_on(id: &str) -> String {
    let mut request = ask();
    let messages = request["messages"].as_array_mut().unwrap();
    let call =
        json!({ "id": id, "type": "function", "function": { "name": "look", "arguments": "{}" } });
    messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
    messages.push(json!({ "role": "tool", "tool_call_id": id, "content": "Up." }));
    request.to_string()
}

fn asked(stage: &Stage) -> Vec<String> {
    let calls = stage.heard.calls();
    let attempts = calls.iter().flat_map(|call| &call.attempts);
    attempts.map(|attempt| attempt.model.clone()).collect()
}

#[test]
fn a_conversation_goes_on_where_its_thoughts_are_understood() {
    let stage = stage([
        Act::whole(500, "{}"),
        Act::whole(200, THOUGHT),
        Act::whole(200, DONE),
    ]);
    stage.chat(&ask().to_string()).unwrap();
    assert_eq!(asked(&stage), ["gpt", "claude"]);
    stage.chat(&go_on("toolu_1")).unwrap();
    assert_eq!(asked(&stage), ["gpt", "claude", "claude"]);
    let sent = stage.script.sent.lock().unwrap();
    let body = std::str::from_utf8(sent[2].request.body()).unwrap();
    assert!(
        body.contains("c2lnbmVk"),
        "its thoughts are put back: {body}"
    );
}

#[test]
fn it_goes_on_there_after_a_restart_too() {
    let mut stage = stage([
        Act::whole(500, "{}"),
        Act::whole(200, THOUGHT),
        Act::whole(200, DONE),
    ]);
    stage.chat(&ask().to_string()).unwrap();
    stage.forget_memory_of_custody();
    stage.chat(&go_on("toolu_1")).unwrap();
    assert_eq!(asked(&stage), ["gpt", "claude", "claude"]);
}

#[test]
fn calls_that_left_nothing_in_custody_move_nobody() {
    let answer = crate::testing::ANSWER;
    let stage = stage([Act::whole(200, answer)]);
    stage.chat(&go_on("call_of_another_key")).unwrap();
    assert_eq!(asked(&stage), ["gpt"]);
}
