use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::key::Rate;
use serde_json::{Value, json};

use crate::chat::{Inbound, ReportWanted};
use crate::reply::Reply;
use crate::testing::{Act, CUSTODY, Stage, Step, caller, collect, piece, run};
use crate::waiting::Backlog;

/// What Claude answers when it thinks and calls two tools, with words in between.
fn claude() -> Value {
    json!({
        "id": "m1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "Where is it?", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "c2VjcmV0"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "moon"}},
            {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {"at": "sun"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    })
}

/// The same as a stream.
fn claude_stream() -> Vec<Step> {
    let answer = claude();
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": "m1", "type": "message", "role": "assistant", "model": "claude-x", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1},
    }})];
    for (index, block) in answer["content"].as_array().unwrap().iter().enumerate() {
        let (start, deltas) = match block["type"].as_str().unwrap() {
            "thinking" => (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                vec![
                    json!({"type": "thinking_delta", "thinking": "Where "}),
                    json!({"type": "thinking_delta", "thinking": "is it?"}),
                    json!({"type": "signature_delta", "signature": block["signature"]}),
                ],
            ),
            "text" => (
                json!({"type": "text", "text": ""}),
                vec![json!({"type": "text_delta", "text": block["text"]})],
            ),
            "tool_use" => (
                json!({"type": "tool_use", "id": block["id"], "name": block["name"], "input": {}}),
                vec![
                    json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
                ],
            ),
            _ => (block.clone(), Vec::new()),
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        for delta in deltas {
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 10}}));
    events.push(json!({"type": "message_stop"}));
    events
        .iter()
        .map(|event| {
            let name = event["type"].as_str().unwrap();
            piece(&format!("event: {name}\ndata: {event}\n\n"))
        })
        .collect()
}

/// What Gemini answers when it calls a tool.
fn gemini() -> Value {
    json!({
        "candidates": [{
            "index": 0, "finishReason": "STOP",
            "content": {"role": "model", "parts": [
                {"text": "Let me see.", "thought": true},
                {"functionCall": {"id": "g1", "name": "look", "args": {"at": "moon"}}, "thoughtSignature": "Z2VtaW5p"},
            ]},
        }],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "gemini-x", "responseId": "r1",
    })
}

/// Claude's last word, which has no state.
fn done() -> Act {
    let answer = json!({
        "id": "m2", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "text", "text": "There it is."}],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    });
    Act::whole(200, &answer.to_string())
}

const TOOLS: &str =
    r#"[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]"#;

fn tools() -> Value {
    serde_json::from_str(TOOLS).unwrap()
}

fn first(model: &str) -> Value {
    json!({
        "model": model, "tools": tools(), "reasoning_effort": "medium", "max_tokens": 20_000,
        "messages": [{"role": "user", "content": "Where is the moon?"}],
    })
}

fn call(id: &str, at: &str) -> Value {
    let arguments = json!({"at": at}).to_string();
    json!({"id": id, "type": "function", "function": {"name": "look", "arguments": arguments}})
}

fn result(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "There."})
}

/// The first request again, with an assistant's turn and the results of its calls.
fn second(model: &str, turn: &Value, ids: &[&str]) -> Value {
    let mut request = first(model);
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(turn.clone());
    messages.extend(ids.iter().map(|id| result(id)));
    request
}

/// The turn of [`claude`] as a client sends it back that knows OpenAI's own fields only.
fn stripped() -> Value {
    json!({"role": "assistant", "content": "I look.",
        "tool_calls": [call("toolu_1", "moon"), call("toolu_2", "sun")]})
}

fn second_to_claude() -> Value {
    second("claude", &stripped(), &["toolu_1", "toolu_2"])
}

/// A stage on which these answers come, and then one that nobody reads.
fn stage_of(acts: impl IntoIterator<Item = Act>) -> Stage {
    Stage::of(acts.into_iter().chain([done()]))
}

