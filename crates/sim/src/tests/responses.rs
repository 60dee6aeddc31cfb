//! OpenAI's responses.

use crate::Sim;
use serde_json::{Value, json};

use super::ask::{Answer, OPENAI, assert_says, cases, send, with};

fn plain() -> Value {
    json!({"model": "gpt", "input": "Hello there"})
}

fn asks_weather(model: &str, text: &str) -> Value {
    json!({"model": model, "input": text, "tools": [{"type": "function", "name": "get_weather", "strict": true, "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false}}]})
}

async fn ask(sim: &Sim, body: &Value) -> Answer {
    send(
        sim,
        "POST",
        "/v1/responses",
        OPENAI,
        body.to_string().into(),
    )
    .await
}

async fn look(sim: &Sim, method: &str, path: &str) -> Answer {
    send(
        sim,
        method,
        &format!("/v1/responses/{path}"),
        OPENAI,
        "".into(),
    )
    .await
}

#[tokio::test]
async fn what_openai_refuses_is_refused_in_its_words() {
    let sim = Sim::default();
    for case in cases(include_str!("refused/responses.jsonl")) {
        let answer = ask(&sim, &with(&plain(), &case["changes"])).await;
        let body = answer.json();
        let error = &body["error"];
        assert_eq!(answer.status, case["status"], "{case}: {body}");
        assert_says(&error["message"], &case);
        assert_eq!(error["param"], case["param"], "{case}: {body}");
        assert_eq!(error["code"], case["code"], "{case}: {body}");
        assert_eq!(error["type"], "invalid_request_error", "{case}");
    }
}

#[tokio::test]
async fn what_openai_takes_is_taken() {
    let sim = Sim::default();
    for case in cases(include_str!("taken/responses.jsonl")) {
        let answer = ask(&sim, &with(&plain(), &case["changes"])).await;
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_answer_repeats_what_was_asked_and_counts_what_was_said() {
    let body = ask(
        &Sim::default(),
        &with(
            &plain(),
            &json!({"instructions": "be kind", "metadata": {"a": "b"}}),
        ),
    )
    .await
    .json();
    let text = "This is a simulated answer from Trunkline's sim provider (model gpt). You said: Hello there";
    assert_eq!(body["output"][0]["content"][0]["text"], text);
    assert_eq!(
        (&body["object"], &body["status"], &body["instructions"]),
        (&json!("response"), &json!("completed"), &json!("be kind"))
    );
    assert_eq!(body["metadata"], json!({"a": "b"}));
    assert_eq!(body["text"]["format"], json!({"type": "text"}));
    let usage = &body["usage"];
    assert_eq!(usage["input_tokens"], (3 + 2) + (3 + 3) + 3);
    assert_eq!(usage["output_tokens"], text.len().div_ceil(4));
    assert_eq!(
        usage["total_tokens"],
        (3 + 2) + (3 + 3) + 3 + text.len().div_ceil(4)
    );
}

/// The items that the events of a stream add up to, checked event by event.
fn folded(events: &[Value]) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
        let kind = event["type"].as_str().unwrap();
        if kind == "response.output_item.added" {
            assert_eq!(event["output_index"], items.len());
            items.push(event["item"].clone());
            continue;
        }
        if event["output_index"].is_null() {
            continue;
        }
        let item = items.last_mut().unwrap();
        if event["item_id"].is_string() {
            assert_eq!(event["item_id"], item["id"], "{event}");
        }
        let add = |slot: &mut Value| {
            *slot = json!(format!(
                "{}{}",
                slot.as_str().unwrap(),
                event["delta"].as_str().unwrap()
            ));
        };
        match kind {
            "response.content_part.added" => {
                let content = item["content"].as_array_mut().unwrap();
                assert_eq!(event["content_index"], content.len());
                content.push(event["part"].clone());
            }
            "response.reasoning_summary_part.added" => {
                item["summary"]
                    .as_array_mut()
                    .unwrap()
                    .push(event["part"].clone());
            }
            "response.output_text.delta" => add(&mut item["content"][0]["text"]),
            "response.refusal.delta" => add(&mut item["content"][0]["refusal"]),
            "response.reasoning_summary_text.delta" => add(&mut item["summary"][0]["text"]),
            "response.function_call_arguments.delta" => add(&mut item["arguments"]),
            "response.custom_tool_call_input.delta" => add(&mut item["input"]),
            "response.web_search_call.completed" => {
                item["status"] = json!("completed");
                item["action"] = Value::Null;
            }
            "response.web_search_call.in_progress" | "response.web_search_call.searching" => {
                assert_eq!(item["status"], "in_progress");
            }
            "response.output_text.annotation.added" => {
                let annotations = &mut item["content"][0]["annotations"];
                annotations
                    .as_array_mut()
                    .unwrap()
                    .push(event["annotation"].clone());
            }
            "response.output_text.done" => assert_eq!(event["text"], item["content"][0]["text"]),
            "response.refusal.done" => assert_eq!(event["refusal"], item["content"][0]["refusal"]),
            "response.reasoning_summary_text.done" => {
                assert_eq!(event["text"], item["summary"][0]["text"]);
            }
            "response.function_call_arguments.done" => {
                assert_eq!(event["arguments"], item["arguments"]);
            }
            "response.custom_tool_call_input.done" => assert_eq!(event["input"], item["input"]),
            "response.content_part.done" => assert_eq!(event["part"], item["content"][0]),
            "response.reasoning_summary_part.done" => assert_eq!(event["part"], item["summary"][0]),
            "response.output_item.done" => {
                if item["type"] == "web_search_call" {
                    item["action"] = event["item"]["action"].clone();
                }
                if item["status"].is_string() {
                    item["status"] = event["item"]["status"].clone();
                }
                assert_eq!(event["item"], *item);
            }
            other => panic!("unexpected {other}"),
        }
    }
    items
}

#[tokio::test]
async fn a_stream_adds_up_to_the_whole_answer() {
    let sim = Sim::default();
    for request in [
        plain(),
        asks_weather("gpt", "use get_weather and get_weather"),
        with(
            &asks_weather("gpt-5", "get_weather now"),
            &json!({"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]}),
        ),
        json!({"model": "gpt", "input": "no [[sim refusal]]"}),
        json!({"model": "gpt", "input": "use shout", "tools": [{"type": "custom", "name": "shout"}]}),
        json!({"model": "gpt", "input": "cut", "max_output_tokens": 16}),
        json!({
            "model": "gpt-5", "input": "what is new?", "tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"},
            "include": ["web_search_call.action.sources"],
        }),
    ] {
        let whole = ask(&sim, &request).await.json();
        let streamed = ask(&sim, &with(&request, &json!({"stream": true}))).await;
        assert_eq!(
            streamed.field("content-type"),
            "text/event-stream; charset=utf-8"
        );
        let events = streamed.events();
        let items = folded(&events);
        let last = events.last().unwrap();
        assert_eq!(
            last["type"],
            format!("response.{}", whole["status"].as_str().unwrap())
        );
        assert_eq!(last["response"]["usage"], whole["usage"]);
        assert_eq!(last["response"]["output"], json!(items));
        let said = |items: &[Value]| -> Vec<Value> {
            items
                .iter()
                .map(|item| {
                    json!([
                        item["type"],
                        item["content"],
                        item["summary"],
                        item["arguments"],
                        item["input"],
                        item["call_id"]
                    ])
                })
                .collect()
        };
        assert_eq!(said(&items), said(whole["output"].as_array().unwrap()));
    }
}

#[tokio::test]
async fn a_search_of_the_web_is_cited_and_comes_back() {
    let sim = Sim::default();
    let request = json!({"model": "gpt", "input": "ask web_search", "tools": [{"type": "web_search"}], "store": false});
    let body = ask(&sim, &request).await.json();
    let output = body["output"].as_array().unwrap();
    assert_eq!(output[0]["action"]["query"], "ask web_search");
    assert_eq!(
        output[1]["content"][0]["annotations"][0]["type"],
        "url_citation"
    );
    let mut items = vec![json!({"role": "user", "content": "ask web_search"})];
    items.extend(output.iter().cloned());
    items.push(json!({"role": "user", "content": "and now?"}));
    let next = ask(&sim, &with(&request, &json!({"input": items}))).await;
    assert_eq!(next.status, 200, "{}", next.text());
    let unasked = ask(&sim, &with(&request, &json!({"input": "hello"})))
        .await
        .json();
    assert_eq!(unasked["output"][0]["type"], "message");
}

#[tokio::test]
async fn reasoning_comes_back_with_what_it_led_to() {
    let sim = Sim::default();
    let request = with(
        &asks_weather("gpt-5", "get_weather and get_weather"),
        &json!({"store": false, "include": ["reasoning.encrypted_content"]}),
    );
    let first = ask(&sim, &request).await.json();
    let output = first["output"].as_array().unwrap();
    let mut items = vec![json!({"role": "user", "content": "get_weather and get_weather"})];
    items.extend(output.iter().cloned());
    for call in output.iter().filter(|item| item["type"] == "function_call") {
        items.push(json!({"type": "function_call_output", "call_id": call["call_id"], "output": "22 degrees"}));
    }
    let second = ask(&sim, &with(&request, &json!({"input": items}))).await;
    let text = second.json()["output"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|item| item["content"][0]["text"].as_str().map(str::to_owned))
        .unwrap();
    assert_eq!(text.matches("get_weather answered: 22 degrees").count(), 2);
    // Clients that keep nothing leave the ids out.
    let mut nameless = items.clone();
    for item in &mut nameless {
        item.as_object_mut().unwrap().shift_remove("id");
    }
    let taken = ask(&sim, &with(&request, &json!({"input": nameless}))).await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    let refusal = async |items: &[Value]| {
        let body = ask(&sim, &with(&request, &json!({"input": items}))).await;
        body.json()["error"]["message"].as_str().unwrap().to_owned()
    };
    assert!(
        refusal(&items[..2])
            .await
            .contains("was provided without its required following item")
    );
    let mut altered = items.clone();
    altered[1]["encrypted_content"] = json!("gAAAAAaltered");
    assert!(refusal(&altered).await.contains("could not be verified"));
    altered[1] = items[1].clone();
    altered[1]["id"] = json!("rs_other");
    assert!(
        refusal(&altered)
            .await
            .contains("did not match the target item id")
    );
    altered[1]["encrypted_content"] = Value::Null;
    assert!(
        refusal(&altered)
            .await
            .contains("not found. Items are not persisted")
    );
}

#[tokio::test]
async fn a_kept_call_needs_its_reasoning() {
    let sim = Sim::default();
    let request = asks_weather("gpt-5", "get_weather");
    let first = ask(&sim, &request).await.json();
    let (reasoning, call) = (&first["output"][0], &first["output"][1]);
    let result = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "x"});
    let lacking = json!([{"role": "user", "content": "get_weather"}, call, result]);
    let refused = ask(&sim, &with(&request, &json!({"input": lacking})))
        .await
        .json();
    let expected = format!(
        "was provided without its required 'reasoning' item: '{}'",
        reasoning["id"].as_str().unwrap()
    );
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains(&expected)
    );
    let complete = json!([{"role": "user", "content": "get_weather"}, {"type": "item_reference", "id": reasoning["id"]}, call, result]);
    let answer = ask(&sim, &with(&request, &json!({"input": complete}))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_conversation_goes_on_from_a_kept_response() {
    let sim = Sim::default();
    let request = asks_weather("gpt-5", "get_weather");
    let first = ask(&sim, &request).await.json();
    let call = &first["output"][1]["call_id"];
    let next = json!({"input": [{"type": "function_call_output", "call_id": call, "output": "22 degrees"}], "previous_response_id": first["id"]});
    let second = ask(&sim, &with(&request, &next)).await.json();
    assert_eq!(second["previous_response_id"], first["id"]);
    assert!(
        second["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64(),
        "{second}"
    );
    let unanswered = json!({"input": "and?", "previous_response_id": first["id"]});
    let refused = ask(&sim, &with(&request, &unanswered)).await.json();
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("No tool output found for function call call_sim")
    );
    let id = second["id"].as_str().unwrap();
    let page = look(&sim, "GET", &format!("{id}/input_items?order=asc&limit=3"))
        .await
        .json();
    let kinds: Vec<&str> = page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["message", "reasoning", "function_call"]);
    assert_eq!(page["has_more"], true);
    let after = page["last_id"].as_str().unwrap();
    let rest = look(
        &sim,
        "GET",
        &format!("{id}/input_items?order=asc&after={after}"),
    )
    .await
    .json();
    assert_eq!(rest["data"][0]["type"], "function_call_output");
    assert_eq!(rest["has_more"], false);
}

#[tokio::test]
async fn a_response_is_kept_until_it_is_deleted_unless_it_is_not_to_be_kept() {
    let sim = Sim::default();
    let kept = ask(&sim, &plain()).await.json();
    let id = kept["id"].as_str().unwrap();
    assert_eq!(look(&sim, "GET", id).await.json(), kept);
    assert_eq!(
        look(&sim, "POST", &format!("{id}/cancel")).await.json()["error"]["message"],
        "Cannot cancel a synchronous response."
    );
    let deleted = look(&sim, "DELETE", id).await.json();
    assert_eq!(
        deleted,
        json!({"id": id, "object": "response", "deleted": true})
    );
    assert_eq!(look(&sim, "GET", id).await.status, 404);
    let dropped = ask(&sim, &with(&plain(), &json!({"store": false})))
        .await
        .json();
    let answer = look(&sim, "GET", dropped["id"].as_str().unwrap()).await;
    assert_eq!(answer.status, 404);
    let wrong = look(&sim, "GET", "chatcmpl-1").await.json();
    assert_eq!(wrong["error"]["param"], "response_id");
}

#[tokio::test]
async fn a_response_in_the_background_goes_on_each_time_it_is_looked_at() {
    let sim = Sim::default();
    let request = with(&plain(), &json!({"background": true}));
    let queued = ask(&sim, &request).await.json();
    assert_eq!(
        (&queued["status"], &queued["output"], &queued["usage"]),
        (&json!("queued"), &json!([]), &Value::Null)
    );
    let id = queued["id"].as_str().unwrap();
    let running = look(&sim, "GET", id).await.json();
    assert_eq!(running["status"], "in_progress");
    let ended = look(&sim, "GET", id).await.json();
    assert_eq!(ended["status"], "completed");
    assert!(ended["usage"]["total_tokens"].as_u64().unwrap() > 0);
    let other = ask(&sim, &request).await.json();
    let id = other["id"].as_str().unwrap();
    let cancelled = look(&sim, "POST", &format!("{id}/cancel")).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    assert_eq!(look(&sim, "GET", id).await.json()["status"], "cancelled");
    let streamed = ask(&sim, &with(&request, &json!({"stream": true}))).await;
    let names: Vec<Value> = streamed.events()[..3]
        .iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "response.created",
            "response.queued",
            "response.in_progress"
        ]
    );
}

#[tokio::test]
async fn a_stream_in_the_background_can_be_read_again_from_any_event() {
    let sim = Sim::default();
    let request = with(&plain(), &json!({"background": true, "stream": true}));
    let streamed = ask(&sim, &request).await;
    let first = &streamed.events()[0]["response"];
    assert_eq!(first["status"], "queued");
    let id = first["id"].as_str().unwrap();
    let again = look(&sim, "GET", &format!("{id}?stream=true")).await;
    assert_eq!(again.text(), streamed.text());
    let rest = look(&sim, "GET", &format!("{id}?stream=true&starting_after=2")).await;
    assert_eq!(rest.events(), streamed.events()[3..]);
    assert_eq!(look(&sim, "GET", id).await.json()["status"], "completed");
    let other = ask(&sim, &plain()).await.json();
    let refused = look(
        &sim,
        "GET",
        &format!("{}?stream=true", other["id"].as_str().unwrap()),
    )
    .await;
    assert!(refused.status == 400 && refused.text().contains("cannot be streamed"));
}

#[tokio::test]
async fn tools_that_the_caller_runs_for_openai_are_answered_too() {
    let sim = Sim::default();
    let call = json!({"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "status": "completed", "action": {"type": "exec", "command": ["ls"], "env": {}}});
    let output = json!({"type": "local_shell_call_output", "id": "call_1", "output": "a.txt"});
    let question = json!({"role": "user", "content": "list"});
    let taken = with(
        &plain(),
        &json!({"input": [question, call, output], "tools": [{"type": "local_shell"}]}),
    );
    assert_eq!(ask(&sim, &taken).await.status, 200);
    let refused = ask(&sim, &with(&plain(), &json!({"input": [question, output]}))).await;
    assert!(
        refused
            .text()
            .contains("No tool call found for local shell call output with call_id call_1."),
        "{}",
        refused.text()
    );
}

#[tokio::test]
async fn an_input_can_be_counted_without_an_answer() {
    let sim = Sim::default();
    let request = asks_weather("gpt", "get_weather");
    let answer = send(
        &sim,
        "POST",
        "/v1/responses/input_tokens",
        OPENAI,
        request.to_string().into(),
    )
    .await
    .json();
    let usage = ask(&sim, &request).await.json()["usage"]["input_tokens"].clone();
    assert_eq!(
        answer,
        json!({"object": "response.input_tokens", "input_tokens": usage})
    );
}
