use super::*;

fn stored(asked: &Value, output: &Value) -> StoredResponse {
    let answer = json!({"id": "resp_1", "object": "response", "output": output});
    let (asked, answer) = (asked.to_string(), answer.to_string());
    StoredResponse::of(asked.as_bytes(), answer.as_bytes()).unwrap()
}

fn first() -> StoredResponse {
    stored(
        &json!({"model": "m", "input": "Hi"}),
        &json!([
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]},
        ]),
    )
}

fn nothing(_: &str) -> Option<Box<RawValue>> {
    None
}

#[test]
fn an_identifier_leads_back_to_its_call() {
    let request: RequestId = "req_0192f0c123457abc8def0123456789ab".parse().unwrap();
    assert_eq!(request_of(&response_id(request)), Some(request));
    assert_eq!(request_of("resp_68ca94fa7ba8"), None);
    assert_eq!(request_of("chatcmpl-1"), None);
}

#[test]
fn what_is_to_be_kept_is_read_of_the_request() {
    let body = json!({"model": "m", "store": false, "previous_response_id": "resp_1", "conversation": {"id": "conv_1"}, "input": [
        {"role": "user", "content": "Hi"},
        {"type": "item_reference", "id": "msg_9"},
        {"id": "rs_9"},
        {"type": "reasoning", "summary": [], "encrypted_content": "trunkline.1.e30"},
    ]});
    let expected = Keeping {
        store: false,
        background: false,
        previous_response_id: Some("resp_1".to_owned()),
        conversation: Some("conv_1".to_owned()),
        references: vec!["msg_9".to_owned(), "rs_9".to_owned()],
    };
    assert_eq!(Keeping::read(body.to_string().as_bytes()), Ok(expected));
    let plain = Keeping::read(br#"{"model":"m","input":"Hi"}"#).unwrap();
    assert!(plain.store && plain.references.is_empty());
}

#[test]
fn a_continued_request_holds_the_whole_conversation_as_it_was_written() {
    let body = r#"{"model":"m","previous_response_id":"resp_1","big":12345678901234567890123,"input":"And?"}"#;
    let continued = continued(body.as_bytes(), &[first()], &nothing).unwrap();
    assert_eq!(
        std::str::from_utf8(&continued).unwrap(),
        r#"{"input":[{"type":"message","role":"user","content":"Hi"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"},{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[]}]},{"type":"message","role":"user","content":"And?"}],"model":"m","big":12345678901234567890123}"#
    );
}

#[test]
fn references_are_replaced_by_what_they_refer_to() {
    let body = json!({"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "And?"}]});
    let chain = first();
    let elsewhere = |id: &str| chain.item(id).map(ToOwned::to_owned);
    let whole = continued(body.to_string().as_bytes(), &[], &elsewhere).unwrap();
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["input"][0]["content"][0]["text"], "Hello");
    let refusal = continued(body.to_string().as_bytes(), &[], &nothing).unwrap_err();
    assert_eq!(refusal.param.as_deref(), Some("input[0]"));
}

#[test]
fn input_items_are_paged_with_identifiers_that_stay() {
    let chain = [
        first(),
        stored(
            &json!({"model": "m", "input": [{"role": "user", "content": "A"}, {"type": "function_call_output", "call_id": "c", "output": "B"}]}),
            &json!([]),
        ),
    ];
    let page = |after: Option<&str>, limit| {
        let page = Page {
            ascending: true,
            after: after.map(ToOwned::to_owned),
            limit: Some(limit),
        };
        let page = input_items("resp_2", &chain, &page).unwrap();
        serde_json::from_slice::<Value>(&page).unwrap()
    };
    let all = page(None, 10);
    let ids: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        ["msg_2_in_0", "rs_1", "msg_1", "msg_2_in_3", "item_2_in_4"]
    );
    assert_eq!(all["has_more"], false);
    assert_eq!(all["data"][0]["content"][0]["type"], "input_text");
    let second = page(Some("rs_1"), 2);
    assert_eq!(second["first_id"], "msg_1");
    assert_eq!(second["last_id"], "msg_2_in_3");
    assert_eq!(second["has_more"], true);
    let newest = input_items("resp_2", &chain, &Page::default()).unwrap();
    let newest: Value = serde_json::from_slice(&newest).unwrap();
    assert_eq!(newest["first_id"], "item_2_in_4");
}

#[test]
fn a_page_that_is_none_is_refused_by_name() {
    let chain = [first()];
    let wrong = |page: Page| input_items("resp_1", &chain, &page).unwrap_err().param;
    let limit = |limit| Page {
        limit: Some(limit),
        ..Page::default()
    };
    assert_eq!(wrong(limit(0)).as_deref(), Some("limit"));
    assert_eq!(wrong(limit(101)).as_deref(), Some("limit"));
    let after = Page {
        after: Some("nobody".to_owned()),
        ..Page::default()
    };
    assert_eq!(wrong(after).as_deref(), Some("after"));
}

#[test]
fn the_answer_is_read_off_the_last_event_in_any_split() {
    let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"output\":[]}}\n\n";
    for length in [1, 7, 1000] {
        let mut tap = AnswerTap::default();
        for piece in stream.as_bytes().chunks(length) {
            tap.push(piece);
        }
        let answer = tap.finish().unwrap();
        assert_eq!(answer.get(), r#"{"id":"resp_1","output":[]}"#);
    }
    assert!(AnswerTap::default().finish().is_none());
}