/// The bodies that the provider was sent.
fn sent(stage: &Stage) -> Vec<Value> {
    let sent = stage.script.sent.lock().unwrap();
    let bodies = sent.iter().map(|outbound| outbound.request.body());
    bodies
        .map(|body| serde_json::from_slice(body).unwrap())
        .collect()
}

fn ask(stage: &Stage, body: &Value) -> Value {
    let inbound = Inbound {
        report: ReportWanted {
            cost: false,
            conversion: true,
        },
        ..stage.inbound(&body.to_string())
    };
    match run(&stage.clock, stage.gateway.chat(&stage.caller, inbound)) {
        Ok(Reply::Whole { body, .. }) => serde_json::from_slice(&body).unwrap(),
        Ok(Reply::Stream { stream, .. }) => Value::String(collect(&stage.clock, stream)),
        Err(error) => panic!("{error:?}"),
    }
}

/// The types of the blocks of the assistant's turn that Claude was sent last.
fn blocks(stage: &Stage) -> Vec<Value> {
    let sent = sent(stage);
    let messages = sent.last().unwrap()["messages"].as_array().unwrap();
    let turn = messages
        .iter()
        .find(|message| message["role"] == "assistant")
        .unwrap();
    match &turn["content"] {
        Value::Array(blocks) => blocks.clone(),
        text => vec![json!({"type": "text", "text": text})],
    }
}

fn types(stage: &Stage) -> Vec<String> {
    let blocks = blocks(stage);
    let types = blocks.iter().map(|block| block["type"].as_str().unwrap());
    types.map(str::to_owned).collect()
}

/// What was restored, as the report says it.
fn restored(answer: &Value) -> Vec<String> {
    let changed = answer.pointer("/trunkline/conversion/changed");
    let changed = changed.and_then(Value::as_array).into_iter().flatten();
    changed
        .filter(|change| change["reason"].as_str().unwrap().starts_with("restored"))
        .map(|change| change["field"].as_str().unwrap().to_owned())
        .collect()
}

const WHOLE_TURN: [&str; 5] = [
    "thinking",
    "redacted_thinking",
    "text",
    "tool_use",
    "tool_use",
];
const AS_SENT: [&str; 3] = ["text", "tool_use", "tool_use"];

#[test]
fn thoughts_that_a_client_left_out_are_put_back_where_they_stood() {
    let stage = stage_of([Act::whole(200, &claude().to_string())]);
    ask(&stage, &first("claude"));
    let answer = ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
    let claude = claude();
    let (sent, made) = (blocks(&stage), claude["content"].as_array().unwrap());
    assert_eq!((&sent[0], &sent[1]), (&made[0], &made[1]));
    assert_eq!(restored(&answer), ["messages[1].reasoning_details"]);
}

#[test]
fn thoughts_of_a_stream_are_put_back_too() {
    let stage = stage_of([Act::stream(claude_stream())]);
    let mut streamed = first("claude");
    streamed["stream"] = json!(true);
    ask(&stage, &streamed);
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
    assert_eq!(blocks(&stage)[0], claude()["content"][0]);
}

#[test]
fn thoughts_are_kept_when_the_caller_leaves_after_the_finish() {
    let mut steps = claude_stream();
    steps.pop();
    steps.push(Step::Hang);
    let stage = stage_of([Act::stream(steps)]);
    let mut streamed = first("claude");
    streamed["stream"] = json!(true);
    let mut stream = stage.stream(&streamed.to_string());
    loop {
        let next = run(&stage.clock, futures_util::StreamExt::next(&mut stream)).unwrap();
        if String::from_utf8_lossy(&next).contains("\"finish_reason\":\"tool_calls\"") {
            break;
        }
    }
    drop(stream);
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
}

#[test]
fn a_stream_that_breaks_before_its_finish_leaves_nothing() {
    let mut steps = claude_stream();
    steps.truncate(steps.len() - 2);
    steps.push(Step::Break);
    let stage = stage_of([Act::stream(steps)]);
    let mut streamed = first("claude");
    streamed["stream"] = json!(true);
    ask(&stage, &streamed);
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), AS_SENT);
}

#[test]
fn thoughts_of_an_answer_that_passed_verbatim_are_put_back_into_a_translation() {
    for (act, is_stream) in [
        (Act::whole(200, &claude().to_string()), false),
        (Act::stream(claude_stream()), true),
    ] {
        let stage = stage_of([act]);
        let body = json!({
            "model": "claude", "max_tokens": 20_000, "stream": is_stream,
            "messages": [{"role": "user", "content": "Where is the moon?"}],
        });
        let mut inbound = stage.inbound(&body.to_string());
        inbound.face = &providers::anthropic::AnthropicMessages;
        match run(&stage.clock, stage.gateway.chat(&stage.caller, inbound)).unwrap() {
            Reply::Whole { .. } => assert!(!is_stream),
            Reply::Stream { stream, .. } => drop(collect(&stage.clock, stream)),
        }
        ask(&stage, &second_to_claude());
        assert_eq!(types(&stage), WHOLE_TURN, "streamed: {is_stream}");
    }
}

/// The second request in Claude's own words, as an agent sends it that keeps no thoughts of a model by another name.
fn second_in_claudes_words(thoughts: &[Value]) -> Value {
    let mut turn = claude()["content"].as_array().unwrap()[2..].to_vec();
    turn.splice(0..0, thoughts.iter().cloned());
    json!({
        "model": "claude", "max_tokens": 20_000, "thinking": {"type": "enabled", "budget_tokens": 4_000},
        "tools": [{"name": "look", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "Where is the moon?"},
            {"role": "assistant", "content": turn},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "There."},
                {"type": "tool_result", "tool_use_id": "toolu_2", "content": "There."},
            ]},
        ],
    })
}

fn ask_in_claudes_words(stage: &Stage, body: &Value) {
    let mut inbound = stage.inbound(&body.to_string());
    inbound.face = &providers::anthropic::AnthropicMessages;
    let reply = run(&stage.clock, stage.gateway.chat(&stage.caller, inbound));
    assert!(matches!(reply, Ok(Reply::Whole { .. })));
}

#[test]
fn thoughts_that_an_agent_left_out_of_the_providers_own_words_are_put_back() {
    let stage = stage_of([Act::whole(200, &claude().to_string())]);
    ask(&stage, &first("claude"));
    ask_in_claudes_words(&stage, &second_in_claudes_words(&[]));
    assert_eq!(types(&stage), WHOLE_TURN);
    assert_eq!(blocks(&stage)[0], claude()["content"][0]);
}

#[test]
fn what_brings_its_thoughts_or_has_none_in_custody_passes_as_it_is() {
    let claude = claude();
    let thoughts = claude["content"].as_array().unwrap().get(..2).unwrap();
    for (is_kept, thoughts) in [(true, thoughts), (false, &[])] {
        let acts = is_kept.then(|| Act::whole(200, &claude.to_string()));
        let stage = stage_of(acts);
        if is_kept {
            ask(&stage, &first("claude"));
        }
        let request = second_in_claudes_words(thoughts);
        ask_in_claudes_words(&stage, &request);
        let sent = sent(&stage);
        let messages = &sent.last().unwrap()["messages"];
        assert_eq!(messages, &request["messages"], "kept: {is_kept}");
        let bodies = stage.script.sent.lock().unwrap();
        let length = bodies.last().unwrap().request.body().len();
        let named = request.to_string().len() + "claude-x".len() - "claude".len();
        assert!(length.abs_diff(named) < 16, "it was written anew");
    }
}

#[test]
fn a_signature_over_a_call_is_put_back() {
    let stage = Stage::of([
        Act::whole(200, &gemini().to_string()),
        Act::whole(200, &gemini().to_string()),
    ]);
    let answer = ask(&stage, &first("gemini"));
    let id = answer
        .pointer("/choices/0/message/tool_calls/0/id")
        .unwrap();
    let id = id.as_str().unwrap();
    let turn = json!({"role": "assistant", "content": null, "tool_calls": [call(id, "moon")]});
    let answer = ask(&stage, &second("gemini", &turn, &[id]));
    let sent = sent(&stage);
    let signature = sent[1].pointer("/contents/1/parts/0/thoughtSignature");
    assert_eq!(signature, Some(&json!("Z2VtaW5p")));
    assert_eq!(restored(&answer), ["messages[1].reasoning_details"]);
}

#[test]
fn a_turn_that_brings_state_of_its_own_is_left_alone() {
    let stage = stage_of([Act::whole(200, &claude().to_string())]);
    ask(&stage, &first("claude"));
    let mut turn = stripped();
    turn["reasoning_details"] = json!([
        {"type": "reasoning.text", "text": "Mine.", "signature": "bWluZQ=="},
    ]);
    let answer = ask(&stage, &second("claude", &turn, &["toolu_1", "toolu_2"]));
    assert_eq!(blocks(&stage)[0]["signature"], "bWluZQ==");
    assert_eq!(types(&stage).len(), 4);
    assert!(restored(&answer).is_empty());
}

#[test]
fn thoughts_that_a_client_kept_in_pieces_are_put_back_whole() {
    // The last piece of a stream, as `openai` for Node keeps it; and one of two thoughts.
    let signature = json!({"type": "reasoning.text", "signature": "c2lnbmVk", "index": 0});
    let whole = json!({"type": "reasoning.text", "text": "Where is it?", "signature": "c2lnbmVk"});
    let redacted = json!({"type": "reasoning.encrypted", "data": "c2VjcmV0"});
    for (details, is_restored) in [
        (json!([signature]), true),
        (json!([whole]), true),
        (json!([redacted]), true),
        (json!([whole, redacted]), false),
    ] {
        let stage = stage_of([Act::whole(200, &claude().to_string())]);
        ask(&stage, &first("claude"));
        let mut turn = stripped();
        turn["reasoning_details"] = details.clone();
        let answer = ask(&stage, &second("claude", &turn, &["toolu_1", "toolu_2"]));
        assert_eq!(types(&stage), WHOLE_TURN, "{details}");
        assert_eq!(blocks(&stage)[0], claude()["content"][0], "{details}");
        assert_eq!(!restored(&answer).is_empty(), is_restored, "{details}");
    }
}

#[test]
fn the_thoughts_themselves_take_the_place_of_their_words() {
    let stage = stage_of([Act::whole(200, &claude().to_string())]);
    ask(&stage, &first("claude"));
    let mut turn = stripped();
    turn["reasoning_content"] = json!("Where is it?");
    ask(&stage, &second("claude", &turn, &["toolu_1", "toolu_2"]));
    assert_eq!(types(&stage), WHOLE_TURN);
}

#[test]
fn a_turn_that_was_split_gets_its_thoughts_once() {
    let stage = stage_of([Act::whole(200, &claude().to_string())]);
    ask(&stage, &first("claude"));
    let mut split = first("claude");
    let messages = split["messages"].as_array_mut().unwrap();
    for (id, at) in [("toolu_1", "moon"), ("toolu_2", "sun")] {
        messages.push(json!({"role": "assistant", "tool_calls": [call(id, at)]}));
        messages.push(result(id));
    }
    let answer = ask(&stage, &split);
    assert_eq!(restored(&answer), ["messages[1].reasoning_details"]);
    let text = sent(&stage)[1].to_string();
    assert_eq!(text.matches("c2lnbmVk").count(), 1);
}

#[test]
fn nobody_else_and_no_other_model_gets_what_was_kept() {
    let others = |stage: &Stage| {
        // A forged id, and a known one under another name.
        let forged = json!({"role": "assistant", "content": "I look.",
            "tool_calls": [call("toolu_9", "moon")]});
        let mut renamed = stripped();
        renamed["tool_calls"][0]["function"]["name"] = json!("peek");
        renamed["tool_calls"][1]["function"]["name"] = json!("peek");
        ask(stage, &second("claude", &forged, &["toolu_9"]));
        ask(stage, &second("claude", &renamed, &["toolu_1", "toolu_2"]));
    };
    let mut stage = Stage::of([
        Act::whole(200, &claude().to_string()),
        done(),
        done(),
        Act::whole(200, &gemini().to_string()),
        done(),
        done(),
    ]);
    let owner = stage.caller.clone();
    ask(&stage, &first("claude"));
    others(&stage);
    ask(
        &stage,
        &second("gemini", &stripped(), &["toolu_1", "toolu_2"]),
    );
    stage.caller = caller(Rate::default(), None);
    ask(&stage, &second_to_claude());
    for body in sent(&stage) {
        assert!(!body.to_string().contains("c2lnbmVk"), "{body}");
    }
    stage.caller = owner;
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
}

#[test]
fn what_was_not_needed_for_long_is_forgotten() {
    let stage = Stage::of([
        Act::whole(200, &claude().to_string()),
        done(),
        done(),
        done(),
    ]);
    ask(&stage, &first("claude"));
    stage.clock.forward(CUSTODY.ttl / 2);
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
    stage.clock.forward(CUSTODY.ttl / 2);
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN, "putting it back is a use");
    stage.clock.forward(CUSTODY.ttl);
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), AS_SENT);
}

#[test]
fn what_is_kept_is_not_readable() {
    let stage = stage_of([Act::whole(200, &claude().to_string())]);
    ask(&stage, &first("claude"));
    let custody = stage.gateway.custody.as_ref().unwrap();
    let sealed = custody.shelf().any_sealed().unwrap();
    for clear in ["c2lnbmVk", "Where is it?", "toolu_1"] {
        assert!(memchr::memmem::find(&sealed, clear.as_bytes()).is_none());
    }
    let keys = custody.root.keys_of(&stage.caller).unwrap();
    assert!(keys.open(&sealed).is_some());
    let mut damaged = sealed.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(keys.open(&damaged).is_none());
    let other = caller(Rate::default(), None);
    assert!(
        custody
            .root
            .keys_of(&other)
            .unwrap()
            .open(&sealed)
            .is_none()
    );
}

#[test]
fn what_is_only_in_the_store_is_put_back_and_looked_up_once() {
    let mut stage = Stage::of([
        Act::whole(200, &claude().to_string()),
        done(),
        done(),
        done(),
    ]);
    ask(&stage, &first("claude"));
    stage.forget_memory_of_custody();
    for _ in 0..2 {
        let answer = ask(&stage, &second_to_claude());
        assert_eq!(types(&stage), WHOLE_TURN);
        let report = answer.to_string();
        assert!(report.contains("provider 'sim' gave"), "{report}");
    }
    assert_eq!(look_ups(&stage), 1, "then it is in memory");
}

#[test]
fn the_store_gives_to_nobody_else() {
    let mut stage = Stage::of([Act::whole(200, &claude().to_string()), done(), done()]);
    let owner = stage.caller.clone();
    ask(&stage, &first("claude"));
    stage.forget_memory_of_custody();
    stage.caller = caller(Rate::default(), None);
    ask(&stage, &second_to_claude());
    assert_eq!((types(&stage), look_ups(&stage)), (owned(AS_SENT), 1));
    stage.caller = owner;
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
}

#[test]
fn the_store_is_not_asked_for_what_memory_knows() {
    let call = json!({
        "id": "m1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "tool_use", "id": "toolu_7", "name": "look", "input": {}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    });
    let mut stage = Stage::of([
        Act::whole(200, &call.to_string()),
        done(),
        Act::whole(200, &claude().to_string()),
        done(),
        done(),
        done(),
        done(),
    ]);
    let without_state = json!({"role": "assistant", "tool_calls": [self::call("toolu_7", "moon")]});
    let second_without = second("claude", &without_state, &["toolu_7"]);
    ask(&stage, &first("claude"));
    ask(&stage, &second_without);
    ask(&stage, &first("claude"));
    ask(&stage, &second_to_claude());
    assert_eq!(look_ups(&stage), 0, "it gave both answers itself");
    stage.forget_memory_of_custody();
    ask(&stage, &second_without);
    ask(&stage, &second_without);
    assert_eq!(look_ups(&stage), 1, "that there is nothing is remembered");
    stage.clock.forward(Duration::from_mins(1));
    ask(&stage, &second_without);
    assert_eq!(look_ups(&stage), 2, "for a while");
}

#[test]
fn a_store_that_does_not_answer_holds_requests_up_once() {
    for hangs in [true, false] {
        let mut stage = Stage::of([
            Act::whole(200, &claude().to_string()),
            done(),
            done(),
            done(),
        ]);
        ask(&stage, &first("claude"));
        stage.forget_memory_of_custody();
        stage.store.hangs.store(hangs, Ordering::Relaxed);
        stage.store.is_down.store(!hangs, Ordering::Relaxed);
        let before = stage.clock.elapsed();
        for _ in 0..2 {
            ask(&stage, &second_to_claude());
            assert_eq!(types(&stage), AS_SENT);
        }
        assert_eq!(look_ups(&stage), 1);
        assert!(stage.clock.elapsed() <= before + Duration::from_millis(250));
        stage.store.hangs.store(false, Ordering::Relaxed);
        stage.store.is_down.store(false, Ordering::Relaxed);
        stage.clock.forward(Duration::from_secs(1));
        ask(&stage, &second_to_claude());
        assert_eq!(types(&stage), WHOLE_TURN);
    }
}

#[test]
fn what_is_used_is_kept_in_the_store_for_as_long_again() {
    let mut stage = Stage::of([Act::whole(200, &claude().to_string()), done(), done()]);
    ask(&stage, &first("claude"));
    stage.clock.forward(CUSTODY.ttl / 2);
    ask(&stage, &second_to_claude());
    stage.clock.forward(CUSTODY.ttl * 3 / 4);
    stage.forget_memory_of_custody();
    ask(&stage, &second_to_claude());
    assert_eq!(types(&stage), WHOLE_TURN);
}

#[test]
fn what_the_store_does_not_take_waits() {
    let mut stage = Stage::of([Act::whole(200, &claude().to_string()), done()]);
    ask(&stage, &first("claude"));
    let custody = stage.gateway.custody.clone().unwrap();
    stage.store.is_down.store(true, Ordering::Relaxed);
    assert!(run(&stage.clock, custody.write(10)).is_err());
    stage.store.is_down.store(false, Ordering::Relaxed);
    assert_eq!(run(&stage.clock, custody.write(10)).unwrap(), 1);
    assert_eq!(run(&stage.clock, custody.write(10)).unwrap(), 0);
    let kept = stage.store.turns.lock().unwrap();
    assert_eq!(kept.len(), 2, "one place for each call");
    for turn in kept.values() {
        assert_eq!(turn.key_id, stage.caller.key_id());
        assert_eq!(turn.provider.as_str(), "sim");
        assert!(memchr::memmem::find(&turn.sealed, b"c2lnbmVk").is_none());
    }
    drop(kept);
    stage.forget_memory_of_custody();
}

fn look_ups(stage: &Stage) -> u32 {
    stage.store.look_ups.load(Ordering::Relaxed)
}

fn owned(types: [&str; 3]) -> Vec<String> {
    types.map(str::to_owned).to_vec()
}
